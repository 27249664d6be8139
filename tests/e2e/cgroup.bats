#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# cgroup.bats: a daemon with --cgroup: its VMs' limits hold, and no cgroup is left, however a VM
# or the daemon ends. v1 or v2, as this machine has it; v2 in any case in tests/amdv/scripts.
# What needs no VM is in tests/unit/test_cgroup_*.c.
#
# shellcheck disable=SC2034,SC2154,SC2030,SC2031,SC2314 # shared with helpers.bash and daemon.bash

load helpers
load daemon

setup() {
	need_machine
	daemons=() parent=
}

# Whatever failed: no daemon, no VM, no cgroup is left.
teardown() {
	for DAEMON_PID in "${daemons[@]}"; do
		left=$DAEMON_PID
		daemon_kill
		until_true 5 remove_cgroups "$left" || true
	done
	[ -z "$parent" ] || find /sys/fs/cgroup -depth -type d -path "*$parent*" -exec rmdir {} + || true
}

remove_cgroups() { # DAEMON
	dirs "$1" | sort -r | xargs -r -d '\n' rmdir 2>/dev/null
	find /sys/fs/cgroup -depth -type d -name mayfly -exec rmdir {} + 2>/dev/null # if nobody's
	[ -z "$(dirs "$1")" ]
}

# begin NAME OPTION...: a daemon, and a run directory with this NAME.
begin() {
	local name=$1
	shift
	daemon_start "$BATS_TEST_TMPDIR/$name" --shells 2 --max-shells 2 "$@" && {
		daemons+=("$DAEMON_PID")
		return
	}
	grep -q 'no cgroups can be made' "$DAEMON_LOG" && skip "$(tail -n 1 "$DAEMON_LOG")"
	fail "the daemon did not start"
}

# busybox ARGS-AS-JSON FIELDS: runs it in a VM, and waits.
busybox() {
	asked 200 POST /v1/vms "{\"image\": \"$PROGRAMS/busybox\", \"argv0\": \"busybox\", \"args\": $1,
		\"wait\": true, $2}"
}

# sleeper NAME LIMITS: a VM that runs on.
sleeper() {
	create "{\"image\": \"$PROGRAMS/busybox\", \"argv0\": \"busybox\", \"args\": [\"sleep\", \"1000\"],
		\"name\": \"$1\", \"limits\": {$2}}"
	find_shell
}

# Of the VM in the last reply: $pid, and $shell, its cgroup's name.
find_shell() {
	pid=$(field .pid)
	shell=$(sed -n 's,.*/\(daemon-[^/]*/shell-[0-9]*\)$,\1,p' "/proc/$pid/cgroup" | head -n 1)
	[ -n "$shell" ] || fail "process $pid is in no cgroup: $(cat "/proc/$pid/cgroup")"
}

# The directories of a daemon's cgroups: its own and its shells'.
dirs() { # DAEMON
	find /sys/fs/cgroup -type d \( -path "*/daemon-$1" -o -path "*/daemon-$1/*" \) 2>/dev/null
}

# limit V1-FILE V2-FILE: what it says of $shell.
limit() {
	cat "$(find /sys/fs/cgroup \( -path "*/$shell/$1" -o -path "*/$shell/$2" \) | head -n 1)"
}

throttled() { # N: periods of $shell in which it wanted more
	[ "$(limit cpu.stat cpu.stat | sed -n 's/^nr_throttled //p')" -ge "$1" ]
}

cpu_ms() { # PID
	awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print int(($12 + $13) * 1000 / hz) }' "/proc/$1/stat"
}

none() { # COMMAND...: it prints nothing
	[ -z "$("$@")" ]
}

shells_are() { # DAEMON N: so many cgroups in each hierarchy
	local n
	n=$(dirs "$1" | grep -c '/shell-[0-9]*$')
	[ "$n" -gt 0 ] && [ "$n" -eq $(($2 * $(dirs "$1" | grep -c '/daemon-[0-9]*$'))) ]
}

@test "a VM's process and KVM's thread are in its cgroup, with its limits" {
	begin one --cgroup auto
	sleeper a '"memory_max_mib": 20, "cpus": 0.5, "cpu_weight": 50, "pids_max": 3'
	[ "$(limit memory.limit_in_bytes memory.max)" = 20971520 ]
	[ "$(limit pids.max pids.max)" = 3 ]
	[[ "$(limit cpu.cfs_quota_us cpu.max)" == 50000* ]]
	[[ "$(limit cpu.shares cpu.weight)" =~ ^(512|50)$ ]]
	[ "$(limit pids.current pids.current)" -eq 2 ]
	# The other shells have none.
	for other in $(dirs "$DAEMON_PID" | grep '/shell-' | grep -v "/$shell$"); do
		[ ! -e "$other/pids.max" ] || [ "$(cat "$other/pids.max")" = max ] || fail "$other"
	done
}

