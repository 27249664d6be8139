#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# firewall.bats: unikernel/apps/firewall, a VM with two devices and no address: what it lets
# through. As a process, too: between two interfaces of its namespace.
#
#   namespace $C            namespace $H: the firewall          namespace $H.b
#   c0 10.9.0.1 fd09::1 --- h0  [bridge, tap]  [tap, bridge] h1 --- b0 10.9.0.2 fd09::2
#
# shellcheck disable=SC2154,SC2034 # shared with net.bash

load ../e2e/helpers
load net

APPS=${MAYFLY%/*}/apps

# walls KIND RULE...: the firewall, in between; a server for ports 13 and 8080 behind it.
walls() {
	local behind i
	[ -x "$APPS/firewall" ] || fail "$APPS/firewall is missing: run make apps"
	world firewall
	kind=$1
	behind=$H.b
	namespace "$behind"
	cable "$H" h1 "$behind" b0
	ip -n "$behind" address add 10.9.0.2/24 dev b0
	ip -n "$behind" address add fd09::2/64 dev b0 nodad
	background daytime "$behind" "$APPS/daytime"
	background http "$behind" "$APPS/http"
	case $kind in
	process) command=("$APPS/firewall" -i h0 -o h1) ;;
	tap)
		for i in 0 1; do
			ip -n "$H" link add br$i type bridge
			ip -n "$H" tuntap add tap$i mode tap
			ip -n "$H" link set h$i master br$i
			ip -n "$H" link set tap$i master br$i
			ip -n "$H" link set br$i up
			ip -n "$H" link set tap$i up
		done
		command=("$MAYFLY" run --net tap=tap0 --net tap=tap1 "$APPS/firewall")
		;;
	direct) command=("$MAYFLY" run --net 'xdp=h0,promisc' --net 'xdp=h1,promisc' "$APPS/firewall") ;;
	esac
	background firewall "$H" "${command[@]}" "${@:2}"
	firewall=$!
	until_true 10 grep -qs ' rules$' "$T/firewall.out"
	until_true 10 grep -qs '^http: port' "$T/http.out"
	until_true 10 grep -qs '^daytime: port' "$T/daytime.out"
}

# What came through, or nothing: PORT of ADDRESS.
through() {
	here timeout 2 bash -c "exec 3<>/dev/tcp/$1/$2 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && cat <&3" \
		2>/dev/null || true
}

# Datagrams with a destination-options header (RFC 8200, 4.6) before UDP to ports 13 and 14; which
# of them have arrived when the last has, in $T/hear.out.
send_behind_options() { # ADDRESS
	background hear "$H.b" python3 -c '
import select, socket
s = {socket.socket(socket.AF_INET6, socket.SOCK_DGRAM): port for port in (13, 14)}
for one in s: one.bind(("::", s[one]))
print("ready", flush=True)
came = set()
while 14 not in came:
    for one in select.select(list(s), [], [])[0]:
        one.recv(9)
        came.add(s[one])
print("came", *sorted(came), flush=True)'
	until_ready hear
	here python3 - "$1" <<-'EOF'
		import socket, sys
		s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
		s.setsockopt(socket.IPPROTO_IPV6, 59, bytes([0, 0, 1, 4, 0, 0, 0, 0]))  # IPV6_DSTOPTS
		for port in 13, 14:
		    s.sendto(b"x", (sys.argv[1], port))
	EOF
	until_true 5 grep -qs 'came.* 14' "$T/hear.out"
}

@test "rules decide, for IPv4 and IPv6, and the counters say so" {
	for kind in $(kinds tap direct); do
		walls "$kind" "deny tcp any any 13" "allow any any any"
		here ping -q -c 3 -i 0.01 -W 2 10.9.0.2 >"$T/ping.out" || fail "$kind: no ping"
		here ping -q -c 3 -i 0.01 -W 2 fd09::2 >"$T/ping.out" || fail "$kind: no ping, IPv6"
		for address in 10.9.0.2 fd09::2; do
			[[ $(through $address 8080) == *flies* ]] || fail "$kind: $address 8080 is shut"
			[ -z "$(through $address 13)" ] || fail "$kind: $address 13 is open"
		done
		kill -TERM "$firewall"
		wait "$firewall" || fail "$kind: it ended with $?"
		[[ $(<"$T/firewall.out") =~ rule\ 1\ ([0-9]+) ]]
		[ "${BASH_REMATCH[1]}" -ge 2 ] || fail "$kind: $(cat "$T/firewall.out")"
		grep -qx 'lost 0' "$T/firewall.out"
	done
}

@test "an extension header hides no port from a rule" {
	for kind in $(kinds tap direct); do
		walls "$kind" "deny udp any any 13" "allow any any any"
		# They know each other, so none of the two waits for that.
		here ping -q -c 1 -W 2 fd09::2 >"$T/ping.out"
		send_behind_options fd09::2
		! grep -q 'came.* 13' "$T/hear.out" || fail "$kind: it came past the rule"
	done
}

@test "without a rule nothing passes but neighbours, where that is the default" {
	for kind in $(kinds tap direct); do
		walls "$kind" -d deny "allow tcp any 10.9.0.2 8080"
		[[ $(through 10.9.0.2 8080) == *flies* ]] || fail "$kind: 8080 is shut"
		[ -z "$(through fd09::2 8080)" ] || fail "$kind: the rule is not about IPv6"
		[ -z "$(through 10.9.0.2 13)" ] || fail "$kind: 13 is open"
		! here ping -q -c 1 -W 1 10.9.0.2 >"$T/ping.out" || fail "$kind: ping came through"
		here ip neigh | grep -q '10.9.0.2 .*lladdr' || fail "$kind: no neighbour is known"
	done
}

@test "what is no rule is refused, and not taken for a wider one" {
	[ -x "$APPS/firewall" ] || fail "$APPS/firewall is missing: run make apps"
	LIMIT=2
	while read -r rule; do
		captured rule "$APPS/firewall" -i lo -o lo "$rule"
		[ "$status" -eq 2 ] || fail "'$rule': $status"
		grep -qxF "firewall: not a rule: $rule" "$T/rule.err"
	done <<-'EOF'
		allow tcp any any http
		allow tcp any any 80 81
		allow tcp any any 65536
		allow tcp any any -1
		allow tcp any
		permit tcp any any
		allow sctpx any any
		allow tcp 10.0.0.0/33 any
		allow tcp any fd00::/129
		allow tcp 10.0.0 any
	EOF
}
