#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# limits.bats: a daemon that meets limits: of open files, processes, memory, the size of files and
# of a file system, and a /dev/kvm that is gone. It must say which one it was, live on, and do
# its work again when there is room.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2314 # shared with helpers; bats' subshells

load helpers
load daemon
load own

# start_until CODE: programs are started until one start is answered so, soon.
start_until() {
	for _ in $(seq 30); do
		api POST /v1/vms "{\"image\":\"$GUEST/hello\",\"wait\":true}"
		[ "$code" != "$1" ] || return 0
	done
	fail "$code, and never $1: $(cat "$body")"
}

@test "open files: 40 of them" {
	DAEMON_UNDER=(prlimit --nofile=40:40)
	daemon_start "$T" --shells 2 --max-shells 4
	hello
	waiters 49
	waiter vm
	# Programs that nobody has seen.
	for i in $(seq 30); do
		cp "$GUEST/hello" "$T/image$i"
		asked 200 POST /v1/vms "{\"image\":\"$T/image$i\",\"wait\":true}"
	done
	for i in $(seq 20); do
		in_background "waited$i" -X POST /v1/vms/vm/wait
		"$MAYFLY" run --pool "$GUEST/handler" wait >"$T/run$i.out" 2>"$T/run$i.err" 3>&- &
		children+=($!)
	done
	until_true 10 beyond_the_limit
	asked 200 GET /healthz
	grep -q 'RLIMIT_NOFILE' "$T"/waited*
	grep -qs 'limit of open files' "$T"/run*.err
	asked 200 POST '/v1/vms/vm/kill'
	kill -KILL "${children[@]}" 2>/dev/null || true
	wait_for_all
	until_true 10 count_is running 49
	for i in $(seq 5); do
		hello
	done
	[ "$("$MAYFLY" run --pool "$GUEST/hello")" = 'Hello, world' ]
}

beyond_the_limit() {
	grep -qs 'RLIMIT_NOFILE' "$T"/waited* && grep -qs 'limit of open files' "$T"/run*.err
}

@test "open files: none left, and given back" {
	DAEMON_UNDER=(prlimit --nofile=40:40)
	daemon_start "$T" --shells 1 --max-shells 1
	waiter vm
	# Connections that say nothing, until no more is let in; they go all at once.
	python3 -c '
import socket, sys, time
kept = []
for kind, path in ((socket.SOCK_STREAM, sys.argv[1]), (socket.SOCK_SEQPACKET, sys.argv[1] + ".run")):
    for _ in range(60):
        s = socket.socket(socket.AF_UNIX, kind)
        s.connect(path)
        kept.append(s)
print("connected", flush=True)
time.sleep(600)' "$SOCKET" >"$T/client" 3>&- &
	children+=($!)
	until_true 10 grep -q connected "$T/client"
	ticks=$(cpu_ticks "$DAEMON_PID")
	sleep 0.5
	[ "$(cpu_ticks "$DAEMON_PID")" -lt $((ticks + 30)) ] || fail 'it spins'
	kill -KILL "${children[0]}"
	wait_for_all
	hello
	state_is vm running
}

@test "processes: a cgroup that has no more" {
	local parent name
	name=mayfly-bats-$$
	for parent in /sys/fs/cgroup/pids /sys/fs/cgroup; do
		mkdir "$parent/$name" 2>/dev/null || continue
		cgroup=$parent/$name
		[ ! -e "$cgroup/pids.max" ] || break
		rmdir "$cgroup"
		cgroup=
	done
	[ -n "$cgroup" ] || skip 'no cgroup with a pids controller can be made here'
	# shellcheck disable=SC2016
	DAEMON_UNDER=(bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$cgroup")
	daemon_start "$T" --shells 2 --max-shells 4
	hello
	cp "$GUEST/hello" "$T/unseen"
	until_true 5 is_settled
	# Room for two VMs more, or one and half of another.
	cat "$cgroup/pids.current" >"$T/before"
	echo $(($(cat "$T/before") + 3)) >"$cgroup/pids.max"
	for i in $(seq 10); do
		api POST /v1/vms "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"],\"name\":\"vm$i\"}"
		[ "$code" = 201 ] || break
	done
	[ "$i" -gt 2 ]
	[ "$code" = 503 ]
	says "$name has"
	says 'raise its pids.max'
	api POST /v1/vms "{\"image\":\"$GUEST/hello\",\"wait\":true,\"memory_mib\":20}"
	[ "$code" = 503 ]
	says 'raise its pids.max'
	api POST /v1/vms "{\"image\":\"$T/unseen\",\"wait\":true}"
	[ "$code" = 503 ]
	says 'raise its pids.max'
	count_is running $((i - 1))
	asked 200 GET '/v1/events?follow=false'
	[ "$(jq -r 'select(.type == "pool") | .detail' "$body" | grep -c 'cannot fork')" -ge 1 ]
	echo max >"$cgroup/pids.max"
	until_true 15 start_is 200
	asked 200 POST /v1/vms "{\"image\":\"$T/unseen\",\"wait\":true}"
	until_true 15 is_settled
}

