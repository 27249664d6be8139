#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# safety.bats: what goes wrong around a daemon: output that nobody takes, processes that are
# killed or stop, limits that are met. Each must end in an answer that says why, harm nobody
# else, and be over when its cause is.
#
# shellcheck disable=SC2016,SC2086,SC2154,SC2030,SC2031,SC2314 # shared with helpers; bats' subshells

load helpers
load daemon

setup() {
	need_machine
	LIMIT=30
	T=$BATS_TEST_TMPDIR
	GUEST=$(dirname "$PROGRAMS")/guest-cli/musl
	BB=$PROGRAMS/busybox
	[ -x "$GUEST/hello" ] || fail "$GUEST/hello is missing: run make check-build"
	children=() elsewhere='' cgroup=''
}

teardown() {
	local pid
	for pid in "${children[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	daemon_kill
	[ -z "$elsewhere" ] || rm -rf "$elsewhere"
	[ -z "$cgroup" ] || until_true 5 rmdir "$cgroup"
}

# in_background NAME CURL-OPTION... PATH: the reply goes to $T/NAME, its status to $T/NAME.code.
in_background() {
	local name=$1 path=${*: -1}
	shift
	curl -sS --max-time "$LIMIT" --unix-socket "$SOCKET" -o "$T/$name" -w '%{http_code}' \
		"${@:1:$#-1}" "http://mayfly$path" >"$T/$name.code" 2>"$T/$name.curl" 3>&- &
	children+=($!)
}

wait_for_all() {
	local pid
	for pid in "${children[@]}"; do
		wait "$pid" || true
	done
	children=()
}

runs_hello() {
	asked 200 POST /v1/vms "{\"image\":\"$GUEST/hello\",\"wait\":true}"
	has '.exit_code == 0 and .stdout == "Hello, world\n"'
}

waiter() { # NAME [FURTHER MEMBERS]: a VM that runs on
	create "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"],\"name\":\"$1\"${2:+,$2}}"
	pid=$(field .pid)
}

waiters() { # COUNT
	requests "$1" "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"]}"
	[ "$(grep -c '"state":"running"' "$replies")" -eq "$1" ]
}

count_is() { # STATE N
	api GET "/v1/vms?state=$1"
	[ "$(field '.vms | length')" -eq "$2" ]
}

pool() { # JQ-EXPRESSION: is it true of the first flavour, now?
	api GET /v1/pool
	jq -e ".flavours[0] | $1" "$body" >/dev/null
}

is_settled() {
	pool '.preparing == 0 and .ready == .target'
}

# start_until CODE: programs are started until one start is answered so, soon.
start_until() {
	for _ in $(seq 30); do
		api POST /v1/vms "{\"image\":\"$GUEST/hello\",\"wait\":true}"
		[ "$code" != "$1" ] || return 0
	done
	fail "$code, and never $1: $(cat "$body")"
}

# says TEXT: the error that was answered last.
says() {
	[[ "$(field .error.message)" == *"$1"* ]] || fail "no '$1' in: $(cat "$body")"
}

# ---- output and input that nobody takes ----

@test "captured output: all of it up to the limit, and no more, however much there is" {
	daemon_start "$T" --shells 4 --max-shells 4
	for limit in 8191 8192 8193 65511 65512 65536 70000 1000000; do
		asked 200 POST /v1/vms "{\"image\":\"$GUEST/flood\",\"args\":[\"2\"],\"wait\":true,\"capture_bytes\":$limit}"
		has '.exit_code == 0 and (.stdout | test("^f*$")) and (.stdout | length) == '"$limit"
		has '.stdout_truncated and (.stderr_truncated | not)'
	done
	asked 200 POST /v1/vms "{\"image\":\"$GUEST/flood\",\"args\":[\"2\"],\"wait\":true,\"capture_bytes\":2000000}"
	has '(.stdout | length) == 2000000 and (.stdout_truncated | not)'
	asked 200 POST /v1/vms "{\"image\":\"$BB\",\"args\":[\"seq\",\"200000\"],\"wait\":true,\"capture_bytes\":2000000}"
	jq -rj .stdout "$body" | cmp - <(seq 200000)
	peak=$(peak_kib "$DAEMON_PID")
	for i in 1 2 3 4; do
		in_background flood$i -d "{\"image\":\"$GUEST/flood\",\"args\":[\"100\"],\"wait\":true}" /v1/vms
	done
	runs_hello
	wait_for_all
	for i in 1 2 3 4; do
		jq -e '.exit_code == 0 and (.stdout | length) == 65536 and .stdout_truncated' "$T/flood$i" >/dev/null
	done
	[ "$(peak_kib "$DAEMON_PID")" -lt $((peak + 8192)) ]
	asked 200 GET /metrics
	grep -q '^mayfly_news_rejected_total 0$' "$body"
}

