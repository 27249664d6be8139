#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# leases.bats: what was given for a time: leases of DHCP, lifetimes of router advertisements; and
# name servers that do not answer.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034 # shared with net.bash

load ../e2e/helpers
load net

# dhcpd SECONDS: leases of so many seconds; $T/dhcp says what it does (dhcpd.py).
dhcpd() {
	echo '50 ack' >"$T/dhcp"
	background dhcpd "$C" python3 "$(dirname "$BATS_TEST_FILENAME")/dhcpd.py" c0 10.9.0.1 "$1" "$T/dhcp"
	until_ready dhcpd
}

# Now it says ... so many times.
told() { # COUNT LINE
	[ "$(grep -cx "$2" "$T/dhcpd.out")" -ge "$1" ]
}

count() { # LINE
	grep -cx "$1" "$T/dhcpd.out" || true
}

answers() { # [-I FROM] ADDRESS
	here ping -q -c 1 -W 1 "$@" >/dev/null 2>&1
}

answers_not() {
	! here ping -q -c 1 -W 1 "$@" >/dev/null 2>&1
}

@test "DHCP: renewed, rebound, refused, expired" {
	world tap
	dhcpd 3
	ip=,ip=dhcp server
	until_true 15 told 1 'request selecting 10.9.0.50'
	until_true 15 answers 10.9.0.50
	# A connection lives through all renewals: as long as the address stays.
	background held "$C" bash -c 'exec 3<>/dev/tcp/10.9.0.50/7002 && echo ready
		while echo x >&3 && read -r -t 5 -u 3; do sleep 0.1; done'
	until_ready held
	until_true 15 told 1 'request renewing 10.9.0.50'
	[ "$(count 'discover 0.0.0.0')" -eq 1 ]
	# T2: the server that gave it is not heard, any other will do.
	echo '50 rebind' >"$T/dhcp"
	until_true 15 told 1 'request rebinding 10.9.0.50'
	until_true 15 told 3 'request renewing 10.9.0.50'
	[ "$(count 'discover 0.0.0.0')" -eq 1 ]
	kill -0 "${children[-1]}" || fail "$(cat "$T/held.err")"
	# It may not have it any more: at once it asks for another.
	echo '51 nak' >"$T/dhcp"
	until_true 15 told 1 'request selecting 10.9.0.51'
	until_true 15 answers 10.9.0.51
	answers_not 10.9.0.50
	# Nobody answers: at the lease's end the address is gone.
	echo '51 silent' >"$T/dhcp"
	until_true 15 answers_not 10.9.0.51
	told 1 'request rebinding 10.9.0.51'
	echo '52 ack' >"$T/dhcp"
	until_true 15 answers 10.9.0.52
}

# advertise ROUTER-SECONDS VALID-SECONDS [DNS SECONDS]
advertise() {
	here python3 "$(dirname "$BATS_TEST_FILENAME")/ra.py" c0 fe80::c "$1" fd09:: "$2" "$2" "${@:3}"
}

# Says it again, and looks: for until_true.
advertised() { # ROUTER-SECONDS VALID-SECONDS [-I FROM] ADDRESS
	advertise "$1" "$2"
	answers "${@:3}"
}

@test "router advertisements: the router's, and an address's lifetime; nobody cuts a long one off" {
	world tap
	ip -n "$C" address add fe80::c/64 dev c0 nodad
	ip -n "$C" address add fd08::1/128 dev lo nodad
	ip=,ip=auto server
	until_true 15 advertised 1800 3 -I fd08::1 fd09::aff:fe09:2
	# Nobody says so again.
	until_true 15 answers_not fd09::aff:fe09:2
	answers fe80::aff:fe09:2%c0
	# The router is none any more; the address is still there, but leads nowhere else.
	until_true 15 advertised 1800 7200 -I fd08::1 fd09::aff:fe09:2
	advertise 0 7200
	until_true 15 answers_not -I fd08::1 fd09::aff:fe09:2
	answers fd09::aff:fe09:2
	# A router goes when its own time is over, too. Not so the address, even if it is told to:
	# whoever says that need not be the router (RFC 4862, 5.5.3).
	advertise 2 0
	until_true 15 advertised 2 1 -I fd08::1 fd09::aff:fe09:2
	until_true 15 answers_not -I fd08::1 fd09::aff:fe09:2
	answers fd09::aff:fe09:2
}

# A name server that says nothing, or (servfail) that it cannot.
bad_server() { # NAME ADDRESS WHAT
	background "$1" "$C" python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    query, client = s.recvfrom(512)
    if sys.argv[2] == "servfail":
        s.sendto(query[:2] + b"\x81\x82" + query[4:], client)' "$2" "$3"
	until_ready "$1"
}

# tenths of a second since START
since() {
	local now=${EPOCHREALTIME/./}
	echo $(((now - $1) / 100000))
}

# One name, by a process whose resolv.conf has these servers, and by a VM, at the same time.
both_ask() { # LIBC DNS...
	local began=${EPOCHREALTIME/./} file=$T/$1.conf program n vm libc=$1
	program=$(dirname "$NET")/$libc/resolve
	shift
	printf 'nameserver %s\n' "$@" >"$file"
	here unshare -m sh -c "mount --bind $file /etc/resolv.conf && exec $program one.test" \
		>"$T/process.$libc" &&
		since "$began" >>"$T/process.$libc" &
	n=$!
	more=$(printf ',dns=%s' "$@")
	in_home "$home_number" -- "$program" one.test >"$T/vm.$libc"
	since "$began" >>"$T/vm.$libc"
	wait $n
}

# As a process got it, and not more than 4 s sooner or later: libcs count in 5.
the_same() { # LIBC
	awk 'NR == FNR { line[FNR] = $0; next }
		FNR == 1 && $0 != line[1] { bad = 1 }
		FNR == 2 && ($1 - line[2] > 40 || line[2] - $1 > 40) { bad = 1 }
		END { exit bad || FNR != 2 }' "$T/process.$1" "$T/vm.$1" ||
		fail "$1: process: $(tr '\n' ' ' <"$T/process.$1"), VM: $(tr '\n' ' ' <"$T/vm.$1")"
}

@test "name servers that are silent, or fail: getaddrinfo goes on, or gives up, when a process does" {
	command -v dnsmasq >/dev/null || skip 'dnsmasq is not installed'
	world tap
	ip -n "$C" address add 10.9.0.9/24 dev c0
	ip -n "$C" address add 10.9.0.8/24 dev c0
	bad_server silent 10.9.0.9 silent
	bad_server servfail 10.9.0.8 servfail
	background dnsmasq "$C" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv \
		--no-hosts --pid-file= --user=root --listen-address=10.9.0.1 --bind-interfaces \
		--log-facility=- --host-record=one.test,10.9.0.71 --local=/test/
	until_true 15 grep -qs started "$T/dnsmasq.err"
	# 5 s are libc's patience.
	home_number=1 both_ask musl 10.9.0.9 &
	first=$!
	home_number=2 both_ask glibc 10.9.0.9 10.9.0.1
	wait $first
	the_same musl
	the_same glibc
	grep -q EAI_AGAIN "$T/process.musl"
	grep -q 10.9.0.71 "$T/process.glibc"
	home_number=1 both_ask musl 10.9.0.9 10.9.0.1
	the_same musl
	grep -q 10.9.0.71 "$T/process.musl"
	for servers in 10.9.0.8 '10.9.0.8 10.9.0.1'; do
		# shellcheck disable=SC2086 # several
		home_number=2 both_ask glibc $servers
		the_same glibc
	done
}
