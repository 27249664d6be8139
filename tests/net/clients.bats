#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# clients.bats: other people's servers in a home, and other people's clients outside: lighttpd,
# Redis and iperf3, as tests/programs/build.sh makes them; curl, wrk, redis-benchmark, iperf3.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034 # shared with net.bash

load ../e2e/helpers
load net

# serving N PORT PROGRAM ARG...: starts it, waits until it accepts. $stdin: what it reads.
serving() {
	local n=$1 port=$2 tries=0
	publish=$port home_command "$n" -- "${@:3}"
	rm -f "$T/home$n.out"
	ip netns exec "${command[@]}" <"${stdin:-/dev/null}" >"$T/home$n.out" 2>"$T/home$n.err" 3>&- &
	children+=($!)
	pid[n]=$!
	until accepts $((1 + n)) "$port" "$n"; do
		kill -0 "${pid[n]}" 2>/dev/null || fail "$kind: $3 ended: $(tail -n 3 "$T/home$n.err")"
		[ $((tries += 1)) -lt 300 ] || fail "$kind: $3 does not accept"
		sleep 0.02
	done
}

# iperf3 takes whoever connects for a client, and says when it is ready for one.
accepts() { # ADDRESS PORT HOME
	if [ "$2" -eq 5201 ]; then
		grep -qi listening "$T/home$3.out"
	else
		here timeout 1 bash -c "</dev/tcp/10.9.0.$1/$2" 2>/dev/null
	fi
}

services_come() {
	[ "$(here curl -sS -o "$T/page" -w '%{http_code}' http://10.9.0.2/services)" = 200 ]
}

@test "lighttpd: curl and wrk" {
	printf '%s\n' 'server.document-root = "/etc"' 'server.port = 80' \
		'server.use-ipv6 = "disable"' 'status.status-url = "/status"' \
		'server.modules = ("mod_status")' >"$T/conf"
	for kind in $(kinds tap xdp direct share user); do
		world "$kind"
		stdin=$T/conf serving 1 80 "$PROGRAMS/lighttpd" -D -f -
		until_true 10 services_come # passt accepts before the server does, and resets then
		grep -q '^http' "$T/page"
		[ "$(here curl -sS -o /dev/null -w '%{http_code}' http://10.9.0.2/nothing)" = 404 ]
		here curl -sS -I -H 'Connection: close' http://10.9.0.2/services | grep -q '^Server: lighttpd'
		# Ranges, and over one connection.
		here curl -sS -r 5-14 -w '%{num_connects} %{http_code}\n' http://10.9.0.2/services -o "$T/part" \
			http://10.9.0.2/services -o "$T/part2" >"$T/connects"
		diff - "$T/connects" <<<$'1 206\n0 206' || fail "$kind: no keep-alive, or no ranges"
		head -c 15 "$T/page" | tail -c 10 >"$T/wanted"
		cmp "$T/part" "$T/wanted"
		cmp "$T/part2" "$T/wanted"
		here wrk -t 1 -c 50 -d 2 http://10.9.0.2/services >"$T/wrk.out"
		! grep -qE 'Socket errors|Non-2xx' "$T/wrk.out" || fail "$kind: $(cat "$T/wrk.out")"
		awk '/requests in/ { exit !($1 > 1000) }' "$T/wrk.out" || fail "$kind: $(cat "$T/wrk.out")"
		kill -TERM "${pid[1]}"
		wait "${pid[1]}" || true
	done
}

redis_takes() { # KEY VALUE
	[ "$(here redis-cli -h 10.9.0.2 set "$1" "$2" 2>&1)" = OK ]
}

@test "Redis: redis-cli and redis-benchmark" {
	for kind in $(kinds tap xdp ${LONG:+direct} share user); do
		world "$kind"
		serving 1 6379 "$PROGRAMS/redis-server" --save '' --appendonly no --protected-mode no \
			--bind 0.0.0.0 --maxclients 200
		until_true 10 redis_takes answer 42 # passt: as above
		[ "$(here redis-cli -h 10.9.0.2 get answer)" = 42 ]
		here redis-benchmark -h 10.9.0.2 -q -c 50 -n 5000 -t ping,set,get,lpush >"$T/redis.out" 2>&1
		[ "$(grep -c 'requests per second' "$T/redis.out")" -ge 4 ] || fail "$kind: $(cat "$T/redis.out")"
		here redis-benchmark -h 10.9.0.2 -q -c 20 -P 16 -d 2000 -n 10000 -t set,get >"$T/redis.out" 2>&1
		[ "$(grep -c 'requests per second' "$T/redis.out")" -eq 2 ] || fail "$kind: $(cat "$T/redis.out")"
		[ "$(here redis-cli -h 10.9.0.2 get answer)" = 42 ]
		# A value that no buffer holds.
		head -c 3000000 /dev/urandom | base64 -w 0 >"$T/value"
		here redis-cli -h 10.9.0.2 -x set large <"$T/value" >/dev/null
		here redis-cli -h 10.9.0.2 get large | head -c -1 | cmp - "$T/value"
	done
}

# No intervals, no affinity: one sum at the end.
iperf_sum() { # FILTER
	jq -e "$1" "$T/iperf.out" >/dev/null || fail "$kind: $options: $(jq -c '.error // .end' "$T/iperf.out")"
}

# moved MIB STREAMS: all of it was sent. iperf3 does not read what is under way when enough has been
# sent: of each stream as much as buffers hold. A receiver that counts itself (-R) has all.
moved() {
	iperf_sum ".end.sum_sent.bytes >= $1 * 1048576"
	if [[ " $options " == *' -R '* ]]; then
		iperf_sum ".end.sum_received.bytes >= $1 * 1048576"
	else
		iperf_sum ".end.sum_received.bytes >= .end.sum_sent.bytes - $2 * 5000000"
	fi
	iperf_sum '.end.sum_received.bytes <= .end.sum_sent.bytes'
}

@test "iperf3: a server in a home, TCP both ways, several streams, UDP" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		serving 1 5201 "$PROGRAMS/iperf3" -s --forceflush
		while read -r mib streams options; do
			# shellcheck disable=SC2086 # options are words
			here iperf3 -c 10.9.0.2 -J -n "${mib}M" $options >"$T/iperf.out" </dev/null || true
			moved "$mib" "$streams"
		done <<-END
			50 1
			50 1 -R
			40 4 -P 4
			40 4 -P 4 -R
			20 1 -l 1000
		END
		for options in '' -R; do
			# shellcheck disable=SC2086
			# Few: half of the calls of this build of iperf3 trap.
			here iperf3 -c 10.9.0.2 -J -u -b 8M -l 1000 -t 1 $options >"$T/iperf.out" || true
			iperf_sum '.end.sum.packets >= 900 and .end.sum.lost_percent < 5'
		done
	done
}

@test "iperf3: a client in a home" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		background iperfd "$C" iperf3 -s --forceflush
		until_true 5 grep -qs 'listening' "$T/iperfd.out"
		while read -r mib streams options; do
			# shellcheck disable=SC2086
			in_home 1 -- "$PROGRAMS/iperf3" -c 10.9.0.1 -J -n "${mib}M" $options >"$T/iperf.out" || true
			moved "$mib" "$streams"
		done <<-END
			50 1
			50 1 -R
			40 4 -P 4
		END
	done
}
