#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# hostile.bats: who must not reach or disturb whom: frames of other VMs, forged addresses,
# guests that break the device's rings (tests/guest-hostile/net.c), interfaces and descriptors
# that go away under way. The others on the same bridge go on, and the host's kernel says
# nothing about it.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034 # shared with net.bash

load ../e2e/helpers
load net

HOSTILE=$(dirname "$PROGRAMS")/guest-hostile/musl/net
OTHERS='7100 7100/udp' # the attacker's ports, where they are the host's

stop_it() {
	here "$NET/frames" send c0 ff:ff:ff:ff:ff:ff 02:00:00:00:00:99 'stop it' 3 >/dev/null
}

# ---- whose frames ----

@test "a VM never receives another's unicast frames" {
	for kind in $(kinds tap xdp share); do
		world "$kind"
		server 1
		if [ "$kind" = process ]; then
			continue
		fi
		# Its buffers hold whatever the device was given, whatever the kernel then makes of it.
		home 2 -- "$HOSTILE" scan 'for somebody else' 20000
		for mac in "$(mac_of 1)" 02:00:00:00:00:77 02:00:0a:09:01:03; do
			here "$NET/frames" send c0 "$mac" 02:00:00:00:00:98 'for somebody else' 20 >/dev/null
		done
		ask both 10.9.0.2 3000000
		stop_it
		until_true 5 grep -q '^found' "$T/home2.out"
		grep -q '^found 0, over 1' "$T/home2.out" || fail "$kind: $(cat "$T/home2.out")"
		# The same text, for itself and for all: so it would have been found.
		for mac in "$(mac_of 2)" ff:ff:ff:ff:ff:ff 33:33:00:00:00:01; do
			home 2 -- "$HOSTILE" scan 'for somebody else' 20000
			here "$NET/frames" send c0 "$mac" 02:00:00:00:00:98 'for somebody else' 5 >/dev/null
			stop_it
			until_true 5 grep -q '^found' "$T/home2.out"
			! grep -q '^found 0' "$T/home2.out" || fail "$kind: $mac reached nobody"
		done
	done
}

@test "a VM's frames with another's source address go nowhere" {
	# Not direct: nothing of the host lies between an AF_XDP socket and its interface.
	for kind in $(kinds tap xdp share); do
		[ "$kind" != process ] || continue
		world "$kind"
		# On the wire.
		background watch "$C" "$NET/frames" watch c0 30 'in my name'
		until_ready watch
		for from in 02:00:0a:09:00:03 02:00:00:00:00:98 ff:ff:ff:ff:ff:ff 00:00:00:00:00:00; do
			in_home 1 -- "$NET/frames" send eth0 ff:ff:ff:ff:ff:ff $from 'not in my name' 20 >/dev/null
			in_home 1 -- "$HOSTILE" flood 0xffffffffffff "0x${from//:/}" 'not in my name' 100 >/dev/null
		done
		stop_it
		# c0's own do not come in, so somebody else ends it.
		in_home 1 -- "$NET/frames" send eth0 ff:ff:ff:ff:ff:ff "$(mac_of 1)" 'stop it' 3 >/dev/null
		until_true 5 grep -q ' frames with ' "$T/watch.out"
		grep -q '^0 frames' "$T/watch.out" || fail "$kind: $(cat "$T/watch.out")"
		# The same with its own: so they would have been seen.
		background watch "$C" "$NET/frames" watch c0 30 'in my name'
		until_ready watch
		in_home 1 -- "$NET/frames" send eth0 ff:ff:ff:ff:ff:ff "$(mac_of 1)" 'in my name' 20 >/dev/null
		in_home 1 -- "$NET/frames" send eth0 ff:ff:ff:ff:ff:ff "$(mac_of 1)" 'stop it' 3 >/dev/null
		until_true 5 grep -q ' frames with ' "$T/watch.out"
		grep -q '^20 frames' "$T/watch.out" || fail "$kind: $(cat "$T/watch.out")"
	done
}

# ---- broken rings ----

