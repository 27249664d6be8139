#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# pmtu.bats: ways that take less than the interface: routers that say so, and others that lie
# (RFC 1191, RFC 8201).
#
#   home -- br0 -- c0 [$C] c1 -- MTU -- m0 [$M] m1 -- f0 [$F]
#
# The far end's interface takes 1500 bytes, as the home's does, and so neither's MSS tells.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034,SC2016 # shared with net.bash

load ../e2e/helpers
load net

far_world() { # KIND MTU
	world "$1"
	M=$H.m F=$H.f
	namespace "$M"
	namespace "$F"
	cable "$C" c1 "$M" m0
	cable "$M" m1 "$F" f0
	ip -n "$C" address add 10.9.8.1/24 dev c1
	ip -n "$C" address add fd08::1/64 dev c1 nodad
	ip -n "$M" address add 10.9.8.2/24 dev m0
	ip -n "$M" address add fd08::2/64 dev m0 nodad
	ip -n "$M" address add 10.9.7.1/24 dev m1
	ip -n "$M" address add fd07::1/64 dev m1 nodad
	ip -n "$F" address add 10.9.7.2/24 dev f0
	ip -n "$F" address add fd07::2/64 dev f0 nodad
	for ns in "$C" "$M"; do
		in_ns "$ns" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
			echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
	done
	ip -n "$C" route add 10.9.7.0/24 via 10.9.8.2
	ip -n "$C" -6 route add fd07::/64 via fd08::2
	ip -n "$M" route add 10.9.0.0/24 via 10.9.8.1
	ip -n "$M" -6 route add fd09::/64 via fd08::1
	ip -n "$F" route add default via 10.9.7.1
	ip -n "$F" -6 route add default via fd07::1
	narrow "$2"
}

narrow() { # MTU
	ip -n "$C" link set c1 mtu "$1"
	ip -n "$M" link set m0 mtu "$1"
}

# A process' home knows its IPv4 router from net.bash.
far_route() {
	[ "$kind" != process ] || ip -n "$H.$1" -6 route add default via fd09::1
}

far() { # ask's arguments, from there
	C=$F ask "$@"
}

count() { # NAMESPACE NAME: a counter of IPv6, or IPv4's FragCreates
	case $2 in
	Ip6*) in_ns "$1" awk -v name="$2" '$1 == name { print $2 }' /proc/net/snmp6 ;;
	*) in_ns "$1" awk -v name="$2" '$1 == "Ip:" { if (n) print $n; for (i = 1; i <= NF; i++) if ($i == name) n = i }' /proc/net/snmp ;;
	esac
}

# No router had to cut a packet of IPv4, and no host one of IPv6, since $cut4 and $cut6.
uncut() {
	[ "$(count "$C" FragCreates)" = "$cut4" ] || fail "$kind: $1: a router had to cut packets"
	[ "$(count "$F" Ip6ReasmReqds)" = "$cut6" ] || fail "$kind: $1: it came in fragments"
}

@test "a link with a smaller MTU on the way" {
	for kind in $(kinds tap xdp); do
		far_world "$kind" 1280
		server
		far_route 1
		cut4=$(count "$C" FragCreates) cut6=$(count "$F" Ip6ReasmReqds)
		for to in 10.9.0.2 fd09::2; do
			far receive $to "$(scaled 3000000)"
			far receive $to "$(scaled 3000000)"
			far both $to "$(scaled 1000000)"
			far send $to "$(scaled 1000000)"
		done
		uncut 'a transfer'
		# Datagrams are in fragments; the first of IPv6 tells that they must be.
		for to in 10.9.0.2 fd09::2; do
			far udp $to 5 1252 2
			far udp $to 5 1400 2
			far udp $to 5 5000 2
			in_ns "$F" ping -c 5 -i 0.1 -s 1400 $to | grep -q ' [345] received' || fail "$kind: ping $to"
		done
		far receive fd09::2 "$(scaled 3000000)"
	done
}

@test "a datagram in fragments is the first that goes through an advertised router" {
	command -v dnsmasq >/dev/null || skip 'dnsmasq is not installed'
	for kind in $(kinds tap xdp); do
		[ "$kind" != process ] || continue
		far_world "$kind" 1500
		background dnsmasq "$C" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv \
			--no-hosts --pid-file= --user=root --interface=c0 --bind-interfaces --port=0 \
			--log-facility=- --dhcp-leasefile="$T/leases" \
			--enable-ra --dhcp-range=fd09::,ra-only,64,2m --ra-param=c0,1,60
		ip=,ip=auto server
		here timeout 20 "$NET/ask" until fd09::aff:fe09:2
		far big fd09::aff:fe09:2 6000
		far receive fd09::aff:fe09:2 "$(scaled 3000000)"
	done
}

@test "the way becomes narrower under a transfer" {
	for kind in $(kinds tap xdp); do
		for to in 10.9.0.2 fd09::2; do
			far_world "$kind" 1500
			server
			far_route 1
			background receive "$F" "$NET/ask" receive $to 60000000
			tries=0
			until far_moving || [ $((tries += 1)) -gt 2000 ]; do :; done
			# Now there is a queue of segments that fitted when they were made.
			kill -STOP "${children[-1]}" || fail "$kind: it was over"
			cut4=$(count "$C" FragCreates) cut6=$(count "$F" Ip6ReasmReqds)
			ip -n "$C" link set c1 mtu 1300
			kill -CONT "${children[-1]}"
			wait "${children[-1]}" || fail "$kind: $to: $(cat "$T/receive.err")"
			uncut "$to"
		done
	done
}

