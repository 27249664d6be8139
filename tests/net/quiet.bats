#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# quiet.bats: flood=off: a VM at a bridge that nothing is brought which is for all.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034 # shared with net.bash

load ../e2e/helpers
load net

# counted TO N: home 1, which ends at the first frame to itself that says so, has seen N of 20 to TO.
counted() {
	home 1 -- "$NET/frames" watch eth0 30 'for all of you'
	here "$NET/frames" send c0 "$1" 02:00:00:00:00:98 'for all of you' 20 >/dev/null
	# The bridge has it in its table since it has said anything; and this is behind the others.
	here "$NET/frames" send c0 "$(mac_of 1)" 02:00:00:00:00:98 'stop it' 1 >/dev/null
	until_true 5 grep -q ' frames with ' "$T/home1.out"
	grep -q "^$2 frames" "$T/home1.out" || fail "$kind, ${more:-flood=on}, to $1: $(cat "$T/home1.out")"
	ended 1 0
}

@test "what is for all does not come; what is for the VM does" {
	for kind in $(kinds tap xdp); do
		[ "$kind" != process ] || continue
		world "$kind"
		for to in ff:ff:ff:ff:ff:ff 33:33:00:00:00:01 01:00:5e:00:00:01; do
			more=,flood=off counted $to 0
			more=,flood=on counted $to 20
			more='' counted $to 20
		done
	done
}

answered() { # ADDRESS
	here ping -q -c 1 -W 1 "$1" >/dev/null 2>&1
}

known() { # ADDRESS MAC
	ip -n "$C" neigh show "$1" | grep -q "$2"
}

@test "it is reached by who has heard its announcement, or is told its MAC, and calls others" {
	for kind in $(kinds tap xdp); do
		[ "$kind" != process ] || continue
		world "$kind"
		more=,flood=off
		# Linux asks all for it, which it does not hear.
		server
		! answered 10.9.0.2 || fail "$kind: it has heard an ARP request"
		! answered fd09::2 || fail "$kind: it has heard a neighbour solicitation"
		ip -n "$C" neigh replace 10.9.0.2 lladdr "$(mac_of 1)" dev c0
		ip -n "$C" neigh replace fd09::2 lladdr "$(mac_of 1)" dev c0
		answered 10.9.0.2 || fail "$kind: no answer"
		answered fd09::2 || fail "$kind: no answer over IPv6"
		ask both 10.9.0.2 100000
		# It tells when it starts.
		ip -n "$C" neigh flush dev c0
		echo 1 | here tee /proc/sys/net/ipv4/conf/c0/arp_accept >/dev/null
		server 3
		until_true 2 known 10.9.0.4 "$(mac_of 3)"
		answered 10.9.0.4 || fail "$kind: its announcement is not enough"
		# What it asks is heard, and the answer is for it alone.
		background serve "$C" "$NET/serve"
		until_ready serve
		in_home 2 -- "$NET/ask" both 10.9.0.1 100000
		in_home 2 -- "$NET/ask" both fd09::1 100000
	done
}

@test "DHCP, from a server that answers to whom it gives the address" {
	command -v dnsmasq >/dev/null || skip 'dnsmasq is not installed'
	for kind in $(kinds tap); do
		[ "$kind" != process ] || continue
		world "$kind"
		background dnsmasq "$C" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --port=0 \
			--no-hosts --pid-file= --user=root --interface=c0 --bind-interfaces --log-facility=- \
			--dhcp-leasefile="$T/leases" --dhcp-range=10.9.0.50,10.9.0.60,255.255.255.0,2m --no-ping
		until_true 5 grep -qs started "$T/dnsmasq.err"
		background serve "$C" "$NET/serve"
		until_ready serve
		ip=,ip=dhcp more=,flood=off in_home 1 -- "$NET/ask" both 10.9.0.1 10000
	done
}

# refused WORDS NET
refused() {
	if there "$MAYFLY" run --net "$2" "$NET/serve" >"$T/refused.out" 2>"$T/refused.err"; then
		fail "$2 was taken"
	fi
	grep -qF "$1" "$T/refused.err" || fail "$2: $(cat "$T/refused.err")"
}

@test "where it cannot be had it is refused" {
	world tap
	there ip tuntap add dev t0 mode tap
	there ip link set t0 master br0
	refused 't0 is there already: set it yourself (bridge link set dev t0 bcast_flood off' tap=t0,bridge=br0,flood=off
	refused 'flood=off is for a VM at a bridge' xdp=h0,flood=off
	refused 'flood=off is for a VM at a bridge' xdp=h0,share,flood=off
	refused 'it is for a VM at a bridge: bridge=IFACE' tap,flood=off
	refused "a router's advertisements (ip=auto) are multicast" tap,bridge=br0,flood=off,ip=auto
	refused "a router's advertisements (ip=auto) are multicast" xdp=br0,ip=auto,flood=off
}
