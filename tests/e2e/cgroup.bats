#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# cgroup.bats: a daemon with --cgroup: its VMs' limits hold, and no cgroup is left, however a VM
# or the daemon ends. v1 or v2, as this machine has it; v2 in any case in tests/amdv/scripts.
# What needs no VM is in tests/unit/test_cgroup_live.c.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2314 # shared with helpers.bash; bats' subshells

load helpers

setup() {
	need_machine
	T=$BATS_TEST_TMPDIR
	GUESTS=$(dirname "$PROGRAMS")
	daemons=() runs=0
	command -v curl >/dev/null || fail "curl is missing: scripts/deps.sh check"
	parent=auto
}

# Whatever failed: no daemon, no VM, no cgroup is left.
teardown() {
	local pid
	for pid in "${daemons[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		poll 50 remove_cgroups "$pid" || echo "cgroups of daemon $pid are left" >&2
	done
	[ "$parent" = auto ] || find /sys/fs/cgroup -depth -type d -path "*$parent*" -exec rmdir {} + || true
}

remove_cgroups() { # DAEMON
	dirs "$1" | sort -r | xargs -r -d '\n' rmdir 2>/dev/null
	find /sys/fs/cgroup -depth -type d -name mayfly -exec rmdir {} + 2>/dev/null # if nobody's
	[ -z "$(dirs "$1")" ]
}

# poll TENTHS COMMAND...: until COMMAND succeeds.
poll() {
	local tries=$1
	shift
	until "$@"; do
		[ $((tries--)) -gt 0 ] || return 1
		sleep 0.1
	done
}

# start_daemon OPTION...: $daemon, $socket. Each has a run directory of its own.
start_daemon() {
	local dir=$T/run$((++runs))
	mkdir -p "$dir"
	start_in "$dir" "$@"
}

start_in() { # RUN_DIR OPTION...
	local dir=$1
	shift
	socket=$dir/mayfly.sock
	MAYFLY_RUN_DIR=$dir "$MAYFLY" daemon --shells 2 --max-shells 2 "$@" >>"$T/daemon.log" 2>&1 3>&- &
	daemon=$!
	daemons+=("$daemon")
	poll 100 api /healthz && return
	grep -q 'no cgroups can be made' "$T/daemon.log" && skip "$(tail -n 1 "$T/daemon.log")"
	fail "the daemon does not answer: $(cat "$T/daemon.log")"
}

stop_daemon() { # SIGNAL
	kill "-$1" "$daemon"
	wait "$daemon" || true
}

