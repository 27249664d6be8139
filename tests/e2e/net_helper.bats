#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# net_helper.bats: mayfly-net: every way to open a device, what it lets through, that nothing
# is left when its holder is killed; and `mayfly net create|rm|ls`. No VM: net_client.py plays
# the monitor. All of it happens in two network namespaces, joined by a veth:
#
#     here ($HERE): v0 ------ w0 :there ($THERE)
#
# That a frame does not arrive is seen by the next one that does: frames stay in order.
#
# shellcheck disable=SC2154,SC2030,SC2031 # shared with helpers.bash, and between tests

load helpers

ALL=ffffffffffff
A=020000000001 B=020000000002 C=020000000003 X=020000000099

setup() {
	NET=$(dirname "$MAYFLY")/mayfly-net
	[ -x "$NET" ] || fail "$NET is missing: run make first"
	[ "$(id -u)" -eq 0 ] || skip "network namespaces need root"
	T=$BATS_TEST_TMPDIR
	export MAYFLY_RUN_DIR=$T/run
	HERE=mft$$h THERE=mft$$t
	declare -gA pids=() in=() lines=()
	ip netns add "$HERE"
	ip netns add "$THERE"
	ip -n "$HERE" link add v0 address 02:00:00:00:0f:01 type veth \
		peer w0 address 02:00:00:00:0f:02 netns "$THERE"
	ip netns exec "$THERE" ethtool -K w0 tx off >/dev/null
	ip -n "$HERE" link set v0 up
	ip -n "$THERE" link set w0 up
}

teardown() {
	local name
	for name in "${!pids[@]}"; do
		kill_client "$name"
	done
	ip netns del "$HERE" || true
	ip netns del "$THERE" || true
}

# ---- clients ----

# client NAME NAMESPACE ARGUMENT...: one that stays; what it said first in $said.
client() {
	local name=$1 ns=$2 fd
	shift 2
	rm -f "$T/$name.in"
	mkfifo "$T/$name.in"
	: >"$T/$name.out" # now: what another of this name has said is not the answer
	ip netns exec "$ns" python3 "$ROOT/tests/e2e/net_client.py" "$@" \
		<"$T/$name.in" >"$T/$name.out" 2>"$T/$name.err" 3>&- &
	pids[$name]=$!
	exec {fd}>"$T/$name.in"
	in[$name]=$fd lines[$name]=0
	answer "$name"
}

# device NAME SPEC: a device of $HERE.
device() {
	client "$1" "$HERE" "$NET" "$2" || fail "$2: $(cat "$T/$1.err")"
}

# The next line of a client, in $said.
answer() {
	local n=$((++lines[$1])) tries
	for ((tries = 0; tries < 1500; tries++)); do
		said=$(sed -n "${n}p" "$T/$1.out")
		[ -z "$said" ] || return 0
		kill -0 "${pids[$1]}" 2>/dev/null || return 1
		sleep 0.01
	done
	fail "$1 does not answer"
}

# ask NAME COMMAND...: $said.
ask() {
	local name=$1
	shift
	echo "$*" >&"${in[$name]}"
	answer "$name" || fail "$name has ended: $(cat "$T/$name.err")"
}

kill_client() {
	kill -KILL "${pids[$1]}" 2>/dev/null || true
	wait "${pids[$1]}" 2>/dev/null || true
	local fd=${in[$1]}
	exec {fd}>&-
	unset "pids[$1]"
}

# refused SPEC TEXT: cannot be opened, for this reason, told in one line.
refused() {
	! client refused "$HERE" "$NET" "$1" || fail "$1 was opened"
	local code=0
	wait "${pids[refused]}" || code=$?
	unset "pids[refused]"
	[ "$code" -eq 125 ] || fail "$1: exit status $code" "$(cat "$T/refused.err")"
	[ "$(wc -l <"$T/refused.err")" -eq 1 ] || fail "$1: not one line:" "$(cat "$T/refused.err")"
	grep -qF -- "$2" "$T/refused.err" || fail "$1: says not: $2" "$(cat "$T/refused.err")"
}

# ---- frames ----

