#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# api.bats: the daemon's HTTP interface with real VMs. That it is as openapi.yaml says is
# openapi.bats' matter.
#
# shellcheck disable=SC2154,SC2030,SC2031 # shared with helpers; bats' subshells

load helpers
load daemon

setup_file() {
	need_machine
	daemon_start "$BATS_FILE_TMPDIR" --shells 4 --max-shells 8
}

teardown_file() {
	daemon_end
}

setup() {
	T=$BATS_TEST_TMPDIR
	GUEST=$(dirname "$PROGRAMS")/guest-cli/musl
	BB=$PROGRAMS/busybox
	[ -x "$GUEST/hello" ] || fail "$GUEST/hello is missing: run make check-build"
	name=t$BATS_TEST_NUMBER
	children=()
	shared=$DAEMON_PID shared_socket=$SOCKET
}

teardown() {
	local pid
	for pid in "${children[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	[ "${DAEMON_PID:-$shared}" = "$shared" ] || daemon_kill # one of its own
	SOCKET=$shared_socket
	curl -s --unix-socket "$SOCKET" 'http://mayfly/v1/vms?all' | jq -r '.vms[].id' |
		while read -r vm; do
			curl -s --unix-socket "$SOCKET" -X DELETE "http://mayfly/v1/vms/$vm?force"
		done
}

# sh SCRIPT: the members of a request that runs it in busybox' shell.
sh() {
	jq -nc --arg image "$BB" --arg script "$1" '{image: $image, args: ["sh", "-c", $script]}' |
		sed 's/^{//; s/}$//'
}

# in_background CURL-OPTION... PATH: its output goes to $T/out, its status to $T/status.
in_background() {
	local path=${*: -1}
	curl -sSN --max-time "$LIMIT" --unix-socket "$SOCKET" -o "$T/out" -w '%{http_code}' \
		"${@:1:$#-1}" "http://mayfly$path" >"$T/status" 2>"$T/curl" 3>&- &
	children+=($!)
}

waiting_is() {
	api GET /metrics
	[ "$(awk '$1 == "mayfly_http_waiting" { print $2 }' "$body")" -eq "$1" ]
}

no_vm() {
	api GET "/v1/vms/$1"
	[ "$code" = 404 ]
}

# ---- create and wait ----

@test "create with wait: output, exit code, times, and nothing is left" {
	asked 200 POST /v1/vms "{$(sh 'echo out; echo err >&2; exit 3'),\"wait\":true}"
	has '.exit_code == 3 and .end == "exited" and .signal == 0 and .reason == ""'
	has '.stdout == "out\n" and .stderr == "err\n"'
	has '(.stdout_truncated or .stderr_truncated) | not'
	has '.timing.boot_us > 0 and .timing.boot_us < 10000000 and .timing.run_us > 0'
	id=$(field .id)
	asked 404 GET "/v1/vms/$id"
}

@test "create with wait: arguments, argv0, environment, working directory" {
	asked 200 POST /v1/vms "{\"image\":\"$BB\",\"argv0\":\"sh\",\"args\":[\"-c\",
		\"echo \$0 \$1 \$A \$PWD; env\",\"zero\",\"one two\"],\"env\":{\"A\":\"a b\"},
		\"workdir\":\"/tmp\",\"wait\":true}"
	has '.stdout | startswith("zero one two a b /tmp\nA=a b\n") or contains("\nA=a b\n")'
	asked 200 POST /v1/vms "{$(sh 'echo "$B"'),\"env\":[\"B=x=y\",\"C=\"],\"wait\":true}"
	has '.stdout == "x=y\n"'
}

@test "create with wait: stdin as text and in base64, output that is no UTF-8" {
	asked 200 POST /v1/vms "{\"image\":\"$BB\",\"args\":[\"cat\"],\"stdin\":\"a\\u0000b\\n\",\"wait\":true}"
	has '.stdout == "a\u0000b\n"'
	asked 200 POST /v1/vms "{\"image\":\"$BB\",\"args\":[\"cat\"],\"stdin\":{\"base64\":\"//4AYQ==\"},\"wait\":true}"
	has '.stdout_base64 == "//4AYQ==" and (has("stdout") | not) and .stderr == ""'
}

