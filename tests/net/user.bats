#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# user.bats: what user networking keeps from a hostile guest: the loopback interface of the
# host, where services listen that trust everybody who reaches them.
#
# shellcheck disable=SC2154,SC2034 # shared with net.bash

load ../e2e/helpers
load net

OWN4=10.0.2.15 OWN6=fd6d:6179:666c::15

# hears NAME NAMESPACE ADDRESS: TCP and UDP at port 7777; a line for each that comes, in NAME.out.
hears() {
	background "$1" "$2" python3 -u -c '
import select, socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
tcp, udp = socket.socket(family), socket.socket(family, socket.SOCK_DGRAM)
for s in tcp, udp: s.bind((sys.argv[1], 7777))
tcp.listen()
print("ready")
while True:
    for s in select.select([tcp, udp], [], [])[0]:
        if s is tcp: print("tcp", s.accept()[1])
        else: print("udp", s.recvfrom(99))' "$3"
	until_ready "$1"
}

forge() { # SOURCE DEST
	in_home 1 -- "$NET/forge" eth0 "$1" "$2" 7777 >>"$T/forge.out"
}

@test "a forged destination does not lead to the host's loopback" {
	publish=7000
	world user
	hears loopback4 "$H" 127.0.0.1
	hears loopback6 "$H" ::1
	hears other4 "$C" 10.9.0.1
	hears other6 "$C" fd09::1
	for to in 127.0.0.1 127.1.2.3 0.0.0.0; do
		forge $OWN4 $to
	done
	for to in ::1 :: ::ffff:127.0.0.1; do
		forge $OWN6 $to
	done
	# The same to where it may go: so what came before has been looked at.
	forge $OWN4 10.9.0.1
	forge $OWN6 fd09::1
	until_true 10 grep -qs udp "$T/other4.out"
	until_true 10 grep -qs udp "$T/other6.out"
	for file in loopback4 loopback6; do
		! grep -E 'tcp|udp' "$T/$file.out" || fail "$file was reached"
	done
}
