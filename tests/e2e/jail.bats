#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# jail.bats: what a VM's process can do when its guest has taken it over. tests/turncoat is a
# mayfly that does what the program's first argument, turn=NAME, says, instead of running the
# guest; its exit code is WORKED, or the errno that it got.
#
# shellcheck disable=SC2154,SC2030,SC2031 # shared with helpers; bats' subshells

load helpers
load daemon

readonly WORKED=200 UNKNOWN=201
readonly STOPPED='ended by the system-call filter'

# These would break the socket that all shells share, if nobody stopped them.
readonly BREAK_THE_DAEMON='setfl_nonblock setsig fionbio shutdown setsockopt connect bind'

setup_file() {
	need_machine
	export REAL=$MAYFLY
	TURNCOAT=$(dirname "$PROGRAMS")/turncoat/mayfly
	[ -x "$TURNCOAT" ] || fail "$TURNCOAT is missing: run make check-build"
	export MAYFLY=$TURNCOAT
	daemon_start "$BATS_FILE_TMPDIR" --shells 4 --max-shells 8
}

teardown_file() {
	daemon_end
}

setup() {
	T=$BATS_TEST_TMPDIR
	GUEST=$(dirname "$PROGRAMS")/guest-cli/musl
	HELLO=$GUEST/hello
	BB=$PROGRAMS/busybox
	[ -x "$HELLO" ] || fail "$HELLO is missing: run make check-build"
	own_daemon=
}

teardown() {
	[ -z "$own_daemon" ] || daemon_end
	rm -f /tmp/mayfly-turncoat
}

# The names of all tries that a jail answers with the process' end: those of one system call
# and those that take more.
tries() {
	sed -n 's/^\tCALL("\([a-z0-9_]*\)",.*/\1/p' "$ROOT/tests/turncoat/turncoat.c"
	printf '%s\n' create_vm create_vcpu child int80
}

# turn NAME: in a VM of the daemon; $exit_code, $reason.
turn() {
	asked 200 POST /v1/vms "{\"image\":\"$HELLO\",\"args\":[\"turn=$1\"],\"wait\":true,\"timeout_ms\":20000}"
	exit_code=$(field .exit_code) reason=$(field .reason)
}

# run_turn NAME OPTION...: by mayfly run.
run_turn() {
	local name=$1
	shift
	captured run "$MAYFLY" run "$@" "$HELLO" "turn=$name" </dev/null
}

# sleeper: a VM that waits; $id, $pid.
sleeper() {
	create "{\"image\":\"$BB\",\"args\":[\"sleep\",\"1000\"]}"
	until_true 20 state_is "$id" running
	pid=$(field .pid)
}

remove() { # ID
	asked 204 DELETE "/v1/vms/$1?force"
}

# status FIELD: of the process $pid.
status() {
	sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"
}

metric() {
	api GET /metrics
	awk -v name="$1" '$1 == name { print $2 }' "$body"
}

# ---- the filter ----

@test "the control: a program runs, and what does not exist is not tried" {
	turn none
	[ "$exit_code" -eq "$UNKNOWN" ]
	asked 200 POST /v1/vms "{\"image\":\"$HELLO\",\"wait\":true}"
	[ "$(field .exit_code)" -eq 0 ]
	[ "$(field .stdout)" = 'Hello, world' ]
}

@test "whatever a shell tries that no VM needs ends it, and the reason is told" {
	local name wrong=() n=0
	for name in $(tries); do
		turn "$name"
		n=$((n + 1))
		[[ $exit_code -eq 125 && $reason == *"$STOPPED"* ]] ||
			wrong+=("$name: exit code $exit_code, reason '$reason'")
	done
	[ "${#wrong[@]}" -eq 0 ] || fail "${wrong[@]}"
	[ "$n" -gt 110 ] || fail "only $n tries were found"
	[ ! -e /tmp/mayfly-turncoat ]
	# It harmed nobody else.
	asked 200 POST /v1/vms "{\"image\":\"$HELLO\",\"wait\":true}"
	[ "$(field .exit_code)" -eq 0 ]
}

