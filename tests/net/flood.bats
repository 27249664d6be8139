#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# flood.bats: a server in a VM that strangers send TCP segments to, from addresses of nobody: it
# goes on for those that mean it, and nothing is left of the others.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034 # shared with net.bash

load ../e2e/helpers
load net

MEMORY=64M # a third of it is the network's: what a flood would leave behind is more

# flood_begins NET PER_SECOND: SYNs at home 1, in the background, until the flood is ended.
flood_begins() {
	before=$(sent)
	background flood "$C" "$NET/flood" c0 "$(mac_of 1)" "$1" 10.9.0.2 7002 2000000000 "$2" syn
	flood=$!
	until_ready flood
}

sent() {
	here cat /sys/class/net/c0/statistics/tx_packets
}

sent_many() {
	[ $(($(sent) - before)) -gt "$1" ]
}

flood_ends() {
	until_true 20 sent_many "$1"
	kill -KILL "$flood" || fail "$kind: $(cat "$T/flood.err")"
	wait "$flood" || true
}

# Addresses of a network of the VM's own are different: each is a neighbour to be asked for.
@test "SYNs from 100,000 addresses: real connections are made all the while" {
	for kind in $(kinds tap xdp); do
		for strangers in 172.16.0.0/12 10.9.0.0/24; do
			world "$kind"
			log=$(kernel_log)
			memory=()
			[ "$kind" = process ] || memory=("--memory=$MEMORY")
			server 1 "${memory[@]}"
			ip -n "$C" route add blackhole 172.16.0.0/12
			ask many 10.9.0.2 "$(scaled 500)"
			flood_begins $strangers 20000
			for round in 1 2 3; do
				ask both 10.9.0.2 100000
				ask many 10.9.0.2 10
			done
			ask half 10.9.0.2
			ask reset 10.9.0.2
			flood_ends "$(scaled 100000)"
			ask many 10.9.0.2 "$(scaled 500)"
			ask send 10.9.0.2 "$(scaled 10000000)"
			ask end 10.9.0.2
			ended 1 0
			kernel_silent "$log"
		done
	done
}

# Many more than are served: who connects has to try more often, and is not refused.
@test "SYNs as fast as they can be sent" {
	for kind in $(kinds tap xdp); do
		world "$kind"
		server
		ip -n "$C" route add blackhole 172.16.0.0/12
		flood_begins 172.16.0.0/12 1000000000
		# How often has to do with luck: a packet of his must find room in a full queue.
		for round in 1 2; do
			LIMIT=150 ask many 10.9.0.2 1
		done
		flood_ends "$(scaled 500000)"
		ask many 10.9.0.2 "$(scaled 500)"
	done
}

@test "data of no connection, in a row: the listener is as before" {
	for kind in $(kinds tap xdp share); do
		world "$kind"
		server
		for port in 7000 7001 7002 7003 7004; do
			here "$NET/flood" c0 "$(mac_of 1)" 172.16.0.0/12 10.9.0.2 $port 4000 50000 data >/dev/null
		done
		ask both 10.9.0.2 100000
		ask send 10.9.0.2 100000
		ask receive 10.9.0.2 100000
		ask reset 10.9.0.2
		ask abort 10.9.0.2 3
		ask end 10.9.0.2
		ended 1 0
	done
}
