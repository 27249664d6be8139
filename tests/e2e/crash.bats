#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# crash.bats: a program that dies in a VM dies of what it dies of natively; the report says
# of what, and where; --core leaves a file that gdb opens. The programs are those of
# tests/guest-crash, one way to die each, in a function that has the program's name.
#
# $CRASH   them, built (build/tests/guest-crash): musl/NAME, glibc/NAME
#
# $status comes from helpers.bash; what is in single quotes is for gdb.
# shellcheck disable=SC2154,SC2016

load helpers

CRASH=${CRASH:-$ROOT/build/tests/guest-crash}
LIBCS=(musl glibc)

setup_file() {
	need_machine
	[ -x "$CRASH/musl/null_read" ] || fail "$CRASH is missing: run make first"
	command -v gdb >/dev/null || fail "gdb is missing: scripts/deps.sh check"
}

setup() {
	T=$BATS_TEST_TMPDIR
	ulimit -c 0
}

# says TEXT: the VM's stderr has a line that contains TEXT.
says() {
	grep -aqF -- "$1" "$T/vm.err" || fail "stderr does not contain: $1" "$(cat "$T/vm.err")"
}

# line N REGEX: the VM's stderr, line N, matches.
line() {
	sed -n "$1p" "$T/vm.err" | grep -qE -- "$2" ||
		fail "line $1 of stderr does not match: $2" "$(cat "$T/vm.err")"
}

# both STATUS PROGRAM: it ends so natively and in the VM, whose stderr is left in $T/vm.err.
both() {
	captured native "$2"
	[ "$status" -eq "$1" ] || fail "natively the exit code is $status, not $1"
	captured vm "$MAYFLY" run "$2"
	[ "$status" -eq "$1" ] || fail "exit code $status, not $1" "$(cat "$T/vm.err")"
}

# crashes STATUS SIGNAL NAME REASON: the headline names the function and its line; the line
# behind it says REASON (a regular expression; none if empty); main is in the backtrace.
crashes() {
	local libc
	for libc in "${LIBCS[@]}"; do
		both "$1" "$CRASH/$libc/$3"
		line 1 "^mayfly: guest crashed: $2 at 0x[0-9a-f]+(, called from| in) $3 \\($3\\.c:[0-9]+\\)\$"
		line 2 "${4:-^  rax}"
		says " in $3 ($3.c:"
		grep -qE '^  rip [0-9a-f]{16}  eflags [0-9a-f]{16}  fs_base' "$T/vm.err"
	done
}

# silent STATUS NAME: it ends so, and the monitor has nothing to say about it.
silent() {
	local libc
	for libc in "${LIBCS[@]}"; do
		both "$1" "$CRASH/$libc/$2"
		[ ! -s "$T/vm.err" ] || fail "this is no crash to report:" "$(cat "$T/vm.err")"
	done
}

has_main() {
	grep -qE '^#[0-9]+ +0x[0-9a-f]{16} in main \(' "$T/vm.err" || fail "$(cat "$T/vm.err")"
}

# ---- faults ----

@test "null pointers: read and called" {
	crashes 139 SIGSEGV null_read '^  reading address 0x0 \(not mapped\)$'
	has_main
	crashes 139 SIGSEGV null_call '^  executing address 0x0 \(not mapped\)$'
	has_main
}

@test "writing what is read-only" {
	crashes 139 SIGSEGV write_text '^  writing address 0x4[0-9a-f]+ \(read-only\)$'
	crashes 139 SIGSEGV write_rodata '^  writing address 0x4[0-9a-f]+ \(read-only\)$'
	crashes 139 SIGSEGV mprotect_write '^  writing address 0x[0-9a-f]+000 \(read-only\)$'
}

@test "memory without access, and memory given back" {
	crashes 139 SIGSEGV prot_none '^  reading address 0x[0-9a-f]+000 \(may not be read\)$'
	crashes 139 SIGSEGV use_after_munmap '^  writing address 0x[0-9a-f]+000 \(not mapped\)$'
	has_main
}

@test "executing data and stack" {
	crashes 139 SIGSEGV exec_data '^  executing address 0x4[0-9a-f]+ \(not executable\)$'
	crashes 139 SIGSEGV exec_stack '^  executing address 0x7f[0-9a-f]+ \(not executable\)$'
	has_main
}

