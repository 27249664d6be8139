#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# acts.bats: socket options that do something that only a network shows: a dead peer is noticed, a
# device is the only one, a header has another TTL, a group is joined.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034 # shared with net.bash

load ../e2e/helpers
load net

# What is on the client's line from now on, in $T/wire.
watch_wire() {
	background tcpdump "$C" tcpdump -p -U -n -i c0 -w "$T/wire"
	until_true 5 grep -qs 'listening on' "$T/tcpdump.err"
}

on_wire() { # FILTER
	[ "$(tcpdump -r "$T/wire" -n "$1" 2>/dev/null | wc -l)" -gt 0 ]
}

says() { # HOME LINE
	grep -qsx "$2" "$T/home$1.out"
}

say_to() { # ADDRESS PORT TEXT
	here bash -c "printf '%s' '$3' >/dev/udp/$1/$2"
}

# between NAME ERRNO LOW HIGH: when it was noticed, in tenths of a second.
between() {
	local line
	line=$(grep "^$1 " "$T/home1.out") || fail "$kind: $1: nothing"
	[[ $line == "$1 $2 "* ]] || fail "$kind: $line, not errno $2"
	[ "${line##* }" -ge "$3" ] || fail "$kind: $line: too early"
	[ "${line##* }" -le "$4" ] || fail "$kind: $line: too late"
}

@test "a dead peer: SO_KEEPALIVE, TCP_USER_TIMEOUT, TCP_SYNCNT" {
	for kind in $(kinds tap ${LONG:+xdp}); do
		world "$kind"
		background serve "$C" "$NET/serve"
		until_ready serve
		watch_wire
		home 1 -- "$NET/acts" dead 10.9.0.1
		sleep 3 # what asks is answered, so nobody is lost
		[ "$(wc -l <"$T/home1.out")" -eq 1 ] || fail "$kind: $(cat "$T/home1.out")"
		# Four of them end a handshake, the others are keepalives.
		[ "$(tcpdump -r "$T/wire" -n 'src host 10.9.0.2 and tcp[tcpflags] == tcp-ack' 2>/dev/null | wc -l)" -ge 6 ]
		# Behind the bridge, so the VM's own link stays up.
		ip -n "$C" link set c0 down
		kill -USR1 "${pid[1]}"
		until_true 15 says 1 end
		between keepalive 110 10 45
		between 'user timeout' 110 15 40
		between 'one retry' 110 25 45
		for name in idle unacknowledged connecting; do
			! grep "^$name" "$T/home1.out" || fail "$kind: $name: not to be noticed yet"
		done
	done
}

@test "SO_KEEPALIVE: a connection that came after a long silence lives" {
	for kind in $(kinds tap); do
		world "$kind"
		home 1 -- "$NET/acts" alive
		here timeout 5 bash -c '</dev/tcp/10.9.0.2/7101'
		until_true 5 says 1 'its end: closed'
		sleep 2.5 # longer than what a keepalive takes to give a peer up
		background client "$C" bash -c 'exec 3<>/dev/tcp/10.9.0.2/7101; echo ready; read -r -t 2 -u 3; echo "read: $?"; exit'
		until_ready client
		until_true 10 grep -q read: "$T/client.out"
		# 142: nothing came, nor an end.
		grep -qx 'read: 142' "$T/client.out" || fail "$kind: $(cat "$T/client.out")"
		[ "$(grep -c 'its end' "$T/home1.out")" -eq 2 ]
		! grep -v -e ready -e closed "$T/home1.out"
	done
}

@test "SO_BINDTODEVICE: two devices, the same ports" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		ip -n "$C" address add 10.8.0.1/24 dev c0
		second=()
		if [ "$kind" = process ]; then
			process_home 1
			cable "$H" q1 "$H.1" eth1
			ip -n "$H" link set q1 master br0
			ip -n "$H.1" link set eth1 address "$(mac_of 7)"
			ip -n "$H.1" address add 10.8.0.2/24 dev eth1
			# Each answers for its own address.
			echo 1 | in_ns "$H.1" tee /proc/sys/net/ipv4/conf/all/arp_ignore >/dev/null
			background home1 "$H.1" "$NET/acts" devices
			until_ready home1
		else
			more='' ip=,ip=10.8.0.2/24 net_option 7
			home 1 --net "$net" -- "$NET/acts" devices
		fi
		say_to 10.9.0.2 7100 to-eth0
		until_true 5 says 1 'eth0 to-eth0'
		say_to 10.8.0.2 7100 to-eth1
		until_true 5 says 1 'eth1 to-eth1'
		say_to 10.9.0.2 7101 nobody
		say_to 10.8.0.2 7101 to-one
		until_true 5 says 1 'one to-one'
		! grep nobody "$T/home1.out"
		for at in '10.9.0.2/7100 tcp eth0' '10.8.0.2/7100 tcp eth1' '10.8.0.2/7101 tcp one'; do
			here timeout 5 bash -c "</dev/tcp/${at%% *}"
			until_true 5 says 1 "${at#* } "
		done
		! here timeout 5 bash -c '</dev/tcp/10.9.0.2/7101' 2>/dev/null
		# Broadcasts know no route.
		watch_wire
		say_to 10.9.0.2 7100 shout
		for n in 1 7; do
			until_true 5 on_wire "udp dst port 7102 and ether src $(mac_of $n)"
		done
		[ "$(tcpdump -r "$T/wire" -n 'udp dst port 7102' 2>/dev/null | wc -l)" -eq 2 ]
	done
}

