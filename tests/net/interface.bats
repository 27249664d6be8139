#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# interface.bats: what a program sees of eth0: addresses, routes, flags, neighbours, by libc's
# functions, netlink, ioctls and files. A VM and a process print the same.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034 # shared with net.bash

load ../e2e/helpers
load net

# A world whose client has addresses that are known beforehand, and runs the server.
known_world() {
	world "$1"
	ip -n "$C" link set c0 address 02:00:0a:09:00:01
	ip -n "$C" address add fe80::c/64 dev c0 nodad
	background serve "$C" "$NET/serve"
	until_ready serve
	[ "$1" = process ] || return 0
	home_command 1 -- true # makes it
	ip -n "$home_ns" address del 10.9.0.2/24 dev eth0
	ip -n "$home_ns" address add 10.9.0.2/24 brd + dev eth0
	ip -n "$home_ns" route add default via 10.9.0.1
	ip -n "$home_ns" -6 address flush dev eth0 scope link
	ip -n "$home_ns" address add fe80::aff:fe09:2/64 dev eth0 nodad
	ip -n "$home_ns" -6 route add default via fd09::1
}

@test "eth0 by getifaddrs, netlink, ioctls, /proc and /sys: as in a process" {
	for libc in musl glibc; do
		for kind in process $(kinds tap xdp direct share); do
			[ "$kind" != process ] || [ ! -e "$T/$libc" ] || continue
			known_world "$kind"
			in_home 1 -- "$(dirname "$NET")/$libc/interface" 10.9.0.1 fd09::1 \
				fe80::c%eth0 >"$T/all"
			# No order among those.
			grep -vE '^(/proc/net/if_inet6|neighbour)' "$T/all" >"$T/seen"
			grep -E '^(/proc/net/if_inet6|neighbour)' "$T/all" | sort >>"$T/seen"
			if [ "$kind" = process ]; then
				mv "$T/seen" "$T/$libc"
				[ "$(grep -c eth0 "$T/$libc")" -gt 40 ]
			else
				diff "$T/$libc" "$T/seen" || fail "$kind, $libc: see above"
			fi
		done
	done
}

advertise() {
	here python3 "$(dirname "$BATS_TEST_FILENAME")/ra.py" c0 fe80::c 1800 fd09:: 7200 3600
}

# Linux has made an address of what it is told: for until_true.
has_heard() {
	advertise
	ip -n "$home_ns" -6 address show dev eth0 | grep -q fd09::aff:fe09:2
}

@test "eth0 with what a router advertises: the address, its lifetime, the way out" {
	for kind in process $(kinds tap ${LONG:+xdp}); do
		[ "$kind" != process ] || [ ! -e "$T/slaac" ] || continue
		known_world "$kind"
		if [ "$kind" = process ]; then
			ip -n "$home_ns" address del fd09::2/64 dev eth0
			ip -n "$home_ns" -6 route del default
			echo 2 | in_ns "$home_ns" tee /proc/sys/net/ipv6/conf/eth0/accept_ra >/dev/null
			until_true 5 has_heard
			# Not all kernels make a route of what was not solicited.
			ip -n "$home_ns" -6 route replace default via fe80::c dev eth0
		fi
		ip -n "$C" address add fd08::1/128 dev lo nodad
		ip=,ip=10.9.0.2/24,gw=10.9.0.1,ip=auto in_home 1 -- "$NET/interface" until fd08::1 \
			>"$T/all" &
		child=$!
		while [ "$kind" != process ] && kill -0 $child 2>/dev/null; do
			advertise
			sleep 0.2
		done
		wait $child
		grep -vE '^(/proc/net/|neighbour)' "$T/all" >"$T/seen"
		grep '^/proc/net/if_inet6' "$T/all" | sort >>"$T/seen"
		if [ "$kind" = process ]; then
			mv "$T/seen" "$T/slaac"
			grep -q 'fd09::aff:fe09:2/64 .* permanent 0 0 forever 0' "$T/slaac"
		else
			diff "$T/slaac" "$T/seen" || fail "$kind: see above"
		fi
	done
}

@test "epoll over eth0: edges, levels, room, ends, errors, other files beside it" {
	for kind in $(kinds tap xdp ${LONG:+direct share}); do
		world "$kind"
		background serve "$C" "$NET/serve"
		until_ready serve
		for ask in "musl 10.9.0.1" "glibc fd09::1"; do
			in_home 1 -- "$(dirname "$NET")/${ask% *}/edges" "${ask#* }" ||
				fail "$kind, $ask: $(tail -n 3 "$T/in_home.err")"
		done
	done
}
