#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# client.bats: the verbs that speak to a daemon: mayfly create, start, ps and the others, and
# mayfly run --pool and -d. One daemon serves all tests; each makes its own VMs, with names of
# its own, and removes them.
#
# Mind bats: in `a && b` a failing `a` goes unnoticed, so each check has its own line.
#
# $out, $err and others come from helpers.bash and cli.bash; bats runs each test in a
# subshell; what is in single quotes is for other shells.
# shellcheck disable=SC2154,SC2034,SC2016,SC2314,SC2030,SC2031

load helpers
load cli

setup_file() {
	need_machine
	export MAYFLY_RUN_DIR=$BATS_FILE_TMPDIR/run
	unset MAYFLY_SOCKET
	mkdir -m 700 "$MAYFLY_RUN_DIR"
	"$MAYFLY" daemon --shells 2 >"$BATS_FILE_TMPDIR/daemon.log" 2>&1 </dev/null 3>&- &
	echo $! >"$BATS_FILE_TMPDIR/daemon.pid"
	until_true 20 answers || fail "$(cat "$BATS_FILE_TMPDIR/daemon.log")"
}

teardown_file() {
	local pid
	pid=$(cat "$BATS_FILE_TMPDIR/daemon.pid")
	is_daemon "$pid" || return 0
	kill -TERM "$pid"
	until_true 20 not_running "$pid" || kill -KILL "$pid"
}

answers() {
	"$MAYFLY" ps >"$BATS_FILE_TMPDIR/answers" 2>&1
}

# A number may have become another process'.
is_daemon() {
	tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -q 'mayfly-daemon'
}

# background ARG...: start, in a test that does so again and again: what the last one wrote must
# not pass for what this one writes.
background() {
	: >"$T/started"
	start "$@"
}

# What is left of a test's VMs: all of one daemon's, for tests come one after the other.
remove_all() {
	local ids
	ids=$("$MAYFLY" ps -aq)
	# shellcheck disable=SC2086 # words
	[ -z "$ids" ] || "$MAYFLY" rm -f $ids >/dev/null
}

teardown() {
	local pid
	for pid in "${children[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	remove_all
}

# created ARG...: mayfly create, the id in $vm.
created() {
	expect 0 create "$@"
	vm=$(cat "$out")
	[[ "$vm" =~ ^[0-9a-f]{12}$ ]] || fail "not an id: $vm"
}

# detached ARG...: mayfly run -d, the id in $vm.
detached() {
	expect 0 run -d "$@"
	vm=$(cat "$out")
	[[ "$vm" =~ ^[0-9a-f]{12}$ ]] || fail "not an id: $vm"
}

state_of() {
	"$MAYFLY" inspect --type vm "$1" | jq -r '.[0].state'
}

# in_state STATE VM
in_state() {
	[ "$(state_of "$2")" = "$1" ]
}

# logged VM TEXT
logged() {
	"$MAYFLY" logs "$1" 2>&1 | grep -qF -- "$2"
}

is_gone() {
	! "$MAYFLY" inspect --type vm "$1" >/dev/null 2>&1
}

verbs=(create start ps inspect logs wait stop kill pause resume unpause rm stats events pool)

# ---- help, wrong use, no daemon ----

@test "each verb has help, on stdout, and refuses what it does not know" {
	for verb in "${verbs[@]}"; do
		expect 0 "$verb" --help
		grep -q '^Usage: mayfly' "$out" || fail "$verb: $(cat "$out")"
		prints '--socket'
		silent "$err"
		expect 0 "$verb" -h
		expect 125 "$verb" --bogus
		complains '--bogus'
		complains '--help'
		one_line
		silent "$out"
		expect 125 "$verb" --socket
		complains 'needs a value'
	done
	for verb in create start inspect logs wait stop kill pause resume rm; do
		expect 125 "$verb"
		one_line
		complains "try 'mayfly"
	done
	for verb in ps events pool; do
		expect 125 "$verb" extra
		one_line
	done
	expect 125 logs a b
	expect 125 start -a a b
	expect 0 run -d --help
	prints 'Usage: mayfly run -d'
}

