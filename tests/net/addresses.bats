#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# addresses.bats: which addresses VMs have: what a guest got by DHCP and SLAAC is shown, and an
# address is one VM's. With a daemon, and dnsmasq in the client's namespace.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034 # shared with net.bash

load ../e2e/helpers
load ../e2e/daemon
load net

# A world on a bridge, addresses to be had from its client, a daemon in the homes' namespace.
setup_daemon() {
	command -v dnsmasq >/dev/null || skip 'dnsmasq is not installed'
	world tap
	echo 1 | here tee /proc/sys/net/ipv6/conf/all/forwarding >/dev/null
	background dnsmasq "$C" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv \
		--no-hosts --pid-file= --user=root --interface=c0 --bind-interfaces --log-facility=- \
		--dhcp-leasefile="$T/leases" --dhcp-range=10.9.0.50,10.9.0.60,255.255.255.0,2m \
		--enable-ra --dhcp-range=fd09::,ra-only,64,2m --ra-param=c0,1,60 --no-ping
	until_true 5 grep -qs started "$T/dnsmasq.err"
	REAL=$MAYFLY MAYFLY=$T/mayfly
	printf '#!/bin/sh\nexec nsenter --net=/run/netns/%s %s "$@"\n' "$H" "$REAL" >"$MAYFLY"
	chmod +x "$MAYFLY"
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tell
	daemon_kill
	end_world
}

vm() { # NET-JSON
	create "{\"image\":\"$NET/serve\",\"net\":$1}"
}

# The VM has an address of DHCP's and one of the router's prefix: for until_true.
shown() {
	asked 200 GET "/v1/vms/$id"
	jq -e '.net[0].guest_addresses | length == 3 and (.[0] | startswith("10.9.0.5")) and
		.[1] == "fd09::aff:fe09:2/64" and .[2] == "fe80::aff:fe09:2/64"' "$body" >/dev/null
}

@test "DHCP's and the router's addresses: inspect, and --stats of a run" {
	setup_daemon
	daemon_start "$T" --shells 1
	vm "[\"tap,bridge=br0,mac=$(mac_of 1),ip=dhcp,ip=auto\",\"tap,ip=10.3.0.2/24\"]"
	until_true 10 shown
	address=$(jq -r '.net[0].guest_addresses[0]' "$body")
	[ "${address%/24}" = "$(awk -v mac="$(mac_of 1)" '$2 == mac { print $3 }' "$T/leases")" ]
	has '.net[0].addresses == ["dhcp", "auto"]'
	has '.net[1].guest_addresses[0] == "10.3.0.2/24"'
	# That it is asked is all that it costs: nobody who sleeps is woken, but for an answer.
	asked 200 GET "/v1/vms/$id/stats"
	waits=$(jq .waits "$body")
	for _ in 1 2 3; do
		asked 200 GET /v1/vms
		has '.vms[0].net[0].guest_addresses | length == 3'
	done
	asked 200 GET "/v1/vms/$id/stats"
	[ "$(jq .waits "$body")" -le $((waits + 2)) ] || fail "waits: $waits, $(jq .waits "$body")"
	asked 200 POST "/v1/vms/$id/stop"
	asked 200 GET "/v1/vms/$id"
	has '.net[0] | has("guest_addresses") | not'
	daemon_end
	MAYFLY=$REAL
	background serve "$C" "$NET/serve"
	until_ready serve
	ip=,ip=dhcp errors=$T/stats in_home 1 --stats -- "$NET/ask" until 10.9.0.1
	grep -q "; the guest says it has ${address%/24}/24, fe80::aff:fe09:2/64\$" "$T/stats" ||
		fail "$(cat "$T/stats")"
}

@test "an address that a VM of this daemon has is refused, until that one ends" {
	setup_daemon
	daemon_start "$T" --shells 1
	vm '["tap,bridge=br0,ip=10.9.0.2/24,ip=fd09::2/64"]'
	first=$id
	for net in tap,bridge=br0,ip=10.9.0.2/24 xdp=br0,ip=10.9.0.2/16 xdp=br0,ip=10.9.0.3/24,ip=fd09::2/64; do
		asked 409 POST /v1/vms "{\"image\":\"$NET/serve\",\"net\":[\"$net\"]}"
		has ".error.message | contains(\"VM $first's\") and contains(\"on br0\")"
	done
	# Nothing of them is left, and another interface is another network.
	asked 200 GET '/v1/vms?all'
	has '.vms | length == 1'
	vm '["tap,ip=10.9.0.2/24"]'
	asked 200 POST "/v1/vms/$id/stop"
	vm '["xdp=br0,ip=10.9.0.3/24"]'
	asked 200 POST "/v1/vms/$first/stop"
	vm '["xdp=br0,ip=10.9.0.2/24,ip=fd09::2/64"]'
	asked 200 POST "/v1/vms/$id/stop"
	daemon_end
}