@test "create with wait: megabytes of input" {
	noise_file 3000000 "$T/in"
	base64 -w 0 "$T/in" >"$T/base64"
	jq -nc --arg image "$BB" --rawfile data "$T/base64" \
		'{image: $image, args: ["sha256sum"], stdin: {base64: $data}, wait: true}' >"$T/request"
	asked 200 POST /v1/vms "@$T/request"
	[ "$(field '.stdout[:64]')" = "$(sha256sum <"$T/in" | cut -c1-64)" ]
}

@test "create with wait: output beyond capture_bytes is cut, and told" {
	asked 200 POST /v1/vms "{\"image\":\"$GUEST/flood\",\"args\":[\"1\"],\"wait\":true,\"capture_bytes\":1000}"
	has '(.stdout | length) == 1000 and .stdout_truncated and (.stderr_truncated | not) and .exit_code == 0'
}

@test "create with wait: a time limit, a signal of its own" {
	asked 200 POST /v1/vms "{\"image\":\"$GUEST/handler\",\"args\":[\"spin\"],\"wait\":true,\"timeout_ms\":300}"
	has '.exit_code == 124 and .end == "timeout" and .stdout == "ready\n"'
	has '.timing.run_us > 290000 and .timing.run_us < 5000000'
	asked 200 POST /v1/vms "{$(sh 'kill -SEGV $$'),\"wait\":true}"
	has '.exit_code == 139 and .signal == 11'
}

@test "create with wait, rm false: the record stays, with its output" {
	asked 200 POST /v1/vms "{$(sh 'echo o; echo e >&2'),\"wait\":true,\"rm\":false,\"name\":\"$name\"}"
	asked 200 GET "/v1/vms/$name"
	has '.state == "exited" and .exit_code == 0 and .name == "'"$name"'"'
	asked 200 GET "/v1/vms/$name/logs"
	[ "$(cat "$body")" = "$(printf 'o\ne')" ]
	asked 200 GET "/v1/vms/$name/logs?stderr&follow"
	[ "$(cat "$body")" = e ]
}

@test "a client that goes away while it waits: its VM is killed" {
	in_background -d "{\"image\":\"$GUEST/handler\",\"args\":[\"spin\"],\"wait\":true,\"name\":\"$name\"}" /v1/vms
	until_true 20 state_is "$name" running
	kill -KILL "${children[0]}"
	until_true 20 no_vm "$name"
}

@test "a client that goes away while it waits, rm false: its VM runs on" {
	in_background -d "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"],\"wait\":true,\"rm\":false,\"name\":\"$name\"}" /v1/vms
	until_true 20 state_is "$name" running
	until_true 20 waiting_is 1
	kill -KILL "${children[0]}"
	until_true 20 waiting_is 0
	state_is "$name" running
}

@test "what cannot be started leaves nothing, not even its name" {
	asked 422 POST /v1/vms "{\"image\":\"/nowhere/at/all\",\"name\":\"$name\"}"
	has '.error.code == "image" and .error.exit_code == 127'
	[[ "$(field .error.message)" == *"/nowhere/at/all"* ]]
	asked 404 GET "/v1/vms/$name"
	asked 422 POST /v1/vms "{\"image\":\"$BATS_TEST_FILENAME\",\"name\":\"$name\",\"wait\":true}"
	has '.error.code == "image" and .error.exit_code == 126'
	asked 404 GET "/v1/vms/$name"
	create "{\"image\":\"$GUEST/hello\",\"name\":\"$name\"}"
}

@test "what is wrong with a request is said" {
	asked 400 POST /v1/vms "{\"image\":\"$GUEST/hello\",\"memory\":64}"
	has '.error.code == "bad_request" and (.error.message | contains("no field memory") and contains("memory_mib"))'
	asked 400 POST /v1/vms '{"args":[]}'
	asked 400 POST /v1/vms 'nonsense'
	asked 400 POST /v1/vms "{\"image\":\"$GUEST/hello\",\"name\":\"a b\"}"
	asked 400 GET '/v1/vms?al'
	has '.error.message | contains("all")'
	asked 400 GET '/v1/vms?all=maybe'
	asked 400 GET '/v1/vms?state=dead'
	asked 404 GET /v1/vms/nosuch
	asked 404 GET /v2/vms
	asked 405 PATCH /v1/vms
	grep -qi '^Allow: POST, GET, HEAD' "$header"
	create "{\"image\":\"$GUEST/hello\",\"name\":\"$name\"}"
	asked 409 POST /v1/vms "{\"image\":\"$GUEST/hello\",\"name\":\"$name\"}"
	asked 409 POST "/v1/vms/$name/start"
	asked 400 POST "/v1/vms/$name/kill?signal=WINK"
}

