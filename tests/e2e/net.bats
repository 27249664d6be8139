#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# net.bats: how net devices are asked for, of `mayfly run` and of the daemon: what is refused and
# why, what is opened, who is told of it, and that nothing is left. What goes over the wire is
# tests/net's.
#
# Each test has a network namespace of its own, $NS.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2034,SC2314 # shared with helpers; bats' subshells

load helpers
load cli
load daemon

setup() {
	T=$BATS_TEST_TMPDIR
	[ "$(id -u)" -eq 0 ] || skip 'network namespaces and interfaces are made by root only'
	GUEST=$(dirname "$PROGRAMS")/guest-cli/musl
	HELLO=$GUEST/hello
	ANSWER=$GUEST/answer
	[ -x "$ANSWER" ] || fail "$ANSWER is missing: run make check-build"
	children=()
	NS=mfe$$.$BATS_TEST_NUMBER
	ip netns add "$NS"
	ip -n "$NS" link set lo up
	export MAYFLY_RUN_DIR=$T/run
	REAL=$MAYFLY
	MAYFLY=$T/mayfly
	under
}

# under COMMAND...: what the helpers call mayfly from now on runs in the namespace, by COMMAND.
under() {
	printf '#!/bin/sh\nexec nsenter --net=/run/netns/%s %s %s "$@"\n' "$NS" "$*" "$REAL" >"$MAYFLY"
	chmod +x "$MAYFLY"
}

teardown() {
	local pid
	daemon_kill
	for pid in "${children[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	[ -z "${NS:-}" ] || ip netns del "$NS" 2>/dev/null || true
}

inside() {
	nsenter --net="/run/netns/$NS" "$@"
}

# fetch ADDRESS PORT: what comes from there, in $got.
fetch() {
	got=$(inside timeout 5 bash -c "exec 3<>/dev/tcp/$1/$2 || exit; echo x >&3; cat <&3" 2>/dev/null) &&
		[ -n "$got" ]
}

interfaces() {
	ip -n "$NS" -o link | awk -F': ' '{ sub(/@.*/, "", $2); print $2 }' | sort | paste -sd ' '
}

only_lo() {
	[ "$(interfaces)" = lo ]
}

only_lo_and() { # INTERFACE
	[ "$(interfaces)" = "lo $1" ]
}

passts() { # those of this namespace that live
	local pid
	for pid in $(ip netns pids "$NS"); do
		[[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != passt* ]] || not_running "$pid" || echo "$pid"
	done
}

no_passt() {
	[ -z "$(passts)" ]
}

# ---- the command line ----

@test "--net: what makes no sense is refused, and the message says which part" {
	refused 125 "no kind 'bridge'" --net bridge=br0 "$HELLO"
	refused 125 'xdp=IFACE' --net xdp "$HELLO"
	refused 125 'mac=52:54:00:12:34: write six bytes' --net tap,mac=52:54:00:12:34 "$HELLO"
	refused 125 'multicast' --net tap,mac=01:00:5e:00:00:01 "$HELLO"
	refused 125 'ip=10.0.0.300/24' --net tap,ip=10.0.0.300/24 "$HELLO"
	refused 125 'ip=10.0.0.1/24' --net tap,ip=10.0.0.1 "$HELLO"
	refused 125 'from 1 to 32' --net tap,ip=10.0.0.1/40 "$HELLO"
	refused 125 'gw=10.0.1.1: it is in no prefix' --net tap,ip=10.0.0.2/24,gw=10.0.1.1 "$HELLO"
	refused 125 'from 576 to 1500' --net tap,mtu=9000 "$HELLO"
	refused 125 "is 'bridge' meant?" --net tap,brigde=br0 "$HELLO"
	refused 125 "'mtu' is there twice" --net tap,mtu=1400,mtu=1400 "$HELLO"
	refused 125 'at most 4' --net tap --net tap --net tap --net tap --net tap "$HELLO"
	refused 125 'two devices are called a' --net tap,name=a --net tap,name=a "$HELLO"
	refused 125 'not open' --net tap=fd:9 "$HELLO"
	refused 125 '--net' --net
	refused 125 'not open' --pool --net tap=fd:9 "$HELLO"
	only_lo
}

