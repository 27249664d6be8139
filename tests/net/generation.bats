#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# generation.bats: a VM becomes another while it runs, as a clone does: other MAC, other addresses,
# the same program. Whom it was is not its business any more: nothing of it is to be seen on the
# wire, for there the VM that it was copied from lives on. tests/port is the monitor that does so
# when it is told.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034 # shared with net.bash

load ../e2e/helpers
load net

PORT=$(dirname "$PROGRAMS")/port/mayfly
OLD=02:00:0a:09:00:02 NEW=02:00:0a:09:00:0c

# one KIND: a world for one VM, whose MAC may change: the tap is not made by mayfly, which
# would let it have but one, and the interface's queue takes all frames.
one() {
	[ -x "$PORT" ] || fail "$PORT is missing: run make check-build"
	world "$1"
	if [ "$kind" = tap ]; then
		ip -n "$H" tuntap add t0 mode tap
		ip -n "$H" link set t0 master br0
	fi
	changes=0
	rm -f "$T/port"
	mkfifo "$T/port"
	exec 8<>"$T/port"
}

start() { # SPEC: the addresses'
	local spec=tap=t0
	[ "$kind" = tap ] || spec=xdp=h0,promisc
	background home1 "$H" "$PORT" run --no-jail --net "$spec,mac=$OLD,$1" "$NET/serve" 9<"$T/port"
	pid[1]=$!
	until_ready home1
}

configured() {
	[ "$(grep -cx 'port: configured' "$T/home1.err")" -eq "$changes" ]
}

become() { # MAC SPEC
	printf 'n%s\n' "tap,mac=$1,$2" >&8
	changes=$((changes + 1))
	until_true 5 configured
}

# Everything that is on the client's line from now on, in $T/wire.
watch_wire() {
	background tcpdump "$C" tcpdump -p -U -n -e -i c0 -w "$T/wire"
	tcpdump=$!
	until_true 5 grep -qs 'listening on' "$T/tcpdump.err"
}

wire_ends() {
	kill -TERM "$tcpdump"
	wait "$tcpdump" || true
}

seen() { # FILTER: how many frames
	tcpdump -r "$T/wire" -n -e "$@" 2>/dev/null | wc -l
}

nothing() { # FILTER
	[ "$(seen "$1")" -eq 0 ] || fail "$kind: $1: $(tcpdump -r "$T/wire" -n -e "$1" 2>/dev/null | head -n 3)"
}

neighbour() { # ADDRESS MAC
	ip -n "$C" neigh show "$1" | grep -q "lladdr $2"
}

counted() { # N ADDRESS: number N of what the server has counted
	here "$NET/ask" stat "$2" | cut -d ' ' -f "$1"
}

ends_are() { # N ADDRESS: connections of PORT_GONE
	[ "$(counted 3 "$2")" -eq "$1" ]
}

idle() { # ADDRESS: a connection to PORT_GONE on which nothing is said
	background idle "$C" bash -c "exec 3<>/dev/tcp/$1/7004; echo ready; exec sleep 100"
	until_ready idle
}

masq() { # OPTION...: a dnsmasq that knows nothing but this
	command -v dnsmasq >/dev/null || skip 'dnsmasq is not installed'
	background dnsmasq "$C" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv \
		--no-hosts --pid-file= --user=root --interface=c0 --bind-interfaces --log-facility=- \
		--dhcp-leasefile="$T/leases" --log-dhcp --no-ping "$@"
	until_true 5 grep -qs started "$T/dnsmasq.err"
}

leased() { # MAC: its address
	awk -v mac="$1" '$2 == mac { print $3 }' "$T/leases" 2>/dev/null
}

has_lease() {
	[ -n "$(leased "$1")" ]
}