@test "each verb's man page has all its options, and no others" {
	local page
	for verb in daemon run create start ps inspect logs wait stop kill pause resume rm stats events pool; do
		page=$ROOT/man/mayfly-$verb.1
		[ -f "$page" ] || fail "there is no $page"
		expect 0 $verb --help
		grep -oE '^ +(-[a-z], )?--[a-z][a-z-]+' "$out" | grep -oE -- '--.*' | sort -u >"$T/help"
		sed -n '/^\.Sh OPTIONS/,/^\.Sh [^O]/p' "$page" | grep '^\.It Fl' |
			grep -oE 'Fl -[a-z][a-z-]+' | sed 's/Fl -/--/' | sort -u >"$T/man"
		diff "$T/help" "$T/man" || fail "mayfly $verb: --help (<) and its man page (>) differ"
	done
}

@test "no daemon: 125, what was tried, how to start one" {
	for verb in ps events pool stats; do
		expect 125 $verb --socket "$T/none.sock"
		complains "$T/none.sock"
		complains 'mayfly daemon'
		one_line
	done
	for verb in start logs wait stop kill pause resume rm; do
		MAYFLY_SOCKET=$T/none.sock expect 125 $verb a
		complains "$T/none.sock"
		one_line
		silent "$out"
	done
	expect 125 stop --socket "$T/none.sock" a b c # once, not three times
	one_line
	expect 125 create --socket "$T/none.sock" "$HELLO"
	complains 'mayfly daemon'
	expect 125 run -d --socket "$T/none.sock" "$HELLO"
	complains 'mayfly daemon'
	expect 125 inspect --type vm --socket "$T/none.sock" a
	complains 'mayfly daemon'
	# Nobody listens; a path that no socket can have; what is no daemon.
	touch "$T/plain"
	expect 125 ps --socket "$T/plain"
	complains 'mayfly daemon'
	expect 125 ps --socket "$T/$(printf '%0120d' 0)"
	complains '107 bytes'
	expect 125 ps --socket /dev/null/x
}

@test "another user's daemon: 125 and why" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to become another user"
	cp "$MAYFLY" "$(dirname "$MAYFLY")/mayfly-client" "$T"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$(dirname "$T")"
	captured m setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$T/mayfly" ps --socket "$MAYFLY_RUN_DIR/mayfly.sock" </dev/null
	[ "$status" -eq 125 ]
	grep -q "another user's" "$T/m.err" || fail "$(cat "$T/m.err")"
}

# ---- a VM's life ----

@test "create, start, wait, logs, rm" {
	created --name life "$GUEST/status" 5
	in_state created life
	expect 0 ps
	[ "$(wc -l <"$out")" -eq 1 ] || fail "a VM that does not run is listed: $(cat "$out")"
	expect 0 ps -a
	grep -q "^$vm  *life  *$GUEST/status  *created  *[0-9]*s  *-$" "$out" || fail "$(cat "$out")"
	expect 0 start life
	[ "$(cat "$out")" = life ]
	expect 0 wait life
	[ "$(cat "$out")" = 5 ]
	in_state exited "$vm"
	expect 0 ps -a
	grep -q "^$vm .* exited  *[0-9]*s  *5$" "$out" || fail "$(cat "$out")"
	expect 0 wait "$vm" # again
	[ "$(cat "$out")" = 5 ]
	expect 1 start life
	complains 'cannot be started'
	expect 0 rm life
	[ "$(cat "$out")" = life ]
	expect 1 rm life
	complains 'life'
	expect 0 rm -f life
	expect 1 inspect --type vm life
	[ "$(cat "$out")" = '[]' ]
}

@test "a beginning of an id is enough" {
	created "$HELLO"
	expect 0 start "${vm:0:8}"
	expect 0 wait "${vm:0:8}"
	[ "$(cat "$out")" = 0 ]
	expect 0 logs "${vm:0:8}"
	[ "$(cat "$out")" = 'Hello, world' ]
}

