#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# daemon.bats: VMs of the daemon with net devices: what they carry, checked byte for byte; start
# and stop, pause, and a hostile guest in a jail of its own among them. How devices are asked for
# and told of is e2e/net.bats.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034,SC2016 # shared with net.bash

load ../e2e/helpers
load ../e2e/daemon
load net

HOSTILE=$(dirname "$PROGRAMS")/guest-hostile/musl/net

# daemon_world KIND OPTION...: that, and a daemon where the VMs' interfaces are.
daemon_world() {
	world "$1"
	DAEMON_UNDER=(nsenter "--net=/run/netns/$H")
	# As before Linux 6.4, where they have to be copied.
	[ "$1" != copy ] || DAEMON_UNDER+=(env MAYFLY_NET_UNBOUND=1)
	daemon_start "$T" "${@:2}"
}

# m ARG...: mayfly, which asks the daemon; what it prints.
m() {
	"$MAYFLY" "$@" </dev/null 2>"$T/m.err" || fail "$kind: mayfly $*: $? $(tail -n 3 "$T/m.err")"
}

answers() { # ADDRESS
	timeout 1 ip netns exec "$C" "$NET/ask" both "$1" 1000 >/dev/null 2>&1
}

# traffic ADDRESS: some of everything, checked.
traffic() {
	until_true 10 answers "$1"
	ask both "$1" 1000000
	ask udp "$1" 20 1000 2
	ask many "$1" 20
}

# vm NAME N: the server, as home N, by the API; its id is $id.
vm() {
	net_option "$2"
	create "{\"image\":\"$NET/serve\",\"name\":\"$1\",\"net\":[\"$net\"]}"
	[ -n "$id" ]
}

state_of() { # VM STATE
	[ "$(m inspect "$1" | jq -r '.[0].state')" = "$2" ]
}

@test "VMs of the daemon carry what they are sent, and stats tell how" {
	for kind in $(kinds tap xdp copy); do
		[ "$kind" != process ] || continue
		daemon_world "$kind" --shells 2
		vm one 1
		first=$id
		vm two 2
		for address in 10.9.0.2 fd09::2 10.9.0.3; do
			traffic $address
		done
		in_home 3 -- "$NET/ask" both 10.9.0.2 1000000 >/dev/null
		copying=false
		[ "$kind" != copy ] || copying=true
		for vm in "$first" "$id"; do
			asked 200 GET "/v1/vms/$vm/stats"
			has ".net[0] | .copying == $copying and (.broken | not)"
			has '.net[0] | .rx_bytes > 1000000 and .tx_bytes > 1000000'
		done
		daemon_end
	done
}

@test "a flavour with AF_XDP: the shells that had their device ahead carry traffic" {
	for kind in $(kinds xdp share); do
		[ "$kind" != process ] || continue
		daemon_world "$kind" --shells 1
		device=br0
		[ "$kind" != share ] || device=h0,share
		m pool set -m 64M:1:1 -m 64M:2:2 --net xdp=$device
		until_true 10 eval 'api GET /v1/pool && [ "$(field ".flavours[1].ready")" = 2 ]'
		for n in 1 2 3; do
			create "{\"image\":\"$NET/serve\",\"net\":[\"xdp=$device,ip=10.9.0.$((1 + n))/24\"]}"
			traffic 10.9.0.$((1 + n))
		done
		api GET /v1/pool
		has '.flavours[1].warm >= 2'
		for n in 1 2 3; do
			ask both 10.9.0.$((1 + n)) 1000000
		done
		daemon_end
	done
}

@test "create --net and -p, start, stop; the next one has its address" {
	for kind in $(kinds xdp user); do
		[ "$kind" != process ] || continue
		daemon_world "$kind" --shells 1
		before=$(inventory)
		net_option 1
		ports=()
		[ "$kind" != user ] || ports=(-p 7000-7008:7000-7008 -p 7000-7008:7000-7008/udp)
		for name in first second; do
			m create --name $name --net "$net" "${ports[@]}" "$NET/serve" >/dev/null
			[ "$(inventory)" = "$before" ] # not yet
			[ "$(m start $name)" = $name ]
			traffic 10.9.0.2
			m stats --no-stream --json $name |
				jq -e '.net[0] | .rx_bytes > 1000000 and .tx_bytes > 1000000' >/dev/null
			m stop $name >/dev/null
			state_of $name exited
			until_true 5 eval '[ "$(inventory)" = "$before" ]'
			# A VM is started once.
			! "$MAYFLY" start $name >/dev/null 2>&1 || fail "$kind: it was started again"
		done
		daemon_end
	done
}

