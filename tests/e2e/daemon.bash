# SPDX-License-Identifier: Apache-2.0
#
# daemon.bash: what the tests with a daemon share, on top of helpers.bash: starting and ending
# one in a run directory of its own, and asking it over HTTP.
#
# A file whose tests share a daemon calls daemon_start in setup_file and daemon_end in
# teardown_file; one whose tests have their own, in setup and teardown.
#
# shellcheck shell=bash disable=SC2154,SC2034 # shared with helpers and tests

# until_true SECONDS COMMAND...
until_true() {
	local end=$((SECONDS + $1 + 1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || fail "in vain: $*" || return 1
		sleep 0.02
	done
}

# What has ended, or is a zombie that only its parent misses.
not_running() { # PID
	local state
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null || true)
	[ -z "$state" ] || [ "$state" = Z ]
}

# What executes the daemon, if something does: (prlimit --nofile=40), say. It must exec.
DAEMON_UNDER=()

# daemon_start DIR OPTION...: a daemon with the run directory DIR/run; $DAEMON_PID, $SOCKET,
# and what it says in $DAEMON_LOG.
daemon_start() {
	local dir=$1
	shift
	export DAEMON_LOG=$dir/daemon.log MAYFLY_RUN_DIR=$dir/run SOCKET=$dir/run/mayfly.sock
	install -d -m 700 "$MAYFLY_RUN_DIR"
	env --default-signal=INT,QUIT "${DAEMON_UNDER[@]}" "$MAYFLY" daemon "$@" </dev/null >>"$DAEMON_LOG" 2>&1 3>&- 4>&- &
	export DAEMON_PID=$!
	until_true 20 daemon_answers_or_ended || {
		cat "$DAEMON_LOG" >&2
		return 1
	}
	daemon_answers || fail "the daemon has ended:" "$(cat "$DAEMON_LOG")"
}

daemon_answers() {
	curl -sf --max-time 5 -o /dev/null --unix-socket "$SOCKET" http://mayfly/healthz 2>/dev/null
}

daemon_answers_or_ended() {
	daemon_answers || not_running "$DAEMON_PID"
}

# daemon_end: ends it in order, which must succeed; whatever happens, nothing is left.
daemon_end() {
	local code=0
	[ -n "${DAEMON_PID:-}" ] || return 0
	kill -TERM "$DAEMON_PID" 2>/dev/null || true
	until_true 20 not_running "$DAEMON_PID" || code=1
	daemon_kill
	[ $code -eq 0 ] || fail "the daemon did not end:" "$(cat "$DAEMON_LOG")"
	[ "$ended" -eq 0 ] || fail "the daemon ended with $ended:" "$(cat "$DAEMON_LOG")"
}

# daemon_kill: by SIGKILL; $ended is its exit status. Its zygote and shells follow it.
daemon_kill() {
	ended=0
	[ -n "${DAEMON_PID:-}" ] || return 0
	kill -KILL "$DAEMON_PID" 2>/dev/null || true
	wait "$DAEMON_PID" || ended=$?
	unset DAEMON_PID
}

# ---- its processes ----

zygote() {
	pgrep -P "$DAEMON_PID" -f '^mayfly zygote'
}

# Every shell: prepared, running, ending.
shells() {
	pgrep -P "$(zygote)"
}

# For until_true: a zygote that is not PID.
zygote_is_not() {
	local now
	now=$(zygote)
	[ -n "$now" ] && [ "$now" != "$1" ]
}

all_ended() { # PID...
	local pid
	for pid; do
		not_running "$pid" || return 1
	done
}

# For until_true: so many sockets of shells, and logs. They go a moment after the processes.
files_are() { # SHELLS LOGS
	[ "$(find "$MAYFLY_RUN_DIR/shell" -type s | wc -l)" -eq "$1" ] &&
		[ "$(find "$MAYFLY_RUN_DIR/log" -type f | wc -l)" -eq "$2" ]
}

open_files() { # PID
	find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l
}

cpu_ticks() { # PID
	awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"
}

# The most memory that it has had, in KiB.
peak_kib() { # PID
	awk '$1 == "VmHWM:" { print $2 }' "/proc/$1/status"
}

# ---- asking ----

# api METHOD PATH [BODY] [CURL-OPTION...]: the reply's status is $code, its body is in $body (a
# file), its header in $header. Fails only if there was no reply.
api() {
	local method=$1 path=$2
	shift 2
	body=$BATS_TEST_TMPDIR/body header=$BATS_TEST_TMPDIR/header
	local options=(-sS --max-time "$LIMIT" --unix-socket "$SOCKET" -o "$body" -D "$header"
		-w '%{http_code}' -X "$method")
	if [ $# -gt 0 ] && [[ $1 != -* ]]; then
		options+=(--data-binary "$1")
		shift
	fi
	: >"$body"
	code=$(curl "${options[@]}" "$@" "http://mayfly$path")
}

# asked CODE METHOD PATH [BODY] [CURL-OPTION...]: api, and the status must be CODE.
asked() {
	local expected=$1
	shift
	api "$@" || fail "no reply to: $*"
	[ "$code" = "$expected" ] || fail "$1 $2 ${3:-}" "$code, not $expected: $(head -c 2000 "$body")"
}

# requests COUNT BODY [CURL-OPTION...]: POST /v1/vms as often, by one client; the replies, which
# may be errors, are lines of $replies (a file). Sooner done than by calls of api.
requests() {
	local i dir=$BATS_TEST_TMPDIR count=$1
	replies=$dir/replies
	echo "$2" >"$dir/request"
	shift 2
	for ((i = 0; i < count; i++)); do
		[ "$i" -eq 0 ] || echo next
		printf 'url = "http://mayfly/v1/vms"\nunix-socket = "%s"\ndata-binary = "@%s"\noutput = "%s"\n' \
			"$SOCKET" "$dir/request" "$dir/reply$i"
	done >"$dir/curlrc"
	rm -f "$dir"/reply[0-9]*
	curl -sS --max-time "$LIMIT" -K "$dir/curlrc" "$@" || return
	for ((i = 0; i < count; i++)); do
		cat "$dir/reply$i"
	done >"$replies"
}

# field JQ-EXPRESSION: of the last reply.
field() {
	jq -r "$1" "$body"
}

# has JQ-EXPRESSION: true of the last reply.
has() {
	jq -e "$1" "$body" >/dev/null || fail "not so: $1" "$(head -c 2000 "$body")"
}

# state_is VM STATE: for until_true.
state_is() {
	api GET "/v1/vms/$1"
	[ "$code" = 200 ] && [ "$(field .state)" = "$2" ]
}

# create JSON: a VM, without wait; its id is $id.
create() {
	asked 201 POST /v1/vms "$1"
	id=$(field .id)
}