refused_for() { # TEXT
	api POST /v1/vms "{\"image\":\"$GUEST/hello\",\"wait\":true}"
	[ "$code" = 503 ] && [[ "$(field .error.message)" == *"$1"* ]]
}

@test "processes: a user who may have no more" {
	elsewhere=$(mktemp -d /tmp/mayfly-test.XXXXXX)
	as_nobody "$elsewhere"
	cp "$GUEST/hello" "$GUEST/status" "$elsewhere"
	GUEST=$elsewhere
	daemon_start "$elsewhere" --shells 2 --max-shells 2
	hello
	limited_to "$(zygote)" 1
	start_until 503
	says RLIMIT_NPROC
	limited_to "$DAEMON_PID" 1
	api POST /v1/vms "{\"image\":\"$GUEST/status\"}"
	[ "$code" = 503 ]
	says 'RLIMIT_NPROC 1'
	limited_to "$DAEMON_PID" 10000
	limited_to "$(zygote)" 10000
	until_true 15 start_is 200
	until_true 15 is_settled
}

limited_to() { # PID PROCESSES: only their user may say that
	setpriv --reuid=nobody --regid=nogroup --clear-groups prlimit --pid "$1" --nproc="$2":10000
}

@test "memory and descriptors of the VMs' processes" {
	daemon_start "$T" --shells 2 --max-shells 2
	hello
	waiter beside
	prlimit --pid "$(zygote)" --as=20000000:unlimited
	start_until 503
	says 'guest memory: Out of memory'
	says RLIMIT_AS
	[ "$("$MAYFLY" run --pool "$GUEST/hello" 2>&1 || echo $?)" != 'Hello, world' ]
	prlimit --pid "$(zygote)" --as=unlimited:unlimited
	until_true 15 start_is 200
	for files in 6 7 8 9 10; do
		prlimit --pid "$(zygote)" --nofile=$files:20000
		start_until 503
		says RLIMIT_NOFILE
		prlimit --pid "$(zygote)" --nofile=1000:20000
		until_true 15 start_is 200
	done
	until_true 15 is_settled
	state_is beside running
}

@test "memory of the daemon" {
	daemon_start "$T" --shells 2 --max-shells 2
	hello
	waiter beside
	cp "$GUEST/hello" "$T/unseen"
	(printf '{"image":"%s","wait":true,"stdin":"' "$GUEST/hello" && head -c 4000000 /dev/zero | tr '\0' x && echo '"}') >"$T/request"
	prlimit --pid "$DAEMON_PID" --as=1000000:unlimited
	asked 503 POST /v1/vms "{\"image\":\"$T/unseen\",\"wait\":true}"
	says RLIMIT_AS
	asked 503 POST /v1/vms "@$T/request"
	hello
	prlimit --pid "$DAEMON_PID" --as=unlimited:unlimited
	asked 200 POST /v1/vms "{\"image\":\"$T/unseen\",\"wait\":true}"
	asked 200 POST /v1/vms "@$T/request"
	state_is beside running
}