@test "static addresses: new ones, a new MAC, the same process; not a word to old peers" {
	for kind in $(kinds tap direct); do
		[ "$kind" != process ] || continue
		one "$kind"
		start ip=10.9.0.2/24,ip=fd09::2/64,gw=10.9.0.1,gw=fd09::1
		ask both 10.9.0.2 100000
		ask both fd09::2 100000
		for address in 10.9.0.2 fd09::2; do
			background "hold.$address" "$C" "$NET/ask" hold $address
			until_ready "hold.$address"
		done
		idle 10.9.0.2
		before=$(counted 1 10.9.0.2)
		# Who knows the new addresses by another MAC is to be told.
		ip -n "$C" neigh replace 10.9.0.12 lladdr 02:00:00:00:00:99 dev c0 nud stale
		ip -n "$C" neigh replace fd09::c lladdr 02:00:00:00:00:99 dev c0 nud stale
		watch_wire
		become $NEW ip=10.9.0.12/24,ip=fd09::c/64,gw=10.9.0.1,gw=fd09::1
		until_true 5 neighbour 10.9.0.12 $NEW
		until_true 5 neighbour fd09::c $NEW
		ask both 10.9.0.12 100000
		ask both fd09::c 100000
		[ "$(counted 1 10.9.0.12)" -eq $((before + 3)) ] || fail "$kind: not the same process"
		until_true 5 ends_are 1 10.9.0.12 # the program was told that its connections are no more
		# The program was told that its connections are no more.
		here "$NET/ask" stat 10.9.0.12
		for address in 10.9.0.2 fd09::2; do
			until_true 5 grep -qs silent "$T/hold.$address.out"
			! here timeout 0.5 "$NET/ask" until $address
		done
		kill -0 "${children[@]}"
		wire_ends
		nothing "(src host 10.9.0.2 or src host fd09::2) and ether src $NEW"
		nothing "src host 10.9.0.2 and tcp[tcpflags] & (tcp-rst|tcp-fin) != 0"
		nothing "src host fd09::2 and tcp and ip6[53] & 5 != 0"
		# Its addresses may be those that it had; its connections are another's all the same.
		idle 10.9.0.12
		watch_wire
		become $OLD ip=10.9.0.12/24,ip=fd09::c/64,gw=10.9.0.1,gw=fd09::1
		until_true 5 neighbour 10.9.0.12 $OLD
		until_true 5 ends_are 2 10.9.0.12
		wire_ends
		nothing 'src port 7004'
		ask end 10.9.0.12
		ended 1 0
	done
}

@test "DHCP: a lease of its own; the one that it was copied with is not given back" {
	for kind in $(kinds tap direct); do
		[ "$kind" != process ] || continue
		one "$kind"
		masq --dhcp-range=10.9.0.50,10.9.0.60,255.255.255.0,2m --domain=test
		start ip=dhcp
		until_true 10 has_lease $OLD
		old=$(leased $OLD)
		here "$NET/ask" until "$old"
		background hold "$C" "$NET/ask" hold "$old"
		until_ready hold
		before=$(counted 1 "$old")
		watch_wire
		become $NEW ip=dhcp
		until_true 10 has_lease $NEW
		new=$(leased $NEW)
		[ "$new" != "$old" ]
		here "$NET/ask" until "$new"
		[ "$(counted 1 "$new")" -eq $((before + 2)) ] || fail "$kind: not the same process"
		until_true 5 grep -qs silent "$T/hold.out"
		[ "$(leased $OLD)" = "$old" ] || fail "$kind: the old lease is gone"
		! grep -q DHCPRELEASE "$T/dnsmasq.err"
		wire_ends
		nothing "src host $old and ether src $NEW"
		nothing "src host $old and tcp[tcpflags] & (tcp-rst|tcp-fin) != 0"
		# It was not told of the old address, so it does not ask for that one.
		! grep "DHCPREQUEST.*$NEW" "$T/dnsmasq.err" | grep -q "$old "
	done
}

@test "router advertisements: addresses of the new MAC, none of the old" {
	for kind in $(kinds tap ${LONG:+direct}); do
		[ "$kind" != process ] || continue
		one "$kind"
		echo 1 | here tee /proc/sys/net/ipv6/conf/all/forwarding >/dev/null
		masq --enable-ra --dhcp-range=fd09::,ra-only,64,2m --ra-param=c0,1,60
		start ip=auto
		here timeout 20 "$NET/ask" until fd09::aff:fe09:2
		background hold "$C" "$NET/ask" hold fd09::aff:fe09:2
		until_ready hold
		before=$(counted 1 fd09::aff:fe09:2)
		watch_wire
		become $NEW ip=auto
		here timeout 20 "$NET/ask" until fd09::aff:fe09:c
		[ "$(counted 1 fd09::aff:fe09:c)" -eq $((before + 2)) ] || fail "$kind: not the same process"
		until_true 5 grep -qs silent "$T/hold.out"
		wire_ends
		for old in fd09::aff:fe09:2 fe80::aff:fe09:2; do
			nothing "src host $old and ether src $NEW"
			nothing "src host $old and tcp and ip6[53] & 5 != 0"
		done
	done
}