@test "captured output: none is lost while the daemon stands still" {
	daemon_start "$T" --shells 4 --max-shells 4
	runs_hello
	for i in 1 2 3 4; do
		in_background flood$i -d "{\"image\":\"$BB\",\"args\":[\"sh\",\"-c\",\"echo \$\$; read x; seq 300000\"],
			\"wait\":true,\"capture_bytes\":4000000,\"stdin_open\":true,\"name\":\"flood$i\"}" /v1/vms
	done
	until_true 10 count_is running 4
	for i in 1 2 3 4; do
		asked 200 POST "/v1/vms/flood$i/stdin?eof" 'go'
	done
	kill -STOP "$DAEMON_PID"
	sleep 0.5
	kill -CONT "$DAEMON_PID"
	wait_for_all
	for i in 1 2 3 4; do
		jq -rj .stdout "$T/flood$i" | tail -n +2 | cmp - <(seq 300000)
	done
}

@test "a log: up to --log-limit, the rest is counted" {
	daemon_start "$T" --shells 1 --max-shells 1 --log-limit 200K
	create "{\"image\":\"$GUEST/flood\",\"args\":[\"100\"],\"name\":\"vm\"}"
	asked 200 POST /v1/vms/vm/wait
	has '.exit_code == 0'
	[ "$(find "$MAYFLY_RUN_DIR/log" -type f -size +204800c | wc -l)" -eq 0 ]
	asked 200 GET /v1/vms/vm/logs
	kept=$(wc -c <"$body")
	[ "$kept" -gt 200000 ] # and the frames' heads
	[ "$kept" -lt 204800 ]
	asked 200 GET '/v1/vms/vm/logs?format=json'
	[ "$(tail -n 1 "$body" | jq .truncated)" = true ]
	asked 200 GET /v1/vms/vm/stats
	has '.stdout_bytes == 100000000 and .lost_bytes == 100000000 - '"$kept"
	asked 200 GET /metrics
	grep -q "^mayfly_lost_bytes_total $((100000000 - kept))\$" "$body"
}

@test "run --pool: a VM whose output nobody reads waits, in bounded memory, and goes on" {
	daemon_start "$T" --shells 1 --max-shells 1
	mkfifo "$T/pipe"
	exec 8<>"$T/pipe"
	"$MAYFLY" run --pool "$GUEST/flood" 50 >"$T/pipe" 2>"$T/err" 3>&- 8>&- &
	children+=($!)
	until_true 10 count_is running 1
	pid=$(field '.vms[0].pid')
	until_true 10 stands_still
	ticks=$(cpu_ticks "$pid")
	sleep 0.3
	[ "$(cpu_ticks "$pid")" -le $((ticks + 1)) ]
	[ "$(peak_kib "$pid")" -lt 16384 ]
	runs_hello
	[ "$(head -c 50000000 <&8 | tr -d f | wc -c)" -eq 0 ]
	wait "${children[0]}"
	exec 8>&-
	# A reader that goes ends the program, as it does natively.
	code=0
	{ "$MAYFLY" run --pool "$GUEST/flood" 1000 3>&- || echo $? >"$T/code"; } | head -c 100000 >/dev/null
	code=$(cat "$T/code" || true)
	[ "$code" -ne 0 ]
	until_true 5 count_is running 0
}

stands_still() {
	local ticks
	ticks=$(cpu_ticks "$pid")
	sleep 0.1
	[ "$(cpu_ticks "$pid")" -eq "$ticks" ] && [ "$(awk '{ print $3 }' "/proc/$pid/stat")" = S ]
}

