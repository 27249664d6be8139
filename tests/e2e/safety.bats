#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# safety.bats: what goes wrong around a daemon: output that nobody takes, processes that are
# killed or stand still. It must end in an answer that says why, harm nobody else, and be over
# when its cause is. Limits that are met are in limits.bats.
#
# shellcheck disable=SC2016,SC2086,SC2154,SC2030,SC2031,SC2314 # shared with helpers; bats' subshells

load helpers
load daemon
load own

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
	hello
	wait_for_all
	for i in 1 2 3 4; do
		jq -e '.exit_code == 0 and (.stdout | length) == 65536 and .stdout_truncated' "$T/flood$i" >/dev/null
	done
	[ "$(peak_kib "$DAEMON_PID")" -lt $((peak + 8192)) ]
	[ "$(metric mayfly_news_rejected_total)" -eq 0 ]
}

@test "captured output: none is lost while the daemon stands still" {
	daemon_start "$T" --shells 4 --max-shells 4
	hello
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
	[ "$(metric mayfly_lost_bytes_total)" -eq $((100000000 - kept)) ]
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
	hello
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
	hello
}

# ---- processes that are killed, or stand still ----

@test "SIGKILL of the daemon: its 30 VMs end with it, the next one finds no trace of them" {
	daemon_start "$T" --shells 4 --max-shells 4
	waiters 30
	in_background waited -d "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"],\"wait\":true}" /v1/vms
	run_in_background "$GUEST/handler" wait
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
	until_true 5 files_are 4 4
	asked 200 GET '/v1/vms?all'
	has '.vms == []'
	hello
	# One that does not wait until they have gone.
	waiters 10
	pids="$(zygote) $(shells)"
	daemon_kill
	daemon_start "$T" --shells 4 --max-shells 4
	hello
	# shellcheck disable=SC2086
	until_true 2 all_ended $pids
	until_true 5 files_are 4 4
}

@test "SIGKILL of a VM's process: who waits hears of it, the others go on, the pool is refilled" {
	daemon_start "$T" --shells 3 --max-shells 3
	waiter beside
	beside=$pid
	in_background waited -d "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"],\"wait\":true,\"name\":\"vm\"}" /v1/vms
	until_true 10 count_is running 2
	in_background told -X POST /v1/vms/vm/wait
	run_in_background "$GUEST/handler" wait
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
	until_true 10 said logged words
	kill -SEGV "$pid"
	asked 200 POST /v1/vms/logged/wait
	has '.exit_code == 125 and (.reason | contains("signal 11"))'
	asked 200 GET /v1/vms/logged/logs
	[ "$(cat "$body")" = 'its last words' ]
	until_true 5 is_settled
	hello
	[ "$(metric 'mayfly_vm_ends_total{reason="killed"}')" -eq 3 ]
}

@test "SIGKILL of the zygote: all VMs end with the reason, and it is back by itself" {
	daemon_start "$T" --shells 3 --max-shells 3
	hello
	waiters 9
	waiter vm
	in_background waited -d "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"],\"wait\":true}" /v1/vms
	in_background told -X POST /v1/vms/vm/wait
	run_in_background "$GUEST/handler" wait
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
	hello
	until_true 5 is_settled
	until_true 5 files_are 3 13
}

@test "SIGKILL of the zygote again and again, under load: every request is answered" {
	daemon_start "$T" --shells 3 --max-shells 6
	hello
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
	hello
}

@test "SIGKILL of mayfly-image: who waits for the image is told, and the next one has it" {
	daemon_start "$T" --shells 1 --max-shells 1
	cp "$GUEST/hello" "$T/large"
	truncate -s 200M "$T/large"
	sleep 0.1 # a file that was just written is prepared once for each start
	in_background waited -d "{\"image\":\"$T/large\",\"wait\":true}" /v1/vms
	in_background started -d "{\"image\":\"$T/large\"}" /v1/vms
	run_in_background "$T/large"
	until_true 10 pgrep -P "$DAEMON_PID" -f '^mayfly-image' >/dev/null
	job=$(pgrep -P "$DAEMON_PID" -f '^mayfly-image')
	kill -STOP "$job"
	until_true 10 count_is starting 3
	hello
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
	hello
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
