#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# config.bats: where a VM's addresses and names come from: DHCP, router advertisements, DNS.
# dnsmasq is all three, in the client's namespace.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034,SC2054 # shared with net.bash

load ../e2e/helpers
load net

# masq OPTION...: a dnsmasq that knows nothing but this.
masq() {
	command -v dnsmasq >/dev/null || skip 'dnsmasq is not installed'
	background dnsmasq "$C" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv \
		--no-hosts --pid-file= --user=root --interface=c0 --bind-interfaces --log-facility=- \
		--dhcp-leasefile="$T/leases" --log-dhcp "$@"
	until_true 5 grep -qs started "$T/dnsmasq.err"
}

# A network behind the client's, which only a router leads to.
beyond() {
	ip -n "$C" link add d0 type bridge
	ip -n "$C" link set d0 up
	ip -n "$C" address add 10.8.0.1/32 dev d0
	ip -n "$C" address add fd08::1/128 dev d0 nodad
	background serve "$C" "$NET/serve"
	until_ready serve
}

names=(--host-record=one.test,10.9.0.71,fd09::71 --cname=alias.test,one.test
	--host-record=four.test,10.9.0.74 --host-record=six.test,fd09::76 --local=/test/)

@test "DHCP: address, router, name server, domain; renewed at the same address" {
	for kind in $(kinds tap xdp direct share); do
		[ "$kind" != process ] || continue
		world "$kind"
		masq --dhcp-range=10.9.0.50,10.9.0.60,255.255.255.0,2m --domain=test "${names[@]}"
		beyond
		ip=,ip=dhcp server
		until_true 10 grep -qs "$(mac_of 1)" "$T/leases"
		address=$(awk -v mac="$(mac_of 1)" '$2 == mac { print $3 }' "$T/leases")
		here "$NET/ask" until "$address"
		ask both "$address" 1000000
		# Another run of the same VM: the lease is known by its MAC.
		kill -KILL "${pid[1]}"
		wait "${pid[1]}" || true
		ip=,ip=dhcp in_home 1 -- "$NET/ask" both 10.8.0.1 1000000
		[ "$(awk -v mac="$(mac_of 1)" '$2 == mac { print $3 }' "$T/leases")" = "$address" ]
		ip=,ip=dhcp in_home 1 -- "$NET/resolve" one.test four >"$T/names"
		grep -q '^one.test 10.9.0.71' "$T/names" || fail "$kind: $(cat "$T/names")"
		grep -q '^four 10.9.0.74$' "$T/names" || fail "$kind: $(cat "$T/names")"
	done
}

@test "no DHCP server: the program runs, has no address, and gets one when there is one" {
	for kind in $(kinds tap); do
		[ "$kind" != process ] || continue
		world "$kind"
		ip=,ip=dhcp server
		masq --dhcp-range=10.9.0.50,10.9.0.60,255.255.255.0,2m
		until_true 30 grep -qs "$(mac_of 1)" "$T/leases"
		address=$(awk -v mac="$(mac_of 1)" '$2 == mac { print $3 }' "$T/leases")
		here "$NET/ask" until "$address"
		ask end "$address"
		ended 1 0
	done
}

# The VM has sent something: it asks for an address.
asks() {
	[ "$(here cat /sys/class/net/c0/statistics/rx_packets)" -gt "$1" ]
}

# early NAME PROGRAM ARG...: runs it in a home whose DHCP server comes only when it has been asked
# for, and waits for its end.
early() {
	local name=$1 before
	shift
	before=$(here cat /sys/class/net/c0/statistics/rx_packets)
	ip=,ip=dhcp home_command 1 -- "$@"
	background "$name" "${command[@]}"
	pid[1]=$!
	until_true 5 asks "$before"
	kill -0 "${pid[1]}" || fail "$kind: $* has not waited: $(cat "$T/$name.err")"
	[ ! -s "$T/$name.out" ] || fail "$kind: $* says, without an address: $(cat "$T/$name.out")"
	masq --dhcp-range=10.9.0.50,10.9.0.60,255.255.255.0,2m --domain=test --no-ping "${names[@]}"
	masq=$!
	ended 1 0
	kill -KILL "$masq"
	wait "$masq" || true
	rm -f "$T/leases"
}

@test "DHCP is under way: connect and getaddrinfo wait for it" {
	for kind in $(kinds tap xdp); do
		[ "$kind" != process ] || continue
		world "$kind"
		beyond
		for libc in musl glibc; do
			programs=$(dirname "$NET")/$libc
			early connect "$programs/ask" both 10.9.0.1 100000
			early connect "$programs/ask" both 10.8.0.1 100000
			early datagram "$programs/ask" udp 10.9.0.1 3 100
			early name "$programs/resolve" one.test four
			diff "$T/name.out" - <<-END || fail "$kind, $libc: see above"
				one.test 10.9.0.71 fd09::71
				four 10.9.0.74
			END
		done
	done
}