@test "input that nobody reads: a ring full of it, and no memory of the daemon" {
	daemon_start "$T" --shells 4 --max-shells 4
	noise_file 4000000 "$T/in"
	for i in 1 2 3 4; do
		waiter vm$i '"stdin_open":true'
	done
	asked 200 POST /v1/vms/vm1/stdin "@$T/in"
	peak=$(peak_kib "$DAEMON_PID")
	for _ in 1 2 3; do
		for i in 1 2 3 4; do
			asked 200 POST "/v1/vms/vm$i/stdin?eof" "@$T/in"
			has '.accepted <= 200000 and (.eof | not)'
		done
	done
	asked 200 POST /v1/vms/vm1/stdin "@$T/in"
	has '.accepted == 0'
	[ "$(peak_kib "$DAEMON_PID")" -lt $((peak + 16384)) ]
	runs_hello
}

# ---- processes that are killed, or stand still ----

@test "SIGKILL of the daemon: its 30 VMs end with it, the next one finds no trace of them" {
	daemon_start "$T" --shells 4 --max-shells 4
	waiters 30
	in_background waited -d "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"],\"wait\":true}" /v1/vms
	"$MAYFLY" run --pool "$GUEST/handler" wait >"$T/run.out" 2>"$T/run.err" 3>&- &
	children+=($!)
	until_true 10 count_is running 32
	pids="$(zygote) $(shells)"
	[ "$(wc -w <<<"$pids")" -ge 33 ]
	daemon_kill
	# shellcheck disable=SC2086
	until_true 2 all_ended $pids
	code=0
	wait "${children[1]}" || code=$?
	[ $code -eq 125 ]
	grep -q '^mayfly: the daemon went' "$T/run.err"
	code=0
	wait "${children[0]}" || code=$?
	[[ $code -eq 52 || $code -eq 56 ]] # an empty reply, a reset connection
	[ "$(find "$MAYFLY_RUN_DIR/shell" "$MAYFLY_RUN_DIR/log" -type f -o -type s | wc -l)" -ge 60 ]
	daemon_start "$T" --shells 4 --max-shells 4
	until_true 5 is_settled
	[ "$(find "$MAYFLY_RUN_DIR/shell" "$MAYFLY_RUN_DIR/log" -type f -o -type s | wc -l)" -eq 8 ]
	asked 200 GET '/v1/vms?all'
	has '.vms == []'
	runs_hello
	# One that does not wait until they have gone.
	waiters 10
	pids="$(zygote) $(shells)"
	daemon_kill
	daemon_start "$T" --shells 4 --max-shells 4
	runs_hello
	# shellcheck disable=SC2086
	until_true 2 all_ended $pids
	[ "$(find "$MAYFLY_RUN_DIR/shell" -type s | wc -l)" -le 5 ]
}

@test "SIGKILL of a VM's process: who waits hears of it, the others go on, the pool is refilled" {
	daemon_start "$T" --shells 3 --max-shells 3
	waiter beside
	beside=$pid
	in_background waited -d "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"],\"wait\":true,\"name\":\"vm\"}" /v1/vms
	until_true 10 count_is running 2
	in_background told -X POST /v1/vms/vm/wait
	"$MAYFLY" run --pool "$GUEST/handler" wait >"$T/run.out" 2>"$T/run.err" 3>&- &
	children+=($!)
	until_true 10 count_is running 3
	until_true 10 grep -q ready "$T/run.out"
	field '.vms[].pid' | grep -vx "$beside" | xargs kill -KILL
	code=0
	wait "${children[2]}" || code=$?
	[ $code -eq 125 ]
	grep -q '^mayfly: its process was ended by signal 9' "$T/run.err"
	wait_for_all
	for reply in waited told; do
		jq -e '.exit_code == 125 and .end == "failed" and (.reason | contains("ended by signal 9"))' "$T/$reply" >/dev/null
	done
	count_is running 1
	not_running "$beside" && fail "the other one ended, too"
	create "{\"image\":\"$BB\",\"args\":[\"sh\",\"-c\",\"echo its last words; read x\"],\"stdin_open\":true,\"name\":\"logged\"}"
	pid=$(field .pid)
	until_true 10 eval 'api GET /v1/vms/logged/logs; grep -q words "$body"'
	kill -SEGV "$pid"
	asked 200 POST /v1/vms/logged/wait
	has '.exit_code == 125 and (.reason | contains("signal 11"))'
	asked 200 GET /v1/vms/logged/logs
	[ "$(cat "$body")" = 'its last words' ]
	until_true 5 is_settled
	runs_hello
	asked 200 GET /metrics
	grep -q '^mayfly_vm_ends_total{reason="killed"} 3$' "$body"
}

