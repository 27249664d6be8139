#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# hostile.bats: guests that break the contract in every way that was thought of
# (tests/guest-hostile). Whatever they do, the monitor must live to say how it ended: with
# the program's exit code, 124 at the time limit, 125 and a message, or 128+n and a crash
# report; soon, in bounded memory, with bounded output that a terminal can be shown.
#
# Where the two kinds of KVM differ, or the outcome is the guest's own business, any of
# these ends will do; what is asked for by number is what the contract fixes.
#
# shellcheck disable=SC2154,SC2034,SC2030,SC2031 # shared with helpers.bash and cli.bash

load helpers
load cli

MEMORY_KIB=1048576 # of addresses, for mayfly and each helper: the VM's 64 MiB and then some

setup() {
	T=$BATS_TEST_TMPDIR
	HOSTILE=$(dirname "$PROGRAMS")/guest-hostile/musl
	[ -x "$HOSTILE/ring0" ] || fail "$HOSTILE/ring0 is missing: run make check-build"
	children=()
	options=(--timeout=5s)
}

limited() (
	ulimit -v $MEMORY_KIB -c 0
	exec "$@"
)
export -f limited

# attack PROGRAM ARG...: runs it; $status, $out and $err; fails unless it ended well.
attack() {
	local began=$SECONDS
	export MEMORY_KIB
	# shellcheck disable=SC2016
	captured m bash -c 'limited "$@"' - "$MAYFLY" run "${options[@]}" "$HOSTILE/$1" "${@:2}" </dev/null
	out=$T/m.out
	err=$T/m.err
	ended_well || {
		show m
		fail "$*: exit code $status after $((SECONDS - began)) s"
	}
}

ended_well() {
	[ "$(wc -c <"$err")" -lt 65536 ] || return 1
	# Nothing but text, whatever the guest's message was.
	! LC_ALL=C grep -q '[^[:print:][:space:]]' "$err" || return 1
	case $status in
	124) grep -q '^mayfly: .* time limit' "$err" ;;
	125) head -n 1 "$err" | grep -q '^mayfly: ' ;;
	# A core dump's signals: the guest's, reported; not the monitor's own.
	131 | 132 | 133 | 134 | 135 | 136 | 139) head -n 1 "$err" | grep -q '^mayfly: guest crashed: SIG' ;;
	137) grep -q '^mayfly: guest ran out of memory' "$err" ;;
	esac
}

# breaks TEXT PROGRAM ARG...: it must be ended for a breach of the contract that has TEXT.
breaks() {
	attack "${@:2}"
	[ "$status" -eq 125 ] || fail "${*:2}: exit code $status, not 125" "$(cat "$err")"
	complains "$1"
}

# ends CODE PROGRAM ARG...
ends() {
	attack "${@:2}"
	[ "$status" -eq "$1" ] || fail "${*:2}: exit code $status, not $1" "$(cat "$err")"
}