@test "no DHCP server: who connects, or asks for a name, is told so in the end" {
	for kind in $(kinds tap); do
		[ "$kind" != process ] || continue
		world "$kind"
		code=0
		SECONDS=0
		ip=,ip=dhcp errors=$T/told in_home 1 -- "$NET/ask" end 10.9.0.1 || code=$?
		[ "$code" -eq 1 ]
		grep -q 'errno 101' "$T/told" || fail "$kind: $(cat "$T/told")"
		[ $SECONDS -ge 8 ] || fail "$kind: after $SECONDS s already"
		[ $SECONDS -le 20 ] || fail "$kind: after $SECONDS s only"
		ip=,ip=dhcp in_home 1 -- "$NET/resolve" one.test >"$T/names"
		grep -q '^one.test EAI_AGAIN$' "$T/names" || fail "$kind: $(cat "$T/names")"
	done
}

@test "SLAAC: an address of the router's prefix, and the router" {
	for kind in $(kinds tap ${LONG:+xdp} direct ${LONG:+share}); do
		[ "$kind" != process ] || continue
		world "$kind"
		echo 1 | here tee /proc/sys/net/ipv6/conf/all/forwarding >/dev/null
		masq --enable-ra --dhcp-range=fd09::,ra-only,64,2m --ra-param=c0,1,60
		beyond
		ip=,ip=auto server
		# EUI-64 of 02:00:0a:09:00:02, its universal bit turned over (RFC 4291, appendix A).
		here timeout 20 "$NET/ask" until fd09::aff:fe09:2
		ask both fd09::aff:fe09:2 1000000
		kill -KILL "${pid[1]}"
		wait "${pid[1]}" || true
		ip=,ip=auto in_home 1 -- "$NET/ask" until fd08::1
		ip=,ip=auto in_home 1 -- "$NET/ask" until fd09::1
	done
}

@test "names: musl's and glibc's getaddrinfo, over IPv4 and IPv6" {
	for kind in $(kinds tap xdp); do
		[ "$kind" != process ] || continue
		world "$kind"
		masq --domain=test "${names[@]}"
		for libc in musl glibc; do
			for dns in 10.9.0.1 fd09::1; do
				more=,dns=$dns,domain=test
				in_home 1 -- "$(dirname "$NET")/$libc/resolve" one.test alias.test four.test \
					six.test four nobody.test localhost 10.1.2.3 fd00::7 >"$T/names"
				more=
				diff - "$T/names" <<-END || fail "$kind, $libc, $dns: see above"
					one.test 10.9.0.71 fd09::71
					alias.test 10.9.0.71 fd09::71
					four.test 10.9.0.74
					six.test fd09::76
					four 10.9.0.74
					nobody.test EAI_NONAME
					localhost 127.0.0.1 ::1
					10.1.2.3 10.1.2.3
					fd00::7 fd00::7
				END
			done
		done
	done
}

@test "names: more addresses than one datagram of 512 bytes holds" {
	world tap
	many=()
	for n in $(seq 1 50); do
		many+=("--host-record=many.test,10.7.0.$n")
	done
	masq "${many[@]}"
	more=,dns=10.9.0.1
	in_home 1 -- "$(dirname "$NET")/glibc/resolve" many.test >"$T/names"
	[ "$(wc -w <"$T/names")" -eq 51 ] || fail "$(cat "$T/names")"
}

@test "user: a resolver and addresses without any option" {
	for kind in $(kinds user); do
		[ "$kind" != process ] || continue
		world "$kind"
		beyond
		in_home 1 -- "$NET/ask" both 10.8.0.1 1000000
		in_home 1 -- "$NET/ask" both fd08::1 1000000
		# Not 10.8.0.1: the server's answer would have this address all the same.
		in_home 1 -- "$NET/ask" udp 10.9.0.1 10 1000
	done
}

@test "DHCP: more name servers than are kept" {
	for kind in $(kinds tap); do
		[ "$kind" != process ] || continue
		world "$kind"
		masq --dhcp-range=10.9.0.50,10.9.0.60,255.255.255.0,2m "${names[@]}" \
			--dhcp-option=option:dns-server,10.9.0.1,10.9.0.91,10.9.0.92,10.9.0.93,10.9.0.94,10.9.0.95,10.9.0.96
		ip=,ip=dhcp in_home 1 -- "$NET/resolve" one.test >"$T/names" || fail "$kind: $(tail -n 3 "$T/in_home.err")"
		grep -q '^one.test 10.9.0.71' "$T/names" || fail "$kind: $(cat "$T/names")"
	done
}
