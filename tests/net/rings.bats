#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# rings.bats: an AF_XDP socket's rings that the guest cannot have: others take their place, and
# entries are copied. tests/norings is a mayfly with such a kernel; the kind `copy`, in this and in
# other files, copies from the start.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034 # shared with net.bash

load ../e2e/helpers
load ../e2e/daemon
load net

NORINGS=$(dirname "$PROGRAMS")/norings/mayfly
HOSTILE=$(dirname "$PROGRAMS")/guest-hostile/musl/net

# traffic ADDRESS: some of everything, checked.
traffic() {
	ask both "$1" 1000000
	ask udp "$1" 20 1400
	ask many "$1" 20
}

stats_say() { # TEXT
	grep -q "^mayfly: net .*$1" "$T/home1.err" || fail "$kind: $(tail -n 3 "$T/home1.err")"
}

@test "the guest works the socket's rings itself, and stats do not say otherwise" {
	for kind in $(kinds xdp direct share); do
		[ "$kind" != process ] || continue
		world "$kind"
		server 1 --stats
		traffic 10.9.0.2
		ask end 10.9.0.2
		ended 1 0
		stats_say ': in [1-9]'
		! grep -q 'rings copied' "$T/home1.err" || fail "$kind: $(tail -n 3 "$T/home1.err")"
	done
}

@test "a guest that faults on the rings gets others, and stats say so" {
	MAYFLY=$NORINGS
	for kind in $(kinds xdp direct share); do
		[ "$kind" != process ] || continue
		world "$kind"
		server 1 --stats
		traffic 10.9.0.2
		traffic fd09::2
		ask end 10.9.0.2
		ended 1 0
		stats_say 'rings copied'
	done
}

@test "two devices, and the guest faults on the rings of both" {
	MAYFLY=$NORINGS
	for kind in $(kinds xdp); do
		[ "$kind" != process ] || continue
		world "$kind"
		more=,ip=10.9.1.2/24,name=back
		ip='' net_option 7
		second=$net more=
		server 1 --stats --net "$second"
		ip -n "$C" address add 10.9.1.1/24 dev c0
		traffic 10.9.0.2
		traffic 10.9.1.2
		ask end 10.9.0.2
		ended 1 0
		[ "$(grep -c '^mayfly: net .*; rings copied' "$T/home1.err")" -eq 2 ]
	done
}

net_flavour() { # JQ-EXPRESSION: of the second one, for until_true
	api GET /v1/pool
	jq -e ".flavours[1] | $1" "$body" >/dev/null
}

@test "the daemon: a shell that has its device ahead, and one that gets it with the program" {
	for kind in $(kinds xdp); do
		[ "$kind" != process ] || continue
		world "$kind"
		DAEMON_UNDER=(nsenter "--net=/run/netns/$H")
		MAYFLY=$NORINGS
		daemon_start "$T" --shells 1
		asked 200 PUT /v1/pool '{"flavours":[{"memory_mib":64,"minimum":1,"maximum":1},
			{"memory_mib":64,"minimum":1,"maximum":1,"net":["xdp=br0"]}]}'
		until_true 10 net_flavour '.ready == 1'
		create "{\"image\":\"$NET/serve\",\"net\":[\"xdp=br0,ip=10.9.0.2/24\"]}"
		has '.path == "warm"'
		until_true 10 here "$NET/ask" both 10.9.0.2 1000
		traffic 10.9.0.2
		asked 200 GET "/v1/vms/$id/stats"
		has '.net[0] | .copying and (.broken | not) and .rx_frames > 0 and .tx_frames > 0'
		asked 200 PUT /v1/pool '{"flavours":[{"memory_mib":64,"minimum":1,"maximum":1}]}'
		create "{\"image\":\"$NET/serve\",\"net\":[\"xdp=br0,ip=10.9.0.3/24\"]}"
		until_true 10 here "$NET/ask" both 10.9.0.3 1000
		traffic 10.9.0.3
		asked 200 GET "/v1/vms/$id/stats"
		has '.net[0] | .copying and (.broken | not)'
		daemon_end
	done
}