@test "-p: what makes no sense is refused, and the message says which part" {
	refused 125 '-p 80: write HOST:GUEST' -p 80 "$HELLO"
	refused 125 "host's port" -p 0:80 "$HELLO"
	refused 125 "guest's port" -p 80:70000 "$HELLO"
	refused 125 'not of the same size' -p 80-82:80-81 "$HELLO"
	refused 125 'published twice' -p 80:80 -p 127.0.0.1:80:81 "$HELLO"
	refused 125 '/tcp or /udp' -p 80:80/sctp "$HELLO"
	refused 125 'add --net user' --net tap -p 80:80 "$HELLO"
	no_passt
}

@test "an image that is not there comes before its network" {
	refused 127 'No such file' --net xdp=gone0 "$T/nothing"
}

@test "no such interface, another kind of it, one that is taken" {
	refused 125 gone0 --net xdp=gone0 "$HELLO"
	refused 125 gone0 --net tap,bridge=gone0 "$HELLO"
	refused 125 'lo as a tap: it is an interface of another kind' --net tap=lo "$HELLO"
	ip -n "$NS" tuntap add dev t0 mode tap
	ip -n "$NS" link set t0 mtu 1400
	refused 125 'the MTU of the tap t0 is 1400' --net tap=t0,mtu=1450 "$HELLO"
	start run --net tap=t0,ip=10.0.0.2/24 "$ANSWER" 80 x
	ready
	refused 125 'another program, or VM, has it open' --net tap=t0 "$HELLO"
	kill -TERM "$pid"
	ended 143
	expect 0 run --net tap=t0 "$HELLO"
}

@test "without CAP_NET_ADMIN: a tap says what it takes; user networking works" {
	under setpriv --bounding-set=-net_admin --inh-caps=-net_admin
	refused 125 CAP_NET_ADMIN --net tap "$HELLO"
	complains '--net user takes neither'
	refused 125 CAP_NET_ADMIN --net tap=t0 "$HELLO"
	ip -n "$NS" link add br0 type bridge
	refused 125 CAP_NET_ADMIN --net tap,bridge=br0 "$HELLO"
	refused 125 CAP_NET_ADMIN --net xdp=lo "$HELLO"
	expect 0 run --net user "$HELLO"
	prints 'Hello, world'
}

@test "user networking without passt says how to get it" {
	under env PATH=/nowhere
	refused 125 'apt install passt' --net user "$HELLO"
}

# ---- user networking ----

@test "-p: a port of the host is the program's, in TCP and UDP; it is free again at the end" {
	# Not over loopback: passt does not answer datagrams there when the guest may not reach it.
	ip -n "$NS" address add 10.1.0.1/24 dev lo
	start run -p 18080:80 -p 10.1.0.1:18053:80/udp --stats "$ANSWER" 80 flies
	ready
	for _ in 1 2 3; do
		until_true 5 fetch 127.0.0.1 18080
		[ "$got" = flies ]
	done
	got=$(inside timeout 5 bash -c 'exec 3<>/dev/udp/10.1.0.1/18053; echo x >&3; head -c 5 <&3')
	[ "$got" = flies ]
	refused 125 "the host's port 18080/tcp" -p 18080:80 "$HELLO"
	refused 125 "the host's port 18080/tcp" -p 18079-18081:79-81 "$HELLO"
	expect 0 run -p 18080:80/udp "$HELLO"
	kill -TERM "$pid"
	ended 143
	grep -q 'net eth0: user passt' "$T/started.err" || fail "$(cat "$T/started.err")"
	until_true 5 no_passt
	expect 0 run -p 18080:80 "$HELLO"
}

@test "-p: a range of ports, and one address only" {
	ip -n "$NS" address add 10.1.0.1/24 dev lo
	start run -p 10.1.0.1:18090-18092:80-82 "$ANSWER" 81 second
	ready
	until_true 5 fetch 10.1.0.1 18091
	[ "$got" = second ]
	if fetch 127.0.0.1 18091; then
		fail 'it listens elsewhere, too'
	fi
}

@test "SIGKILL: passt goes with the VM, and the port is free for the next" {
	for _ in 1 2 3; do
		start run -p 18080:80 "$ANSWER" 80 flies
		ready
		until_true 5 fetch 127.0.0.1 18080
		kill -KILL "$pid"
		ended 137
	done
	until_true 5 no_passt
}

# ---- taps ----