@test "SIGKILL of the zygote: all VMs end with the reason, and it is back by itself" {
	daemon_start "$T" --shells 3 --max-shells 3
	runs_hello
	waiters 9
	waiter vm
	in_background waited -d "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"],\"wait\":true}" /v1/vms
	in_background told -X POST /v1/vms/vm/wait
	"$MAYFLY" run --pool "$GUEST/handler" wait >"$T/run.out" 2>"$T/run.err" 3>&- &
	children+=($!)
	until_true 10 count_is running 12
	old=$(zygote) pids=$(shells)
	kill -KILL "$old"
	code=0
	wait "${children[2]}" || code=$?
	[ $code -eq 125 ]
	grep -q '^mayfly: the zygote was ended by signal 9' "$T/run.err"
	wait_for_all
	for reply in waited told; do
		jq -e '.exit_code == 125 and (.reason | contains("the zygote was ended by signal 9"))' "$T/$reply" >/dev/null
	done
	asked 200 GET '/v1/vms?all'
	has '(.vms | length) == 10 and all(.vms[]; .state == "exited" and .end == "failed" and (.reason | contains("zygote")))'
	# shellcheck disable=SC2086
	until_true 2 all_ended $pids
	until_true 10 zygote_is_not "$old"
	runs_hello
	until_true 5 is_settled
	[ "$(find "$MAYFLY_RUN_DIR/shell" -type s | wc -l)" -eq 3 ]
}