frame() { # TO FROM TEXT
	local text
	text=$(printf %s "$3" | od -An -tx1 -v | tr -d ' \n')
	printf '%s%s88b5%-92s' "$1" "$2" "$text" | tr ' ' 0
}

# sends WHO TO FROM TEXT; hears WHO TO FROM TEXT: that is the next one that it gets.
sends() {
	ask "$1" send "$(frame "$2" "$3" "$4")"
	[ "$said" = sent ] || fail "$1 cannot send: $said"
}

hears() {
	ask "$1" hear 10
	[[ $said == "$(frame "$2" "$3" "$4")"* ]] || fail "$1 heard $said, not $4 to $2"
}

has() { # KEY=VALUE: the client's first line
	[[ " $said " == *" $1 "* ]] || fail "not $1: $said"
}

# ---- the host ----

lacks() { # TEXT FILE
	if grep -F -- "$1" "$2" >&2; then
		fail "that is there: $1"
	fi
}

until_true() { # SECONDS COMMAND...
	local tries=$(($1 * 50))
	shift
	until "$@"; do
		((tries--)) || return 1
		sleep 0.02
	done
}

here() {
	ip netns exec "$HERE" "$@"
}

xdp_of() { # IFNAME: "xdp id 7 mayfly_steer", or "xdpgeneric ..."
	ip -n "$HERE" link show dev "$1" | sed -n 's/.* mtu [0-9]* \(xdp[a-z]*\) .*/\1/p
		s|.*prog/xdp \(id [0-9]*\) name \([^ ]*\) .*|\1 \2|p' | paste -sd ' '
}

no_xdp() {
	[ -z "$(xdp_of "$1")" ]
}

no_ports() {
	! ip -n "$HERE" -br link | grep -q '^mf'
}

filter_of() { # IFNAME
	bridge -n "$HERE" fdb show dev "$1" >"$T/filter"
}

make_bridge() {
	here "$NET" create br "$@" >"$T/create"
}

# ---- a bridge ----

@test "xdp=BRIDGE: VMs reach each other and the host, and have what mayfly-net says" {
	make_bridge --address 10.9.0.1/24
	device a xdp=br,mac=02:00:00:00:00:01
	has backend=1
	has flags=34
	has entries=256
	has mac=02:00:00:00:00:01
	has mtu=1500
	device b xdp=br,mac=02:00:00:00:00:02,mtu=1400
	has mtu=1400
	sends a $B $A first
	hears b $B $A first
	sends b $A $B second
	hears a $A $B second

	# Who has 10.9.0.1? Tell 10.9.0.5.
	ask a send ${ALL}${A}08060001080006040001${A}0a0900050000000000000a090001
	ask a arp 10
	[[ $said == "$A"*08060001080006040002*0a090001"$A"0a090005 ]] || fail "no reply: $said"
}

@test "xdp=BRIDGE, --veth: what the host sends has its checksum" {
	make_bridge --address 10.9.0.1/24
	device a xdp=br,mac=02:00:00:00:00:01
	gets_checksum a br 10.9.0.5
	here "$NET" create pair --veth --address 10.8.0.1/24 >"$T/create"
	device b xdp=pair-vm,mac=02:00:00:00:00:01
	gets_checksum b pair 10.8.0.5
}

gets_checksum() { # CLIENT IFNAME ADDRESS: of a datagram to the address, which is the client's
	ip -n "$HERE" neigh add "$3" lladdr 02:00:00:00:00:01 dev "$2"
	here bash -c "echo hello >/dev/udp/$3/9"
	ask "$1" udp 10
	[ "$said" = complete ] || fail "the datagram is $said"
}