@test "a tap: its address answers, and the tap is gone with the VM" {
	start run --net tap=t9,ip=10.9.0.2/24,ip=fd09::2/64,mac=02:00:00:00:00:09 "$ANSWER" 80 tapped
	ready
	[ "$(interfaces)" = 'lo t9' ]
	ip -n "$NS" address add 10.9.0.1/24 dev t9
	ip -n "$NS" address add fd09::1/64 dev t9 nodad
	inside ping -c 1 -W 5 10.9.0.2 >/dev/null
	inside ping -c 1 -W 5 fd09::2 >/dev/null
	fetch 10.9.0.2 80
	[ "$got" = tapped ]
	ip -n "$NS" neigh show 10.9.0.2 | grep -q 02:00:00:00:00:09
	kill -KILL "$pid"
	ended 137
	until_true 5 only_lo
}

@test "four devices at once" {
	start run --net tap=a,ip=10.1.0.2/24 --net tap=b,ip=10.2.0.2/24 --net tap=c,ip=10.3.0.2/24 \
		--net tap=d,ip=10.4.0.2/24 --stats "$ANSWER" 80 four
	ready
	for n in 1 2 3 4; do
		dev=$(echo abcd | cut -c$n)
		ip -n "$NS" address add "10.$n.0.1/24" dev "$dev"
		fetch "10.$n.0.2" 80
		[ "$got" = four ]
	done
	kill -TERM "$pid"
	ended 143
	[ "$(grep -c 'mayfly: net eth[0-3]: tap [abcd]' "$T/started.err")" -eq 4 ]
}

# ---- the daemon ----

# vm JSON-MEMBERS: the answering program in a VM of the daemon's; $id
vm() {
	create "{\"image\":\"$ANSWER\",\"args\":[\"80\",\"served\"],$1}"
}

@test "the daemon: what makes no sense is 400, what cannot be opened 409, each with the message" {
	daemon_start "$T" --shells 1
	asked 400 POST /v1/vms "{\"image\":\"$HELLO\",\"net\":[\"tup=a\"]}"
	has '.error.message | contains("no kind \u0027tup\u0027")'
	asked 400 POST /v1/vms "{\"image\":\"$HELLO\",\"net\":[\"tap=fd:3\"]}"
	asked 400 POST /v1/vms "{\"image\":\"$HELLO\",\"net\":[\"tap\"],\"publish\":[\"80:80\"]}"
	asked 409 POST /v1/vms "{\"image\":\"$HELLO\",\"wait\":true,\"net\":[\"xdp=gone0\"]}"
	has '.error.message | contains("gone0")'
	asked 409 POST /v1/vms "{\"image\":\"$HELLO\",\"net\":[\"tap=lo\"]}"
	has '.error.message | contains("lo as a tap")'
	asked 200 GET '/v1/vms?all'
	has '.vms == []'
	expect 125 create --net tap=fd:5 "$HELLO"
	complains 'name the tap'
	expect 125 run -d --net tap=lo "$HELLO"
	complains 'lo as a tap'
	expect 125 create -p 80 "$HELLO"
	complains 'HOST:GUEST'
	only_lo
	daemon_end
}

@test "the daemon: a tap and a published port, what inspect and stats tell, and nothing is left" {
	daemon_start "$T" --shells 2
	before=$(open_files "$DAEMON_PID")
	vm '"net":["tap=t1,ip=10.9.0.2/24,mac=02:00:00:00:00:0a","user,name=out"],"publish":["18080:80"]'
	has '.net[0] | .name == "eth0" and .kind == "tap" and .interface == "t1" and
		.mac == "02:00:00:00:00:0a" and .mtu == 1500 and .addresses == ["10.9.0.2/24"]'
	has '.net[1] | .name == "out" and .kind == "user" and .publish == ["18080:80/tcp"] and
		.addresses == ["10.0.2.15/24"]'
	ip -n "$NS" address add 10.9.0.1/24 dev t1
	until_true 5 fetch 10.9.0.2 80
	[ "$got" = served ]
	until_true 5 fetch 127.0.0.1 18080
	[ "$got" = served ]
	[ "$(open_files "$DAEMON_PID")" -le $((before + 1)) ] || fail "$(ls -l "/proc/$DAEMON_PID/fd")"
	asked 200 GET "/v1/vms/$id/stats"
	has '.net[0] | .name == "eth0" and .rx_frames > 0 and .tx_frames > 0 and .broken == false'
	expect 0 inspect "$id"
	prints '"interface": "t1"'
	asked 200 POST "/v1/vms/$id/stop"
	until_true 5 only_lo
	until_true 5 no_passt
	asked 200 GET /metrics
	grep -q '^mayfly_net_frames_total{direction="rx"} [1-9]' "$body"
	daemon_end
}

