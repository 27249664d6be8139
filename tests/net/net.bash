# SPDX-License-Identifier: Apache-2.0
#
# net.bash: what the network tests share: a network of their own, VMs in it, and an end of all
# of it, however a test goes.
#
#   world KIND [LINE]                        line: LOSS REORDER DUPLICATE, percent
#
#     namespace $C                                  namespace $H
#     c0 10.9.0.1/24 fd09::1/64 ----- veth ----- h0  and, by KIND, behind it:
#
#     process   br0, and for each home a namespace with a veth to it: no VM. It proves the tests
#     tap       br0, a tap for each VM
#     xdp       br0, a veth pair for each VM, AF_XDP on its end
#     copy      the same where the guest cannot have the socket's rings: they are copied
#     direct    one VM, AF_XDP on h0 itself
#     share     AF_XDP on h0 itself, steered by MAC
#     user      h0 has the address 10.9.0.2, and mayfly no privilege that it uses: passt
#
#   home N [OPTION...] -- PROGRAM ARG...     starts it as home N: 10.9.0.(1+N), fd09::(1+N); waits
#                                            until it has printed "ready"
#
# $KINDS    only these of the kinds that a test is for; and process, if that is one of them
# $SCALE    factor for sizes, as in e2e/helpers.bash
#
# shellcheck shell=bash disable=SC2034,SC2154 # shared with helpers.bash and the tests

NET=$(dirname "$PROGRAMS")/net/${LIBC:-musl}

setup() {
	T=$BATS_TEST_TMPDIR
	need_machine
	[ -x "$NET/serve" ] || fail "$NET/serve is missing: run make check-build"
	[ "$(id -u)" -eq 0 ] || skip 'network namespaces and interfaces are made by root only'
	children=() namespaces=() worlds=0 C='' H=''
	export MAYFLY_RUN_DIR=$T/run
	kernel_watch
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tell
	[ -z "${DAEMON_PID:-}" ] || daemon_kill # of e2e/daemon.bash
	end_world
	[ -z "${watch:-}" ] || kernel_end
}

# What was said in a test that failed.
tell() {
	local file
	for file in "$T"/*.out "$T"/*.err "$T"/*.log; do
		[ ! -s "$file" ] || { echo "-- ${file##*/}:" && tail -n 12 "$file" | cut -c1-200; }
	done >&2
}

end_world() {
	local pid namespace
	for pid in "${children[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	for namespace in "${namespaces[@]}"; do
		ip netns del "$namespace" 2>/dev/null || true
	done
	children=() namespaces=()
}

# kinds KIND...: those to run.
kinds() {
	local kind
	for kind in "$@" process; do
		[[ " ${KINDS-${*}} " != *" $kind "* ]] || echo "$kind"
	done
}

# ---- the network ----

namespace() {
	ip netns add "$1"
	namespaces+=("$1")
	ip -n "$1" link set lo up
	# What is configured here shall be so at once, and nothing else shall be.
	# shellcheck disable=SC2016
	in_ns "$1" sh -c 'for d in all default; do
			echo 0 >/proc/sys/net/ipv6/conf/$d/accept_dad
			echo 0 >/proc/sys/net/ipv6/conf/$d/accept_ra
			echo 0 >/proc/sys/net/ipv6/conf/$d/router_solicitations
		done; echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6
		echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range'
}

in_ns() {
	ip netns exec "$@"
}

here() { # in the client's namespace
	ip netns exec "$C" "$@"
}

there() { # in the homes' namespace
	ip netns exec "$H" "$@"
}

# cable NS IFACE NS IFACE: offloads stay as they are, but for checksums: who takes frames off an
# interface below the stack finds none in them. A real line has none left out either.
cable() {
	ip link add "$2" netns "$1" type veth peer name "$4" netns "$3"
	in_ns "$1" ethtool -K "$2" tx off >/dev/null
	in_ns "$3" ethtool -K "$4" tx off >/dev/null
	ip -n "$1" link set "$2" up
	ip -n "$3" link set "$4" up
}