# ---- a VM's life ----

@test "create, list, inspect, remove" {
	create "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"],\"name\":\"$name\",\"memory_mib\":32,\"labels\":{\"app\":\"web\",\"n\":\"1\"}}"
	has '.state == "running" and .memory_mib == 32 and .labels == {app: "web", n: "1"} and (.rm | not)'
	create "{\"image\":\"$GUEST/hello\",\"labels\":{\"app\":\"db\"}}"
	until_true 20 state_is "$id" exited
	asked 200 GET /v1/vms
	has '[.vms[].name] == ["'"$name"'"]'
	asked 200 GET '/v1/vms?all'
	has '(.vms | length) == 2 and .vms[0].name == "'"$name"'" and .vms[1].exit_code == 0'
	asked 200 GET '/v1/vms?all&label=app=db'
	has '[.vms[].id] == ["'"$id"'"]'
	asked 200 GET '/v1/vms?label=app&label=n=1'
	has '(.vms | length) == 1'
	asked 200 GET '/v1/vms?label=app=d'
	has '.vms == []'
	asked 200 GET '/v1/vms?state=exited&state=paused'
	has '[.vms[].id] == ["'"$id"'"]'
	asked 200 GET "/v1/vms/${id:0:8}"
	has '.id == "'"$id"'" and .state == "exited" and .end == "exited" and .started_at and .ended_at'
	asked 409 DELETE "/v1/vms/$name"
	asked 204 DELETE "/v1/vms/$name?force"
	asked 204 DELETE "/v1/vms/$id"
	asked 200 GET '/v1/vms?all'
	has '.vms == []'
}

@test "created, started later" {
	create "{\"image\":\"$GUEST/status\",\"args\":[\"5\"],\"name\":\"$name\",\"start\":false}"
	has '.state == "created"'
	sleep 0.2
	asked 200 POST "/v1/vms/$name/start"
	asked 200 POST "/v1/vms/$name/wait"
	has '.exit_code == 5 and .timing.boot_us < 200000'
}

@test "wait: until the end, with a limit, of what has ended" {
	create "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\",\"handle\"],\"name\":\"$name\"}"
	until_true 20 said ready
	asked 504 POST "/v1/vms/$name/wait?timeout_ms=100"
	has '.error.code == "timeout"'
	in_background -X POST "/v1/vms/$name/wait"
	until_true 20 waiting_is 1
	asked 200 POST "/v1/vms/$name/kill?signal=TERM"
	until_true 20 test -s "$T/status"
	[ "$(cat "$T/status")" = 200 ]
	[ "$(jq .exit_code "$T/out")" -eq 7 ]
	asked 200 POST "/v1/vms/$name/wait?timeout_ms=0"
	has '.exit_code == 7 and .end == "exited"'
}

said() {
	api GET "/v1/vms/$name/logs"
	grep -q "$1" "$body"
}

@test "kill, stop" {
	create "{\"image\":\"$GUEST/handler\",\"args\":[\"spin\"],\"name\":\"$name\"}"
	asked 200 POST "/v1/vms/$name/kill"
	asked 200 POST "/v1/vms/$name/wait"
	has '.exit_code == 137 and .signal == 9 and .end == "signal"'
	asked 409 POST "/v1/vms/$name/kill"
	create "{\"image\":\"$GUEST/handler\",\"args\":[\"spin\"],\"name\":\"$name-2\"}"
	asked 200 POST "/v1/vms/$name-2/kill" '{"signal":"SIGINT"}'
	asked 200 POST "/v1/vms/$name-2/wait"
	has '.exit_code == 130 and .signal == 2'
	create "{\"image\":\"$GUEST/handler\",\"args\":[\"spin\",\"handle\"],\"name\":\"$name-3\"}"
	name=$name-3
	until_true 20 said ready
	asked 200 POST "/v1/vms/$name/stop"
	has '.exit_code == 7 and .end == "exited"'
	asked 200 POST "/v1/vms/$name/stop"
	create "{\"image\":\"$GUEST/handler\",\"args\":[\"spin\"],\"name\":\"$name-4\"}"
	asked 202 POST "/v1/vms/$name-4/stop?wait=false"
	asked 200 POST "/v1/vms/$name-4/wait"
	has '.signal == 15'
}

