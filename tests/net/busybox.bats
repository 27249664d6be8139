#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# busybox.bats: busybox' network applets, as Debian builds them, in a home: clients (wget, nc,
# nslookup, ping) and what they say of its interfaces (ip, ifconfig, route).
#
# shellcheck disable=SC2154,SC2034 # shared with net.bash

load ../e2e/helpers
load net

APPS=${MAYFLY%/*}/apps

# box APPLET ARG...: in home 1; $T/box is what it says, $status how it ends. $stdin: what it reads.
box() {
	status=0
	home_command 1 -- "$PROGRAMS/busybox" "$@"
	timeout -k 5 20 ip netns exec "${command[@]}" <"${stdin:-/dev/null}" >"$T/box" 2>"$T/box.err" ||
		status=$?
}

boxed() { # the same, and it succeeds
	box "$@"
	[ "$status" -eq 0 ] || fail "$kind: $* ended with $status: $(tail -n 3 "$T/box.err")"
}

says() { # REGEX
	grep -qE -- "$1" "$T/box" || fail "$kind: no '$1' in: $(cat "$T/box")"
}

@test "ip, ifconfig, route: its addresses and routes, as Linux has them" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		boxed ip -o -4 address show dev eth0
		says ' eth0 +inet 10\.9\.0\.2/24 .*scope global eth0'
		[ "$(wc -l <"$T/box")" -eq 1 ]
		boxed ip -o -6 address show dev eth0
		says ' eth0 +inet6 fd09::2/64 scope global'
		says ' eth0 +inet6 fe80::[0-9a-f:]+/64 scope link'
		[ "$(wc -l <"$T/box")" -eq 2 ]
		boxed ip -o link
		says '^1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536'
		says '^2: eth0[@:].*<BROADCAST,MULTICAST,UP,LOWER_UP.*mtu 1500.*link/ether 02:00:0a:09:00:02 brd ff:'
		boxed ifconfig eth0
		says 'HWaddr 02:00:0A:09:00:02'
		says 'inet addr:10\.9\.0\.2 .*Mask:255\.255\.255\.0'
		says 'inet6 addr: fd09::2/64 Scope:Global'
		says 'UP BROADCAST RUNNING MULTICAST  MTU:1500'
		boxed ifconfig
		says '^lo .*Local Loopback'
		boxed ip -6 route
		says '^fd09::/64 dev eth0'
		# To the letter, but for blanks at the end.
		boxed ip route
		diff - <(sed 's/ *$//' "$T/box") <<-'END' || fail "$kind: ip route"
			default via 10.9.0.1 dev eth0
			10.9.0.0/24 dev eth0 scope link  src 10.9.0.2
		END
		boxed route -n
		diff - "$T/box" <<-'END' || fail "$kind: route -n"
			Kernel IP routing table
			Destination     Gateway         Genmask         Flags Metric Ref    Use Iface
			0.0.0.0         10.9.0.1        0.0.0.0         UG    0      0        0 eth0
			10.9.0.0        0.0.0.0         255.255.255.0   U     0      0        0 eth0
		END
		boxed netstat -rn
		says '^0\.0\.0\.0 +10\.9\.0\.1 .* eth0$'
	done
}

@test "ping, ping6, arping, traceroute" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		boxed ping -c 2 -i 0.1 -s 1400 10.9.0.1
		says '^1408 bytes from 10\.9\.0\.1: seq=1 ttl=64 time='
		says '2 packets transmitted, 2 packets received, 0% packet loss'
		boxed ping6 -c 2 -i 0.1 -s 1400 fd09::1
		says '^1408 bytes from fd09::1: seq=1 ttl=64 time='
		says '2 packets transmitted, 2 packets received, 0% packet loss'
		box ping -c 1 -W 1 10.9.0.99
		[ "$status" -eq 1 ]
		says ' 100% packet loss'
		boxed arping -c 1 -I eth0 10.9.0.1
		says "$(ip -n "$C" -br link show c0 | awk '{ print $3 }')"
		boxed traceroute -n -w 2 10.9.0.1
		says '^ 1  10\.9\.0\.1  '
	done
}

@test "wget: pages, large files, what is not there; IPv4, IPv6" {
	mkdir "$T/www"
	echo 'a page' >"$T/www/page"
	noise_file "$(scaled 20000000)" "$T/www/noise"
	for kind in $(kinds tap xdp user); do
		world "$kind"
		background http "$C" "$APPS/http" 8080 "$T/www"
		until_true 10 grep -qs '^http: port' "$T/http.out"
		for url in http://10.9.0.1:8080 'http://[fd09::1]:8080'; do
			boxed wget -q -O - "$url/page"
			cmp "$T/box" "$T/www/page"
			boxed wget -q -O - "$url/noise"
			cmp "$T/box" "$T/www/noise"
			box wget -q -O - "$url/nothing"
			[ "$status" -eq 1 ]
			grep -q '404 Not Found' "$T/box.err"
		done
		box wget -q -O - http://10.9.0.1:7/
		[ "$status" -eq 1 ]
		grep -q 'Connection refused' "$T/box.err"
	done
}

@test "nslookup, and wget by name" {
	command -v dnsmasq >/dev/null || skip 'dnsmasq is not installed'
	mkdir "$T/www"
	echo 'a page' >"$T/www/page"
	for kind in $(kinds tap xdp); do
		world "$kind"
		background http "$C" "$APPS/http" 8080 "$T/www"
		background dnsmasq "$C" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv \
			--no-hosts --pid-file= --user=root --interface=c0 --bind-interfaces \
			--log-facility=- --host-record=one.test,10.9.0.1,fd09::1 --local=/test/
		until_true 5 grep -qs started "$T/dnsmasq.err"
		boxed nslookup one.test 10.9.0.1
		says '^Address: 10\.9\.0\.1$'
		says '^Address: fd09::1$'
		boxed nslookup -type=aaaa one.test fd09::1
		says '^Address: fd09::1$'
		box nslookup none.test 10.9.0.1
		[ "$status" -eq 1 ]
		says NXDOMAIN
		# A process has this machine's resolv.conf.
		[ "$kind" != process ] || continue
		more=,dns=10.9.0.1
		boxed nslookup one.test
		says '^Address: 10\.9\.0\.1$'
		boxed wget -q -O - http://one.test:8080/page
		more=
		cmp "$T/box" "$T/www/page"
	done
}

@test "nc: a stream out and back, and as a server" {
	noise_file "$(scaled 3000000)" "$T/noise"
	for kind in $(kinds tap xdp); do
		world "$kind"
		background serve "$C" "$NET/serve"
		until_ready serve
		for address in 10.9.0.1 fd09::1; do
			stdin=$T/noise boxed nc $address 7002 # its echo
			cmp "$T/box" "$T/noise"
		done
		box nc 10.9.0.1 7007
		[ "$status" -eq 1 ]
		home_command 1 -- "$PROGRAMS/busybox" nc -l -p 7000
		background home1 "${command[@]}"
		pid[1]=$!
		until_true 10 here python3 -c '
import socket, sys
s = socket.create_connection(("10.9.0.2", 7000), 5)
s.sendall(open(sys.argv[1], "rb").read())
s.shutdown(socket.SHUT_WR)
s.settimeout(10)
while s.recv(1): pass' "$T/noise" 2>"$T/python.err"
		ended 1 0
		cmp "$T/home1.out" "$T/noise"
	done
}

# What the README says of servers that fork: no more than this works.
@test "httpd -f cannot fork: it goes on, and a connection is closed without an answer" {
	for kind in $(kinds tap); do
		[ "$kind" != process ] || continue
		world "$kind"
		home_command 1 --stats -- "$PROGRAMS/busybox" httpd -f -p 80 -h /etc
		background home1 "${command[@]}"
		pid[1]=$!
		until_true 10 here bash -c '</dev/tcp/10.9.0.2/80' 2>/dev/null
		for _ in 1 2; do
			status=0
			here curl -sS http://10.9.0.2/services >"$T/page" 2>"$T/curl.err" || status=$?
			[ "$status" -eq 52 ] || fail "curl ended with $status: $(cat "$T/curl.err")"
		done
		kill -TERM "${pid[1]}"
		ended 1 143
		grep -q 'unknown syscall 56: ' "$T/home1.err" || fail "$(cat "$T/home1.err")"
	done
}