@test "create's options reach the program" {
	export GIVEN='from outside'
	printf 'FILE=1\n# no\n' >"$T/env"
	created -e A=1 --env 'B=x=y z' -e GIVEN -e NOT_SET_ANYWHERE --env-file "$T/env" -e A=2 \
		-m 33M -l tier=front --label alone --timeout 20s --name env-1 -- "$BB" env
	expect 0 start -a "$vm"
	printf '%s\n' A=2 'B=x=y z' 'FILE=1' 'GIVEN=from outside' >"$T/want"
	diff <(sort "$out") "$T/want"
	"$MAYFLY" inspect --type vm "$vm" | jq -e '.[0] | .labels == {tier: "front", alone: ""} and
		.memory_mib == 33 and .timeout_ms == 20000 and .name == "env-1"' >/dev/null
	created -w /a/new/one "$BB" pwd
	expect 0 start -a "$vm"
	[ "$(cat "$out")" = /a/new/one ]
	created --name host-1 "$BB" hostname
	expect 0 start -a "$vm"
	[ "$(cat "$out")" = host-1 ]
	created "$BB" sh -c 'echo "$#:$1:$2:"' x 'b c' ''
	expect 0 start -a "$vm"
	[ "$(cat "$out")" = '2:b c::' ]
	created --strace "$GUEST/status" 5
	expect 5 start -a "$vm"
	complains 'exit_group(5)'
}

@test "create: the image by a relative path; --json" {
	cd "$(dirname "$HELLO")"
	created "./$(basename "$HELLO")"
	expect 0 start -a "$vm"
	[ "$(cat "$out")" = 'Hello, world' ]
	expect 0 create --json hello
	jq -e '.state == "created" and (.image | startswith("/"))' "$out" >/dev/null
}

@test "create: what it refuses" {
	created --name taken "$HELLO"
	expect 125 create --name taken "$HELLO"
	complains 'taken'
	one_line
	expect 125 create --name 'a b' "$HELLO"
	expect 125 create -w relative "$HELLO"
	expect 125 create -m 0 "$HELLO"
	expect 125 create -m 10T "$HELLO"
	expect 125 create --timeout 0 "$HELLO"
	expect 125 create --cpus -1 "$HELLO"
	expect 125 create --cpu-weight 0 "$HELLO"
	expect 125 create --pids-max x "$HELLO"
	expect 125 create -l =x "$HELLO"
	expect 125 create -e =x "$HELLO"
	expect 125 create --env-file "$T/none" "$HELLO"
	expect 125 create ''
	expect 125 create "$HELLO" "$(printf '\xff')"
	complains 'UTF-8'
	expect 125 create --pids-max 10 "$HELLO" # this daemon has no cgroups
	complains 'cgroup'
	[ "$("$MAYFLY" ps -aq)" = "$vm" ] # nothing is left of them
}

@test "an image that cannot run: start and run -d say so" {
	created "$T/none"
	expect 127 start "$vm"
	complains "$T/none"
	expect 0 wait "$vm"
	[ "$(cat "$out")" = 127 ]
	created "$(command -v env)"
	expect 126 start -a "$vm"
	complains 'static'
	expect 127 run -d "$T/none"
	complains "$T/none"
	silent "$out"
	expect 126 run -d "$(command -v env)"
	silent "$out"
}

@test "--timeout ends a VM: 124" {
	created --timeout 300ms "$GUEST/handler" spin
	expect 124 start -a "$vm"
	complains 'time limit'
	expect 0 wait --json "$vm"
	jq -e '.exit_code == 124 and .end == "timeout"' "$out" >/dev/null
}

# ---- start -a, -i ----

@test "start -a: output, errors, exit code; --rm leaves nothing" {
	created --rm "$BB" sh -c 'echo out; echo err >&2; exit 9'
	expect 9 start -a "$vm"
	[ "$(cat "$out")" = out ]
	[ "$(cat "$err")" = err ]
	until_true 10 is_gone "$vm"
}

@test "start -a of what ends at once, again and again, misses nothing" {
	for i in $(seq 10); do
		created --rm "$GUEST/status" "$i"
		expect "$i" start --attach "$vm"
		created --rm "$HELLO"
		expect 0 start -a "$vm"
		[ "$(cat "$out")" = 'Hello, world' ]
	done
}

@test "start -a: a crash is reported once, 139" {
	created "$BB" sh -c 'kill -SEGV $$'
	expect 139 start -a "$vm"
	[ "$(grep -c 'guest crashed' "$err")" -eq 1 ] || fail "$(cat "$err")"
}