@test "SIGKILL of the zygote again and again, under load: every request is answered" {
	daemon_start "$T" --shells 3 --max-shells 6
	runs_hello
	for client in 1 2 3; do
		(for _ in $(seq 25); do
			curl -sS --max-time 20 --unix-socket "$SOCKET" -w ' %{http_code}\n' \
				-d "{\"image\":\"$GUEST/hello\",\"wait\":true}" http://mayfly/v1/vms | tr -d '\n'
			echo
		done >"$T/replies$client" 2>&1) 3>&- &
		children+=($!)
	done
	for _ in 1 2 3; do
		until_true 10 zygote_is_not none
		old=$(zygote)
		kill -KILL "$old"
		until_true 10 zygote_is_not "$old"
		sleep 0.1
	done
	wait_for_all
	[ "$(cat "$T"/replies? | wc -l)" -eq 75 ]
	# It ran; or it did not, or not to its end, for a reason that is told.
	grep -hvE '"Hello, world\\n".* 200$|zygote.* (200|503)$' "$T"/replies? && fail 'what is that?'
	[ "$(grep -hc '"Hello, world' "$T"/replies? | awk '{ n += $1 } END { print n }')" -ge 30 ]
	until_true 10 is_settled
	runs_hello
}

@test "SIGKILL of mayfly-image: who waits for the image is told, and the next one has it" {
	daemon_start "$T" --shells 1 --max-shells 1
	cp "$GUEST/hello" "$T/large"
	truncate -s 200M "$T/large"
	sleep 0.1 # a file that was just written is prepared once for each start
	in_background waited -d "{\"image\":\"$T/large\",\"wait\":true}" /v1/vms
	in_background started -d "{\"image\":\"$T/large\"}" /v1/vms
	"$MAYFLY" run --pool "$T/large" >"$T/run.out" 2>"$T/run.err" 3>&- &
	children+=($!)
	until_true 10 pgrep -P "$DAEMON_PID" -f '^mayfly-image' >/dev/null
	job=$(pgrep -P "$DAEMON_PID" -f '^mayfly-image')
	kill -STOP "$job"
	until_true 10 count_is starting 3
	runs_hello
	kill -KILL "$job"
	code=0
	wait "${children[2]}" || code=$?
	[ $code -eq 125 ]
	grep -q '^mayfly: .*ended by signal 9' "$T/run.err"
	wait_for_all
	for reply in waited started; do
		[ "$(cat "$T/$reply.code")" = 500 ]
		grep -q 'mayfly-image was ended by signal 9' "$T/$reply"
	done
	asked 200 POST /v1/vms "{\"image\":\"$T/large\",\"wait\":true}"
	has '.stdout == "Hello, world\n"'
}

@test "a VM's process that stands still: an error within two seconds, nobody else waits" {
	daemon_start "$T" --shells 3 --max-shells 3
	waiter beside
	create "{\"image\":\"$GUEST/handler\",\"args\":[\"spin\"],\"name\":\"vm\",\"stdin_open\":true}"
	pid=$(field .pid)
	kill -STOP "$pid"
	begin=$(date +%s%N)
	in_background stats /v1/vms/vm/stats
	in_background pause -X POST /v1/vms/vm/pause
	in_background stdin -d x /v1/vms/vm/stdin
	asked 200 GET /v1/vms/beside/stats
	runs_hello
	wait_for_all
	ms=$((($(date +%s%N) - begin) / 1000000))
	[ $ms -ge 1900 ]
	[ $ms -lt 6000 ]
	for reply in stats pause stdin; do
		grep -q 'did not answer within 2 s' "$T/$reply" || fail "$reply: $(cat "$T/$reply")"
	done
	# What it is told meanwhile is bounded.
	for _ in $(seq 12); do
		api POST '/v1/vms/vm/kill?signal=CONT'
	done
	[ "$code" = 503 ]
	says 'does not take messages'
	# It goes on: and what it was asked too long ago holds.
	kill -CONT "$pid"
	until_true 5 state_is vm paused
	asked 200 POST /v1/vms/vm/resume
	kill -STOP "$pid"
	asked 200 POST '/v1/vms/vm/stop?grace_ms=200'
	has '.exit_code == 137'
	state_is beside running
}

# ---- limits that are met ----

@test "open files: 40 of them" {
	DAEMON_UNDER=(prlimit --nofile=40:40)
	daemon_start "$T" --shells 2 --max-shells 4
	runs_hello
	waiters 49
	waiter vm
	# Programs that nobody has seen.
	for i in $(seq 30); do
		cp "$GUEST/hello" "$T/image$i"
		asked 200 POST /v1/vms "{\"image\":\"$T/image$i\",\"wait\":true}"
	done
	for i in $(seq 20); do
		in_background waited$i -X POST /v1/vms/vm/wait
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
		runs_hello
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
	runs_hello
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
	runs_hello
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

start_is() { # CODE
	api POST /v1/vms "{\"image\":\"$GUEST/hello\",\"wait\":true}"
	[ "$code" = "$1" ]
}

@test "processes: a user who may have no more" {
	elsewhere=$(mktemp -d /tmp/mayfly-test.XXXXXX)
	as_nobody "$elsewhere"
	cp "$GUEST/hello" "$GUEST/status" "$elsewhere"
	GUEST=$elsewhere
	daemon_start "$elsewhere" --shells 2 --max-shells 2
	runs_hello
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
	runs_hello
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
	runs_hello
	waiter beside
	cp "$GUEST/hello" "$T/unseen"
	(printf '{"image":"%s","wait":true,"stdin":"' "$GUEST/hello" && head -c 4000000 /dev/zero | tr '\0' x && echo '"}') >"$T/request"
	prlimit --pid "$DAEMON_PID" --as=1000000:unlimited
	asked 503 POST /v1/vms "{\"image\":\"$T/unseen\",\"wait\":true}"
	says RLIMIT_AS
	asked 503 POST /v1/vms "@$T/request"
	runs_hello
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
	runs_hello
	# By a log. What came before is there; what is lost, is counted, and told.
	create "{\"image\":\"$GUEST/flood\",\"args\":[\"1\"],\"name\":\"vm\"}"
	asked 200 POST /v1/vms/vm/wait
	has '.exit_code == 0'
	asked 200 GET /v1/vms/vm/stats
	has '.lost_bytes > 300000 and .lost_bytes < 1000000'
	asked 200 GET '/v1/vms/vm/logs?format=json'
	[ "$(jq -rj '.text // ""' "$body" | wc -c)" -gt 100000 ]
	# What needs no file goes on, what needs one says why not.
	runs_hello
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
	runs_hello
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
	runs_hello
	nsenter -t "$DAEMON_PID" -m mount --bind /dev/null /dev/kvm
	runs_hello # with what is open already
	kill -KILL "$(zygote)"
	begin=$SECONDS
	start_until 503
	says '/dev/kvm'
	[ $((SECONDS - begin)) -lt 10 ]
	asked 200 GET /healthz
	nsenter -t "$DAEMON_PID" -m umount /dev/kvm
	until_true 20 start_is 200
	until_true 10 is_settled
}