@test "BRIDGE: no VM gets another's unicast, forged frames end, broadcast reaches all" {
	make_bridge
	ip -n "$HERE" link set v0 master br
	client wire "$THERE" wire w0
	device a xdp=br,mac=02:00:00:00:00:01
	device b xdp=br,mac=02:00:00:00:00:02
	device c tap,bridge=br,mac=02:00:00:00:00:03
	# Nobody has X: a bridge floods that; not to a VM.
	sends wire $X 020000000f02 unknown
	sends a $X $A unknown
	sends wire $ALL 020000000f02 all
	for who in a b c; do
		hears $who $ALL 020000000f02 all
	done
	hears wire $X $A unknown
	# a says that it is X, or b; b hears only what a may say, and its own address stays its own.
	sends a $B $X forged
	sends a $X $B forged
	sends a $B $A honest
	hears b $B $A honest
	sends wire $B 020000000f02 to-b
	hears b $B 020000000f02 to-b
	# The same from a tap.
	sends c $B $X forged
	sends c $X $B forged
	sends c $B $C honest
	hears b $B $C honest
	sends a $ALL $A all
	for who in b c wire; do
		hears $who $ALL $A all
	done
	# The program at a VM's end would hide that it is not the bridge that keeps to the rule.
	bridge -n "$HERE" -d link >"$T/ports"
	[ "$(grep -c 'learning off flood off' "$T/ports")" -eq 3 ] || fail "$(cat "$T/ports")"
}

@test "xdp=BRIDGE: nothing is left of a killed VM, and its MAC can be used again at once" {
	make_bridge
	device a xdp=br,mac=02:00:00:00:00:01
	ask a fds
	[ "$said" -eq 2 ]
	[ "$(ip -n "$HERE" -br link | grep -c '^mf')" -eq 1 ]
	refused xdp=br,mac=02:00:00:00:00:01 "02:00:00:00:00:01 is the address of another port of br"
	kill_client a
	device a xdp=br,mac=02:00:00:00:00:01
	kill_client a
	until_true 10 no_ports
	bridge -n "$HERE" fdb show >"$T/fdb"
	grep -q . "$T/fdb"
	lacks 02:00:00:00:00:01 "$T/fdb"
}

@test "xdp=BRIDGE: the bridge keeps its address and its MTU" {
	make_bridge
	local before
	before=$(ip -n "$HERE" -br link show dev br | awk '{ print $3 }')
	ip -n "$HERE" link set dev br mtu 1450
	device a xdp=br,mac=02:00:00:00:00:01
	has mtu=1450
	device b xdp=br,mac=02:00:00:00:00:02,mtu=1300
	has mtu=1300
	refused xdp=br,mac=02:00:00:00:00:03,mtu=1451 "mtu=1451 is more than the 1450 of br"
	[ "$(ip -n "$HERE" -br link show dev br | awk '{ print $3 }')" = "$before" ]
	ip -n "$HERE" link show dev br | grep -q 'mtu 1450 '
}

@test "xdp=BRIDGE: mode=generic, and copy=zerocopy which a veth has not" {
	make_bridge
	device a xdp=br,mac=02:00:00:00:00:01,mode=generic
	has flags=32
	device b xdp=br,mac=02:00:00:00:00:02,mode=native,copy=copy
	has flags=34
	sends b $A $B generic
	hears a $A $B generic
	sends a $B $A native
	hears b $B $A native
	refused xdp=br,mac=02:00:00:00:00:03,copy=zerocopy "no zero-copy mode"
	refused xdp=br,mac=02:00:00:00:00:03,queue=1 "queue= is for an interface of one's own"
}

# ---- an interface of one's own ----

@test "xdp=IFACE: the VM gets its frames, broadcast and multicast, the host all others" {
	client wire "$THERE" wire w0
	client host "$HERE" wire v0
	device a xdp=v0,mac=02:00:00:00:00:01
	has ifname=v0
	has queue=0
	has flags=34
	sends wire $A $X mine
	sends wire 020000000f01 $X hosts
	sends wire 01005e000001 $X multicast
	sends wire $ALL $X broadcast
	hears a $A $X mine
	hears a 01005e000001 $X multicast
	hears a $ALL $X broadcast
	hears host 020000000f01 $X hosts
	sends a $X $A out
	hears wire $X $A out
}

@test "xdp=IFACE: the interface takes frames for the VM's MAC as long as there is the VM" {
	ip -n "$HERE" tuntap add dev tp mode tap
	ip -n "$HERE" link set dev tp up
	device a xdp=tp,mac=02:00:00:00:00:01
	ask a fds
	[ "$said" -eq 4 ]
	filter_of tp
	grep -q '^02:00:00:00:00:01 self' "$T/filter" || fail "$(cat "$T/filter")"
	kill_client a
	until_true 10 no_xdp tp
	filter_of tp
	lacks 02:00:00:00:00:01 "$T/filter"
}