# attack ARG...: as home 2, beside home 1, which does not notice. The end is the guest's exit
# code, or 125 and a reason, or 124 at the time limit, or a crash that is reported.
attack() {
	local code=0
	: >"$T/attack.err"
	publish=$OTHERS errors=$T/attack.err in_home 2 --stats --timeout=3s -- "$HOSTILE" "$@" \
		>"$T/attack.out" || code=$?
	case $code in
	0 | 124) ;;
	125) head -n 1 "$T/attack.err" | grep -q '^mayfly: ' ;;
	131 | 132 | 133 | 134 | 135 | 136 | 139) grep -q '^mayfly: guest crashed: SIG' "$T/attack.err" ;;
	*) false ;;
	esac || fail "$kind: $*: $code $(tail -n 3 "$T/attack.err")"
	[ "$(wc -c <"$T/attack.err")" -lt 65536 ]
	code_of=$code
}

# breaks ARG...: an attack after which its device carries nothing any more, and says why.
breaks() {
	attack "$@"
	grep -q '^mayfly: net .*; the guest broke .* index makes no sense' "$T/attack.err" ||
		fail "$kind: $*: nobody minds: $(tail -n 3 "$T/attack.err")"
}

# meanwhile ARG...: an attack that lasts, and home 1 while it does.
meanwhile() {
	publish=$OTHERS home_command 2 --timeout=20s -- "$HOSTILE" "$@"
	background attack "${command[@]}"
	undisturbed
	over "$@"
}

# over ARG...: the attack in the background was under way till now.
over() {
	kill -0 "${children[-1]}" || fail "$kind: $*: it was over too soon"
	kill -TERM "${children[-1]}"
	wait "${children[-1]}" || true
}

undisturbed() {
	ask udp 10.9.0.2 10 1000 2 # of them may be late, on a busy machine
	ask both 10.9.0.2 300000
}

hostile_world() {
	world "$1"
	server 1
	undisturbed
}

hostile_end() {
	undisturbed
	kernel_silent
	ask end 10.9.0.2
	ended 1 0
}

# full: all of it, not a choice: who looks at them is the kernel with xdp and copy, and the same
# function of ours with tap and user.
full() {
	[[ $kind == tap || $kind == xdp ]]
}

@test "descriptors outside of the buffers, of any length" {
	for kind in $(kinds tap xdp copy user); do
		[ "$kind" != process ] || continue
		hostile_world "$kind"
		addrs='0x300000 0xffffffff 0xffffffffffffffff' lens='1 2049 0x80000000'
		! full || addrs='0 1 0x2fffff 0x300000 0x3fffff 0x400000 0x7fffffff 0xffffffff 0x100000000
			0x7fffffffffffffff 0xfffffffffffff000 0xffffffffffffffff'
		! full || lens='1 13 14 2048 2049 4096 65535 65536 0x7fffffff 0x80000000'
		for addr in $addrs; do
			for len in 60 0xffffffff; do
				attack descriptors "$addr" "$len" 0 3
			done
		done
		for len in $lens; do
			attack descriptors 0 "$len" 0 3
			attack descriptors 2047 "$len" 0 3
		done
		for options in 1 2 0xffffffff; do
			attack descriptors 0 60 $options 1
			attack descriptors 0 2048 $options 1000
		done
		hostile_end
	done
}

@test "ring indices that make no sense" {
	for kind in $(kinds tap xdp copy user); do
		[ "$kind" != process ] || continue
		hostile_world "$kind"
		# Where they are the kernel's nobody tells us; where they are ours, those that are looked
		# at without a frame that comes or goes.
		case $kind in
		tap) looked_at='producer:0 consumer:2 producer:3' ;;
		copy) looked_at='producer:0 consumer:1 consumer:2 producer:3' ;;
		user) looked_at='producer:3' ;;
		*) looked_at='' ;;
		esac
		for ring in 0 1 2 3; do
			for which in producer consumer; do
				how=attack
				[[ " $looked_at " != *" $which:$ring "* ]] || how=breaks
				! full || for value in 1 0xffffffff; do
					attack $which $ring $value
				done
				! full || $how $which $ring 1025
				$how $which $ring 0x80000000
			done
		done
		! full || for value in 0 1 0xffffffff; do
			attack flags $value
		done
		for byte in 0 0x55 0xff; do
			attack zero $byte
			attack front $byte
		done
		hostile_end
	done
}

@test "rings at random; the same buffer for all; wild headers of segments" {
	for kind in $(kinds tap xdp copy user); do
		[ "$kind" != process ] || continue
		hostile_world "$kind"
		for _ in 1 2 3; do
			attack random 300
		done
		meanwhile random 10000
		attack same 0
		meanwhile same 2047
		attack headers 300
		meanwhile headers 10000
		hostile_end
	done
}

