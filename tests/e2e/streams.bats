#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# streams.bats: standard streams that are closed, full or not read, and signals.
#
# Mind bats: in `a && b` a failing `a` goes unnoticed, so each check has its own line.
#
# $out, $err and others come from helpers.bash and cli.bash; bats runs each test in a
# subshell; what is in single quotes is for other shells.
# shellcheck disable=SC2154,SC2034,SC2016,SC2314,SC2030,SC2031

load helpers
load cli

# ---- standard streams ----

# streams CODE CLOSED PROGRAM...: natively and in the VM with a stream closed: the same.
streams() {
	local code=$1 closed=$2 native=0 vm=0
	shift 2
	bash -c "\"\$@\" $closed" sh "$@" >"$T/native.out" 2>/dev/null </dev/null || native=$?
	bash -c "\"\$@\" $closed" sh "$MAYFLY" run "$@" >"$T/vm.out" 2>/dev/null </dev/null || vm=$?
	[ $native -eq "$code" ] || fail "the test is wrong: natively $native"
	[ $vm -eq "$code" ] || fail "with $closed: exit code $vm, not $code"
	cmp "$T/native.out" "$T/vm.out"
}

@test "closed stdin, stdout, stderr" {
	streams 0 '<&-' "$HELLO"
	streams 0 '2>&-' "$HELLO"
	streams 0 '>&-' "$GUEST/status" 0
	streams 3 '<&- >&- 2>&-' "$GUEST/status" 3
	streams 1 '<&-' "$BB" cat
	streams 1 '>&-' "$BB" echo lost
}

@test "stdout on a full device: 125 and the reason, unless the program noticed" {
	local code=0
	"$MAYFLY" run "$HELLO" >/dev/full 2>"$T/full.err" </dev/null || code=$?
	[ $code -eq 125 ] || fail "exit code $code, not 125"
	grep -q 'No space left' "$T/full.err" || fail "$(cat "$T/full.err")"
	# A program that failed for reasons of its own keeps its status.
	code=0
	"$MAYFLY" run "$BB" sh -c 'echo x; exit 5' >/dev/full 2>"$T/full.err" </dev/null || code=$?
	[ $code -eq 5 ] || fail "exit code $code, not 5"
}

@test "a reader that goes away ends the program: 141" {
	local codes
	codes=$(timeout "$LIMIT" bash -c '"$1" run "$2" yes | head -n 1 >/dev/null
		echo "${PIPESTATUS[0]}"' sh "$MAYFLY" "$BB")
	[ "$codes" = 141 ] || fail "yes | head: $codes"
	codes=$(timeout "$LIMIT" bash -c '"$1" run "$2" 1000 | head -c 10 >/dev/null
		echo "${PIPESTATUS[0]}"' sh "$MAYFLY" "$GUEST/flood")
	[ "$codes" = 141 ] || fail "flood | head: $codes"
}

@test "a reader that was never there: 141 even for one line" {
	local codes
	mkfifo "$T/fifo"
	codes=$(timeout "$LIMIT" bash -c 'exec 9<>"$3"; exec 8>"$3"; exec 9<&-
		"$1" run "$2" >&8; echo $?' sh "$MAYFLY" "$HELLO" "$T/fifo")
	[ "$codes" = 141 ] || fail "$codes"
}

@test "nobody reads: memory stays bounded; then all of it arrives" {
	local million rss code=0
	million=$(scaled 1000)
	mkfifo "$T/fifo"
	# shellcheck disable=SC2217 # it keeps the reading end open
	sleep 1000 <"$T/fifo" 3>&- &
	children+=("$!")
	"$MAYFLY" run "$GUEST/flood" "$million" >"$T/fifo" 2>"$T/flood.err" </dev/null 3>&- &
	pid=$!
	children+=("$pid")
	sleep 1.5
	rss=$(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
	[ "$rss" -lt 16384 ] || fail "$rss KiB resident with $million MB to write"
	[ "$(timeout "$LIMIT" wc -c <"$T/fifo")" -eq "${million}000000" ]
	wait "$pid" || code=$?
	[ $code -eq 0 ] || fail "exit code $code" "$(cat "$T/flood.err")"
}

@test "nobody reads: time limit and signals end it all the same" {
	mkfifo "$T/fifo"
	# shellcheck disable=SC2217 # it keeps the reading end open
	sleep 1000 <"$T/fifo" 3>&- &
	children+=("$!")
	status=0
	timeout 20 "$MAYFLY" run --timeout 500ms "$GUEST/flood" 100 >"$T/fifo" 2>"$T/m.err" \
		</dev/null || status=$?
	[ "$status" -eq 124 ]
	"$MAYFLY" run "$GUEST/flood" 100 >"$T/fifo" 2>"$T/started.err" </dev/null 3>&- &
	pid=$!
	children+=("$pid")
	sleep 0.5
	kill -TERM "$pid"
	ended 143
}

# ---- signals ----

@test "SIGINT and SIGTERM end a program without handlers: 130 and 143" {
	for how in spin wait; do
		for pair in INT:130 TERM:143 HUP:129 QUIT:131 USR1:138 USR2:140; do
			start run "$GUEST/handler" $how
			ready
			kill "-${pair%:*}" "$pid"
			ended "${pair#*:}"
		done
	done
}

@test "a program's own handlers run, also while it computes" {
	mkfifo "$T/input"
	for how in spin wait read; do
		input=$T/input
		start run "$GUEST/handler" $how handle
		ready
		kill -TERM "$pid"
		ended 7
		start run "$GUEST/handler" $how handle
		ready
		kill -INT "$pid"
		ended 8
	done
}

@test "a signal that the caller ignores stays ignored" {
	(trap '' HUP && exec "$MAYFLY" run "$GUEST/handler" spin >"$T/started" 2>"$T/started.err" \
		</dev/null 3>&-) &
	pid=$!
	children+=("$pid")
	ready
	kill -HUP "$pid"
	sleep 0.3
	kill -0 "$pid"
	kill -TERM "$pid"
	ended 143
}

@test "SIGKILL leaves nothing behind" {
	start run "$GUEST/handler" spin
	ready
	kill -KILL "$pid"
	ended 137
	until_true 10 bash -c '! pgrep -P '"$pid"
}