@test "pause, resume" {
	create "{\"image\":\"$GUEST/ticks\",\"args\":[\"sleep\",\"20\",\"100000\"],\"name\":\"$name\"}"
	until_true 20 said .
	asked 200 POST "/v1/vms/$name/pause"
	has '.state == "paused"'
	asked 409 POST "/v1/vms/$name/pause"
	asked 200 GET "/v1/vms/$name/logs"
	cp "$body" "$T/before"
	sleep 0.3
	asked 200 GET "/v1/vms/$name/logs"
	cmp "$body" "$T/before"
	asked 200 POST "/v1/vms/$name/resume"
	has '.state == "running"'
	until_true 20 grown
	asked 409 POST "/v1/vms/$name/resume"
}

grown() {
	api GET "/v1/vms/$name/logs"
	[ "$(wc -c <"$body")" -gt "$(wc -c <"$T/before")" ]
}

@test "stdin: pieces, its end, and who has none" {
	create "{\"image\":\"$BB\",\"args\":[\"cat\"],\"stdin\":\"first \",\"stdin_open\":true,\"name\":\"$name\"}"
	asked 200 POST "/v1/vms/$name/stdin" 'second '
	has '.accepted == 7 and (.eof | not)'
	asked 200 POST "/v1/vms/$name/stdin?eof" 'third'
	has '.accepted == 5 and .eof'
	asked 200 POST "/v1/vms/$name/wait"
	asked 200 GET "/v1/vms/$name/logs"
	[ "$(cat "$body")" = 'first second third' ]
	create "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"],\"name\":\"$name-2\"}"
	asked 409 POST "/v1/vms/$name-2/stdin" 'x'
}

@test "stdin: a program that does not read takes what fits, and no more" {
	create "{\"image\":\"$BB\",\"args\":[\"wc\",\"-c\"],\"stdin_open\":true,\"name\":\"$name\"}"
	asked 200 POST "/v1/vms/$name/pause"
	head -c 1000000 /dev/zero >"$T/zeros"
	asked 200 POST "/v1/vms/$name/stdin?eof" "@$T/zeros"
	has '.accepted < 1000000 and (.eof | not)'
	sent=$(field .accepted)
	asked 200 POST "/v1/vms/$name/stdin?eof" "@$T/zeros"
	has '.accepted == 0'
	asked 200 POST "/v1/vms/$name/resume"
	until_true 20 all_is_sent
	asked 200 POST "/v1/vms/$name/wait"
	asked 200 GET "/v1/vms/$name/logs"
	[ "$(tr -dc 0-9 <"$body")" = 1000000 ]
}

# Sends what is left of $T/zeros, as far as it is taken.
all_is_sent() {
	tail -c +$((sent + 1)) "$T/zeros" >"$T/rest"
	asked 200 POST "/v1/vms/$name/stdin?eof" "@$T/rest"
	sent=$((sent + $(field .accepted)))
	[ "$(field .eof)" = true ]
}

# ---- logs ----

@test "logs: both streams, one of them, the last lines, with times, as JSON" {
	create "{$(sh 'for i in 1 2 3; do echo out $i; echo err $i >&2; done; printf end'),\"name\":\"$name\"}"
	asked 200 POST "/v1/vms/$name/wait"
	asked 200 GET "/v1/vms/$name/logs"
	# Which stream comes first is not said, for what is written within so short a time.
	[ "$(grep -ao 'out [0-9]\|err [0-9]\|end' "$body" | sort | xargs)" = 'end err 1 err 2 err 3 out 1 out 2 out 3' ]
	[ "$(wc -c <"$body")" -eq 39 ]
	asked 200 GET "/v1/vms/$name/logs?stdout"
	[ "$(cat "$body")" = "$(printf 'out 1\nout 2\nout 3\nend')" ]
	asked 200 GET "/v1/vms/$name/logs?stdout=false"
	[ "$(cat "$body")" = "$(printf 'err 1\nerr 2\nerr 3')" ]
	asked 200 GET "/v1/vms/$name/logs?tail=2&stdout"
	[ "$(cat "$body")" = "$(printf 'out 3\nend')" ]
	asked 200 GET "/v1/vms/$name/logs?tail=0"
	[ ! -s "$body" ]
	asked 200 GET "/v1/vms/$name/logs?tail=100"
	[ "$(wc -c <"$body")" -eq 39 ]
	asked 200 GET "/v1/vms/$name/logs?tail=1&stderr&timestamps"
	[[ "$(cat "$body")" =~ ^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{9}Z\ err\ 3$ ]]
	asked 200 GET "/v1/vms/$name/logs?format=json"
	[ "$(jq -rj 'select(.stream == "stdout").text' "$body")" = "$(printf 'out 1\nout 2\nout 3\nend')" ]
	[ "$(jq -rj 'select(.stream == "stderr").text' "$body")" = "$(printf 'err 1\nerr 2\nerr 3')" ]
	asked 400 GET "/v1/vms/$name/logs?format=xml"
	asked 400 GET "/v1/vms/$name/logs?stdout=0&stderr=0"
	asked 400 GET "/v1/vms/$name/logs?tail=-1"
}