@test "start -i: input from a file, a pipe, none; more than fits at once" {
	created -i "$BB" wc -c
	captured m "$MAYFLY" start -i "$vm" </dev/null
	[ "$(cat "$T/m.out")" = 0 ]
	created -i "$BB" cat
	echo 'a line' | captured m "$MAYFLY" start -i "$vm"
	[ "$(cat "$T/m.out")" = 'a line' ]
	# It reads a byte at a time: what does not fit must wait.
	text_file 100000 "$T/text"
	created -i "$BB" sh -c 'n=0; while read -r line; do n=$((n+1)); done; echo $n'
	captured m "$MAYFLY" start -ai "$vm" <"$T/text"
	[ "$(cat "$T/m.out")" = "$(wc -l <"$T/text")" ]
	# One that was not created for it finds the end, and input is refused.
	created "$BB" wc -c
	echo 'a line' | captured m "$MAYFLY" start -i "$vm"
	[ "$(cat "$T/m.out")" = 0 ]
}

@test "start -a passes signals on" {
	for how in spin wait; do
		created "$GUEST/handler" $how handle
		background start -a "$vm"
		ready
		kill -TERM "$pid"
		ended 7
		created "$GUEST/handler" $how
		background start -a "$vm"
		ready
		kill -INT "$pid"
		ended 130
	done
}

@test "start -a: when it is killed the VM goes on" {
	created "$GUEST/handler" wait handle
	background start -a "$vm"
	ready
	kill -KILL "$pid"
	ended 137
	in_state running "$vm"
	expect 0 stop "$vm"
	expect 0 wait "$vm"
	[ "$(cat "$out")" = 7 ]
}

# ---- ps, inspect ----

@test "ps: -q, -a, filters" {
	local run made
	detached --name runs -l tier=front -l x=1 "$GUEST/handler" wait
	run=$vm
	created --name made -l tier=back "$HELLO"
	made=$vm
	expect 0 ps -q
	[ "$(cat "$out")" = "$run" ]
	expect 0 ps -aq
	[ "$(cat "$out")" = "$run"$'\n'"$made" ] # the oldest first
	expect 0 ps -aq --filter label=tier=back
	[ "$(cat "$out")" = "$made" ]
	expect 0 ps -aq -f label=tier -f label=x=1
	[ "$(cat "$out")" = "$run" ]
	expect 0 ps -q --filter state=created
	[ "$(cat "$out")" = "$made" ]
	expect 0 ps -q --filter status=created --filter state=running
	[ "$(wc -l <"$out")" -eq 2 ]
	expect 0 ps -aq --filter name=runs
	[ "$(cat "$out")" = "$run" ]
	expect 0 ps -aq --filter name=none
	silent "$out"
	expect 125 ps --filter nonsense
	complains 'label=KEY=VALUE'
	expect 125 ps --filter state=nonsense
	expect 125 ps --format table
}

@test "ps: JSON" {
	detached --name runs "$GUEST/handler" wait
	created --name made "$HELLO"
	expect 0 ps -a --json
	jq -e 'map(.name) == ["runs", "made"]' "$out" >/dev/null
	expect 0 ps -a --format json
	[ "$(wc -l <"$out")" -eq 2 ]
	jq -es 'map(.state) == ["running", "created"] or map(.state) == ["starting", "created"]' \
		"$out" >/dev/null
}

@test "inspect: a VM if there is one, else an image" {
	created --name hello "$HELLO"
	cd "$(dirname "$HELLO")"
	expect 0 inspect hello
	jq -e 'length == 1 and .[0].name == "hello" and .[0].state == "created"' "$out" >/dev/null
	expect 0 inspect ./hello
	prints 'runs: yes'
	expect 0 inspect --type image hello
	prints 'runs: yes'
	expect 0 inspect --json "$HELLO"
	jq -e '.runs == true' "$out" >/dev/null
	expect 0 inspect status # no such VM, but a file
	prints 'runs: yes'
	expect 0 inspect --socket "$T/none.sock" hello # no daemon, but a file
	prints 'runs: yes'
	expect 127 inspect none
	complains 'no VM'
	expect 127 inspect ./none
	expect 1 inspect --type vm status
	[ "$(cat "$out")" = '[]' ]
	expect 1 inspect hello none
	jq -e 'map(.name) == ["hello"]' "$out" >/dev/null
	expect 125 inspect --type other hello
}