@test "rings that are full for ever: a VM that takes nothing, busy or asleep" {
	for kind in $(kinds tap xdp copy share user); do
		[ "$kind" != process ] || continue
		hostile_world "$kind"
		for busy in 0 1; do
			publish=$OTHERS home_command 2 --timeout=20s -- "$HOSTILE" full 15000 $busy
			background full "${command[@]}"
			until_ready full
			# Addressed to it, and to all; or to its port.
			[ "$kind" != user ] || here bash -c '
				for ((i = 0; i < 3000; i++)); do echo to you >/dev/udp/10.9.0.2/7100; done' ||
				true # nobody listens yet
			here "$NET/frames" send c0 "$(mac_of 2)" 02:00:00:00:00:98 'to you' 3000 >/dev/null
			here "$NET/frames" send c0 ff:ff:ff:ff:ff:ff 02:00:00:00:00:98 'to all of you' 3000 >/dev/null
			undisturbed
			over full
		done
		hostile_end
	done
}

@test "storms: doorbells, frames" {
	for kind in $(kinds tap xdp copy share user); do
		[ "$kind" != process ] || continue
		hostile_world "$kind"
		attack storm 0 "$(scaled 5000)"
		attack storm 1 "$(scaled 5000)"
		for slot in 1 2 3; do
			attack slots $slot 1
		done
		# Under way, at the same time, the neighbour is as good as ever.
		publish=$OTHERS home_command 2 --timeout=20s -- "$HOSTILE" flood 0xffffffffffff 0x02000a090003 noise 15000
		background noise "${command[@]}"
		ask udp 10.9.0.2 200 100 10 # broadcasts are for it, too: its ring may be full
		ask both 10.9.0.2 1000000
		over flood
		hostile_end
	done
}

@test "what of the device is not the guest's to write, or not there" {
	for kind in $(kinds tap xdp copy user); do
		[ "$kind" != process ] || continue
		hostile_world "$kind"
		for what in config tables beyond; do
			attack $what
			[ "$code_of" -eq 139 ] || fail "$kind: $what: $code_of"
		done
		hostile_end
	done
}

# ---- what goes away ----

# under_way N: a transfer from home N, in the background.
under_way() {
	background serve "$C" "$NET/serve"
	until_ready serve
	home_command "$1" --stats -- "$NET/ask" send 10.9.0.1 100000000000
	background "home$1" "${command[@]}"
	pid[$1]=$!
	until_true 10 moving
}

moving() {
	local before after
	before=$(here cat /sys/class/net/c0/statistics/rx_bytes)
	sleep 0.1
	after=$(here cat /sys/class/net/c0/statistics/rx_bytes)
	[ $((after - before)) -gt 500000 ]
}

# runnable PID: how often of 25 looks one of its threads was: on a machine with much to do, one that
# spins does not get the time that it would take.
runnable() {
	local n=0
	for _ in {1..25}; do
		! grep -q '^[0-9]* (.*) R' "/proc/$1/task/"*/stat || n=$((n + 1))
		sleep 0.02
	done
	echo $n
}

# survives TEXT: the monitor lives on and sleeps, its program can end, its device says why it
# carries nothing (TEXT; '': it does), and the machine is as before.
survives() {
	local n
	sleep 0.3 # what was under way has come to its end
	kill -0 "${pid[1]}" || fail "$kind: it ended: $(tail -n 3 "$T/home1.err")"
	n=$(runnable "${pid[1]}")
	[ "$n" -lt 10 ] || fail "$kind: it does not sleep: $n of 25"
	kill -TERM "${pid[1]}"
	ended 1 143
	grep -q "^mayfly: net .*; .*$1" "$T/home1.err" || fail "$kind: no '$1': $(tail -n 3 "$T/home1.err")"
	[ -n "$1" ] || ! grep '^mayfly: net .* is gone' "$T/home1.err" || fail "$kind: it is not"
	kernel_silent
}

# The VM's, which is not in $before.
delete_interface() {
	local name
	case $kind in
	direct | share) ip -n "$H" link del h0 ;;
	*)
		for name in $(inventory | cut -d ' ' -f 1); do
			grep -q "^$name\b" <<<"$before" || ip -n "$H" link del "$name"
		done
		;;
	esac
}

