#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# epoll.bats: what is an event, and when: random walks (guest-cli/edges.c) over what epoll can
# watch print the same in a VM as natively, line by line.

load helpers

setup() {
	need_machine
	EDGES=$(dirname "$PROGRAMS")/guest-cli/musl/edges
}

# walks FROM TO STEPS
walks() {
	local seed
	for seed in $(seq "$1" "$2"); do
		mayfly_same "$EDGES" "$seed" "$3" || fail "seed $seed, $3 steps"
	done
}

@test "epoll: short walks" {
	walks 1 "$(scaled 20)" 300
}

@test "epoll: long walks" {
	walks 101 "$((100 + $(scaled 10)))" 5000
}