# ---- logs ----

@test "logs: streams, tail, times" {
	local line
	detached --name talks "$BB" sh -c \
		'echo one; echo bad >&2; echo two; printf "th"; printf "ree\nfour"'
	expect 0 wait talks
	expect 0 logs talks
	[ "$(cat "$out")" = $'one\ntwo\nthree\nfour' ]
	[ "$(cat "$err")" = bad ]
	expect 0 logs --stdout talks
	silent "$err"
	prints four
	expect 0 logs --stderr talks
	silent "$out"
	complains bad
	expect 0 logs -n 2 talks
	[ "$(cat "$out" "$err")" = $'three\nfour' ]
	expect 0 logs --tail 0 talks
	silent "$out"
	expect 0 logs --tail all talks
	prints one
	expect 125 logs --tail x talks
	expect 125 logs --tail -1 talks
	expect 0 logs -t talks
	while read -r line; do
		[[ "$line" =~ ^20[0-9-]*T[0-9:.]*Z\ (one|two|three|four)$ ]] || fail "$line"
	done <"$out"
	[ "$(grep -c . "$out")" -eq 4 ]
	expect 0 logs --json talks
	jq -es 'all(.[]; has("time") and has("stream") and has("text")) and
		(map(select(.stream == "stdout").text) | join("")) == "one\ntwo\nthree\nfour"' \
		"$out" >/dev/null
	expect 1 logs nobody
}

@test "logs: any bytes" {
	head -c 300000 /dev/urandom >"$T/noise"
	created -i --name noise "$BB" cat
	captured m "$MAYFLY" start -i noise <"$T/noise"
	cmp "$T/noise" "$T/m.out"
	expect 0 logs noise
	cmp "$T/noise" "$out"
}

@test "logs -f: to the end, of one that runs, of one that is not started yet" {
	detached --name runs "$GUEST/handler" wait
	background logs -f runs
	ready
	not_running "$pid" && fail "it did not wait"
	expect 0 kill runs
	ended 0
	created --name later "$HELLO"
	background logs --follow later
	expect 0 start later
	ended 0
	grep -qx 'Hello, world' "$T/started"
}

@test "logs: beyond the limit, what is lost is told" {
	detached "$GUEST/flood" 3
	expect 0 wait "$vm"
	expect 0 logs "$vm"
	complains 'limit'
	[ "$(wc -c <"$out")" -lt 2000000 ]
	[ "$(wc -c <"$out")" -gt 900000 ]
}

@test "a full device and a reader that goes" {
	local code=0
	detached "$HELLO"
	expect 0 wait "$vm"
	"$MAYFLY" logs "$vm" >/dev/full 2>"$T/full.err" </dev/null || code=$?
	[ $code -eq 125 ] || fail "exit code $code"
	grep -q 'No space left' "$T/full.err"
	code=0
	"$MAYFLY" ps >/dev/full 2>"$T/full.err" </dev/null || code=$?
	[ $code -eq 125 ] || fail "exit code $code"
}

# ---- stop, kill, pause ----

@test "stop: handlers, SIGKILL when the time is up, several at once" {
	local begin elapsed_ms
	detached --name polite "$GUEST/handler" wait handle
	detached --name plain "$GUEST/handler" spin
	detached --name deaf "$BB" sh -c 'trap "" TERM; echo ready; while :; do :; done'
	until_true 20 logged polite ready
	until_true 20 logged plain ready
	until_true 20 logged deaf ready
	expect 0 stop polite
	[ "$(cat "$out")" = polite ]
	expect 0 wait polite
	[ "$(cat "$out")" = 7 ]
	begin=$(date +%s%N)
	expect 0 stop -t 1 deaf plain
	elapsed_ms=$((($(date +%s%N) - begin) / 1000000))
	[ "$(cat "$out")" = $'deaf\nplain' ]
	[ $elapsed_ms -ge 900 ] || fail "SIGKILL after $elapsed_ms ms"
	[ $elapsed_ms -lt 8000 ] || fail "it took $elapsed_ms ms"
	expect 0 wait plain deaf
	[ "$(cat "$out")" = $'143\n137' ]
	expect 0 stop deaf # it is
	expect 125 stop -t x deaf
	expect 125 stop -t -1 deaf
}