@test "logs: followed to the VM's end, also from before its start" {
	create "{\"image\":\"$GUEST/ticks\",\"args\":[\"sleep\",\"30\",\"10\"],\"name\":\"$name\",\"start\":false}"
	in_background "/v1/vms/$name/logs?follow"
	until_true 20 waiting_is 1
	asked 200 POST "/v1/vms/$name/start"
	until_true 20 test -s "$T/out"
	[ ! -s "$T/status" ] || fail "it did not follow"
	until_true 20 test -s "$T/status"
	[ "$(wc -l <"$T/out")" -eq 10 ]
	asked 200 GET "/v1/vms/$name/logs?follow"
	cmp "$body" "$T/out"
}

@test "logs: what is followed comes soon" {
	create "{\"image\":\"$GUEST/ticks\",\"args\":[\"sleep\",\"100\",\"20\"],\"name\":\"$name\"}"
	curl -sSN --max-time 20 --unix-socket "$SOCKET" "http://mayfly/v1/vms/$name/logs?follow" |
		while read -r written; do
			echo "$written $(date +%s.%N)"
		done >"$T/times"
	[ "$(wc -l <"$T/times")" -eq 20 ]
	# The median: a loaded machine may be late now and then.
	awk '{ print $2 - $1 }' "$T/times" | sort -n | awk 'NR == 10 { exit !($1 < 0.1) }'
}

@test "logs: a long one is the same byte for byte, and goes with its VM" {
	create "{$(sh 'seq 1 60000'),\"name\":\"$name\"}"
	asked 200 POST "/v1/vms/$name/wait"
	asked 200 GET "/v1/vms/$name/logs"
	seq 1 60000 | cmp - "$body"
	asked 200 GET "/v1/vms/$name/logs?tail=1000"
	seq 59001 60000 | cmp - "$body"
	asked 200 GET "/v1/vms/$name/logs?format=json&tail=30000"
	jq -rj .text "$body" | cmp - <(seq 30001 60000)
	[ -n "$(find "$MAYFLY_RUN_DIR/log" -type f -size +100k)" ]
	asked 204 DELETE "/v1/vms/$name"
	[ -z "$(find "$MAYFLY_RUN_DIR/log" -type f -size +100k)" ]
}

