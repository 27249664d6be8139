#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# stream.bats: TCP and UDP between a home and a process behind a veth; both ends check each byte.
#
# shellcheck disable=SC2154,SC2030,SC2031 # shared with net.bash

load ../e2e/helpers
load net

GB=1000000000
MB=1000000

@test "TCP: 1 GB in and 1 GB out, with sums" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		server
		ask send 10.9.0.2 "$(scaled $GB)"
		ask receive 10.9.0.2 "$(scaled $GB)"
		# Over IPv6 one way by each: what differs is the way in and out, which both take.
		if [ "$kind" != tap ] || [ -n "$LONG" ]; then ask send fd09::2 "$(scaled $GB)"; fi
		if [ "$kind" != xdp ] || [ -n "$LONG" ]; then ask receive fd09::2 "$(scaled $GB)"; fi
		ask end 10.9.0.2
		ended 1 0
	done
}

@test "TCP: both ways at once, IPv4 and IPv6, the home as server" {
	for kind in $(kinds tap xdp copy direct share user); do
		world "$kind"
		server
		for address in 10.9.0.2 fd09::2; do
			ask send $address "$(scaled $((30 * MB)))"
			ask receive $address "$(scaled $((30 * MB)))"
			ask both $address "$(scaled $((10 * MB)))"
		done
	done
}

@test "TCP: the home as client" {
	for kind in $(kinds tap xdp direct share user); do
		world "$kind"
		background serve "$C" "$NET/serve"
		until_ready serve
		for address in 10.9.0.1 fd09::1; do
			in_home 1 -- "$NET/ask" receive $address "$(scaled $((30 * MB)))"
			in_home 1 -- "$NET/ask" both $address "$(scaled $((10 * MB)))"
			in_home 1 -- "$NET/ask" reset $address
			# passt of 2023: after the guest's FIN it gives the guest what comes more than
			# once, and no FIN; it takes the guest's RST for a FIN (mayfly-run(1), BUGS).
			[ "$kind" != user ] || continue
			in_home 1 -- "$NET/ask" send $address "$(scaled $((30 * MB)))"
			in_home 1 -- "$NET/ask" half $address
			in_home 1 -- "$NET/ask" refused $address
			in_home 1 -- "$NET/ask" abort $address 3
		done
	done
}

@test "TCP: 1,000 connections at once, in and out" {
	for kind in $(kinds tap xdp copy); do
		world "$kind"
		server
		ask many 10.9.0.2 "$(scaled 1000)"
		ask many fd09::2 "$(scaled 1000)"
		# And again: what they took was given back.
		ask many 10.9.0.2 "$(scaled 1000)"
		background serve "$C" "$NET/serve"
		until_ready serve
		in_home 2 -- "$NET/ask" many 10.9.0.1 "$(scaled 1000)"
	done
}

@test "TCP: 1,000 connections opened in a burst, and data over all of them at once" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		server
		here timeout 70 "$NET/crowd" 10.9.0.2 "$(scaled 1000)" 20000 >>"$T/crowd.out" 2>"$T/crowd.err" ||
			fail "$kind: to a home: $(cat "$T/crowd.err")"
		# It is not worn out.
		ask both 10.9.0.2 "$(scaled $((10 * MB)))"
		ask end 10.9.0.2
		ended 1 0
		background serve "$C" "$NET/serve"
		until_ready serve
		for address in fd09::1 10.9.0.1; do
			in_home 2 -- "$NET/crowd" $address "$(scaled 1000)" 20000 >>"$T/crowd.out" ||
				fail "$kind: from a home to $address: $(tail -n 1 "$T/in_home.err")"
		done
	done
}

@test "TCP and UDP: programs that are built for glibc" {
	NET=$(dirname "$PROGRAMS")/net/glibc
	for kind in $(kinds tap xdp); do
		world "$kind"
		server
		background serve "$C" "$NET/serve"
		until_ready serve
		for what in 'send 10000000' 'receive 10000000' 'both 5000000' 'many 50' half reset 'abort 3' \
			refused 'udp 20 1000' 'big 8000'; do
			read -r -a word <<<"$what"
			ask "${word[0]}" 10.9.0.2 "${word[@]:1}"
			in_home 2 -- "$NET/ask" "${word[0]}" fd09::1 "${word[@]:1}" >>"$T/home2.out" ||
				fail "$kind: $what in a home: $(tail -n 1 "$T/in_home.err")"
		done
		ask end 10.9.0.2
		ended 1 0
	done
}