@test "who asked by mayfly run --pool reads the reason" {
	run_turn kill --pool --socket "$SOCKET"
	[ "$status" -eq 125 ]
	grep -q "$STOPPED" "$T/run.err" || fail "stderr: $(cat "$T/run.err")"
}

@test "a shell can have two threads more, for its output and its net devices" {
	[ "$(id -u)" -eq 0 ] || skip "without root shells share a user, and have none"
	turn threads
	[ "$exit_code" -eq 11 ] || fail "exit code $exit_code, not EAGAIN" # and not $WORKED
}

@test "news that a shell forges are rejected: others run on" {
	local victims=() rejected victim
	while [ "${#victims[@]}" -lt 3 ]; do
		sleeper
		victims+=("$id")
	done
	rejected=$(metric mayfly_news_rejected_total)
	asked 200 POST /v1/vms "{\"image\":\"$HELLO\",\"args\":[\"turn=forge\"],\"wait\":true,\"timeout_ms\":20000}"
	[ "$(metric mayfly_news_rejected_total)" -gt "$rejected" ]
	for victim in "${victims[@]}"; do
		asked 200 GET "/v1/vms/$victim"
		[ "$(field .state)" = running ]
		asked 200 GET "/v1/vms/$victim/stats"
		remove "$victim"
	done
}

# ---- the test can fail ----

@test "--no-jail says so, and then nothing of this is stopped" {
	local name wrong=() worked=0
	daemon_start "$T" --no-jail --shells 4
	own_daemon=yes
	grep -q 'WARNING: --no-jail' "$DAEMON_LOG"
	for name in $(tries); do
		[[ " $BREAK_THE_DAEMON " != *" $name "* ]] || continue
		turn "$name"
		[[ $reason != *"$STOPPED"* ]] || wrong+=("$name")
		[ "$exit_code" -ne "$WORKED" ] || worked=$((worked + 1))
	done
	[ "${#wrong[@]}" -eq 0 ] || fail "stopped without a jail: ${wrong[*]}"
	[ -e /tmp/mayfly-turncoat ]
	for name in open socket_unix mmap_exec mprotect_exec memfd_create child; do
		turn "$name"
		[ "$exit_code" -eq "$WORKED" ] || wrong+=("$name: exit code $exit_code")
	done
	[ "${#wrong[@]}" -eq 0 ] || fail "did not work without a jail: ${wrong[*]}"
	[ "$worked" -gt 20 ] || fail "only $worked tries worked without a jail"
}

# ---- what else is around it ----

@test "a shell has a user of its own, no capability, and cannot get any" {
	[ "$(id -u)" -eq 0 ] || skip "without root shells have the daemon's user"
	local first cap
	sleeper
	first=$(status Uid)
	[ "$(tr '\t' '\n' <<<"$first" | sort -u | wc -l)" -eq 1 ] || fail "Uid: $first"
	[ "${first%%$'\t'*}" -ne 0 ]
	[ "$(status Gid)" = "$first" ]
	[ -z "$(status Groups)" ]
	for cap in CapInh CapPrm CapEff CapBnd CapAmb; do
		[ "$(status $cap)" = 0000000000000000 ] || fail "$cap is $(status $cap)"
	done
	[ "$(status NoNewPrivs)" -eq 1 ]
	[ "$(status Seccomp)" -eq 2 ]
	remove "$id"
	sleeper
	[ "$(status Uid)" != "$first" ]
	remove "$id"
}