@test "logs: one that was damaged is broken off, and says so in JSON" {
	create "{$(sh 'echo one; echo two'),\"name\":\"$name\"}"
	asked 200 POST "/v1/vms/$name/wait"
	file=$(grep -l one "$MAYFLY_RUN_DIR"/log/*)
	printf 'garbage garbage garbage garbage' >>"$file"
	run curl -sS --unix-socket "$SOCKET" "http://mayfly/v1/vms/$name/logs"
	[ "$status" -eq 18 ] # the transfer was not complete
	[[ "$output" == *one* ]]
	asked 200 GET "/v1/vms/$name/logs?format=json"
	[ "$(jq -r 'select(.error).error' "$body" | tail -n 1)" != "" ]
	daemon_answers
}

# ---- events, stats, metrics, pool ----

@test "events: what happened, from a number on, and what happens" {
	asked 200 GET '/v1/events?follow=false'
	last=$(jq -s '.[-1].number // 0' "$body")
	in_background "/v1/events?since=$last"
	until_true 20 waiting_is 1
	asked 200 POST /v1/vms "{\"image\":\"$GUEST/status\",\"args\":[\"4\"],\"wait\":true,\"name\":\"$name\"}"
	until_true 20 grep -q '"remove"' "$T/out"
	[ "$(jq -r 'select(.name == "'"$name"'").type' "$T/out" | xargs)" = 'create start exit remove' ]
	[[ "$(jq -r 'select(.type == "exit").detail' "$T/out")" == 4* ]]
	asked 200 GET "/v1/events?follow=false&since=$last"
	cmp "$body" "$T/out"
}

@test "stats: once, of what has ended, and as a stream" {
	create "{\"image\":\"$GUEST/handler\",\"args\":[\"spin\"],\"name\":\"$name\"}"
	until_true 20 said ready
	asked 200 GET "/v1/vms/$name/stats"
	has '.state == "running" and .stdout_bytes == 6 and .resident_bytes > 0 and .syscalls > 0'
	in_background "/v1/vms/$name/stats?stream&interval_ms=100"
	until_true 20 lines_in_out 3
	asked 200 POST "/v1/vms/$name/kill"
	until_true 20 test -s "$T/status"
	[ "$(jq -s '.[-1].state' "$T/out")" = '"exited"' ]
	asked 200 GET "/v1/vms/$name/stats"
	has '.state == "exited"'
	asked 400 GET "/v1/vms/$name/stats?stream&interval_ms=1"
}

lines_in_out() {
	[ -f "$T/out" ] && [ "$(wc -l <"$T/out")" -ge "$1" ]
}

@test "metrics: they count, and are what Prometheus reads" {
	asked 200 GET /metrics
	grep -qi '^Content-Type: text/plain; version=0.0.4' "$header"
	before=$(metric 'mayfly_vm_ends_total{reason="exited"}')
	warm=$(metric 'mayfly_start_latency_seconds_count{path="warm"}')
	cold=$(metric 'mayfly_start_latency_seconds_count{path="cold"}')
	asked 200 POST /v1/vms "{\"image\":\"$GUEST/hello\",\"wait\":true}"
	asked 200 GET /metrics
	[ "$(metric 'mayfly_vm_ends_total{reason="exited"}')" -eq $((before + 1)) ]
	[ $(($(metric 'mayfly_start_latency_seconds_count{path="warm"}') + \
		$(metric 'mayfly_start_latency_seconds_count{path="cold"}'))) -eq $((warm + cold + 1)) ]
	# Each sample follows a TYPE of its name, each name has one HELP; buckets do not fall.
	awk '
	/^# HELP / { help[$3]++; next }
	/^# TYPE / { type[$3] = $4; next }
	{
		name = $1
		sub(/\{.*/, "", name)
		base = name
		if (!(base in type))
			sub(/_(bucket|sum|count)$/, "", base)
		if (!(base in type) || help[base] != 1 || $2 !~ /^[0-9.e+-]+$/ || NF != 2)
			bad = bad "\n" $0
		if (name ~ /_bucket$/) {
			series = $1
			sub(/,?le=.*/, "", series)
			if ($2 < last[series])
				bad = bad "\nfalls: " $0
			last[series] = $2
		}
	}
	END { if (bad != "" || NR < 50) { print "wrong:" bad; exit 1 } }' "$body"
}

metric() {
	grep -F "$1 " "$body" | cut -d' ' -f2
}

@test "pool: flavours are read and replaced" {
	asked 200 GET /v1/pool
	has '.flavours[0].memory_mib == 64 and .flavours[0].minimum == 4'
	asked 200 PUT /v1/pool '{"flavours":[{"memory_mib":64,"minimum":2,"maximum":4},{"memory_mib":16,"minimum":1,"maximum":2}]}'
	has '(.flavours | length) == 2'
	until_true 20 ready_is 16 1
	asked 200 POST /v1/vms "{\"image\":\"$GUEST/hello\",\"memory_mib\":16,\"wait\":true,\"rm\":false,\"name\":\"$name\"}"
	asked 200 GET "/v1/vms/$name"
	has '.path == "warm"'
	asked 400 PUT /v1/pool '{"flavours":[]}'
	asked 400 PUT /v1/pool '{"flavours":[{"memory_mib":16,"minimum":1,"maximum":2}]}'
	asked 200 PUT /v1/pool '{"flavours":[{"memory_mib":64,"minimum":4,"maximum":8}]}'
	has '(.flavours | length) == 1'
}

