#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# gone.bats: what a VM, and who asks for its statistics, learns of an interface that goes down, or
# away, while it sends, and while it only listens; of a descriptor that is closed under the device.
# Nobody spins over it.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034 # shared with net.bash

load ../e2e/helpers
load net

PORT=$(dirname "$PROGRAMS")/port/mayfly

# The interface that home 1 hangs on, which the host can set down or delete: $iface. To be called
# with what there was before it.
its_interface() { # INVENTORY
	case $kind in
	process) iface=p1 ;;
	direct | share) iface=h0 ;;
	*) iface=$(inventory | cut -d ' ' -f 1 | grep -vxF "$(cut -d ' ' -f 1 <<<"$1")") ;;
	esac
	[ -n "$iface" ]
}

last_line() {
	[ "$(tail -n 1 "$T/home1.out")" = "$1" ]
}

cpu() { # clock ticks that home 1 has taken
	awk '{ print $14 + $15 }' "/proc/${pid[1]}/stat"
}

idles() {
	local before
	before=$(cpu)
	sleep 0.5
	[ $(($(cpu) - before)) -lt 10 ] || fail "$kind: of 50 ticks it takes $(($(cpu) - before))"
}

# Neighbours and timers have said what they had to: nothing but the interface can wake the VM now.
quiet() {
	local before
	before=$(here cat /sys/class/net/c0/statistics/rx_packets)
	sleep 0.4
	[ "$before" -eq "$(here cat /sys/class/net/c0/statistics/rx_packets)" ]
}

# It ends when it is told to; its statistics say why the device carries nothing: TEXT.
over() {
	kill -TERM "${pid[1]}"
	ended 1 143
	grep -q "^mayfly: net eth0: .*$1" "$T/home1.err" || fail "$kind: $(grep 'net eth0' "$T/home1.err")"
	kernel_silent "$log"
}

@test "the interface goes down, up, away: so does the link" {
	for kind in $(kinds tap xdp direct share); do
		world "$kind"
		log=$(kernel_log)
		before=$(inventory)
		to=()
		[ "$kind" != tap ] || to=(10.9.0.1) # who does not send does not see that it is down
		home 1 --stats -- "$NET/link" "${to[@]}"
		its_interface "$before"
		until_true 5 last_line up
		for _ in 1 2; do
			ip -n "$H" link set "$iface" down
			until_true 5 last_line down
			ip -n "$H" link set "$iface" up
			until_true 5 last_line up
			until_true 5 here ping -q -c 1 -W 1 10.9.0.2
		done
		[ "$kind" != process ] || continue
		ip -n "$H" link del "$iface"
		until_true 5 last_line down
		over 'is gone'
	done
}

@test "the other end of the line goes down and up" {
	for kind in $(kinds direct share); do
		world "$kind"
		home 1 -- "$NET/link"
		[ "$kind" != process ] || continue
		until_true 5 last_line up
		ip -n "$C" link set c0 down
		until_true 5 last_line down
		ip -n "$C" link set c0 up
		until_true 5 last_line up
	done
}

@test "passt ends: so does the link" {
	for kind in $(kinds user); do
		[ "$kind" != process ] || continue
		world "$kind"
		log=$(kernel_log)
		home 1 --stats -- "$NET/link"
		until_true 5 last_line up
		for p in $(ip netns pids "$H"); do
			! grep -q '^passt' "/proc/$p/comm" || kill -KILL "$p"
		done
		until_true 5 last_line down
		over 'is gone'
	done
}

@test "a VM that only listens: its interface is deleted" {
	for kind in $(kinds tap xdp direct share); do
		[ "$kind" != process ] || continue
		world "$kind"
		log=$(kernel_log)
		before=$(inventory)
		server 1 --stats
		until_true 10 quiet
		its_interface "$before"
		ip -n "$H" link del "$iface"
		idles
		over 'is gone'
	done
}

# port PROGRAM...: home 1, and what is written to descriptor 8 is told to its monitor.
port() {
	[ -x "$PORT" ] || fail "$PORT is missing: run make check-build"
	rm -f "$T/port"
	mkfifo "$T/port"
	exec 8<>"$T/port"
	home_command 1 --no-jail --stats -- "$@"
	background home1 "$H" "$PORT" "${command[@]:2}" 9<"$T/port"
	pid[1]=$!
}

# moving [COUNTER]: so do many bytes, to the client's end of the line or from it.
moving() {
	local before after
	before=$(here cat "/sys/class/net/c0/statistics/${1:-rx}_bytes")
	sleep 0.1
	after=$(here cat "/sys/class/net/c0/statistics/${1:-rx}_bytes")
	[ $((after - before)) -gt 500000 ]
}

@test "the device's descriptor is closed, while it sends and while it listens" {
	for kind in $(kinds tap xdp user); do
		[ "$kind" != process ] || continue
		world "$kind"
		log=$(kernel_log)
		background serve "$C" "$NET/serve"
		until_ready serve
		for what in send listen; do
			if [ $what = send ]; then
				port "$NET/ask" send 10.9.0.1 100000000000
				until_true 10 moving
			else
				port "$NET/serve"
				until_ready home1
				until_true 10 quiet
			fi
			printf f >&8
			until_true 5 grep -qx 'port: closed' "$T/home1.err"
			idles
			over '\(is gone\|has failed\)'
		done
	done
}

# interrupted SECONDS: home 1's interface is down so long.
interrupted() {
	ip -n "$H" link set "$iface" down
	sleep "$1"
	ip -n "$H" link set "$iface" up
}

@test "a transfer goes on when the interface is up again" {
	for kind in $(kinds xdp direct ${LONG:+tap} ${LONG:+share}); do
		for way in rx tx; do
			world "$kind"
			before=$(inventory)
			if [ $way = rx ]; then
				background serve "$C" "$NET/serve"
				until_ready serve
				home_command 1 -- "$NET/ask" send 10.9.0.1 100000000000
				background home1 "${command[@]}"
			else
				server
				background ask "$C" "$NET/ask" send 10.9.0.2 100000000000
			fi
			until_true 10 moving $way
			its_interface "$before"
			# Before the first time-out, and after some.
			for long in 0.1 0.5; do
				interrupted $long
				until_true 3 moving $way
			done
		done
	done
}