@test "sendmmsg, recvmmsg, sendfile: musl and glibc" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		background serve "$C" "$NET/serve"
		until_ready serve
		for libc in musl glibc; do
			for address in 10.9.0.1 fd09::1; do
				in_home 1 -- "$(dirname "$NET")/$libc/batch" $address >>"$T/batch.out" ||
					fail "$kind, $libc: to $address: $(tail -n 1 "$T/in_home.err")"
			done
		done
	done
}

@test "TCP: half-closed connections, RST both ways, nobody listening" {
	for kind in $(kinds tap xdp copy direct share user); do
		world "$kind"
		server
		for address in 10.9.0.2 fd09::2; do
			ask half $address
			ask reset $address
			# passt of 2023: a server that is the first to speak is not heard.
			[ "$kind" != user ] || continue
			ask abort $address 10
			ask refused $address
		done
		ask end 10.9.0.2
		ended 1 0
	done
}

@test "TCP: a line that loses 2 %, reorders 2 % and doubles 1 %" {
	for kind in $(kinds tap xdp); do
		world "$kind" 2 2 1
		server
		ask send 10.9.0.2 "$(scaled $((2 * MB)))"
		ask receive 10.9.0.2 "$(scaled $MB)"
		ask both fd09::2 "$(scaled $((MB / 2)))"
		ask many 10.9.0.2 "$(scaled 30)"
		ask udp 10.9.0.2 40 200 15
		kill -TERM "$impair"
		wait "$impair"
		# It was as bad as it should be.
		awk '/passed/ { exit !($1 > 1000 && $3 > 10 && $5 > 10 && $7 > 5) }' "$T/impair.out"
	done
}

# median FILE: of its lines' first numbers, as tenths.
median() {
	sort -n "$1" | awk '{ v[NR] = $1 } END { printf "%d\n", v[int((NR + 1) / 2)] * 10 }'
}

# A process at the same bridge, over the same line, by turns: what the machine does otherwise
# is the same to both. Without recovery.c a VM sends a tenth of what it does.
@test "TCP: what that line carries is an eighth of a process's at least" {
	for kind in $(kinds tap xdp); do
		[ "$kind" != process ] || continue
		world "$kind" 2 2 1
		server 1
		process_home 2
		# lwIP's congestion control, not one that takes no notice of losses.
		echo reno | in_ns "$home_ns" tee /proc/sys/net/ipv4/tcp_congestion_control >"$T/reno"
		kind=process server 2
		for what in send receive; do
			rm -f "$T/rate."*
			for _ in 1 2 3 4 5; do
				for n in 1 2; do
					ask $what 10.9.0.$((1 + n)) "$(scaled $((3 * MB)))"
					tail -n 1 "$T/ask.out" >>"$T/rate.$n"
				done
			done
			[ $((8 * $(median "$T/rate.1"))) -ge "$(median "$T/rate.2")" ] ||
				fail "$kind: $what: $(paste -s "$T/rate.1"), a process: $(paste -s "$T/rate.2")"
		done
	done
}

@test "UDP: datagrams of all sizes, fragments, floods" {
	for kind in $(kinds tap xdp copy direct share user); do
		world "$kind"
		server
		for address in 10.9.0.2 fd09::2; do
			for size in 8 18 100 1000 1452; do
				ask udp $address 20 $size
			done
			# It asks how many came, over TCP, and passt does not let a server speak first.
			[ "$kind" = user ] || ask flood $address "$(scaled 20000)" 18 10
			ask udp $address 20 100
		done
		ask udp 10.9.0.2 20 1472
		# One that takes several frames. passt has its own idea of those.
		[ "$kind" = user ] || for size in 1473 3000 8000; do
			ask udp 10.9.0.2 5 $size
			ask udp fd09::2 5 $size
		done
		ask end 10.9.0.2
		ended 1 0
	done
}
