#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# reach.bats: who reaches whom: ping, MTU, neighbours, several VMs on one bridge.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034,SC2016 # shared with net.bash

load ../e2e/helpers
load net

# pings ADDRESS SIZE [OPTION...]: five, none lost.
# ping gives a late answer up as soon as its last one is in: on a busy machine one more try is
# fair. What never answers, or answers wrongly, fails all the same.
pings() {
	local try
	for try in 1 2 3; do
		here ping -q -c 5 -i 0.05 -W 2 -s "$2" "${@:3}" "$1" >"$T/ping.out" 2>&1 || true
		! grep -qiE 'dup|differ|wrong' "$T/ping.out" || break
		! grep -q ' 0% packet loss' "$T/ping.out" || return 0
	done
	fail "$kind: ping $*, $try times: $(cat "$T/ping.out")"
}

@test "ping, IPv4 and IPv6, of all sizes to the MTU and beyond" {
	for kind in $(kinds tap xdp direct share); do
		world "$kind"
		server
		for size in 0 1 17 18 56 100 555 1000 1471 1472; do
			pings 10.9.0.2 $size -M 'do'
		done
		for size in 0 1 56 1000 1451 1452; do
			pings fd09::2 $size -M 'do'
		done
		# In fragments.
		for size in 1473 2000 6000; do
			pings 10.9.0.2 $size
			pings fd09::2 $size
		done
	done
}

@test "a flood of pings is answered" {
	for kind in $(kinds tap xdp copy direct share); do
		world "$kind"
		server
		here ping -f -q -c 2000 -W 2 10.9.0.2 >"$T/ping.out"
		grep -q ' 0% packet loss' "$T/ping.out" || fail "$kind: $(cat "$T/ping.out")"
	done
}

# frames FILTER: how many in the dump; %s is home 1.
frames() {
	# shellcheck disable=SC2059 # the format is the filter
	tcpdump -n -r "$T/dump" "$(printf "$1" "$(mac_of 1)")" 2>/dev/null | wc -l
}

# Of 3,000 bytes, by home 2, with the same MTU: 20 of 20 arrive, and no frame is too large.
datagrams_from_home() {
	if [ "$kind" = process ]; then
		process_home 2
		ip -n "$H.2" link set eth0 mtu 1280
	else
		more=,mtu=1280
	fi
	for address in 10.9.0.1 fd09::1; do
		in_home 2 -- "$NET/ask" flood $address 20 3000 100 >>"$T/home2.out" ||
			fail "$kind: datagrams to $address: $(tail -n 1 "$T/in_home.err")"
	done
	more=
}

@test "an MTU of its own is kept, and told to TCP's other end" {
	for kind in $(kinds tap xdp direct share); do
		world "$kind"
		[ "$kind" = process ] || more=,mtu=1280
		server
		more=
		[ "$kind" != process ] || ip -n "$H.1" link set eth0 mtu 1280
		# Frames as they are on a line, not what a tap takes in one piece.
		plain "$C" c0
		plain "$H" h0
		background dump "$C" tcpdump -i c0 -n -s 100 -w "$T/dump" ip or ip6
		dump=$!
		until_true 5 grep -qs listening "$T/dump.err"
		ask receive 10.9.0.2 1000000
		ask receive fd09::2 1000000
		ask send 10.9.0.2 1000000
		ask udp 10.9.0.2 5 1252
		ask udp 10.9.0.2 5 1253 # fragments, theirs
		# Fragments of its own: what comes whole is counted.
		background serve "$C" "$NET/serve"
		until_ready serve
		[ "$kind" = direct ] || datagrams_from_home
		kill -TERM "$dump"
		wait "$dump"
		# The largest that came from it, and what it announced; it did not send small ones only.
		[ "$(frames "(ether src %s or ether src $(mac_of 2)) and greater 1295")" -eq 0 ] || fail "$kind: larger than its MTU"
		[ "$(frames 'ip and ether src %s and greater 1290')" -gt 500 ]
		[ "$(frames 'ip6 and ether src %s and greater 1290')" -gt 500 ]
		tcpdump -n -r "$T/dump" 'tcp[tcpflags] & tcp-syn != 0 and src host 10.9.0.2' 2>/dev/null |
			grep -q 'mss 1240' || fail "$kind: no MSS of 1240"
		tcpdump -n -r "$T/dump" 'ip6[53] & 2 != 0 and ip6 proto 6 and src host fd09::2' 2>/dev/null |
			grep -q 'mss 1220' || fail "$kind: no MSS of 1220"
	done
}