@test "a shell has the descriptors that it needs, and no others" {
	local fd target unexpected=() seen=
	sleeper
	for fd in "/proc/$pid/fd/"*; do
		target=$(readlink "$fd")
		case $target in
		anon_inode:kvm-vm | anon_inode:kvm-vcpu:0 | */run/log/*) seen+=x ;;
		socket:*) seen+=s ;;           # control and news
		*/run/*' (deleted)') seen+=i ;; # the prepared image, to read
		*) unexpected+=("${fd##*/} -> $target") ;;
		esac
		[[ $target != *' (deleted)' ]] || [ "$(stat -c %A "$fd")" = lr-x------ ]
	done
	[ "${#unexpected[@]}" -eq 0 ] || fail "${unexpected[@]}"
	[ "$(tr -cd s <<<"$seen")" = ss ]
	[ "$(tr -cd x <<<"$seen")" = xxx ]
	[ "$(readlink "/proc/$pid/cwd")" = / ]
	remove "$id"
}

@test "a shell sees no file, no network, no process of the host's" {
	local kind
	sleeper
	for kind in pid mnt net ipc uts; do
		[ "$(readlink "/proc/$pid/ns/$kind")" != "$(readlink "/proc/self/ns/$kind")" ] ||
			fail "the $kind namespace is ours"
	done
	[ -z "$(ls -A "/proc/$pid/root/")" ]
	[ "$(wc -l <"/proc/$pid/mountinfo")" -eq 1 ]
	grep -q ' / / ro,nosuid,nodev,noexec.* tmpfs ' "/proc/$pid/mountinfo"
	# The loopback interface, which is down.
	[ "$(grep -c : "/proc/$pid/net/dev")" -eq 1 ]
	[ "$(grep -vc Iface "/proc/$pid/net/route")" -eq 0 ]
	remove "$id"
}

@test "a shell's limits, and who goes first when memory ends" {
	sleeper
	limit() { # NAME VALUE
		local text
		text=$(grep "^$1 " "/proc/$pid/limits")
		[[ $text =~ ^$1\ +$2\ +$2\  ]] || fail "not $2: $text"
	}
	limit 'Max core file size' 0
	limit 'Max locked memory' 0
	limit 'Max msgqueue size' 0
	limit 'Max nice priority' 0
	limit 'Max realtime priority' 0
	limit 'Max open files' 64
	limit 'Max processes' '[03]'
	limit 'Max pending signals' 16
	[ "$(cat "/proc/$pid/oom_score_adj")" -eq 800 ]
	remove "$id"
}

# ---- mayfly run without a pool ----

@test "mayfly run: the monitor can read and report a crash, and change nothing" {
	local name wrong=() n=0
	# What it can do: jail/rules.c says what for.
	local may=' open openat readlink memfd_create execve mmap_exec mmap_shared mprotect_exec mremap no_pdeathsig '
	for name in $(tries); do
		run_turn "$name"
		n=$((n + 1))
		case $may in
		*" $name "*) [ "$status" -ne 159 ] || wrong+=("$name: stopped") ;;
		*)
			case $name:$status in # these two fail with an errno
			socketpair:13 | prlimit:1 | prlimit_other:1 | *:159) ;;
			*) wrong+=("$name: exit code $status") ;;
			esac
			;;
		esac
	done
	[ "${#wrong[@]}" -eq 0 ] || fail "${wrong[@]}"
	[ "$n" -gt 110 ]
	[ ! -e /tmp/mayfly-turncoat ]
}

@test "mayfly run --core: a file can be made, and no more than that" {
	run_turn open_write --core "$T/core"
	[ "$status" -eq "$WORKED" ]
	[ -e /tmp/mayfly-turncoat ]
	for name in socket_unix kill ptrace chmod mount create_vm; do
		run_turn "$name" --core "$T/core"
		[ "$status" -eq 159 ] || fail "$name: exit code $status"
	done
}

@test "mayfly run --no-jail says so, and stops nothing" {
	run_turn open_write --no-jail
	[ "$status" -eq "$WORKED" ]
	grep -q -- '--no-jail' "$T/run.err"
	run_turn socket_inet --no-jail
	[ "$status" -eq "$WORKED" ]
}

@test "a crash is reported in full from within the jail" {
	captured run "$REAL" run "$(dirname "$PROGRAMS")/guest-crash/glibc/null_read" </dev/null
	[ "$status" -eq 139 ]
	grep -q ' in null_read (null_read.c:' "$T/run.err"
}
