#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# net.sh [--rounds N] [--ms N] [--subject NAME]... [--json]
#
# What the network costs: the same static servers as a process in a network namespace, in a runc
# container in such a namespace, and in a VM, on AF_XDP and on a tap, all of them behind a veth
# each, in turn, N (3) rounds of N (1000) ms a measure. The client is a process in another
# namespace.
#
#   process, runc   address on the veth's far end
#   VM, AF_XDP      the socket is on the veth's far end: nothing between
#   VM, TAP         a bridge between the veth's far end and the tap: one hop more
#
# Checksums are never left out on the veth, for there is a device below the stack that has none.
# Segmentation offloads: off, except where a row says on.
set -euo pipefail
# shellcheck source=bench/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

APPS=$(realpath -m "${APPS:-$root/build/apps}")
rounds=3 ms=1000 json=0 subjects=()
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=${2:?--rounds N} && shift ;;
	--ms) ms=${2:?--ms N} && shift ;;
	--subject) subjects+=("${2:?--subject NAME}") && shift ;;
	--json) json=1 ;;
	*) sed -n '4,16s/^# \{0,1\}//p' "$0" && exit 2 ;;
	esac
	shift
done
[ ${#subjects[@]} -gt 0 ] || subjects=(process runc xdp tap)
need "$MAYFLY" "$BENCH/net" "$APPS/echo" "$APPS/http" "$PROGRAMS/iperf3"
for tool in ip ethtool wrk iperf3 jq; do
	command -v $tool >/dev/null || die "$tool is missing: scripts/deps.sh bench"
done
[ "$(id -u)" -eq 0 ] || die 'network namespaces are made by root'

make_work # sets $work
results=$work/results # SUBJECT MEASURE VALUE
: >"$results"
base=mfb$$ server='' namespaces=()
export MAYFLY_RUN_DIR=$work/run
cleanup() {
	trap '' INT TERM
	stop_server
	for namespace in "${namespaces[@]}"; do
		ip netns del "$namespace" || true
	done
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- the network ----

namespace() {
	ip netns add "$1"
	namespaces+=("$1")
	ip -n "$1" link set lo up
}

client() {
	ip netns exec "$base" "$@"
}

# Subject number N has its own line: 10.9.N.1 to 10.9.N.2.
lay_line() { # N SUBJECT
	local ns=$base.$2
	namespace "$ns"
	ip link add "c$1" netns "$base" type veth peer name h0 netns "$ns"
	ip -n "$base" address add "10.9.$1.1/24" dev "c$1"
	ip -n "$base" link set "c$1" up
	ip -n "$ns" link set h0 up
	case $2 in
	process | runc) ip -n "$ns" address add "10.9.$1.2/24" dev h0 ;;
	tap)
		ip -n "$ns" link add br0 type bridge
		ip -n "$ns" link set h0 master br0
		ip -n "$ns" link set br0 up
		;;
	esac
	offloads "$1" "$2" off
}

offloads() { # N SUBJECT on|off
	client ethtool -K "c$1" tso "$3" gso "$3" gro "$3" >/dev/null
	ip netns exec "$base.$2" ethtool -K h0 tso "$3" gso "$3" gro "$3" >/dev/null
	checksums "$1" "$2" "$3"
}

# AF_XDP takes frames as they are: the sender has to finish them. Segments of a tap's VM, and
# what a process sends, are finished by whoever needs it, as everywhere.
checksums() { # N SUBJECT on|off
	local tx=$3
	[ "$2" != xdp ] || tx=off
	client ethtool -K "c$1" tx "$tx" >/dev/null
	ip netns exec "$base.$2" ethtool -K h0 tx "$tx" >/dev/null
	[ "$3" = off ] || client ethtool -K "c$1" tso on gso on >/dev/null 2>&1 || true
}

# ---- servers ----

# serve N SUBJECT PORT PROGRAM ARG...: starts it, waits until it accepts.
serve() {
	local n=$1 subject=$2 port=$3 tries=0 ns=$base.$2
	shift 3
	rm -f "$work/log" # what it says is waited for
	case $subject in
	process) ip netns exec "$ns" "$@" >"$work/log" 2>&1 & ;;
	runc)
		container "$ns" "$@"
		runc --root "$work/runc" run --bundle "$work/bundle" "$base" >"$work/log" 2>&1 &
		;;
	xdp) ip netns exec "$ns" "$MAYFLY" run --stats --net "xdp=h0,$(vm_address "$n")" "$@" >"$work/log" 2>&1 & ;;
	tap) ip netns exec "$ns" "$MAYFLY" run --stats --net "tap,bridge=br0,$(vm_address "$n")" "$@" >"$work/log" 2>&1 & ;;
	*) die "there is no subject $subject" ;;
	esac
	server=$!
	until serves "$n" "$port"; do
		if ! kill -0 $server 2>/dev/null || [ $((tries += 1)) -gt 200 ]; then
			die "$subject: $1 does not serve: $(tail -n 3 "$work/log")"
		fi
		sleep 0.02
	done
}