plain() { # NS IFACE: every frame is one that a line carries
	in_ns "$1" ethtool -K "$2" tso off gso off gro off tx off >/dev/null
}

world() {
	end_world
	kind=$1
	worlds=$((worlds + 1))
	local base=mf$$.$BATS_TEST_NUMBER.$worlds
	C=$base.c H=$base.h I=$base.i
	namespace "$C"
	namespace "$H"
	if [ $# -eq 1 ]; then
		cable "$C" c0 "$H" h0
	else
		namespace "$I"
		cable "$C" c0 "$I" i0
		cable "$I" i1 "$H" h0
		plain "$C" c0
		plain "$H" h0
		plain "$I" i0
		plain "$I" i1
		background impair "$I" "$NET/impair" i0 i1 "${@:2}"
		impair=$!
		until_ready impair
	fi
	ip -n "$C" address add 10.9.0.1/24 dev c0
	ip -n "$C" address add fd09::1/64 dev c0 nodad
	case $kind in
	process | tap | xdp | copy)
		ip -n "$H" link add br0 type bridge
		ip -n "$H" link set h0 master br0
		ip -n "$H" link set br0 up
		;;
	user)
		ip -n "$H" address add 10.9.0.2/24 dev h0
		ip -n "$H" address add fd09::2/64 dev h0 nodad
		ip -n "$H" route add default via 10.9.0.1
		ip -n "$H" -6 route add default via fd09::1
		;;
	esac
}

# ---- homes ----

# $! is the command itself: a shell's function would stand between, and outlive a SIGKILL.
background() { # NAME NAMESPACE COMMAND...
	local name=$1
	shift
	rm -f "$T/$name.out" # of the one before: it has said that it is ready
	ip netns exec "$@" </dev/null >"$T/$name.out" 2>"$T/$name.err" 3>&- &
	children+=($!)
}

until_ready() { # NAME
	local tries=0
	until grep -qs '^ready' "$T/$1.out"; do
		kill -0 "${children[-1]}" 2>/dev/null || fail "$1 ended: $(tail -n 3 "$T/$1.err")"
		[ $((tries += 1)) -lt 500 ] || fail "$1 does not get ready: $(tail -n 3 "$T/$1.err")"
		sleep 0.02
	done
}

mac_of() {
	printf '02:00:0a:09:00:%02x' $((1 + $1))
}

# net_option N: --net's value for home N, in $net; $ip replaces its addresses.
net_option() {
	local who
	who=,mac=$(mac_of "$1")${ip-,ip=10.9.0.$((1 + $1))/24,ip=fd09::$((1 + $1))/64,gw=10.9.0.1,gw=fd09::1}
	case $kind in
	tap) net=tap,bridge=br0$who ;;
	xdp | copy) net=xdp=br0$who ;;
	direct) net=xdp=h0$who ;;
	share) net=xdp=h0,share$who ;;
	user) net=user ;;
	esac
	net+=${more:-}
}

# A process in the VM's place has an interface of the same name, at the same bridge.
process_home() { # N
	local ns=$H.$1
	namespace "$ns"
	cable "$H" "p$1" "$ns" eth0
	ip -n "$H" link set "p$1" master br0
	ip -n "$ns" link set eth0 address "$(mac_of "$1")"
	ip -n "$ns" address add "10.9.0.$((1 + $1))/24" dev eth0
	ip -n "$ns" address add "fd09::$((1 + $1))/64" dev eth0 nodad
	ip -n "$ns" route add default via 10.9.0.1
	home_ns=$ns
}

# home_command N [OPTION...] -- PROGRAM ARG...: its namespace and how to run it, in $command.
home_command() {
	local n=$1 options=() ports
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	if [ "$kind" = process ]; then
		ip netns list | grep -q "^$H.$n\b" || process_home "$n"
		command=("$H.$n" "$@")
		return
	fi
	net_option "$n"
	[ "$kind" != copy ] || options+=(--stats)
	[ "$kind" != user ] || for ports in ${publish:-7000-7008 7000-7008/udp}; do
		options+=(-p "${ports%/*}:$ports")
	done
	command=("$H")
	[ "$kind" != copy ] || command+=(env MAYFLY_NET_COPY_RINGS=1)
	command+=("$MAYFLY" run --net "$net" "${options[@]}" "$@")
}