@test "non-canonical addresses and privileged instructions" {
	crashes 139 SIGSEGV wild_pointer '^  non-canonical address or privileged instruction$'
	crashes 139 SIGSEGV privileged '^  non-canonical address or privileged instruction$'
	has_main
}

@test "undefined instructions, division by zero, breakpoints" {
	crashes 132 SIGILL ud2 '^  illegal instruction: 0f 0b '
	crashes 136 SIGFPE div_zero '^  integer division by zero'
	crashes 133 SIGTRAP breakpoint '^  breakpoint'
	has_main
}

@test "a stack that overflows: said as such, and in a few lines" {
	crashes 139 SIGSEGV stack_overflow '^  stack overflow: all 8192 KiB'
	says 'more like this'
	[ "$(wc -l <"$T/vm.err")" -lt 20 ]
	crashes 139 SIGSEGV overflow_no_altstack '^  stack overflow: all 8192 KiB'
}

# ---- handlers ----

@test "handlers: on another stack, left by longjmp, a fault in one" {
	silent 42 overflow_handled
	silent 0 longjmp_out
	crashes 139 SIGSEGV double_fault '^  writing address 0x0 \(not mapped\)$'
	says '<signal handler called>'
	says ' in first_fault (double_fault.c:'
	has_main
}

@test "handlers: siginfo and ucontext say what they say natively" {
	mayfly_same "$CRASH/musl/skip_fault"
	mayfly_same "$CRASH/glibc/skip_fault"
	wrote 'unmapped'
}

# ---- signals that the program raises ----

@test "abort, assert, SIGQUIT: the backtrace goes through the C library" {
	for libc in "${LIBCS[@]}"; do
		both 134 "$CRASH/$libc/abort_call"
		line 1 '^mayfly: guest crashed: SIGABRT raised at 0x[0-9a-f]+ in abort$'
		says ' in abort_call (abort_call.c:'
		has_main
		both 134 "$CRASH/$libc/assert_false"
		says ' in assert_false (assert_false.c:'
		says 'value == 4'
		has_main
		both 131 "$CRASH/$libc/raise_quit"
		says 'SIGQUIT raised at 0x'
		says ' in raise_quit (raise_quit.c:'
		has_main
		both 134 "$CRASH/$libc/abort_on_altstack"
		says ' in handler (abort_on_altstack.c:'
		says '<signal handler called>'
		says ' in abort_on_altstack (abort_on_altstack.c:'
		has_main
	done
}

@test "a system call that returns to a stub is reported where it stands" {
	for libc in "${LIBCS[@]}"; do
		both 134 "$CRASH/$libc/stub_return"
		line 1 'SIGABRT raised at 0x4[0-9a-f]+ in stub_return \(stub_return.c:'
		has_main
	done
}

@test "signals that dump no core end a program silently" {
	silent 143 raise_term
	silent 137 raise_kill
	silent 141 broken_pipe
	silent 142 alarm_end
}

@test "a program that runs out of memory is told so" {
	for libc in "${LIBCS[@]}"; do
		captured vm "$MAYFLY" run --memory 32M "$CRASH/$libc/out_of_memory"
		[ "$status" -eq 137 ]
		line 1 '^mayfly: guest ran out of memory \(32 MiB\): give it more with --memory$'
	done
}

@test "a failure in the library kernel is mayfly's: 125" {
	for libc in "${LIBCS[@]}"; do
		captured vm "$MAYFLY" run "$CRASH/$libc/into_kernel"
		[ "$status" -eq 125 ]
		line 1 '^mayfly: the library kernel failed: exception 3 at 0x7f'
		says '  rip '
	done
}

# ---- backtraces ----

@test "a backtrace through a callback of the C library, numbered" {
	for libc in "${LIBCS[@]}"; do
		both 139 "$CRASH/$libc/deep"
		grep -E '^#' "$T/vm.err" >"$T/frames"
		sed -E 's/^#([0-9]+) .*/\1/' "$T/frames" | cmp - <(seq 0 $(($(wc -l <"$T/frames") - 1)))
		sed -n 1p "$T/frames" | grep -q 'parse_cell (deep.c:13)$'
		sed -n 2p "$T/frames" | grep -q 'parse_row (deep.c:21)$'
		sed -n 3p "$T/frames" | grep -q 'compare (deep.c:28)$'
		grep -q 'qsort' "$T/frames"
		has_main
		tail -n 1 "$T/frames" | grep -q '_start$'
	done
}