@test "stop: one with --rm" {
	detached --rm --name gone "$GUEST/handler" wait
	expect 0 stop gone
	[ "$(cat "$out")" = gone ]
	until_true 10 is_gone gone
}

@test "kill: KILL if nothing is said, names, numbers" {
	for signal in '' KILL SIGKILL 9 USR1; do
		detached --name victim "$GUEST/handler" wait
		until_true 20 logged victim ready
		# shellcheck disable=SC2086 # no signal is no word
		expect 0 kill ${signal:+-s $signal} victim
		expect 0 wait victim
		[ "$(cat "$out")" = "$([ "$signal" = USR1 ] && echo 138 || echo 137)" ]
		expect 0 rm victim
	done
	detached --name victim "$GUEST/handler" wait handle
	until_true 20 logged victim ready
	expect 125 kill -s NONSENSE victim
	expect 0 kill -s INT victim
	expect 0 wait victim
	[ "$(cat "$out")" = 8 ]
	expect 1 kill victim # it has ended
}

@test "pause and resume" {
	local lines
	detached --name ticks "$BB" sh -c 'i=0; while :; do
		[ $((i += 1)) -lt 3000 ] || { echo tick; i=0; }; done'
	until_true 20 logged ticks tick
	expect 0 pause ticks
	[ "$(cat "$out")" = ticks ]
	in_state paused ticks
	lines=$("$MAYFLY" logs ticks | wc -l)
	sleep 0.5
	[ "$("$MAYFLY" logs ticks | wc -l)" -eq "$lines" ]
	expect 0 ps -q
	[ "$(cat "$out")" = "$vm" ] # it is listed
	expect 0 resume ticks
	in_state running ticks
	grew() { [ "$("$MAYFLY" logs ticks | wc -l)" -gt "$lines" ]; }
	until_true 20 grew
	expect 0 pause ticks
	expect 0 unpause ticks
	expect 1 resume nobody
}

@test "rm: what runs only by force" {
	detached --name runs "$GUEST/handler" wait
	expect 1 rm runs
	complains 'force'
	in_state running runs
	expect 0 rm -f runs
	[ "$(cat "$out")" = runs ]
	is_gone runs
}

@test "several VMs: a failure is told, and the next one follows" {
	created --name one "$HELLO"
	created --name two "$HELLO"
	expect 1 start one nobody two
	[ "$(cat "$out")" = $'one\ntwo' ]
	complains nobody
	one_line
	expect 1 wait nobody one two
	[ "$(cat "$out")" = $'0\n0' ]
	expect 1 rm one nobody two
	[ "$(cat "$out")" = $'one\ntwo' ]
	[ -z "$("$MAYFLY" ps -aq)" ]
}

# ---- stats, events, pool ----

@test "stats" {
	detached --name runs "$GUEST/handler" wait
	until_true 20 logged runs ready
	expect 0 stats --no-stream
	grep -q "^$vm  *runs  *running  *[0-9.]*[KM]/64M " "$out" || fail "$(cat "$out")"
	expect 0 stats --no-stream runs
	grep -q "^$vm " "$out"
	expect 0 stats --no-stream --json runs
	jq -e '.state == "running" and .stdout_bytes == 6 and .syscalls > 0 and
		.resident_bytes > 0 and .resident_bytes < 67108864' "$out" >/dev/null
	expect 1 stats --no-stream nobody
	complains nobody
	# Until it ends.
	background stats runs
	until_true 20 grep -q "^$vm" "$T/started"
	expect 0 kill runs
	ended 0
}