@test "run -d --net and -p" {
	for kind in $(kinds xdp user); do
		[ "$kind" != process ] || continue
		daemon_world "$kind" --shells 1
		net_option 1
		options=(--net "$net")
		[ "$kind" != user ] || options=(-p 7000-7008:7000-7008 -p 7000-7008:7000-7008/udp)
		vm=$(m run -d "${options[@]}" "$NET/serve")
		traffic 10.9.0.2
		m kill "$vm" >/dev/null
		until_true 5 state_of "$vm" exited
		daemon_end
	done
}

# Not on user: passt resets a connection whose guest acknowledges nothing for two seconds.
@test "pause and resume, with a transfer under way" {
	for kind in $(kinds xdp); do
		[ "$kind" != process ] || continue
		daemon_world "$kind" --shells 1
		net_option 1
		vm=$(m run -d --net "$net" "$NET/serve")
		traffic 10.9.0.2
		background transfer "$C" "$NET/ask" both 10.9.0.2 "$(scaled 100000000)"
		until_true 5 moving
		m pause "$vm" >/dev/null
		state_of "$vm" paused
		until_true 5 eval '! moving'
		kill -0 "${children[-1]}"
		m resume "$vm" >/dev/null
		state_of "$vm" running
		wait "${children[-1]}" || fail "$kind: $(tail -n 2 "$T/transfer.err")"
		traffic 10.9.0.2
		daemon_end
	done
}

# The client's end has received, or sent, within a moment.
moving() {
	local before after
	before=$(here cat /sys/class/net/c0/statistics/{rx,tx}_bytes | paste -sd+ | bc)
	sleep 0.1
	after=$(here cat /sys/class/net/c0/statistics/{rx,tx}_bytes | paste -sd+ | bc)
	[ $((after - before)) -gt 100000 ]
}

# ---- a hostile guest ----

# attack ARG...: in a VM of its own, beside one that is asked while it lasts.
attack() {
	local args
	args=$(printf ',"%s"' "$@")
	net_option 2
	create "{\"image\":\"$HOSTILE\",\"args\":[${args#,}],\"net\":[\"$net\"],\"timeout_ms\":20000}"
	ask udp 10.9.0.2 10 1000 2
	ask both 10.9.0.2 300000
}

@test "a hostile guest: its shell is in a jail, its neighbour and the daemon go on" {
	for kind in $(kinds tap xdp user); do
		[ "$kind" != process ] || continue
		daemon_world "$kind" --shells 2
		net_option 1
		ports=()
		[ "$kind" != user ] || ports=(-p 7000-7008:7000-7008 -p 7000-7008:7000-7008/udp)
		m run -d --name good --net "$net" "${ports[@]}" "$NET/serve" >/dev/null
		traffic 10.9.0.2
		for what in 'random 10000' 'full 10000 1' 'storm 0 100000000' \
			'flood 0xffffffffffff 0x02000a090003 noise 10000'; do
			# shellcheck disable=SC2086
			attack $what
			# It was under way till now, unless the jail has ended it.
			until_true 10 eval '! state_is "$id" starting'
			[[ "$what" == random* ]] || [ "$(field .state)" = running ] ||
				fail "$kind: $what: $(cat "$body")"
			asked 204 DELETE "/v1/vms/$id?force"
		done
		for what in 'producer 3 0x80000000' 'descriptors 0xffffffffffffffff 60 0 1000' 'front 255'; do
			# shellcheck disable=SC2086
			attack $what
			until_true 20 eval '! state_is "$id" running && ! state_is "$id" starting'
			# The guest's own end, or why the daemon has ended it: not the jail's.
			has '.reason // "" | contains("system-call filter") | not'
			asked 204 DELETE "/v1/vms/$id?force"
		done
		asked 200 GET '/v1/vms?all'
		has '.vms | length == 1'
		traffic 10.9.0.2
		daemon_end
	done
}