@test "xdp=IFACE: a queue that is taken, or that is not there; the program goes with its VM" {
	device a xdp=v0,mac=02:00:00:00:00:01
	xdp_of v0 | grep -q mayfly_steer
	refused xdp=v0,mac=02:00:00:00:00:02 "all 1 queues of v0 are taken"
	refused xdp=v0,mac=02:00:00:00:00:02,queue=1 "v0 has no queue 1"
	refused xdp=v0,mac=02:00:00:00:00:02,share "v0 has a VM that does not share"
	kill_client a
	until_true 10 no_xdp v0
	device a xdp=v0,mac=02:00:00:00:00:01,mode=generic
	has flags=32
	xdp_of v0 | grep -q xdpgeneric
	refused xdp=v0,mac=02:00:00:00:00:02,mode=native "v0 is in use in generic mode"
}

watched() { # NAME STATE
	ask "$1" watch
	[ "$said" = "$2" ]
}

@test "xdp: what becomes of the interface is told, of no other, and nothing else can be asked" {
	device a xdp=v0,mac=02:00:00:00:00:01
	ip -n "$HERE" link add other type bridge
	ip -n "$HERE" link set other up
	ask a watch
	[ "$said" = nothing ]
	for state in down up; do
		ip -n "$HERE" link set v0 $state
		ask a watch
		[ "$said" = $state ]
	done
	ip -n "$THERE" link set w0 down # no carrier, which is not told at once
	until_true 10 watched a down
	# A VM may have taken its monitor over.
	ask a misuse
	[ "$said" = itself ] || fail "$said"
	ip -n "$HERE" link del v0
	ask a watch
	[ "$said" = gone ]
}

@test "xdp=IFACE: the next VM can have the queue as soon as the last was killed" {
	for _ in 1 2 3 4; do
		device a xdp=v0,mac=02:00:00:00:00:01
		kill_client a
	done
}

@test "xdp=IFACE: nobody else can keep mayfly-net from its lock" {
	nobody() {
		setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
	}
	device a xdp=v0,mac=02:00:00:00:00:01
	kill_client a
	[ "$(stat -c %a "$MAYFLY_RUN_DIR/net.lock")" = 600 ]
	! nobody flock -n "$MAYFLY_RUN_DIR/net.lock" true || fail "nobody can lock it"
	# It is what is waited for: not for ever.
	exec {lock}>>"$MAYFLY_RUN_DIR/net.lock"
	flock -n "$lock"
	refused xdp=v0,mac=02:00:00:00:00:01 "another mayfly-net has been busy"
	exec {lock}>&-
	chmod 777 "$MAYFLY_RUN_DIR"
	refused xdp=v0,mac=02:00:00:00:00:01 "others can write into the run directory"
}

@test "xdp=IFACE: two VMs on two queues have one program" {
	ip -n "$HERE" link add p0 numrxqueues 2 type veth peer name p1
	ip -n "$HERE" link set p0 up
	ip -n "$HERE" link set p1 up
	here ethtool -L p0 rx 2 >/dev/null
	refused xdp=p0,mac=02:00:00:00:00:01 "p0 receives on 2 queues"
	device a xdp=p0,mac=02:00:00:00:00:01,queue=0
	refused xdp=p0,mac=02:00:00:00:00:02,queue=0 "queue 0 of p0 is taken; free: 1."
	local program
	program=$(xdp_of p0)
	device b xdp=p0,mac=02:00:00:00:00:02,queue=1
	has queue=1
	[ "$(xdp_of p0)" = "$program" ]
	# Who came first is gone; the program stays for the other.
	kill_client a
	device a xdp=p0,mac=02:00:00:00:00:01,queue=0
	[ "$(xdp_of p0)" = "$program" ]
	kill_client a
	kill_client b
	until_true 10 no_xdp p0
}