@test "backtraces of inlined functions, a position-independent and a stripped program" {
	gcc -O2 -g -static-pie -o "$T/pie" "$ROOT/tests/guest-crash/null_read.c"
	captured vm "$MAYFLY" run "$T/pie"
	[ "$status" -eq 139 ]
	line 1 ' at 0x1[0-9a-f]{9} in null_read \(null_read.c:7\)$'
	says ' in main (null_read.c:12)'
	[ "$(grep -c "$(sed -n '1s/.* at 0x\([0-9a-f]*\) .*/^#.*\1 in/p' "$T/vm.err")" "$T/vm.err")" -eq 2 ]

	strip -o "$T/stripped" "$CRASH/glibc/deep"
	captured vm "$MAYFLY" run "$T/stripped"
	[ "$status" -eq 139 ]
	line 1 '^mayfly: guest crashed: SIGSEGV at 0x4[0-9a-f]+$'
	[ "$(grep -c '^#' "$T/vm.err")" -ge 6 ]
}

@test "without the helper there are addresses, and the reason" {
	mkdir "$T/bin"
	cp "$MAYFLY" "${MAYFLY%/*}/mayfly-image" "$T/bin"
	captured vm "$T/bin/mayfly" run "$CRASH/glibc/null_read"
	[ "$status" -eq 139 ]
	line 1 '^mayfly: guest crashed: SIGSEGV at 0x[0-9a-f]+$'
	line 2 '^  reading address 0x0 \(not mapped\)$'
	[ "$(grep -cE '^#[0-9]+ +0x[0-9a-f]{16}$' "$T/vm.err")" -ge 2 ]
	says 'mayfly-backtrace'
}

# ---- core files ----

core_of() { # NAME OPTION...
	captured vm "$MAYFLY" run --core "$T/core" "${@:2}" "$1"
	[ -f "$T/core" ] || fail "there is no core file" "$(cat "$T/vm.err")"
	[ "$(stat -c %a "$T/core")" = 600 ]
	says "gdb $1 $T/core"
	[ "$(find "$T" -name '.mayfly*' | wc -l)" -eq 0 ]
}

gdb_on() { # PROGRAM COMMAND...
	local command args=()
	for command in "${@:2}"; do
		args+=(-ex "$command")
	done
	gdb -nx -batch "${args[@]}" "$1" "$T/core" >"$T/gdb" 2>&1
}

gdb_says() {
	grep -qE -- "$1" "$T/gdb" || fail "gdb does not say: $1" "$(tail -n 30 "$T/gdb")"
}

@test "--core: gdb shows the backtrace, the arguments, variables and files" {
	for libc in "${LIBCS[@]}"; do
		core_of "$CRASH/$libc/deep"
		[ "$status" -eq 139 ]
		gdb_on "$CRASH/$libc/deep" bt 'print *row' 'print row->cell' 'info auxv' \
			'info proc mappings' 'print $_siginfo._sifields._sigfault.si_addr' \
			'print $fs_base != 0' 'info float'
		gdb_says '^#0 .*parse_cell \(row=0x'
		gdb_says '^#1 .*parse_row'
		gdb_says "Program terminated with signal SIGSEGV"
		gdb_says "Core was generated by .*deep'"
		gdb_says 'name = 0x[0-9a-f]+ "second"'
		gdb_says '= \(int \*\) 0x0$'
		gdb_says 'AT_EXECFN .*"'"$CRASH/$libc/deep"'"'
		gdb_says "0x400000 .* 0x0 $CRASH/$libc/deep\$"
		gdb_says '\(void \*\) 0x0$'
		gdb_says '^\$4 = 1$'
		gdb_says '^Control Word: +0x037f'
		! grep -i warning "$T/gdb"
		rm "$T/core"
	done
}