@test "a VM that takes more memory than it may is ended, with the reason, alone" {
	begin one --cgroup auto
	sleeper beside '"memory_max_mib": 20'
	dd='["dd", "if=/dev/zero", "of=/dev/null", "bs=60M", "count=1"]'
	busybox "$dd" '"memory_mib": 96, "limits": {"memory_max_mib": 20}'
	has '.end == "failed" and .exit_code == 125'
	has '.reason | contains("memory limit")'
	[ -d "/proc/$pid" ]
	busybox "$dd" '"memory_mib": 96, "limits": {"memory_max_mib": 90}'
	has '.exit_code == 0'
	busybox "$dd" '"memory_mib": 96'
	has '.exit_code == 0'
}

@test "a VM gets no more CPU time than it may, and some" {
	begin one --cgroup auto
	create "{\"image\": \"$PROGRAMS/sha256\", \"args\": [\"1000000\"], \"limits\": {\"cpus\": 0.2}}"
	find_shell
	until_true 20 throttled 3
	begin_ms=$(($(date +%s%N) / 1000000)) begin_cpu_ms=$(cpu_ms "$pid")
	sleep 2
	cpu=$(($(cpu_ms "$pid") - begin_cpu_ms)) ms=$(($(date +%s%N) / 1000000 - begin_ms))
	# However busy the machine is: at most a fifth, and what a period gives ahead.
	[ "$cpu" -gt 0 ]
	[ $((cpu * 10)) -lt $((ms * 3)) ] || fail "$cpu ms of CPU time in $ms ms"
}

@test "without --cgroup, and beyond what can be, limits are refused" {
	begin one
	none dirs "$DAEMON_PID"
	asked 400 POST /v1/vms "{\"image\": \"$PROGRAMS/busybox\", \"limits\": {\"cpu_weight\": 5}}"
	has '.error.message | contains("--cgroup")'
	begin two --cgroup auto
	for limits in '"pids_max": 1' '"cpu_weight": 10001' '"cpus": -1' '"memory_max_mib": 0'; do
		asked 400 POST /v1/vms "{\"image\": \"$PROGRAMS/busybox\", \"limits\": {$limits}}"
	done
	asked 200 GET '/v1/vms?all'
	has '.vms == []'
}

@test "a cgroup that cannot be had: the daemon says so and does not start" {
	for bad in / .. 'a/../../b' ''; do
		captured bad env MAYFLY_RUN_DIR="$BATS_TEST_TMPDIR/bad" timeout 10 "$MAYFLY" daemon --cgroup "$bad"
		[ "$status" -eq 125 ] || fail "'$bad': exit code $status"
		grep -q 'cgroup' "$BATS_TEST_TMPDIR/bad.err" || fail "'$bad': $(cat "$BATS_TEST_TMPDIR/bad.err")"
	done
}

@test "cgroups go with their VMs, and all with the daemon" {
	begin one --cgroup auto
	for _ in $(seq 30); do
		busybox '["true"]' '"limits": {}'
	done
	until_true 5 shells_are "$DAEMON_PID" 2
	sleeper a '"pids_max": 8'
	kill -KILL "$pid"
	until_true 5 none find /sys/fs/cgroup -path "*/$shell"
	ending=$DAEMON_PID
	daemon_end
	none dirs "$ending"
}

@test "what a killed daemon left goes with the next, beside one that lives" {
	begin living --cgroup auto
	living=$DAEMON_PID
	begin killed --cgroup auto
	sleeper a '"pids_max": 8'
	killed=$DAEMON_PID
	daemon_kill
	until_true 5 not_running "$pid"
	[ -n "$(dirs "$killed")" ]
	begin killed --cgroup auto
	until_true 5 none dirs "$killed"
	until_true 5 shells_are "$DAEMON_PID" 2
	until_true 5 shells_are "$living" 2
	SOCKET=$BATS_TEST_TMPDIR/living/run/mayfly.sock
	busybox '["true"]' '"limits": {"pids_max": 4}'
	has '.exit_code == 0'
}

@test "a named parent is made, and removed as far as it was made" {
	parent=/mayfly-bats-$$
	begin one --cgroup "$parent/vms"
	sleeper a '"memory_max_mib": 20'
	grep -q "$parent/vms/$shell" "/proc/$pid/cgroup"
	daemon_end
	none find /sys/fs/cgroup -path "*$parent*"
}
