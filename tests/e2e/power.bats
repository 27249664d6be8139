#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# power.bats: the power device, and how soon a computing program's output is there. What only
# a shell's caller can ask for is asked through tests/port, a mayfly that takes commands from
# descriptor 9.
#
# shellcheck disable=SC2154,SC2034,SC2030,SC2031 # shared with helpers.bash and cli.bash

load helpers
load cli

setup() {
	T=$BATS_TEST_TMPDIR
	GUEST=$(dirname "$PROGRAMS")/guest-cli/musl
	HOSTILE=$(dirname "$PROGRAMS")/guest-hostile/musl
	PORT=$(dirname "$PROGRAMS")/port/mayfly
	children=()
}

# port ARG...: tests/port's mayfly runs a program in the background, $pid; commands go to
# descriptor 8. Not in a jail: that knows only of a shell's messages.
port() {
	[ -x "$PORT" ] || fail "$PORT is missing: run make check-build"
	mkfifo "$T/port"
	exec 8<>"$T/port"
	"$PORT" run --no-jail "$@" <"${input:-/dev/null}" >"$T/started" 2>"$T/started.err" 9<"$T/port" 8>&- 3>&- &
	pid=$!
	children+=("$pid")
}

ask() {
	printf '%s' "$1" >&8
}

told() {
	until_true "$LIMIT" grep -qx "port: $1" "$T/started.err"
}

lines() {
	wc -l <"$T/started"
}

more_than() { # N: lines are there
	[ "$(lines)" -gt "$1" ]
}

# CPU time that the process $pid has taken, in clock ticks.
cpu() {
	awk '{ print $14 + $15 }' "/proc/$pid/stat"
}

@test "suspended, a program does nothing; resumed, it goes on" {
	local how before taken
	for how in compute sleep; do
		rm -f "$T/port"
		port "$GUEST/ticks" $how 10 1000
		until_true "$LIMIT" more_than 3
		ask s
		told suspended
		before=$(lines)
		taken=$(cpu)
		sleep 0.5
		[ "$(lines)" -eq "$before" ] || fail "$how: it went on: $before lines, then $(lines)"
		[ $(($(cpu) - taken)) -le 2 ] || fail "$how: it took CPU time while suspended"
		ask r
		told running
		until_true "$LIMIT" more_than $((before + 3))
		ask c
		until_true "$LIMIT" grep -q 'unacknowledged 0$' "$T/started.err"
		ask k
		ended 137
	done
}

@test "suspended in a read: input waits" {
	mkfifo "$T/input"
	exec 7<>"$T/input"
	input=$T/input port "$PROGRAMS/busybox" cat
	echo one >&7
	until_true "$LIMIT" grep -q one "$T/started"
	ask s
	told suspended
	echo two >&7
	sleep 0.3
	[ "$(cat "$T/started")" = one ]
	ask r
	until_true "$LIMIT" grep -q two "$T/started"
	ask t
	ended 143
}

@test "a signal for a suspended program is delivered when it goes on" {
	local how
	for how in spin wait read; do
		rm -f "$T/port"
		mkfifo "$T/in.$how"
		exec 7<>"$T/in.$how"
		input=$T/in.$how port "$GUEST/handler" $how handle
		ready
		ask s
		told suspended
		ask t
		sleep 0.2
		run not_running "$pid"
		[ "$status" -ne 0 ]
		ask r
		ended 7
	done
}

@test "shutdown is SIGTERM to a program that handles it, and the end of one that does not" {
	port "$GUEST/handler" spin handle
	ready
	ask d
	ended 7
	rm "$T/port"
	port "$GUEST/handler" wait
	ready
	ask d
	ended 143
}

@test "the time limit counts while suspended" {
	port --timeout 700ms "$GUEST/ticks" compute 10 1000
	until_true "$LIMIT" more_than 3
	ask s
	told suspended
	ended 124
}

@test "a guest that never acknowledges is held all the same, and that is counted" {
	port --timeout 20s "$HOSTILE/ring0" deaf
	ready
	local taken
	ask s
	told suspended
	taken=$(cpu)
	sleep 0.5
	[ $(($(cpu) - taken)) -le 2 ] || fail "it runs while suspended"
	ask c
	until_true "$LIMIT" grep -q 'unacknowledged 1$' "$T/started.err"
	ask k
	ended 137
}

@test "a guest that acknowledges and goes on does not" {
	local before
	port --timeout 20s "$HOSTILE/fields" liar
	ready
	ask s
	told suspended
	before=$(wc -c <"$T/started")
	sleep 0.3
	[ "$(wc -c <"$T/started")" -eq "$before" ]
	ask r
	told running
	ask k
	ended 137
}

@test "a short program does not even look at its port" {
	port "$GUEST/hello"
	ask sksk
	ended 0
	run grep port: "$T/started.err"
	[ "$status" -eq 1 ] || fail "$(cat "$T/started.err")"
}

# ---- output of a computing program ----

@test "a line that a computing program prints is there at once" {
	local line late
	# Without doorbells it comes with the next tick: after 30 ms on average.
	late=$(timeout "$LIMIT" "$MAYFLY" run "$GUEST/ticks" compute 100 15 |
		while read -r line; do
			awk -v now="$EPOCHREALTIME" -v then="$line" \
				'BEGIN { printf "%d\n", (now - then) * 1000 }'
		done | sort -n | sed -n 8p)
	[ "$late" -lt 12 ] || fail "the median line is $late ms late"
}

@test "a line that was asked for is one exit, whatever it was written with" {
	local exits
	m run --stats "$GUEST/ticks" compute 20 20
	exits=$(sed -n 's/^mayfly: exits: //p' "$err")
	[ "$exits" -gt 15 ] || fail "$exits exits: no doorbell was rung"
	[ "$exits" -le 25 ] || fail "$exits exits for 20 lines"
}

@test "a program that prints often is passed on by a thread, in order" {
	m run --stats "$GUEST/ticks" compute 0.2 2000
	[ "$status" -eq 0 ]
	[ "$(wc -l <"$out")" -eq 2000 ]
	sort -c "$out"
	# Its lines are no exits.
	[ "$(sed -n 's/^mayfly: exits: //p' "$err")" -lt 100 ] || fail "$(cat "$err")"
}