# api PATH [BODY]: GET, or POST with a body. $code, and the answer in $T/reply.
api() {
	local path=$1
	shift
	[ $# -eq 0 ] || set -- -d "$1"
	code=$(curl -sS --unix-socket "$socket" -o "$T/reply" -w '%{http_code}' "$@" \
		"http://mayfly$path" 2>"$T/curl.err") || return 1
	[[ $code == 2* ]]
}

get() { jq -r "$1" "$T/reply"; } # JQ-FILTER

# vm PROGRAM ARGS-AS-JSON FIELDS-AS-JSON: creates one.
vm() {
	api /v1/vms "{\"image\": \"$1\", \"args\": $2, $3}" || fail "$code $(cat "$T/reply")"
}

sleeper() { # NAME LIMITS
	vm "$PROGRAMS/busybox" '["sleep", "1000"]' "\"argv0\": \"busybox\", \"name\": \"$1\", \"limits\": {$2}"
	pid=$(get .pid)
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

none() { # COMMAND...: it prints nothing
	[ -z "$("$@")" ]
}

shells_are() { # DAEMON N: so many cgroups in each hierarchy
	local n
	n=$(dirs "$1" | grep -c '/shell-[0-9]*$')
	[ "$n" -eq $(($2 * $(dirs "$1" | grep -c '/daemon-[0-9]*$'))) ]
}

@test "a VM's process and KVM's thread are in its cgroup, with its limits" {
	start_daemon --cgroup auto
	sleeper a '"memory_max_mib": 20, "cpus": 0.5, "cpu_weight": 50, "pids_max": 3'
	[ "$(limit memory.limit_in_bytes memory.max)" = 20971520 ]
	[ "$(limit pids.max pids.max)" = 3 ]
	[[ "$(limit cpu.cfs_quota_us cpu.max)" == 50000* ]]
	[[ "$(limit cpu.shares cpu.weight)" =~ ^(512|50)$ ]]
	[ "$(limit pids.current pids.current)" -eq 2 ]
	# The other shells have none.
	for other in $(dirs "$daemon" | grep '/shell-' | grep -v "/$shell$"); do
		[ ! -e "$other/pids.max" ] || [ "$(cat "$other/pids.max")" = max ] || fail "$other"
	done
}

@test "a VM that takes more memory than it may is ended, with the reason, alone" {
	start_daemon --cgroup auto
	sleeper beside '"memory_max_mib": 20'
	beside=$pid
	dd='["dd", "if=/dev/zero", "of=/dev/null", "bs=60M", "count=1"]'
	vm "$PROGRAMS/busybox" "$dd" '"argv0": "busybox", "wait": true, "memory_mib": 96, "limits": {"memory_max_mib": 20}'
	[ "$(get .end)" = failed ]
	[ "$(get .exit_code)" = 125 ]
	[[ "$(get .reason)" == *"memory limit"* ]]
	[ -d "/proc/$beside" ]
	vm "$PROGRAMS/busybox" "$dd" '"argv0": "busybox", "wait": true, "memory_mib": 96, "limits": {"memory_max_mib": 90}'
	[ "$(get .exit_code)" = 0 ]
	vm "$PROGRAMS/busybox" "$dd" '"argv0": "busybox", "wait": true, "memory_mib": 96'
	[ "$(get .exit_code)" = 0 ]
}

@test "a VM gets no more CPU time than it may" {
	start_daemon --cgroup auto
	vm "$PROGRAMS/sha256" '["250"]' '"wait": true, "limits": {"cpu_weight": 100}'
	[ "$(get .exit_code)" = 0 ]
	free_us=$(get .timing.run_us)
	vm "$PROGRAMS/sha256" '["250"]' '"wait": true, "limits": {"cpus": 0.2}'
	[ "$(get .exit_code)" = 0 ]
	held_us=$(get .timing.run_us)
	# A fifth: five times as long, less what the first period gives ahead.
	[ "$free_us" -gt 200000 ] || fail "too short to tell: $free_us us"
	[ "$held_us" -gt $((free_us * 5 / 2)) ] || fail "$held_us us, and $free_us us without a limit"
}

@test "without --cgroup, and beyond what can be, limits are refused" {
	start_daemon
	none dirs "$daemon"
	api /v1/vms "{\"image\": \"$PROGRAMS/busybox\", \"limits\": {\"cpu_weight\": 5}}" && fail "it was taken"
	[ "$code" = 400 ]
	[[ "$(get .error.message)" == *--cgroup* ]]
	start_daemon --cgroup auto
	for limits in '"pids_max": 1' '"cpu_weight": 10001' '"cpus": -1' '"memory_max_mib": 0'; do
		api /v1/vms "{\"image\": \"$PROGRAMS/busybox\", \"limits\": {$limits}}" && fail "$limits was taken"
		[ "$code" = 400 ] || fail "$limits: $code"
	done
	api '/v1/vms?all'
	[ "$(get '.vms | length')" = 0 ]
}

@test "a cgroup that cannot be had: the daemon says so and does not start" {
	for bad in / .. 'a/../../b' ''; do
		MAYFLY_RUN_DIR=$T/bad timeout 10 "$MAYFLY" daemon --cgroup "$bad" >"$T/out" 2>"$T/err" && fail "'$bad' was taken"
		grep -q "cgroup" "$T/err" || fail "'$bad': $(cat "$T/err")"
	done
}

@test "cgroups go with their VMs, and all with the daemon" {
	start_daemon --cgroup auto
	for _ in $(seq 30); do
		vm "$GUESTS/guest-cli/musl/hello" '[]' '"wait": true'
	done
	poll 50 shells_are "$daemon" 2 || fail "$(dirs "$daemon")"
	sleeper a '"pids_max": 8'
	kill -KILL "$pid"
	poll 50 none find /sys/fs/cgroup -path "*/$shell" || fail "$shell is left"
	stop_daemon TERM
	none dirs "$daemon"
}

@test "what a killed daemon left goes with the next, beside one that lives" {
	start_daemon --cgroup auto
	living=$daemon
	start_daemon --cgroup auto
	sleeper a '"pids_max": 8'
	killed=$daemon
	stop_daemon KILL
	poll 50 [ ! -d "/proc/$pid" ] || fail "the VM outlived its daemon"
	[ -n "$(dirs "$killed")" ]
	start_in "$T/run2" --cgroup auto
	poll 50 none dirs "$killed" || fail "$(dirs "$killed")"
	poll 50 shells_are "$living" 2 || fail "the living one's: $(dirs "$living")"
	poll 50 shells_are "$daemon" 2
	socket=$T/run1/mayfly.sock
	vm "$GUESTS/guest-cli/musl/hello" '[]' '"wait": true, "limits": {"pids_max": 4}'
	[ "$(get .exit_code)" = 0 ]
}

@test "a named parent is made, and removed as far as it was made" {
	parent=/mayfly-bats-$$
	start_daemon --cgroup "$parent/vms"
	sleeper a '"memory_max_mib": 20'
	grep -q "$parent/vms/$shell" "/proc/$pid/cgroup"
	stop_daemon TERM
	none find /sys/fs/cgroup -path "*$parent*"
}