@test "the interface is deleted while it is in use" {
	for kind in $(kinds tap xdp copy direct share); do
		[ "$kind" != process ] || continue
		world "$kind"
		before=$(inventory)
		under_way 1
		delete_interface
		survives 'is gone'
	done
}

@test "the interface is deleted while nobody sends" {
	for kind in $(kinds tap xdp direct share); do
		[ "$kind" != process ] || continue
		world "$kind"
		before=$(inventory)
		server 1 --stats
		ask both 10.9.0.2 100000
		delete_interface
		survives 'is gone'
	done
}

@test "the interface itself goes down and up again while nobody sends" {
	for kind in $(kinds direct); do
		[ "$kind" != process ] || continue
		world "$kind"
		server 1 --stats
		ask both 10.9.0.2 1000
		for _ in 1 2 3; do
			ip -n "$H" link set h0 down
			ip -n "$C" neigh flush dev c0
			sleep 0.2
			ip -n "$H" link set h0 up
			until_true 5 here "$NET/ask" both 10.9.0.2 1000
		done
		survives ''
	done
}

@test "the bridge is deleted, the line goes down and up again" {
	for kind in $(kinds tap xdp); do
		[ "$kind" != process ] || continue
		world "$kind"
		server 1 --stats
		ask both 10.9.0.2 1000000
		ip -n "$H" link set br0 down
		ip -n "$H" link set br0 up
		until_true 5 here "$NET/ask" both 10.9.0.2 1000
		ip -n "$H" link set h0 down
		ip -n "$H" link set h0 up
		until_true 5 here "$NET/ask" both 10.9.0.2 1000
		ip -n "$H" link del br0
		survives ''
	done
}

@test "passt is killed while it is in use" {
	for kind in $(kinds user); do
		[ "$kind" != process ] || continue
		world "$kind"
		under_way 1
		passt=$(ps -o pid= --ppid "${pid[1]}" | tr -d ' ' | head -n 1)
		[ -n "$passt" ] && [ "$(cat "/proc/$passt/comm")" != mayfly ] ||
			passt=$(for p in $(ip netns pids "$H"); do grep -l '^passt' "/proc/$p/comm"; done | grep -o '[0-9]*' | head -n 1)
		[ -n "$passt" ]
		kill -KILL "$passt"
		survives 'passt.* is gone'
	done
}

# An XDP program that passes everything, at interface "$1" until it is killed: r0 = XDP_PASS; exit.
STRANGER='
import ctypes, signal, socket, struct, sys
bpf = lambda *a: ctypes.CDLL(None, use_errno=True).syscall(321, *a)
code = ctypes.create_string_buffer(struct.pack("<QQ", 0x2000000b7, 0x95))
gpl = ctypes.create_string_buffer(b"GPL")
load = ctypes.create_string_buffer(struct.pack("<IIQQ", 6, 2, ctypes.addressof(code), ctypes.addressof(gpl)), 120)
prog = bpf(5, load, 120)
link = bpf(28, ctypes.create_string_buffer(struct.pack("<IIII", prog, socket.if_nametoindex(sys.argv[1]), 37, 2), 64), 64)
print("ready" if link >= 0 else "no: %d" % ctypes.get_errno(), flush=True)
signal.pause()'

no_program() {
	! ip -n "$H" link show h0 | grep -q prog/xdp
}

@test "an interface with somebody else's XDP program: refused, and the program stays" {
	for kind in $(kinds direct share); do
		[ "$kind" != process ] || continue
		world "$kind"
		background stranger "$H" python3 -c "$STRANGER" h0
		stranger=$!
		until_ready stranger
		before=$(ip -n "$H" link show h0 | grep -o 'prog/xdp id [0-9]*')
		code=0
		in_home 1 -- "$NET/ask" end 10.9.0.1 || code=$?
		[ "$code" -eq 125 ] || fail "$kind: $code"
		grep -q "h0 has an XDP program of somebody else" "$T/in_home.err"
		[ "$(ip -n "$H" link show h0 | grep -o 'prog/xdp id [0-9]*')" = "$before" ]
		# When it is gone there is no reason to refuse any more.
		kill -KILL "$stranger"
		wait "$stranger" || true
		until_true 5 no_program
		server
		ask both 10.9.0.2 100000
	done
}