@test "the daemon killed: taps and passt go with its VMs" {
	daemon_start "$T" --shells 1
	vm '"net":["tap=t1","user,name=out"]'
	[ "$(interfaces)" = 'lo t1' ]
	[ -n "$(passts)" ]
	daemon_kill
	until_true 10 only_lo
	until_true 5 no_passt
}

# the second flavour has N shells ready: for until_true
net_flavour() {
	api GET /v1/pool
	jq -e ".flavours[1] | $1" "$body" >/dev/null
}

@test "xdp: a socket that its VM has to bind, as before Linux 6.4: run, a start, a flavour" {
	export MAYFLY_NET_UNBOUND=1
	ip -n "$NS" link add br0 type bridge
	ip -n "$NS" link set br0 up
	ip -n "$NS" address add 10.9.0.1/24 dev br0
	start run --net xdp=br0,ip=10.9.0.2/24 "$ANSWER" 80 served
	ready
	until_true 5 fetch 10.9.0.2 80
	daemon_start "$T" --shells 1
	vm '"net":["xdp=br0,ip=10.9.0.3/24"]'
	has '.path == "cold"'
	until_true 5 fetch 10.9.0.3 80
	[ "$got" = served ]
	asked 200 GET "/v1/vms/$id/stats"
	has '.net[0] | .copying and (.broken | not)'
	expect 0 pool set -m 64M:1:1 -m 64M:1:1 --net xdp=br0
	until_true 10 net_flavour '.ready == 1'
	vm '"net":["xdp=br0,ip=10.9.0.4/24"]'
	has '.path == "warm"'
	until_true 5 fetch 10.9.0.4 80
	# The port knows the MAC that its shell was prepared with: another is another device.
	until_true 10 net_flavour '.ready == 1'
	vm '"net":["xdp=br0,ip=10.9.0.5/24,mac=02:00:00:00:00:05"]'
	has '.path == "cold"'
	until_true 5 fetch 10.9.0.5 80
	daemon_end
}

@test "run --pool with --net and -p: a VM of the daemon's, a prepared one where there is one" {
	ip -n "$NS" link add br0 type bridge
	ip -n "$NS" link set br0 up
	ip -n "$NS" address add 10.9.0.1/24 dev br0
	daemon_start "$T" --shells 1
	expect 0 pool set -m 64M:1:1 -m 64M:1:1 --net br0
	until_true 10 net_flavour '.ready == 1'
	expect 0 run --pool --net br0,ip=10.9.0.4/24 "$PROGRAMS/busybox" ip -4 address show dev eth0
	prints 'inet 10.9.0.4/24'
	api GET /v1/pool
	has '.flavours[1].warm == 1'
	start run --pool --net user -p 127.0.0.1:8080:80 "$ANSWER" 80 served
	until_true 10 fetch 127.0.0.1 8080
	[ "$got" = served ]
	# What the daemon refuses, it says.
	refused 125 "not the caller's descriptors" --pool --net tap=fd:9 "$HELLO"
	refused 125 'there is no interface none' --pool --net none "$HELLO"
	daemon_end
}

@test "a shell with several net devices: its program has them, and memory" {
	local n i devices flavour
	ip -n "$NS" link add br0 type bridge
	ip -n "$NS" link set br0 up
	daemon_start "$T" --shells 1
	for n in 1 2 4; do
		flavour=() devices=''
		for i in $(seq "$n"); do
			flavour+=(--net "tap,bridge=br0")
			devices+="${devices:+,}\"tap,bridge=br0,ip=10.9.$n$i.2/24\""
			ip -n "$NS" address add "10.9.$n$i.1/24" dev br0
		done
		expect 0 pool set -m 64M:1:1 -m 64M:1:1 "${flavour[@]}"
		until_true 10 net_flavour '.ready == 1'
		vm '"net":['"$devices"']'
		has '.path == "warm"'
		for i in $(seq "$n"); do
			until_true 5 fetch "10.9.$n$i.2" 80
			[ "$got" = served ]
		done
	done
	daemon_end
}

opening() { # processes that open devices of this namespace, now
	local pid n=0
	for pid in $(ip netns pids "$NS"); do
		! tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q '^mayfly net-open' || n=$((n + 1))
	done
	echo "$n"
}