far_moving() {
	[ "$(in_ns "$F" cat /sys/class/net/f0/statistics/rx_bytes)" -gt 1000000 ]
}

@test "a link that takes less than 552 bytes: routers do the work" {
	for kind in $(kinds tap xdp); do
		far_world "$kind" 296
		server
		far receive 10.9.0.2 "$(scaled 300000)"
		far both 10.9.0.2 "$(scaled 300000)"
		[ "$(count "$C" FragCreates)" -gt 100 ] || fail "$kind: nothing was cut"
	done
}

@test "datagrams that nobody may cut" {
	for kind in $(kinds tap xdp); do
		far_world "$kind" 1400
		background far "$F" "$NET/serve"
		until_ready far
		[ "$kind" != process ] || process_home 1
		far_route 1
		for to in 10.9.7.2 fd07::2; do
			in_home 1 -- "$NET/ask" path $to 1400 || fail "$kind: $to: $(tail -n 2 "$T/in_home.err")"
		done
	done
}

# "Packet too big" to HOME about packets of PROTOCOL,... and its LOCAL port to REMOTE and PORT, for
# each of the MTUs.
FORGE='
import ipaddress, socket, struct, sys
home, remote = map(ipaddress.ip_address, (sys.argv[1], sys.argv[4]))
protocols, local, port = sys.argv[2].split(","), int(sys.argv[3]), int(sys.argv[5])
inner = struct.pack(">HHIIIHH", local, port, 0, 0, 0x50100000, 0, 0)
v6 = home.version == 6
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW, 58 if v6 else 1)
for mtu, protocol in ((int(m), int(p)) for m in sys.argv[6:] for p in protocols):
    if v6:
        packet = struct.pack(">BBHI", 2, 0, 0, mtu) + struct.pack(">IHBB", 6 << 28, 1400, protocol, 64)
        packet += home.packed + remote.packed + inner
    else:
        packet = struct.pack(">BBHHH", 3, 4, 0, 0, mtu) + struct.pack(">BBHHHBBH", 0x45, 0, 1420, 1, 0x4000, 64, protocol, 0)
        packet += home.packed + remote.packed + inner
        total = sum(struct.unpack(">%dH" % (len(packet) // 2), packet))
        total = (total & 0xffff) + (total >> 16)
        packet = packet[:2] + struct.pack(">H", ~(total + (total >> 16)) & 0xffff) + packet[4:]
    s.sendto(packet, (str(home), 0))'

forge() {
	here python3 -c "$FORGE" "$@"
}

# largest ADDRESS: the most bytes in a frame that a transfer from there brings, in $largest.
largest() {
	rm -f "$T/dump.err" # of the one before
	background dump "$C" tcpdump -i c0 -n -s 100 -w "$T/dump" --immediate-mode "tcp and src host $1"
	until_true 5 grep -qs listening "$T/dump.err"
	ask receive "$1" 1000000
	kill -TERM "${children[-1]}"
	wait "${children[-1]}"
	largest=$(tcpdump -e -n -r "$T/dump" 2>/dev/null | sed -nE 's/.*, length ([0-9]+): .*/\1/p' | sort -n | tail -n 1)
}

@test "forged: no MTU that no link has, none for connections that are not" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		plain "$C" c0
		plain "$H" h0
		server
		ask udp fd09::2 1 1000
		ask receive fd09::2 1000000
		# A connection that is: only its sequence number is not known.
		background echo "$C" python3 -c 'import socket
s = socket.create_connection(("fd09::2", 7002))
s.sendall(b"x" * 10)
print("ready", s.getsockname()[1], flush=True)
s.recv(1000) and s.recv(1)'
		until_ready echo
		port=$(sed 's/ready //' "$T/echo.out")
		# No link has these; what follows is larger than all of them. ICMPv6's and fragments', too.
		for mtu in 48 55 47 0 1279; do
			forge fd09::2 6,17,44,58 7002 fd09::1 "$port" $mtu
			ask udp fd09::2 1 1400
		done
		forge fd09::2 6,17,44,58 7002 fd09::1 "$port" 1 40 49 50 51 52 53 54 56 576 1500 1501 65535 65536 4294967295
		ask udp fd09::2 1 1400
		# For somebody else's packets, and for a part of the connection that is not under way.
		forge fd09::2 6 7002 fd09::1 "$port" 1280
		forge fd09::2 6 7001 fd09::1 1 1280
		forge fd09::2 17 3 fd09::1 7002 1280
		forge fd09::2 6 7002 fd09::77 "$port" 1280
		forge 10.9.0.2 6 7001 10.9.0.1 1 0 1 67 68 552 576 1400
		forge 10.9.0.2 17 3 10.9.0.1 7002 0 1 67 68 552 576 1400
		ask udp fd09::2 5 1400
		ask udp 10.9.0.2 5 1400
		for from in 10.9.0.2 fd09::2; do
			largest $from
			[ "$largest" -eq 1514 ] || fail "$kind: $from: frames of $largest bytes"
		done
		# What it has sent may come back; that it is believed shows that all of it came.
		forge fd09::2 17 7002 fd09::1 "$port" 1400
		largest fd09::2
		[ "$largest" -eq 1414 ] || fail "$kind: frames of $largest bytes, after a lawful word"
		ask end 10.9.0.2
		ended 1 0
	done
}