# iperf3 takes whoever connects for a client, and says when it is ready for one.
serves() { # N PORT
	if [ "$2" -eq 5201 ]; then
		grep -qs listening "$work/log"
	else
		client timeout 1 bash -c "</dev/tcp/10.9.$1.2/$2" 2>/dev/null
	fi
}

vm_address() {
	echo "mac=02:00:0a:09:0$1:02,ip=10.9.$1.2/24"
}

container() { # NAMESPACE PROGRAM ARG...
	local ns=$1
	shift
	rm -rf "$work/bundle"
	bundle "$work/bundle" "$1"
	mkdir -m 1777 "$work/bundle/rootfs/tmp" # iperf3's buffer is a file
	jq --arg ns "/run/netns/$ns" --arg rest "${*:2}" '
		.linux.namespaces |= map(if .type == "network" then .path = $ns else . end) |
		.root.readonly = false | .process.args += ($rest | split(" ")) |
		.process.capabilities |= map_values(. + ["CAP_NET_BIND_SERVICE"])' \
		"$work/bundle/config.json" >"$work/bundle/new"
	mv "$work/bundle/new" "$work/bundle/config.json"
}

stop_server() {
	[ -n "$server" ] || return 0
	[ ! -d "$work/runc/$base" ] || runc --root "$work/runc" kill "$base" KILL 2>/dev/null || true
	kill -TERM "$server" 2>/dev/null || true
	wait "$server" 2>/dev/null || true
	server=
	[ ! -d "$work/runc/$base" ] || runc --root "$work/runc" delete -f "$base" 2>/dev/null || true
}

# ---- measures ----

put() { # SUBJECT MEASURE VALUE
	echo "$1 $2 $3" >>"$results"
}

# field NAME: the value behind that name in the client's line.
field() {
	grep -o "\b$1 [0-9.]*" "$work/out" | cut -d ' ' -f 2
}

bench_net() { # MEASURE N PORT
	client "$BENCH/net" "$1" "10.9.$2.2" "$3" "$ms" >"$work/out"
}

# CPU time in us: of the whole machine, and of the server's process with all that it waits for.
cpu_us() {
	awk '/^cpu / { printf "%.0f\n", ($2 + $3 + $4 + $7 + $8 + $9) * 10000 }' /proc/stat
}

server_us() {
	awk '{ sub(/.*\) /, ""); printf "%.0f\n", ($12 + $13) * 10000 }' "/proc/$server/stat"
}

measure_echo() { # N SUBJECT
	local all own packets
	serve "$1" "$2" 7 "$APPS/echo" 7
	bench_net ping "$1" 7
	put "$2" ping-p50-us "$(field p50_us)"
	put "$2" ping-p99-us "$(field p99_us)"
	bench_net udp "$1" 7
	put "$2" udp-p50-us "$(field p50_us)"
	put "$2" udp-p99-us "$(field p99_us)"
	put "$2" udp-lost "$(field lost)"
	bench_net crr "$1" 7
	put "$2" crr-per-s "$(field per_s)"
	all=$(cpu_us) own=$(server_us)
	bench_net pps "$1" 7
	packets=$(field came)
	put "$2" pps-per-s "$(field per_s)"
	put "$2" pps-lost-percent "$(awk -v l="$(field lost)" -v s="$(field sent)" 'BEGIN { print 100 * l / s }')"
	# A packet in and one out.
	put "$2" cpu-all-us "$(awk -v t=$(($(cpu_us) - all)) -v n="$packets" 'BEGIN { print t / n / 2 }')"
	put "$2" cpu-own-us "$(awk -v t=$(($(server_us) - own)) -v n="$packets" 'BEGIN { print t / n / 2 }')"
	stop_server
}

# put_exits SUBJECT MEASURE: of the server that was just stopped: exits by frames, in and out.
put_exits() {
	case $1 in xdp | tap) ;; *) return ;; esac
	put "$1" "$2" "$(awk '/^mayfly: exits: / { e = $3 }
		/^mayfly: net / { for (i = 3; i < NF; i++) if ($i == "in" || $i == "out") n += $(i + 1) }
		END { print n ? e / n : "" }' "$work/log")"
}

measure_exits() { # N SUBJECT: exits to user space for a packet, of a run that only has the load
	case $2 in xdp | tap) ;; *) return ;; esac
	serve "$1" "$2" 7 "$APPS/echo" 7
	bench_net pps "$1" 7
	stop_server
	cp "$work/log" "$work/stats.$2"
	put "$2" exits-per-packet "$(awk -v n="$(field came)" '/^mayfly: exits: / { e = $3 } END { print e / n / 2 }' "$work/log")"
}