@test "xdp=IFACE: it is down, it is a stranger's, it has too large frames" {
	ip -n "$HERE" link set v0 down
	refused xdp=v0,mac=02:00:00:00:00:01 "ip link set v0 up"
	refused xdp=v0,mac=02:00:00:00:00:01,share "ip link set v0 up"
	ip -n "$HERE" link set v0 mtu 3000 up
	refused xdp=v0,mac=02:00:00:00:00:01 "MTU of 3000"
	ip -n "$HERE" link set v0 mtu 1500

	cat >"$T/stranger.c" <<-'END'
		__attribute__((section("xdp"), used)) int stranger(void *c) { return 2; }
		char _license[] __attribute__((section("license"), used)) = "GPL";
	END
	clang -target bpf -O2 -g -c -o "$T/stranger.o" "$T/stranger.c"
	ip -n "$HERE" link set dev v0 xdp obj "$T/stranger.o" sec xdp
	local program
	program=$(xdp_of v0)
	[[ $program == *stranger ]]
	refused xdp=v0,mac=02:00:00:00:00:01 "left alone"
	refused xdp=v0,mac=02:00:00:00:00:01,share "(id $(awk '{ print $3 }' <<<"$program"), stranger)"
	[ "$(xdp_of v0)" = "$program" ]
}

# ---- shared ----

@test "xdp=IFACE,share: frames go to their VM, broadcast to all VMs and the host" {
	client wire "$THERE" wire w0
	client host "$HERE" wire v0
	device a xdp=v0,mac=02:00:00:00:00:01,share
	has flags=42
	has ifname=v0
	device b xdp=v0,mac=02:00:00:00:00:02,share
	sends wire $A $X for-a
	sends wire $B $X for-b
	sends wire 020000000f01 $X hosts
	sends wire $X 020000000f02 nobodys
	hears a $A $X for-a
	hears b $B $X for-b
	hears host 020000000f01 $X hosts
	sends wire $ALL 020000000f02 all
	sends wire 333300000001 020000000f02 multicast
	for who in a b; do
		hears $who $ALL 020000000f02 all
		hears $who 333300000001 020000000f02 multicast
	done
	hears host $X 020000000f02 nobodys
	hears host $ALL 020000000f02 all
}

@test "xdp=IFACE,share: VMs reach each other and the wire; forged frames end" {
	client wire "$THERE" wire w0
	device a xdp=v0,mac=02:00:00:00:00:01,share
	device b xdp=v0,mac=02:00:00:00:00:02,share
	sends a $B $X forged
	sends a 020000000f02 $B forged
	sends a $ALL $X forged
	sends a 0180c2000000 $A bridge-protocol
	sends a 0180c200000e $A lldp
	sends a $B $A honest
	sends a 020000000f02 $A out
	hears b $B $A honest
	hears wire 020000000f02 $A out
	sends b $ALL $B all
	hears a $ALL $B all
	hears wire $ALL $B all
}

@test "xdp=IFACE,share: a VM that is killed leaves nothing, the last one not even the program" {
	client wire "$THERE" wire w0
	device a xdp=v0,mac=02:00:00:00:00:01,share
	local program
	program=$(xdp_of v0)
	[[ $program == *mayfly_steer ]]
	device b xdp=v0,mac=02:00:00:00:00:02,share
	refused xdp=v0,mac=02:00:00:00:00:02,share "02:00:00:00:00:02 is in use on v0 already"
	refused xdp=v0,mac=02:00:00:00:00:03 "v0 is shared by 2 VMs: add share"
	kill_client a
	device a xdp=v0,mac=02:00:00:00:00:01,share
	[ "$(xdp_of v0)" = "$program" ]
	sends wire $A $X again
	hears a $A $X again
	sends wire $B $X still
	hears b $B $X still
	kill_client a
	kill_client b
	until_true 10 no_xdp v0
	ip -n "$HERE" -d link >"$T/links"
	lacks macvlan "$T/links"
	device a xdp=v0,mac=02:00:00:00:00:01,share,mode=generic
	has flags=40
	sends wire $A $X generic
	hears a $A $X generic
}

