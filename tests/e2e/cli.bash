# SPDX-License-Identifier: Apache-2.0
#
# cli.bash: what the tests of the command line share, on top of helpers.bash: running
# mayfly, in the foreground and in the background, and looking at what came of it.
#
# shellcheck shell=bash disable=SC2154,SC2034,SC2030,SC2031 # shared with helpers and tests

setup_file() {
	need_machine
}

setup() {
	T=$BATS_TEST_TMPDIR
	GUEST=$(dirname "$PROGRAMS")/guest-cli/musl
	BB=$PROGRAMS/busybox
	HELLO=$GUEST/hello
	[ -x "$HELLO" ] || fail "$HELLO is missing: run make check-build"
	# What a test leaves running.
	children=()
}

teardown() {
	local pid
	for pid in "${children[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

# m ARG...: mayfly with these; $status, and the files $out and $err.
m() {
	captured m "$MAYFLY" "$@" </dev/null
	out=$T/m.out
	err=$T/m.err
}

# expect CODE ARG...: m, which must end with CODE.
expect() {
	local code=$1
	shift
	m "$@"
	[ "$status" -eq "$code" ] || {
		show m
		fail "mayfly $*: exit code $status, not $code"
	}
}

# prints TEXT, complains TEXT: the last m wrote a line which contains it to stdout, stderr.
prints() {
	grep -aqF -- "$1" "$out" || fail "stdout does not contain: $1" "$(tail -n 5 "$out")"
}

complains() {
	grep -aqF -- "$1" "$err" || fail "stderr does not contain: $1" "$(tail -n 5 "$err")"
}

# The last m wrote nothing there.
silent() {
	[ ! -s "$1" ] || fail "$1 is not empty:" "$(tail -n 5 "$1")"
}

# A message of ours is one line that begins with our name.
one_line() {
	[ "$(wc -l <"$err")" -eq 1 ] || fail "not one line:" "$(cat "$err")"
	[[ "$(cat "$err")" == mayfly* ]] || fail "no message of mayfly's: $(cat "$err")"
}

# refused CODE TEXT ARG...: `mayfly run ARG...` ends with CODE and one line that has TEXT.
refused() {
	local code=$1 text=$2
	shift 2
	expect "$code" run "$@"
	complains "$text"
	one_line
	silent "$out"
}

# start ARG...: mayfly in the background, $pid; its stdin is $input (/dev/null), its stdout
# goes to the file started. bash has SIGINT and SIGQUIT ignored in what it starts so, which
# mayfly would respect: env undoes it. <> does not wait for a FIFO's other end.
start() {
	: >"$T/started" # or `ready` finds the last one's
	env --default-signal=INT,QUIT "$MAYFLY" "$@" <>"${input:-/dev/null}" >"$T/started" \
		2>"$T/started.err" 3>&- &
	pid=$!
	children+=("$pid")
}

# until_true SECONDS COMMAND...
until_true() {
	local tries=$(($1 * 50))
	shift
	until "$@"; do
		[ $((tries -= 1)) -gt 0 ] || fail "in vain: $*" || return 1
		sleep 0.02
	done
}

ready() {
	until_true "$LIMIT" grep -q ready "$T/started"
}

# ended CODE: the process $pid ends with CODE, soon.
ended() {
	local code=0
	until_true 20 not_running "$pid"
	wait "$pid" || code=$?
	[ $code -eq "$1" ] || fail "exit code $code, not $1" "$(cat "$T/started.err")"
}

not_running() {
	local state
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null || true)
	[ -z "$state" ] || [ "$state" = Z ]
}

own_run_dir() {
	export MAYFLY_RUN_DIR=$T/run
	[ -d "$MAYFLY_RUN_DIR" ] || mkdir -m 700 "$MAYFLY_RUN_DIR"
}

# prepared: runs hello until its image is in the cache (not before it is 50 ms old).
prepared() {
	own_run_dir
	cp "$HELLO" "$T/image"
	sleep 0.1
	expect 0 run --stats "$T/image"
	complains 'image: prepared'
	expect 0 run --stats "$T/image"
	complains 'image: cached'
}