@test "events" {
	local number
	number=$("$MAYFLY" events --no-stream --json | jq -s 'last.number // 0')
	background events
	detached --name told "$GUEST/status" 3
	expect 0 wait told
	expect 0 rm told
	until_true 20 grep -q " remove $vm told" "$T/started"
	expect 0 events --since "$number" --no-stream --json
	jq -es "map(select(.id == \"$vm\").type) == [\"create\", \"start\", \"exit\", \"remove\"]" \
		"$out" >/dev/null || fail "$(cat "$out")"
	expect 0 events --since "$number" --no-stream
	grep -q "^[0-9]* 20[0-9TZ:.-]* exit $vm told 3" "$out" || fail "$(cat "$out")"
	expect 0 events --since 999999999 --no-stream
	silent "$out"
	expect 125 events --since x
}

@test "pool: show and set" {
	expect 0 pool
	grep -q '^64M  *2  *[0-9]' "$out" || fail "$(cat "$out")"
	expect 0 pool set -m 64M:2:8 -m 32M:1
	grep -q '^64M  *2  *8 ' "$out" || fail "$(cat "$out")"
	grep -q '^32M  *1  *1 ' "$out" || fail "$(cat "$out")"
	ready_both() { "$MAYFLY" pool --json | jq -e '.flavours | map(.ready) | .[0] >= 2 and .[1] == 1'; }
	until_true 20 ready_both
	detached -m 32M "$HELLO"
	expect 0 wait "$vm"
	"$MAYFLY" pool --json | jq -e '.flavours[1].warm == 1 and .flavours[1].cold == 0' >/dev/null
	expect 125 pool set
	expect 125 pool set -m 64M
	expect 125 pool set -m 64M:8:2
	expect 125 pool set -m 64K:1:2
	expect 125 pool set -m 64M:x
	expect 125 pool -m 64M:1:2
	m pool set -m 32M:1:1 # without the default
	[ "$status" -ne 0 ]
	expect 0 pool set -m 64M:2:8
	[ "$(wc -l <"$out")" -eq 2 ]
}

# ---- run -d ----

@test "run -d: in the background" {
	detached --name back -e A=1 "$BB" sh -c 'echo $A; exit 4'
	expect 0 wait back
	[ "$(cat "$out")" = 4 ]
	expect 0 logs back
	[ "$(cat "$out")" = 1 ]
	expect 0 run --rm -m 32M --detach --name gone "$HELLO"
	until_true 10 is_gone gone
	expect 0 run --json -d "$HELLO"
	jq -e '.id' "$out" >/dev/null
	# -d as a value, or as the program's, is no option.
	expect 0 run -e -d=1 "$BB" env
	[ "$(cat "$out")" = '-d=1' ]
	expect 0 run "$BB" echo -d
	[ "$(cat "$out")" = '-d' ]
	expect 125 run -d --core "$T/core" "$HELLO"
	expect 125 run -d
}

# ---- run --pool ----

# pooled CODE ARG...: mayfly run --pool, and it was the daemon that ran it.
pooled() {
	local code=$1 before after
	shift
	before=$("$MAYFLY" events --no-stream --json | jq -s 'map(select(.type == "exit")) | last.number // 0')
	expect "$code" run --pool "$@"
	after=$("$MAYFLY" events --no-stream --json | jq -s 'map(select(.type == "exit")) | last.number // 0')
	[ "$after" -gt "$before" ] || fail "the daemon did not run it"
}

@test "run --pool: as run does" {
	pooled 0 "$HELLO"
	[ "$(cat "$out")" = 'Hello, world' ]
	silent "$err"
	pooled 9 "$BB" sh -c 'echo out; echo err >&2; exit 9'
	[ "$(cat "$out")" = out ]
	[ "$(cat "$err")" = err ]
	pooled 0 -e A=1 -w /a/b -m 48M "$BB" sh -c 'echo $A; pwd; echo "$@"' x 'b c' ''
	[ "$(cat "$out")" = $'1\n/a/b\nb c ' ]
	pooled 0 --name host-2 "$BB" hostname
	[ "$(cat "$out")" = host-2 ]
	[ "$(echo 'a line' | "$MAYFLY" run --pool "$BB" wc -c)" = 7 ]
	pooled 5 --strace "$GUEST/status" 5
	complains 'exit_group(5)'
	pooled 124 --timeout 300ms "$GUEST/handler" spin
	complains 'time limit'
	pooled 139 "$BB" sh -c 'kill -SEGV $$'
	[ "$(grep -c 'guest crashed' "$err")" -eq 1 ] || fail "$(cat "$err")"
	[ -z "$("$MAYFLY" ps -aq)" ] # nothing is left
	expect 127 run --pool "$T/none"
	complains "$T/none"
	one_line
	expect 126 run --pool "$T"
	complains 'directory'
	expect 126 run --pool "$(command -v env)"
	complains 'static'
}