# copied FILE: if it is that kind, the VM whose stderr that is says so of its rings.
copied() {
	[ "$kind" != copy ] || tail -n 8 "$1" | grep -q '^mayfly: net .*; rings copied' ||
		fail "$kind: its rings were not copied: $(tail -n 3 "$1")"
}

home() {
	local n=$1
	home_command "$@"
	background "home$n" "${command[@]}"
	pid[n]=$!
	until_ready "home$n"
}

# in_home N [OPTION...] -- PROGRAM ARG...: runs it there until its end.
in_home() {
	home_command "$@"
	timeout -k 5 "$LIMIT" ip netns exec "${command[@]}" </dev/null 2>>"${errors:-$T/in_home.err}" || return
	copied "${errors:-$T/in_home.err}"
}

# The server, as home N.
server() {
	home "${1:-1}" "${@:2}" -- "$NET/serve"
}

# ask WHAT ADDRESS ARG...: from the client's namespace.
ask() {
	timeout -k 5 "$LIMIT" ip netns exec "$C" "$NET/ask" "$@" >>"$T/ask.out" 2>"$T/ask.err" ||
		fail "$kind: ask $*: $(tail -n 2 "$T/ask.err")"
}

# ended N CODE: home N ends by itself, with that code.
ended() {
	local code=0
	wait "${pid[$1]}" || code=$?
	[ "$code" -eq "$2" ] || fail "$kind: home $1 ended with $code, not $2: $(tail -n 3 "$T/home$1.err")"
	copied "$T/home$1.err"
}

until_true() { # SECONDS COMMAND...
	local until=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -le $until ] || fail "not within its time: $*"
		sleep 0.05
	done
}

# ---- the host ----

# Writes down what the kernel says from now on. It has a short memory, and others make it talk, too.
kernel_watch() {
	dmesg --follow-new </dev/null >"$T/kernel" 2>&1 3>&- &
	watch=$!
	kernel_heard
}

# A line of our own comes: so does everything before it, and it would.
kernel_heard() {
	local line tries=0
	line="mayfly: tests/net: $$ $BATS_TEST_NUMBER $EPOCHREALTIME"
	until grep -qsF "$line" "$T/kernel"; do
		[ $((tries % 50)) -ne 0 ] || echo "$line" >/dev/kmsg || true
		[ $((tries += 1)) -lt 500 ] || fail "the kernel's log cannot be watched: $(tail -n 1 "$T/kernel")" || return
		sleep 0.02
	done
}

# kernel_log: how far the kernel's log is, for kernel_silent.
kernel_log() {
	wc -l <"$T/kernel"
}

# kernel_silent [SINCE]: it has said nothing of what none of ours may make it say, in this test or
# since then. (What it says of a bridge's ports, and of others' programs that end, is no such thing.)
kernel_silent() {
	kernel_heard || return
	! tail -n "+$((${1:-0} + 1))" "$T/kernel" | grep -E 'BUG:|WARNING:|Oops|general protection|refcount_t|use-after-free|page allocation failure|unregister_netdevice|self-detected stall|net_ratelimit|xsk|XDP|protocol .* is buggy' \
		>"$T/kernel.bad" || fail "${kind:-}: the kernel says: $(head -n 3 "$T/kernel.bad")"
}

kernel_end() {
	local code=0
	kernel_silent 0 || code=1
	kill "$watch"
	wait "$watch" 2>/dev/null || true
	return $code
}

# What mayfly might have left in the homes' namespace: interfaces, programs.
inventory() {
	ip -n "$H" -o link | sed -E 's/^[0-9]+: ([^:@]*).*(prog\/xdp id [0-9]+).*/\1 \2/; t; s/^[0-9]+: ([^:@]*).*/\1/'
}