@test "a run directory that is full" {
	[ "$(id -u)" -eq 0 ] || skip 'only root can mount a small file system'
	# shellcheck disable=SC2016
	DAEMON_UNDER=(unshare -m --propagation private bash -c
		'mount -t tmpfs -o size=600k,nr_inodes=100 none "$MAYFLY_RUN_DIR" && exec "$@"' -)
	"${DAEMON_UNDER[@]:0:4}" true || skip 'no mount namespace can be had'
	export SOCKET=$T/sock
	mkdir "$T/run"
	daemon_start_at "$SOCKET" --shells 2 --max-shells 2
	dir=/proc/$DAEMON_PID/root$MAYFLY_RUN_DIR
	hello
	# By a log. What came before is there; what is lost, is counted, and told.
	create "{\"image\":\"$GUEST/flood\",\"args\":[\"1\"],\"name\":\"vm\"}"
	asked 200 POST /v1/vms/vm/wait
	has '.exit_code == 0'
	asked 200 GET /v1/vms/vm/stats
	has '.lost_bytes > 300000 and .lost_bytes < 1000000'
	asked 200 GET '/v1/vms/vm/logs?format=json'
	[ "$(jq -rj '.text // ""' "$body" | wc -c)" -gt 100000 ]
	# What needs no file goes on, what needs one says why not.
	hello
	api POST /v1/vms "{\"image\":\"$GUEST/status\",\"wait\":true}"
	[[ $code == 50? ]]
	says 'No space left on device'
	asked 204 DELETE /v1/vms/vm
	asked 200 POST /v1/vms "{\"image\":\"$GUEST/status\",\"wait\":true}"
	# Not one more name: shells cannot make their sockets.
	i=0
	while touch "$dir/file$i" 2>/dev/null; do
		i=$((i + 1))
	done
	for _ in $(seq 10); do
		api POST /v1/vms "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"]}"
		[ "$code" = 201 ] || break
	done
	[[ $code == 50? ]]
	says 'No space left on device'
	rm "$dir"/file*
	until_true 15 start_is 200
	until_true 15 is_settled
}

# The same with --socket elsewhere: what is mounted over the run directory hides it.
daemon_start_at() { # SOCKET OPTION...
	export DAEMON_LOG=$T/daemon.log MAYFLY_RUN_DIR=$T/run
	env "${DAEMON_UNDER[@]}" "$MAYFLY" daemon --socket "$@" </dev/null >>"$DAEMON_LOG" 2>&1 3>&- &
	export DAEMON_PID=$!
	until_true 20 daemon_answers_or_ended
	daemon_answers || fail "the daemon has ended:" "$(cat "$DAEMON_LOG")"
}

@test "files that may not grow" {
	DAEMON_UNDER=(prlimit --fsize=102400:102400)
	daemon_start "$T" --shells 2 --max-shells 2
	create "{\"image\":\"$GUEST/flood\",\"args\":[\"1\"],\"name\":\"vm\"}"
	asked 200 POST /v1/vms/vm/wait
	has '.exit_code == 0 and .end == "exited"'
	asked 200 GET /v1/vms/vm/stats
	has '.lost_bytes > 800000 and .lost_bytes < 1000000'
	api POST /v1/vms "{\"image\":\"$BB\",\"args\":[\"true\"],\"wait\":true}"
	[[ $code == 50? ]]
	says 'File too large'
	hello
}

@test "/dev/kvm: none at the start, none for a while" {
	[ "$(id -u)" -eq 0 ] || skip 'only root can hide /dev/kvm'
	unshare -m --propagation private mount --bind /dev/null /dev/kvm || skip 'no mount namespace can be had'
	export MAYFLY_RUN_DIR=$T/run
	# shellcheck disable=SC2016
	run timeout 10 unshare -m --propagation private bash -c 'mount --bind /dev/null /dev/kvm && exec "$@"' - "$MAYFLY" daemon
	[ "$status" -eq 125 ]
	[[ $output == *"/dev/kvm is not KVM's device"* ]]
	# shellcheck disable=SC2016
	run timeout 10 unshare -m --propagation private bash -c 'mount -t tmpfs none /dev && exec "$@"' - "$MAYFLY" daemon
	[ "$status" -eq 125 ]
	[[ $output == *'cannot open /dev/kvm'* ]]
	[[ $output == *'modprobe'* ]]
	DAEMON_UNDER=(unshare -m --propagation private)
	daemon_start "$T" --shells 2 --max-shells 2
	hello
	nsenter -t "$DAEMON_PID" -m mount --bind /dev/null /dev/kvm
	hello # with what is open already
	kill -KILL "$(zygote)"
	until_true 10 refused_for /dev/kvm
	asked 200 GET /healthz
	nsenter -t "$DAEMON_PID" -m umount /dev/kvm
	until_true 20 start_is 200
	until_true 10 is_settled
}
