#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# doctor.bats: what the doctor says of the network is so: with and without passt, privileges and
# the device.
#
# shellcheck disable=SC2154,SC2034,SC2016,SC2314 # shared with helpers; what is for other shells

load helpers
load cli

status_is() { # NAME STATUS WORDS
	jq -e --arg name "$1" --arg status "$2" --arg words "$3" \
		'.[] | select(.name == $name) | .status == $status and (.found | contains($words))' \
		"$out" >/dev/null || fail "$1: not $2, $3: $(jq -c --arg name "$1" '.[] | select(.name == $name)' "$out")"
}

@test "user networking: with passt, without it" {
	mkdir "$T/bin"
	printf '#!/bin/sh\n' >"$T/bin/passt"
	captured m env "PATH=/nowhere:$T/bin" "$MAYFLY" doctor --json
	out=$T/m.out
	status_is net-user warn 'passt is not in PATH' # it cannot be executed
	chmod +x "$T/bin/passt"
	captured m env "PATH=/nowhere:$T/bin" "$MAYFLY" doctor --json
	status_is net-user ok "$T/bin/passt"
	captured m env PATH=/nowhere "$MAYFLY" doctor --json
	status_is net-user warn 'passt is not in PATH'
	jq -e '.[] | select(.name == "net-user") | .fix | contains("apt install passt")' "$out" >/dev/null
}

@test "privileges: root has them all; each that is missing is told where it counts" {
	[ "$(id -u)" -eq 0 ] || skip 'it is root who can lay privileges down'
	expect 0 doctor --json
	for name in net-admin net-tap net-xdp net-xdp-shared helper-net; do
		status_is $name ok ''
	done
	captured m setpriv --bounding-set -net_admin --inh-caps -net_admin "$MAYFLY" doctor --json
	out=$T/m.out
	status_is net-admin warn 'no CAP_NET_ADMIN'
	status_is net-xdp warn 'cannot be had'
	captured m setpriv --bounding-set -net_raw --inh-caps -net_raw "$MAYFLY" doctor --json
	status_is net-admin ok ''
	status_is net-xdp warn 'no right to an AF_XDP socket'
	captured m setpriv --bounding-set -sys_admin --inh-caps -sys_admin "$MAYFLY" doctor --json
	status_is net-xdp ok ''
	status_is net-xdp-shared warn 'no CAP_SYS_ADMIN'
	captured m setpriv --bounding-set -all --inh-caps -all "$MAYFLY" doctor
	# There is no other device that would be taken instead.
	! grep -qE 'is used|bpffs' "$out" || fail "$(cat "$out")"
}