@test "TTL and type of service are what was asked for" {
	for kind in $(kinds tap); do
		world "$kind"
		background serve "$C" "$NET/serve"
		until_ready serve
		watch_wire
		in_home 1 -- "$NET/acts" wire 10.9.0.1 fd09::1
		until_true 5 on_wire 'udp and src host 10.9.0.2 and ip[8] = 7 and ip[1] = 0x10'
		until_true 5 on_wire 'tcp and src host 10.9.0.2 and ip[8] = 9 and ip[1] = 8'
		until_true 5 on_wire 'udp and src host fd09::2 and ip6[7] = 7 and ip6[0:2] & 0x0ff0 = 0x0100'
		until_true 5 on_wire 'tcp and src host fd09::2 and ip6[7] = 9 and ip6[0:2] & 0x0ff0 = 0x0080'
		# Each of a connection's: its first, its last.
		! on_wire 'tcp and src host 10.9.0.2 and ip[8] != 9'
	done
}

# IGMP and MLD, of both versions: RFC 2236, 3376, 2710, 3810; 239.1.2.3 and ff15::77.
joined4='(igmp[0] = 0x16 and igmp[4:4] = 0xef010203) or (igmp[0] = 0x22 and igmp[8] = 4 and igmp[12:4] = 0xef010203)'
left4='(igmp[0] = 0x17 and igmp[4:4] = 0xef010203) or (igmp[0] = 0x22 and igmp[8] = 3 and igmp[12:4] = 0xef010203)'
joined6='(ip6[48] = 131 and ip6[56:2] = 0xff15) or (ip6[48] = 143 and ip6[56] = 4 and ip6[60:2] = 0xff15)'
left6='(ip6[48] = 132 and ip6[56:2] = 0xff15) or (ip6[48] = 143 and ip6[56] = 3 and ip6[60:2] = 0xff15)'

@test "multicast: who joins hears it, is known to routers, and no more once it leaves" {
	for kind in $(kinds tap ${LONG:+xdp} share); do
		world "$kind"
		# A bridge that listens would keep some of it from the line.
		[ "$kind" = share ] || ip -n "$H" link set br0 type bridge mcast_snooping 0
		watch_wire
		home 1 -- "$NET/acts" member 239.1.2.3 ff15::77
		home 2 -- "$NET/acts" member 0.0.0.0 ::
		until_true 5 on_wire "$joined4"
		until_true 5 on_wire "$joined6"
		in_home 3 -- "$NET/acts" cast eth0 239.1.2.3 from-vm
		in_home 3 -- "$NET/acts" cast eth0 ff15::77 from-vm
		here "$NET/acts" cast c0 239.1.2.3 from-host
		here "$NET/acts" cast c0 ff15::77 from-host
		for family in v4 v6; do
			until_true 5 says 1 "$family from-vm"
			until_true 5 says 1 "$family from-host"
		done
		until_true 5 on_wire 'dst host 239.1.2.3 and src host 10.9.0.4 and ip[8] = 3'
		until_true 5 on_wire 'dst host ff15::77 and src host fd09::4 and ip6[7] = 3'
		say_to 10.9.0.2 7103 leave
		say_to fd09::2 7103 leave
		until_true 5 says 1 'v4 leave'
		until_true 5 says 1 'v6 leave'
		until_true 5 on_wire "$left4"
		until_true 5 on_wire "$left6"
		here "$NET/acts" cast c0 239.1.2.3 late
		here "$NET/acts" cast c0 ff15::77 late
		for n in 1 2; do
			say_to 10.9.0.$((1 + n)) 7103 last
			say_to fd09::$((1 + n)) 7103 last
			until_true 5 says $n 'v4 last'
			until_true 5 says $n 'v6 last'
		done
		! grep late "$T/home1.out"
		! grep -E 'from|late' "$T/home2.out"
	done
}