@test "neighbours: ARP and ND, several VMs on one bridge, all to all" {
	for kind in $(kinds tap xdp share); do
		world "$kind"
		for n in 1 2 3 4; do
			server $n
		done
		for n in 1 2 3 4; do
			pings 10.9.0.$((1 + n)) 56
			pings fd09::$((1 + n)) 56
			[ "$(ip -n "$C" neigh show 10.9.0.$((1 + n)) | grep -o 'lladdr [^ ]*')" = "lladdr $(mac_of $n)" ]
			[ "$(ip -n "$C" neigh show fd09::$((1 + n)) | grep -o 'lladdr [^ ]*')" = "lladdr $(mac_of $n)" ]
		done
		# From one to the others.
		for n in 1 2 3 4; do
			in_home 5 -- "$NET/ask" both 10.9.0.$((1 + n)) 1000000 >/dev/null
			in_home 5 -- "$NET/ask" udp fd09::$((1 + n)) 10 1000 >/dev/null
		done
		for n in 1 2 3 4; do
			ask end 10.9.0.$((1 + n))
			ended $n 0
		done
	done
}

@test "two interfaces in one VM" {
	for kind in $(kinds tap xdp copy); do
		[ "$kind" != process ] || continue
		world "$kind"
		net_option 1
		more=,ip=10.9.1.2/24,name=back
		ip='' net_option 7
		second=$net more=
		server 1 --net "$second"
		ip -n "$C" address add 10.9.1.1/24 dev c0
		pings 10.9.0.2 56
		pings 10.9.1.2 56
		[ "$(ip -n "$C" neigh show 10.9.1.2 | grep -o 'lladdr [^ ]*')" = "lladdr $(mac_of 7)" ]
		ask both 10.9.1.2 1000000
	done
}

@test "nothing is left of a VM: after its end, SIGTERM, SIGKILL" {
	for kind in $(kinds tap xdp copy direct share); do
		[ "$kind" != process ] || continue
		world "$kind"
		before=$(inventory)
		server
		ask end 10.9.0.2
		ended 1 0
		until_true 5 eval '[ "$(inventory)" = "$before" ]'
		for signal in TERM KILL; do
			server
			[ "$(inventory)" != "$before" ]
			kill -$signal "${pid[1]}"
			wait "${pid[1]}" || true
			until_true 5 eval '[ "$(inventory)" = "$before" ]'
		done
		# And the next one works.
		server
		pings 10.9.0.2 56
	done
}

# Opens the tap t1 (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR), and becomes "$@" with it as descriptor 5.
HAND_OVER='
import fcntl, os, struct, sys
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454ca, struct.pack("16sH22x", b"t1", 0x5002))
os.dup2(tap, 5)
os.close(tap)
os.execvp(sys.argv[1], sys.argv[1:])'

@test "a tap that is handed over open, to a mayfly without privileges" {
	for kind in $(kinds tap); do
		[ "$kind" != process ] || continue
		world "$kind"
		ip -n "$H" tuntap add dev t1 mode tap vnet_hdr
		ip -n "$H" link set t1 master br0
		ip -n "$H" link set t1 up
		background home1 "$H" python3 -c "$HAND_OVER" setpriv --bounding-set=-all \
			--inh-caps=-all "$MAYFLY" run \
			--net "tap=fd:5,mac=$(mac_of 1),ip=10.9.0.2/24,ip=fd09::2/64" "$NET/serve"
		pid[1]=$!
		until_ready home1
		until_true 5 pings 10.9.0.2 56
		ask both 10.9.0.2 1000000
		ask end 10.9.0.2
		ended 1 0
	done
}