eight_of() { # COUNT: so many VMs wait for their start, eight for what opens their devices
	api GET '/v1/vms?all'
	[ "$(jq '[.vms[] | select(.state == "starting")] | length' "$body")" -eq "$1" ] && [ "$(opening)" -eq 8 ]
}

all_run() { # COUNT
	api GET '/v1/vms?all'
	[ "$(jq '[.vms[] | select(.state == "running")] | length' "$body")" -eq "$1" ]
}

@test "the daemon opens eight devices at a time; one that is ended meanwhile delays nobody" {
	local lock asking first last
	ip -n "$NS" link add v0 type veth peer name v1
	ip -n "$NS" link set v0 up
	ip -n "$NS" link set v1 up
	daemon_start "$T" --shells 1
	# What mayfly-net waits for.
	exec {lock}>>"$MAYFLY_RUN_DIR/net.lock"
	flock "$lock"
	requests 12 "{\"image\":\"$ANSWER\",\"args\":[\"80\",\"served\"],\"net\":[\"xdp=v0,share\"]}" \
		--parallel --parallel-max 12 --parallel-immediate {lock}>&- &
	asking=$!
	until_true 5 eight_of 12
	first=$(jq -r '.vms | sort_by(.created_at) | .[0].id' "$body")
	last=$(jq -r '.vms | sort_by(.created_at) | .[11].id' "$body")
	asked 204 DELETE "/v1/vms/$first?force"
	asked 204 DELETE "/v1/vms/$last?force"
	until_true 5 eight_of 10
	flock -u "$lock"
	wait "$asking"
	until_true 10 all_run 10
	daemon_end
	until_true 5 only_lo_and 'v0 v1'
}

@test "a flavour with net, at a bridge: a MAC of one's own is no other shell's" {
	ip -n "$NS" link add br0 type bridge
	ip -n "$NS" link set br0 up
	ip -n "$NS" address add 10.9.0.1/24 dev br0
	daemon_start "$T" --shells 1
	expect 0 pool set -m 64M:1:1 -m 64M:1:1 --net tap,bridge=br0
	until_true 10 net_flavour '.ready == 1'
	vm '"net":["tap,bridge=br0,ip=10.9.0.2/24,mac=02:00:00:00:00:02"]'
	until_true 5 fetch 10.9.0.2 80
	net_flavour '.ready == 1 and .warm == 0'
	vm '"net":["tap,bridge=br0,ip=10.9.0.3/24"]'
	until_true 5 fetch 10.9.0.3 80
	net_flavour '.warm == 1'
	daemon_end
}

@test "a flavour with net: its shells have their devices, a start only says who it is" {
	daemon_start "$T" --shells 1
	asked 400 PUT /v1/pool '{"flavours":[{"memory_mib":64,"minimum":1,"maximum":1},
		{"memory_mib":64,"minimum":1,"maximum":1,"net":["tap,ip=10.0.0.2/24"]}]}'
	has '.error.message | contains("what each VM says")'
	expect 0 pool set -m 64M:1:1 -m 64M:2:2 --net tap
	until_true 10 net_flavour '.ready == 2'
	has '.flavours[1].net == ["tap"]'
	[ "$(interfaces)" = 'lo tap0 tap1' ]
	vm '"net":["tap,ip=10.9.0.2/24,name=lan0,mac=02:00:00:00:00:0b"]'
	has '.path == "warm" and .net[0].name == "lan0" and .net[0].mac == "02:00:00:00:00:0b"'
	dev=$(field '.net[0].interface')
	ip -n "$NS" address add 10.9.0.1/24 dev "$dev"
	until_true 5 fetch 10.9.0.2 80
	[ "$got" = served ]
	until_true 10 net_flavour '.ready == 2 and .warm == 1 and .cold == 0'
	# One with other devices, or with none, takes a shell without.
	asked 200 POST /v1/vms "{\"image\":\"$HELLO\",\"wait\":true}"
	asked 200 POST /v1/vms "{\"image\":\"$HELLO\",\"wait\":true,\"net\":[\"tap=own\"]}"
	net_flavour '.ready == 2 and .warm == 1'
	asked 200 PUT /v1/pool '{"flavours":[{"memory_mib":64,"minimum":1,"maximum":1}]}'
	until_true 5 only_lo_and "$dev"
	fetch 10.9.0.2 80
	daemon_end
	until_true 5 only_lo
}