@test "xdp=IFACE,share: four at once have one program" {
	local name n
	for n in 1 2 3 4; do
		mkfifo "$T/$n.in"
		: >"$T/$n.out"
		ip netns exec "$HERE" python3 "$ROOT/tests/e2e/net_client.py" "$NET" \
			"xdp=v0,mac=02:00:00:00:00:0$n,share" \
			<>"$T/$n.in" >"$T/$n.out" 2>"$T/$n.err" 3>&- &
		pids[$n]=$! lines[$n]=0
		exec {fd}<>"$T/$n.in"
		in[$n]=$fd
	done
	for n in 1 2 3 4; do
		answer $n || fail "$(cat "$T/$n.err")"
		has flags=42
	done
	client wire "$THERE" wire w0
	for n in 1 2 3 4; do
		sends wire 02000000000$n $X "to-$n"
		hears $n 02000000000$n $X "to-$n"
	done
}

# ---- taps ----

@test "tap: one is made, at a bridge, and vanishes with its VM" {
	make_bridge --address 10.9.0.1/24
	device a tap,bridge=br,mac=02:00:00:00:00:01
	has backend=2
	has flags=1
	[[ $said == *ifname=mf* ]]
	device b xdp=br,mac=02:00:00:00:00:02
	sends a $B $X forged
	sends a $B $A honest
	hears b $B $A honest
	sends b $A $B back
	hears a $A $B back
	device c tap=mine,offload=off,mac=02:00:00:00:00:03,mtu=1280
	has flags=0
	has ifname=mine
	ip -n "$HERE" link show dev mine | grep -q 'mtu 1280'
	refused tap,bridge=br,mac=02:00:00:00:00:02 "is the address of another port of br"
	kill_client a
	kill_client c
	until_true 10 test -z "$(ip -n "$HERE" -br link show type tun)"
}

@test "tap=IFACE: one that exists, with and without multi_queue, stays as it is" {
	ip -n "$HERE" tuntap add dev one mode tap
	ip -n "$HERE" tuntap add dev many mode tap multi_queue
	ip -n "$HERE" tuntap add dev tun mode tun
	ip -n "$HERE" link set dev many mtu 1300
	device a tap=one,mac=02:00:00:00:00:01
	has mtu=1500
	refused tap=one,mac=02:00:00:00:00:02 "one is in use by another process"
	device b tap=many,mac=02:00:00:00:00:02
	has mtu=1300
	refused tap=tun,mac=02:00:00:00:00:03 "tun is not a tap"
	refused tap=v0,mac=02:00:00:00:00:03 "v0 is not a tap (veth)"
	refused tap,bridge=v0,mac=02:00:00:00:00:03 "v0 is not a bridge"
	refused tap,bridge=none,mac=02:00:00:00:00:03 "there is no bridge none"
	client host "$HERE" wire one
	sends host $A $X to-a
	hears a $A $X to-a
	sends a $X $A from-a
	hears host $X $A from-a
	kill_client a
	ip -n "$HERE" link show dev one >/dev/null
	device a tap=one,mac=02:00:00:00:00:01
}

# ---- what cannot be ----

@test "no such interface, no capability: says what, and what to do" {
	refused xdp=none,mac=02:00:00:00:00:01 "there is no interface none"
	make_bridge
	local cap code
	for cap in net_admin:CAP_NET_ADMIN net_raw:CAP_NET_RAW sys_admin:CAP_SYS_ADMIN; do
		code=0
		here setpriv --bounding-set="-${cap%:*}" --inh-caps="-${cap%:*}" \
			python3 "$ROOT/tests/e2e/net_client.py" "$NET" \
			xdp=br,mac=02:00:00:00:00:01 </dev/null 2>"$T/err" || code=$?
		[ $code -eq 125 ]
		grep -q "needs ${cap#*:}.*--net user" "$T/err" || fail "$(cat "$T/err")"
	done
	code=0
	here setpriv --bounding-set=-net_admin --inh-caps=-net_admin \
		python3 "$ROOT/tests/e2e/net_client.py" "$NET" \
		tap,mac=02:00:00:00:00:01 </dev/null 2>"$T/err" || code=$?
	[ $code -eq 125 ]
	grep -q "needs CAP_NET_ADMIN.*--net user" "$T/err" || fail "$(cat "$T/err")"
}

# ---- mayfly net ----

# net ARGUMENT...: it works; $T/out. net_not TEXT ARGUMENT...: it does not, and says so.
net() {
	here "$NET" "$@" >"$T/out" || fail "net $*: exit status $?"
}