@test "--core: abort, a stub, a signal stack, a position-independent program" {
	core_of "$CRASH/glibc/abort_call"
	gdb_on "$CRASH/glibc/abort_call" bt
	gdb_says 'in abort_call '
	gdb_says 'in main '
	core_of "$CRASH/musl/stub_return"
	gdb_on "$CRASH/musl/stub_return" bt
	gdb_says '^#0 .*in stub_return '
	gdb_says '^#1 .*in main '
	core_of "$CRASH/glibc/abort_on_altstack"
	gdb_on "$CRASH/glibc/abort_on_altstack" bt
	gdb_says 'signal handler called'
	gdb_says 'in abort_on_altstack '
	gcc -O0 -g -static-pie -o "$T/pie" "$ROOT/tests/guest-crash/deep.c"
	core_of "$T/pie"
	gdb_on "$T/pie" bt
	gdb_says '^#0 .*parse_cell \(row=0x'
}

@test "--core: of 1 GiB that is hardly touched, it is small" {
	core_of "$CRASH/glibc/sparse" --memory 256M
	[ "$(stat -c %s "$T/core")" -lt 4000000 ]
	gdb_on "$CRASH/glibc/sparse" 'up 3' 'print at[5 << 20]' 'print at[900 << 20]' \
		'print at[(5 << 20) + 4096]'
	gdb_says "= 120 'x'"
	gdb_says "= 121 'y'"
}

@test "--core: a file that is there is replaced, and kept where that fails" {
	echo old >"$T/core"
	core_of "$CRASH/musl/null_read"
	[ "$(stat -c %s "$T/core")" -gt 4096 ]

	# A limit on the size of files: the report and the exit code are as ever.
	echo old >"$T/core"
	captured vm bash -c 'ulimit -f 16; exec "$@"' - "$MAYFLY" run --core "$T/core" \
		"$CRASH/musl/null_read"
	[ "$status" -eq 139 ]
	says 'guest crashed: SIGSEGV'
	says "mayfly: cannot write the core file $T/core: File too large"
	[ "$(cat "$T/core")" = old ]
	[ "$(find "$T" -name '.mayfly*' | wc -l)" -eq 0 ]
}

@test "--core: where it cannot be written, that is said, and the exit code kept" {
	local run=("$MAYFLY" run --core)
	captured vm "${run[@]}" "$T/no/such/core" "$CRASH/musl/null_read"
	[ "$status" -eq 139 ]
	says "mayfly: cannot make the core file $T/no/such/core: No such file or directory"

	captured vm "${run[@]}" "$T" "$CRASH/musl/null_read"
	[ "$status" -eq 139 ]
	says "mayfly: cannot write the core file $T: it is a directory"

	ln -s elsewhere "$T/link"
	captured vm "${run[@]}" "$T/link" "$CRASH/musl/null_read"
	[ "$status" -eq 139 ]
	says 'it is a symbolic link'
	[ ! -e "$T/elsewhere" ]

	captured vm "${run[@]}" /dev/full "$CRASH/musl/null_read"
	[ "$status" -eq 139 ]
	says 'mayfly: cannot write the core file /dev/full: No space left on device'
	[ -c /dev/full ]

	mkfifo "$T/fifo"
	captured vm "${run[@]}" "$T/fifo" "$CRASH/musl/null_read"
	[ "$status" -eq 139 ]
	says "mayfly: cannot open $T/fifo for the core file"
	[ "$(find "$T" -name '.mayfly*' | wc -l)" -eq 0 ]
}

@test "--core: into a pipe" {
	mkfifo "$T/fifo"
	cat "$T/fifo" >"$T/core" &
	sleep 0.2
	captured vm "$MAYFLY" run --core "$T/fifo" "$CRASH/musl/deep"
	wait
	[ "$status" -eq 139 ]
	gdb_on "$CRASH/musl/deep" bt
	gdb_says '^#0 .*parse_cell '

	head -c 100 "$T/fifo" >/dev/null &
	sleep 0.2
	captured vm "$MAYFLY" run --core "$T/fifo" "$CRASH/glibc/deep"
	wait
	[ "$status" -eq 139 ]
	says 'Broken pipe'
}

@test "--core: no file where there is no crash" {
	captured vm "$MAYFLY" run --core "$T/core" "$CRASH/musl/raise_term"
	[ "$status" -eq 143 ]
	captured vm "$MAYFLY" run --core "$T/core" "$CRASH/musl/longjmp_out"
	[ "$status" -eq 0 ]
	[ ! -e "$T/core" ]
}