@test "run --pool: arguments and environment as large as they may be" {
	local big
	big=$(printf '%0100000d' 0)
	pooled 0 "$BB" sh -c 'echo ${#1} ${#5}' x "$big" "$big" "$big" "$big" "$big"
	[ "$(cat "$out")" = '100000 100000' ]
	for name in a b c d e f g h i j k l m n o p q r s t u v; do
		echo "$name=$big"
	done >"$T/env"
	expect 126 run --pool --env-file "$T/env" "$HELLO"
	complains 'larger than'
	one_line
}

@test "run --pool: streams that are closed, full, not read" {
	local code=0 codes
	bash -c '"$@" >&-' sh "$MAYFLY" run --pool "$GUEST/status" 0
	bash -c '"$@" <&- >&- 2>&-' sh "$MAYFLY" run --pool "$GUEST/status" 3 || code=$?
	[ $code -eq 3 ]
	code=0
	"$MAYFLY" run --pool "$HELLO" >/dev/full 2>"$T/full.err" </dev/null || code=$?
	[ $code -eq 125 ] || fail "exit code $code, not 125"
	grep -q 'No space left' "$T/full.err" || fail "$(cat "$T/full.err")"
	codes=$(timeout "$LIMIT" bash -c '"$1" run --pool "$2" yes | head -n 1 >/dev/null
		echo "${PIPESTATUS[0]}"' sh "$MAYFLY" "$BB")
	[ "$codes" = 141 ] || fail "yes | head: $codes"
	# More than a log may have: it is the caller's file.
	"$MAYFLY" run --pool "$GUEST/flood" 20 >"$T/flood" </dev/null
	[ "$(wc -c <"$T/flood")" -eq 20000000 ]
}

@test "run --pool passes signals on" {
	for how in spin wait; do
		background run --pool "$GUEST/handler" $how handle
		ready
		kill -TERM "$pid"
		ended 7
		for pair in INT:130 TERM:143 HUP:129 QUIT:131 USR1:138 USR2:140; do
			background run --pool "$GUEST/handler" $how
			ready
			kill "-${pair%:*}" "$pid"
			ended "${pair#*:}"
		done
	done
}

@test "run --pool: the VM goes with its caller" {
	background run --pool --name orphan "$GUEST/handler" spin
	ready
	in_state running orphan
	kill -KILL "$pid"
	ended 137
	until_true 10 is_gone orphan
}

@test "run --pool without a daemon: a VM of its own, and not a word" {
	MAYFLY_SOCKET=$T/none.sock expect 6 run --pool "$GUEST/status" 6
	silent "$err"
}

@test "run --pool: the daemon ends, or is killed: 125, and why" {
	local daemon
	for signal in TERM KILL; do
		mkdir -m 700 "$T/$signal"
		MAYFLY_RUN_DIR=$T/$signal "$MAYFLY" daemon --shells 1 >"$T/daemon.log" 2>&1 </dev/null 3>&- &
		daemon=$!
		children+=("$daemon")
		MAYFLY_RUN_DIR=$T/$signal until_true 20 "$MAYFLY" ps --socket "$T/$signal/mayfly.sock" >/dev/null 2>&1
		MAYFLY_SOCKET=$T/$signal/mayfly.sock background run --pool "$GUEST/handler" spin
		ready
		kill "-$signal" "$daemon"
		ended 125
		grep -q 'daemon' "$T/started.err" || fail "$(cat "$T/started.err")"
		until_true 10 not_running "$daemon"
	done
	# What the killed one has left is no daemon.
	[ -S "$T/KILL/mayfly.sock.run" ]
	MAYFLY_SOCKET=$T/KILL/mayfly.sock expect 6 run --pool "$GUEST/status" 6
	silent "$err"
	MAYFLY_SOCKET=$T/KILL/mayfly.sock expect 125 ps
	complains 'mayfly daemon'
}