net_not() {
	local text=$1 code=0
	shift
	here "$NET" "$@" >"$T/out" 2>"$T/err" || code=$?
	[ "$code" -eq 125 ] || fail "net $*: exit status $code"
	grep -qF -- "$text" "$T/err" || fail "net $*: says not: $text" "$(cat "$T/err")"
}

# listed FILTER: net ls --json is so (jq).
listed() {
	net ls --json
	jq -e "$1" "$T/out" >"$T/jq" || fail "not $1:" "$(cat "$T/out")"
}

absent() { # IFNAME
	ip -n "$HERE" -br link >"$T/links"
	lacks "$1" "$T/links"
}

@test "net create, ls, rm: a bridge" {
	net create one
	grep -q 'mayfly run --net one,ip=10.77.0.2/24,gw=10.77.0.1 IMAGE' "$T/out"
	# That network is taken now.
	net create two --ipv6
	grep -q 'ip=10.77.1.2/24' "$T/out"
	net create three --address 192.168.7.9/29 --address fd00:7::1/64
	net_not 'there is an interface one already' create one
	device a xdp=one,mac=02:00:00:00:00:01
	listed '.[0] == {name: "one", kind: "bridge", up: true, addresses: ["10.77.0.1/24"],
		vms: 1, uplinks: []}'
	listed '(.[1].addresses | length) == 2 and (.[1].addresses[1] | test("^fd.*::1/64$"))'
	listed '.[2].addresses == ["192.168.7.9/29", "fd00:7::1/64"]'
	net ls
	[ "$(wc -l <"$T/out")" -eq 4 ]
	net_not 'one has 1 VM' rm one
	kill_client a
	until_true 10 no_ports
	net rm one two three
	listed '. == []'
	absent one
}

@test "net create --uplink: the wire, the host and VMs are in one network" {
	client wire "$THERE" wire w0
	ip -n "$HERE" addr add 10.1.0.1/24 dev v0
	net_not 'v0 has addresses' create br --uplink v0
	absent br
	ip -n "$HERE" addr del 10.1.0.1/24 dev v0
	net create br --uplink v0
	listed '.[0].uplinks == ["v0"]'
	device a xdp=br,mac=02:00:00:00:00:01
	sends wire $A 020000000f02 in
	hears a $A 020000000f02 in
	sends a 020000000f02 $A out
	hears wire 020000000f02 $A out
	net rm --force br
	ip -n "$HERE" link show v0 >/dev/null
}

@test "net create --veth: a pair for one VM, whose checksums are complete" {
	net create pair --veth
	grep -q -- '--net pair-vm,' "$T/out"
	device a xdp=pair-vm,mac=02:00:00:00:00:01
	has flags=34
	here ethtool -k pair | grep -q '^tx-checksumming: off'
	client host "$HERE" wire pair
	sends host $A $X in
	hears a $A $X in
	net rm pair
	absent pair
}

@test "net rm leaves alone what is not its own; names and options are checked" {
	local name bad good
	ip -n "$HERE" link add others type bridge
	for name in others v0; do
		net_not "$name is nothing that mayfly net create has made" rm $name
		ip -n "$HERE" link show $name >/dev/null
	done
	net_not 'there is no interface none' rm none
	for bad in '' 'a b' a/b 1234567890123456 .; do
		net_not "cannot be an interface's name" create "$bad"
	done
	net_not "cannot be an interface's name" create 1234567890123 --veth
	for bad in 1.2.3.4 1.2.3/24 1.2.3.4/33 1.2.3.4/ 1.2.3.4/+4 fd00::1/129 x/24; do
		net_not 'not an address with a prefix' create br --address "$bad"
	done
	for bad in create 'create a b' 'create --nope a' 'create --veth --uplink v0 a' rm 'ls x' nope; do
		# shellcheck disable=SC2086 # several words
		net_not "try 'mayfly net" $bad
	done
	for good in --help 'create --help' 'rm --help' 'ls --help' --version; do
		# shellcheck disable=SC2086
		net $good
		[ -s "$T/out" ]
	done
	listed '. == []'
}