ready_is() { # MEMORY_MIB N
	api GET /v1/pool
	[ "$(field ".flavours[] | select(.memory_mib == $1).ready")" -ge "$2" ]
}

# ---- the wire ----

@test "bodies: 8 MiB and not more, told before it is sent if the client asks" {
	head -c $((8 << 20)) /dev/zero | tr '\0' ' ' >"$T/spaces"
	asked 400 POST /v1/vms "@$T/spaces" -H 'Expect:'
	has '.error.message | contains("JSON")'
	echo >>"$T/spaces"
	asked 413 POST /v1/vms "@$T/spaces" -H 'Expect:'
	has '.error.code == "too_large"'
	asked 413 POST /v1/vms "@$T/spaces" -H 'Expect: 100-continue'
	asked 413 POST /v1/vms "@$T/spaces" -H 'Expect:' -H 'Transfer-Encoding: chunked'
}

@test "keep-alive: one connection, many requests" {
	local urls=()
	for _ in $(seq 20); do
		urls+=(http://mayfly/healthz)
	done
	run curl -sS --unix-socket "$SOCKET" -w '%{num_connects}\n' "${urls[@]}"
	[ "$(grep -c '^1$' <<<"$output")" -eq 1 ]
	[ "$(grep -c '^0$' <<<"$output")" -eq 19 ]
}

@test "HEAD: GET's header and no body" {
	run curl -sS --max-time 5 --unix-socket "$SOCKET" -I http://mayfly/v1/vms http://mayfly/v1/events http://mayfly/healthz
	[ "$status" -eq 0 ]
	[ "$(grep -c '^HTTP/1.1 200' <<<"$output")" -eq 3 ]
}

@test "clients that do not go on cost only their connection" {
	# Half a request line, half a header, half a body; a reader that does not read.
	for text in 'GET /hea' 'GET /healthz HTTP/1.1\r\nHo' \
		'POST /v1/vms HTTP/1.1\r\nHost: m\r\nContent-Length: 100\r\n\r\n{' \
		'GET /v1/events?since=0 HTTP/1.1\r\nHost: m\r\n\r\n'; do
		silent_client "$text"
	done
	for _ in $(seq 5); do
		asked 200 POST /v1/vms "{\"image\":\"$GUEST/hello\",\"wait\":true}"
	done
}

# silent_client TEXT: sends it and stays, connected.
silent_client() {
	python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode().decode("unicode_escape").encode("latin1"))
print("sent", flush=True)
time.sleep(600)' "$SOCKET" "$1" >"$T/client" 3>&- &
	children+=($!)
	until_true 10 grep -q sent "$T/client"
}

# ---- with daemons of their own ----

@test "more waiting clients than there is room for: a 503, and others are served" {
	ulimit -n 400
	daemon_start "$T" --shells 1 --max-shells 1
	create "{\"image\":\"$GUEST/hello\",\"name\":\"$name\",\"start\":false}"
	# A quarter of the descriptors is for connections, an eighth of those not for waiting.
	for _ in $(seq 110); do
		in_background -X POST "/v1/vms/$name/wait"
	done
	until_true 20 waiting_is 88
	asked 503 POST "/v1/vms/$name/wait"
	has '.error.code == "busy"'
	grep -qi '^Retry-After: [0-9]' "$header"
	asked 503 GET '/v1/events'
	asked 200 GET '/v1/events?follow=false'
	asked 200 POST "/v1/vms/$name/start"
	until_true 20 waiting_is 0
	daemon_end
}

@test "the daemon's end: who waits gets an answer" {
	daemon_start "$T" --shells 1 --max-shells 1
	in_background -d "{\"image\":\"$GUEST/handler\",\"args\":[\"spin\"],\"wait\":true,\"name\":\"$name\"}" /v1/vms
	until_true 20 state_is "$name" running
	silent_client 'GET /v1/events HTTP/1.1\r\nHost: m\r\n\r\n'
	silent_client "GET /v1/vms/$name/logs?follow HTTP/1.1\r\nHost: m\r\n\r\n"
	until_true 20 waiting_is 3
	daemon_end
	until_true 20 test -s "$T/status"
	[ "$(cat "$T/status")" = 200 ]
	jq -e '.end == "failed" and .exit_code == 125 and (.reason | contains("daemon"))' "$T/out"
}