measure_http() { # N SUBJECT
	local c all
	serve "$1" "$2" 80 "$APPS/http" 80
	for c in 1 10 100; do
		all=$(cpu_us)
		client wrk -t 1 -c $c -d "$(((ms + 999) / 1000))s" --latency "http://10.9.$1.2/" >"$work/out"
		put "$2" "http-$c-per-s" "$(awk '/^Requests\/sec/ { print $2 }' "$work/out")"
		put "$2" "http-$c-cpu-us" "$(awk -v t=$(($(cpu_us) - all)) '/ requests in / { print t / $1 }' "$work/out")"
		! grep -qE 'Socket errors|Non-2xx' "$work/out" || say "$2, $c connections: $(grep -E 'Socket errors|Non-2xx' "$work/out")"
	done
	stop_server
	put_exits "$2" http-exits-per-packet
}

measure_tcp() { # N SUBJECT SUFFIX
	local way reverse
	serve "$1" "$2" 5201 "$PROGRAMS/iperf3" -s --forceflush
	for way in in out; do
		reverse=()
		[ $way = in ] || reverse=(-R)
		client iperf3 -c "10.9.$1.2" -J -t "$(((ms + 999) / 1000))" "${reverse[@]}" >"$work/out" || true
		! grep -q '"error"' "$work/out" || say "$2: iperf3: $(jq -r .error "$work/out")"
		put "$2" "tcp-$way$3-mbit" "$(jq '(.end.sum_received.bits_per_second // 0) / 1e6' "$work/out")"
	done
	stop_server
	put_exits "$2" "tcp$3-exits-per-packet"
}

# ---- all of it ----

namespace "$base"
ip netns exec "$base" sh -c 'echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse
	echo "1024 65535" >/proc/sys/net/ipv4/ip_local_port_range
	echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range'
used=() n=0
for subject in "${subjects[@]}"; do
	[ "$subject" != runc ] || have_runc || continue
	n=$((n + 1))
	lay_line $n "$subject"
	used+=("$n $subject")
done
warn_if_busy
for _ in $(seq "$rounds"); do
	while read -r n subject <&3; do
		measure_echo "$n" "$subject"
		measure_exits "$n" "$subject"
		measure_http "$n" "$subject"
		measure_tcp "$n" "$subject" ''
		offloads "$n" "$subject" on
		measure_tcp "$n" "$subject" -offloads
		offloads "$n" "$subject" off
	done 3< <(printf '%s\n' "${used[@]}" | shuf)
done

# The middle of the rounds; the ratio to the process; whether that is within the bar.
report() {
	awk -v json="$json" '
	{ value[$1, $2, ++count[$1, $2]] = $3; if (!($1 in is)) { is[$1]; } }
	function median(s, m,   n, i, j, t, a) {
		n = count[s, m]
		if (!n)
			return ""
		for (i = 1; i <= n; i++)
			a[i] = value[s, m, i] + 0
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && a[j - 1] > a[j]; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
		return a[int((n + 1) / 2)]
	}
	function show(v) { return v == "" ? "-" : sprintf((v >= 1000 ? "%.0f" : (v >= 10 ? "%.1f" : "%.3f")), v) }
	END {
		ns = split("process runc xdp tap", subject, " ")
		nm = split("ping-p50-us ping-p99-us udp-p50-us<=2 udp-p99-us udp-lost crr-per-s http-1-per-s>=0.5 " \
			"http-10-per-s>=0.5 http-100-per-s>=0.5 http-100-cpu-us tcp-in-mbit>=0.5 tcp-out-mbit>=0.5 " \
			"tcp-in-offloads-mbit tcp-out-offloads-mbit pps-per-s pps-lost-percent cpu-all-us " \
			"cpu-own-us exits-per-packet http-exits-per-packet tcp-exits-per-packet", row, " ")
		if (json)
			printf "{"
		else
			print "| measure | process | runc | ratio | VM, AF_XDP | ratio | VM, TAP | ratio | bar |\n|---|---|---|---|---|---|---|---|---|"
		for (i = 1; i <= nm; i++) {
			m = row[i]; bar = ""
			if (match(m, /[<>]=.*/)) { bar = substr(m, RSTART); m = substr(m, 1, RSTART - 1) }
			base = median("process", m)
			if (json) {
				printf "%s\n  \"%s\": {\"bar\": \"%s\"", (i > 1 ? "," : ""), m, bar
				for (k = 1; k <= ns; k++)
					if ((v = median(subject[k], m)) != "")
						printf ", \"%s\": %s", subject[k], v
				printf "}"
				continue
			}
			line = "| " m " | " show(base)
			for (k = 2; k <= ns; k++) {
				v = median(subject[k], m)
				line = line " | " show(v) " | " (base != "" && base > 0 && v != "" ? sprintf("%.2f", v / base) : "-")
			}
			print line " | " (m ~ /exits-per-packet$/ ? "< 0.1" : bar) " |"
		}
		if (json)
			print "\n}"
	}' "$results"
}
report