# After all of it: this machine's KVM still runs a VM.
teardown() {
	captured after "$MAYFLY" run "$(dirname "$PROGRAMS")/guest-cli/musl/hello"
	[ "$status" -eq 0 ] || fail 'no VM runs any more'
	for pid in "${children[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

# ---- doorbells ----

@test "every doorbell slot, with odd values" {
	ends 255 doorbell slot 0 0xffffffffffffffff
	ends 0 doorbell slot 0 0x100
	ends 0 doorbell slot 1 0xffffffffffffffff
	breaks 'crash of kind 0' doorbell slot 2 0xffffffffffffffff
	ends 0 doorbell slot 3 0xffffffffffffffff
	for value in 0 1 0x200000 0x4000001 0x8000000000000000 0xffffffffffffffff; do
		ends 0 doorbell slot 5 $value
	done
	for slot in 4 $(seq 6 15) $(seq 19 511); do
		breaks "rang doorbell $slot," doorbell slot "$slot" 0x8000000000000001
	done
	# The console's queues: whoever likes may ring them.
	for slot in 16 17 18; do
		ends 0 doorbell slot $slot 0x8000000000000001
	done
}

@test "storms of doorbells: exits, and rings of the monitor's thread" {
	local cpu
	for slot in 16 17 18; do
		ends 0 doorbell storm $slot "$(scaled 2000)"
	done
	options=(--timeout=500ms)
	ends 124 doorbell storm 17 1000000000000
	options=(--timeout=20s)
	for slot in 17 18; do
		ends 0 doorbell often-storm $slot "$(scaled 100000)"
		prints 'the end'
	done
	# Whatever it rings, the monitor wakes up a thousand times a second, no more.
	options=(--timeout=3s)
	TIMEFORMAT='%U %S'
	cpu=$({ time ends 124 doorbell often-storm 17 1000000000000 >/dev/null; } 2>&1)
	awk '{ exit !($1 + $2 < 5) }' <<<"$cpu" || fail "$cpu s of CPU time in 3 s"
}

@test "the doorbell page: other widths, unaligned, loads, read-modify-write" {
	for how in store1 store2 store4 load1 load8 xadd; do
		for at in 0 8 24 128 4088; do
			breaks 'outside of memory' doorbell $how $at 7
		done
	done
	for at in 1 3 7 13 4087; do
		breaks 'outside of memory' doorbell store8 $at 7
	done
	breaks 'outside of memory' doorbell copy 8
	# What crosses into the machine page is a fault.
	ends 139 doorbell store8 4092 7
	ends 139 doorbell store2 4095 7
	for at in 0 8 128 4080; do
		attack doorbell store16 $at
		attack doorbell string $at 1
		attack doorbell stack $((at + 64)) 3
		attack doorbell execute $at
	done
	ends 3 doorbell syscall 16
}

# ---- rings ----

@test "ring indices that make no sense" {
	for value in 0x80000000 0xffffffff 0x10001; do
		for stream in 1 2; do
			for how in tail tail-exit tail-compute; do
				breaks 'broke its console' rings $how $stream $value
			done
			# The monitor's own: it keeps another.
			ends 0 rings head $stream $value
		done
		ends 7 rings tail-exit 0 $value
	done
	breaks 'broke its console' rings head 0 0x80000000
	breaks 'broke its console' rings head 0 0x10001
}

@test "ring indices at random, for a second" {
	for _ in 1 2 3; do
		attack rings random
		attack rings often-random
	done
}

@test "ring indices that make no sense, found by the thread that a ring has woken" {
	# Not just below 0: with some bytes in the ring that would be a tail like any other.
	for value in 0x80000000 0xfffe0000 0x10001; do
		breaks 'broke its console' rings often-tail 1 $value
		breaks 'broke its console' rings often-tail 2 $value
	done
	for value in 0 0x7fffffff 0xfffffffe; do
		ends 0 rings often-wake 1 $value
	done
}

@test "states of front ends that do not exist or lie behind; features that came too late" {
	for value in 0 4 0x80000000 0xffffffff; do
		breaks 'its console into state' rings front $value
		breaks 'its power device into state' fields front $value
	done
	for value in 0 0xffffffffffffffff; do
		ends 0 rings features $value
		prints 'still heard'
		ends 0 fields features $value
	done
	# Closed, a console is silent and a power device is asked nothing.
	ends 0 rings front 3
	ends 0 fields front 3
}

@test "the monitor's fields of the console, overwritten" {
	ends 0 rings fields
	prints 'still heard'
	for byte in 0x55 0xff; do
		breaks 'into state' fields page $byte
	done
	attack fields page 0
}

# ---- WAIT, DISCARD ----

@test "WAIT for everything, until any time" {
	for deadline in 0 1 0x7fffffffffffffff 0xfffffffffffffffe 0xffffffffffffffff; do
		ends 0 waits once 0xffffffff $deadline
		ends 0 waits once 0x40000006 $deadline
	done
	for deadline in 0x8000000000000000 0xffffffffffffffff; do
		attack waits after 6 $deadline
	done
	options=(--timeout=200ms)
	for deadline in 0x7fffffffffffffff 0xfffffffffffffffe 0xffffffffffffffff; do
		ends 124 waits once 0 $deadline
		ends 124 waits once 0xffffff30 $deadline
	done
	ends 124 waits after 0 0x7fffffffffffffff
}

@test "a storm of WAIT ends, and ends at the time limit" {
	ends 0 waits storm 0 "$(scaled 20000)"
	ends 0 waits storm 0xffffffff "$(scaled 20000)"
	attack waits timer # its SIGALRM may end it
	options=(--timeout=500ms)
	ends 124 waits storm 0 1000000000000
}

@test "DISCARD of what is not the guest's" {
	ends 0 discard
	silent "$out"
}

# ---- CRASH, statistics ----

@test "CRASH with a record that nobody would write" {
	for kind in 0 4 77 0xffffffff; do
		breaks 'do not exist' crashes garbage $kind 11
	done
	for kind in 1 2; do
		for signal in 0 65 128 255 0xffffffff; do
			breaks 'do not exist' crashes garbage $kind $signal
		done
		ends 192 crashes garbage $kind 64
		for how in garbage wild kernel edge chain circle; do
			ends 139 crashes $how $kind 11
		done
	done
	for signal in 0 11 255 0xffffffff; do
		for how in garbage wild kernel edge chain circle; do
			breaks 'the library kernel failed: ?[31mred' crashes $how 3 $signal
		done
	done
}

@test "CRASH with a core file" {
	for how in garbage wild kernel edge chain circle; do
		for kind in 1 3; do
			options=(--core "$T/core")
			attack crashes $how $kind 11
			[ "$(stat -c %s "$T/core")" -lt $((80 << 20)) ]
			rm "$T/core"
		done
	done
}

@test "statistics made up by the guest" {
	options=(--stats)
	ends 0 fields stats
	[ "$(grep -c '^mayfly: unknown syscall' "$err")" -le 32 ]
}

# ---- power ----

@test "a guest that claims handlers and takes no signal: SIGKILL, or the time limit" {
	start run "$HOSTILE/ring0" deaf
	ready
	for signal in TERM INT HUP QUIT USR1 TERM; do
		kill -$signal "$pid"
	done
	sleep 0.5
	run not_running "$pid"
	[ "$status" -ne 0 ]
	kill -KILL "$pid"
	ended 137
	options=(--timeout=500ms)
	ends 124 ring0 deaf
	# At ring 3 alone it cannot: the kernel is told, and knows better than the page.
	start run "$HOSTILE/fields" deaf
	ready
	kill -TERM "$pid"
	ended 143
}

@test "acknowledgements of requests that were never made" {
	for value in 1 0x10000 0x10f 0xffffffff; do
		breaks 'not made' fields ack $value
	done
}

@test "wild timers, requests and return addresses; the monitor does not spin" {
	for value in 1 0x7fffffffffffffff 0xfffffffffffffffe 0xffffffffffffffff; do
		attack fields timer $value
	done
	for value in 0x10f 0x1ff 0xffffffff; do
		attack fields request $value
	done
	for value in 0 8 0x7fffff2000 0x7ffff00000 0x8000000000000000 0xffffffffffffffff; do
		attack fields resume $value
		attack fields preempt $value
	done
	# It wants to be interrupted and cannot be: one look in a millisecond, no more.
	options=(--stats --timeout=2s)
	ends 124 ring0 spin-kernel
	kicks=$(sed -n 's/^mayfly: kicks: //p' "$err")
	[ "$kicks" -lt 2500 ] || fail "$kicks kicks in 2 s"
}

# ---- faults, instructions ----

@test "faults without end, jumps into the kernel, system calls with wild arguments" {
	options=(--timeout=60s)
	attack faults loop
	options=(--timeout=2s)
	for at in 0 0x7ffff00000 0x7ffff00180 0x7ffffa1000 0x7fffff0000 0x7fffff3000 0x6000200000 \
		0x800000000000 0xffffffffffffffff; do
		attack faults jump $at
	done
	for at in 0 8 0x7fffff2800 0x7fffff3000 0xffffffffffffffff; do
		attack faults syscall-stack $at
	done
	attack faults syscalls
	attack faults kstack
	for byte in 0 0x55 0xff; do
		attack faults kdata $byte
	done
}

@test "jumps all over the kernel's text" {
	options=(--timeout=300ms)
	for at in $(seq 384 $((197 * 10 / $(scaled 10))) 20000); do
		attack faults sweep "$at"
	done
}

@test "instructions that ring 3 has no business with" {
	for name in $("$HOSTILE/insn" list); do
		attack insn "$name"
	done
}

# ---- ring 0 ----

@test "instructions at ring 0, which the guest has taken" {
	options=(--timeout=1s)
	ends 0 ring0 nothing
	prints 'landed: 1'
	for name in $("$HOSTILE/ring0" list); do
		attack ring0 "$name"
	done
}

@test "page tables, IDT and noxs page damaged by way of ring 0" {
	for how in idt machine pml4 pml4-self pml4-ones pml4-beyond pml4-doorbell noxs; do
		attack ring0 $how
	done
	for at in 0 1 2 3 4; do
		breaks 'outside of memory' ring0 physical $at
	done
}

@test "page tables and regions without an end do not keep the crash report busy" {
	for how in maze maze-ram maze-kernel noxs; do
		attack ring0 $how
	done
	for how in maze maze-ram maze-kernel maze-core; do
		options=(--core "$T/core")
		attack ring0 $how
		[ "$(stat -c %s "$T/core")" -lt $((80 << 20)) ]
		rm "$T/core"
	done
}

@test "the kernel's text that a guest has overwritten is its own copy" {
	ends 0 ring0 write-kernel
	prints written
}

# ---- quantities ----

@test "a guest that fills all memory" {
	ends 137 memory mmap
	attack memory linear
}

@test "200 MB of output, and a reader that is gone" {
	n=$(scaled 200)
	bytes=$("$MAYFLY" run "$(dirname "$PROGRAMS")/guest-cli/musl/flood" "$n" | wc -c)
	[ "$bytes" -eq $((n * 1000000)) ]
	timeout 20 "$MAYFLY" run "$(dirname "$PROGRAMS")/guest-cli/musl/flood" "$n" | head -c 1 >/dev/null || true
	# A file that may not grow: an error for the guest, no signal for the monitor.
	status=0
	(
		ulimit -f 100
		exec "$MAYFLY" run "$(dirname "$PROGRAMS")/guest-cli/musl/flood" 5 >"$T/file"
	) || status=$?
	[ "$status" -eq 1 ]
}
