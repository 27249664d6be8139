#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# idle.bats: what a VM does unasked: whom it asks for a MAC and when, and that nothing wakes it that
# may wait.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034 # shared with net.bash

load ../e2e/helpers
load net

# listen FILTER: what comes to the client's end, as text in $T/dump.out.
listen() {
	background dump "$C" tcpdump -i c0 -n -e -l --immediate-mode "$@"
	until_true 5 grep -qs listening "$T/dump.err"
}

heard() { # WORDS: tcpdump has seen them
	grep -q "$1" "$T/dump.out"
}

answered() { # ADDRESS
	here ping -q -c 1 -W 1 "$1" >/dev/null
}

# The client calls home 1 without asking for it first, which would tell it the client's MAC.
know() {
	ip -n "$C" neigh replace 10.9.0.2 lladdr "$(mac_of 1)" dev c0 nud permanent
}

@test "who calls a VM need not be asked for its MAC before the answer, but is afterwards" {
	for kind in $(kinds tap xdp share); do
		world "$kind"
		server
		know
		listen 'arp[6:2] = 1 and arp[24:4] = 0x0a090001'
		answered 10.9.0.2 || fail "$kind: no answer"
		# Linux asks, so it would be seen.
		if [ "$kind" = process ]; then
			until_true 2 heard 'tell 10.9.0.2'
			continue
		fi
		! heard . || fail "$kind: $(cat "$T/dump.out")"
		# Whoever it is has said so himself, or somebody behind a router in his name.
		asked_for() {
			answered 10.9.0.2 && heard 'who-has 10.9.0.1 tell 10.9.0.2'
		}
		until_true 6 asked_for
	done
}

@test "a packet that was passed on says nothing of its sender's MAC" {
	for kind in $(kinds tap); do
		[ "$kind" != process ] || continue
		world "$kind"
		server
		know
		listen 'arp[6:2] = 1 and arp[24:4] = 0x0a090001'
		here ping -q -c 1 -W 2 -t 63 10.9.0.2 >/dev/null || fail "$kind: no answer"
		until_true 2 heard 'who-has 10.9.0.1 tell 10.9.0.2'
	done
}

@test "a peer's new MAC is learnt from its announcement" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		server
		answered 10.9.0.2
		echo 1 | here tee /proc/sys/net/ipv4/conf/c0/arp_notify >/dev/null
		ip -n "$C" link set c0 address 02:00:00:00:00:77
		# What has changed its address has forgotten all neighbours.
		know
		until_true 3 answered 10.9.0.2
		[ "$(ip -n "$C" neigh show 10.9.0.2 | grep -c PERMANENT)" -eq 1 ]
	done
}

# Times that home 1's process has gone to sleep, all its threads.
sleeps() {
	awk '/^voluntary/ { n += $2 } END { print n }' /proc/"${pid[1]}"/task/*/status
}

@test "a VM that nobody calls sleeps on, whatever it has talked about before" {
	for kind in $(kinds tap xdp); do
		[ "$kind" != process ] || continue
		world "$kind"
		server
		answered 10.9.0.2
		# IPv6 looks for some seconds whether a neighbour is still there.
		[ -z "${LONG:-}" ] || answered fd09::2
		ask both 10.9.0.2 10000
		before=$(sleeps)
		here ping -q -c 20 -i 0.05 10.9.0.2 >/dev/null
		traffic=$(($(sleeps) - before))
		[ $traffic -ge 20 ] || fail "$kind: $traffic sleeps for 20 pings: what is counted here?"
		quiet() {
			before=$(sleeps)
			sleep 3
			[ $(($(sleeps) - before)) -le 1 ]
		}
		until_true 12 quiet
	done
}

# Home 1 has reported the group of fd09::2, after the query, and not later than that allows; and a
# bit for a busy machine.
reported() {
	awk '/listener query/ { asked = $1 }
		asked && /> ff02::1:ff00:2: .*listener report/ && $1 - asked < 2.5 { found = 1 }
		END { exit !found }' "$T/dump.out"
}

# What it says of that when it joins: the second time is for when it is awake. (Not by IPv6, which
# keeps it awake to see whether its neighbour is still there.)
joined() {
	answered 10.9.0.2
	[ "$kind" = process ] || [ "$(grep -c '> ff02::1:ff00:2: .*listener report' "$T/dump.out")" -ge 2 ]
}

@test "who asks for listeners is told in time, by a VM that sleeps" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		# Whatever else is said to all would wake it.
		echo 1 | there tee /proc/sys/net/ipv6/conf/br0/disable_ipv6 >/dev/null
		listen -tt 'ip6[6] = 0 and (ip6[48] = 130 or ip6[48] = 131)'
		server
		until_true 5 joined
		here "$NET/query" c0 2000 >/dev/null
		until_true 4 reported
	done
}

@test "nobody is there: who connects is told so after a few seconds" {
	for kind in $(kinds tap); do
		world "$kind"
		listen 'arp[6:2] = 1 and arp[24:4] = 0x0a09004d'
		local start=$SECONDS took calls=() i
		for i in 1 2; do
			home_command "$i" -- "$NET/ask" both "$([ "$i" -eq 1 ] && echo 10.9.0.77 || echo fd09::77)" 1
			background "call$i" "${command[@]}"
			calls+=($!)
		done
		for i in 1 2; do
			! wait "${calls[i - 1]}" || fail "$kind: somebody is there"
			took=$((SECONDS - start))
			grep -q 'errno 113' "$T/call$i.err" || fail "$kind: $(cat "$T/call$i.err")"
			[ $took -ge 2 ] && [ $took -le 7 ] || fail "$kind: $took s"
		done
		[ "$(grep -c who-has "$T/dump.out")" -ge 3 ] || fail "$kind: $(cat "$T/dump.out")"
	done
}
