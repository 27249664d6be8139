#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# pool.bats: the pool of shells: warm-up, refill, demand, flavours, and many clients at once.
#
# shellcheck disable=SC2154,SC2030,SC2031,SC2314 # shared with helpers; bats' subshells

load helpers
load daemon
load own

# flavour MIB JQ-EXPRESSION
flavour() {
	api GET /v1/pool
	jq -e ".flavours[] | select(.memory_mib == $1) | $2" "$body" >/dev/null
}

set_flavours() { # MIB:MINIMUM:MAXIMUM...
	asked 200 PUT /v1/pool "$(printf '%s\n' "$@" | jq -R 'split(":") | map(tonumber) |
		{memory_mib: .[0], minimum: .[1], maximum: .[2]}' | jq -s '{flavours: .}')"
}

# path_of MEMBERS: warm or cold: how a VM with these was started.
path_of() {
	hello "\"rm\":false,\"name\":\"asked\",$1"
	asked 200 GET /v1/vms/asked
	field .path
	asked 204 DELETE /v1/vms/asked
}

shells_are() { # N
	[ "$(shells | wc -l)" -eq "$1" ]
}

@test "warm-up at the start, a warm start, refill after it" {
	daemon_start "$T" --shells 6 --max-shells 6
	# Before anybody has asked for anything.
	until_true 10 pool '.ready == 6 and .preparing == 0 and .warm == 0 and .cold == 0'
	until_true 5 shells_are 6
	pids=$(shells | sort)
	hello
	until_true 10 pool '.ready == 6 and .warm == 1'
	until_true 5 shells_are 6
	[ "$(shells | sort | comm -12 - <(echo "$pids") | wc -l)" -eq 5 ]
	for _ in 1 2 3; do
		[ "$(path_of '"memory_mib":64')" = warm ]
		until_true 10 pool '.ready == 6 and .preparing == 0'
	done
	pool '.warm == 4 and .cold == 0 and .failed == 0'
	[ "$(metric 'mayfly_pool_shells{memory_mib="64",state="ready"}')" -eq 6 ]
	[ "$(metric 'mayfly_pool_starts_total{memory_mib="64",result="warm"}')" -eq 4 ]
	[ "$(metric 'mayfly_start_latency_seconds_count{path="warm"}')" -eq 4 ]
	[ "$(metric 'mayfly_start_latency_seconds_count{path="cold"}')" -eq 0 ]
	until_true 5 shells_are 6
}

@test "a pool of none: every start is cold, is counted, and works" {
	daemon_start "$T" --shells 0 --max-shells 0
	for _ in $(seq 5); do
		hello
	done
	[ "$(path_of '"memory_mib":64')" = cold ]
	pool '.warm == 0 and .cold == 6 and .ready == 0 and .target == 0 and .failed == 0'
	[ "$(metric 'mayfly_pool_starts_total{memory_mib="64",result="cold"}')" -eq 6 ]
	[ "$(metric 'mayfly_start_latency_seconds_count{path="cold"}')" -eq 6 ]
	[ "$("$MAYFLY" run --pool "$GUEST/hello")" = 'Hello, world' ]
	until_true 5 shells_are 0
}

cold_latencies() { # COUNT
	[ "$(metric 'mayfly_start_latency_seconds_count{path="cold"}')" -eq "$1" ]
}

@test "a burst beyond what is ready: all start, the rest cold, and both are counted" {
	daemon_start "$T" --shells 3 --max-shells 3
	until_true 10 pool '.ready == 3'
	hello
	until_true 10 pool '.ready == 3 and .preparing == 0'
	# Nothing is refilled while the zygote sleeps, so it is known which are warm.
	kill -STOP "$(zygote)"
	for i in $(seq 10); do
		curl -sS --max-time "$LIMIT" --unix-socket "$SOCKET" -d "{\"image\":\"$GUEST/hello\",\"wait\":true}" \
			http://mayfly/v1/vms >"$T/reply$i" 2>&1 3>&- &
		children+=($!)
	done
	until_true 10 pool '.warm == 4 and .cold == 7'
	kill -CONT "$(zygote)"
	wait "${children[@]}"
	[ "$(cat "$T"/reply* | grep -c '"stdout":"Hello, world')" -eq 10 ]
	[ "$(metric 'mayfly_pool_starts_total{memory_mib="64",result="cold"}')" -eq 7 ]
	until_true 5 cold_latencies 7
	until_true 10 pool '.ready == 3 and .preparing == 0'
	[ "$(path_of '"memory_mib":64')" = warm ]
}

@test "8 clients, 25 VMs each: every one gets its own output and its own exit code" {
	daemon_start "$T" --shells 4 --max-shells 16
	for client in $(seq 8); do
		for i in $(seq 25); do
			[ "$i" -eq 1 ] || echo next
			# shellcheck disable=SC2016 # the script's
			printf '{"image":"%s","args":["sh","-c","%s %s"],"stdin":"%s\\n","wait":true}' "$BB" \
				'read line; echo $line; echo err $1 >&2; exit' \
				"$(((client * 25 + i) & 255))" "client $client VM $i" |
				sed "s,\$1,$client/$i," >"$T/request-$client-$i"
			printf 'url = "http://mayfly/v1/vms"\nunix-socket = "%s"\ndata-binary = "@%s"\noutput = "%s"\n' \
				"$SOCKET" "$T/request-$client-$i" "$T/reply-$client-$i"
		done >"$T/curlrc$client"
	done
	for client in $(seq 8); do
		curl -sS --max-time 60 -K "$T/curlrc$client" 3>&- &
		children+=($!)
	done
	wait "${children[@]}"
	for client in $(seq 8); do
		for i in $(seq 25); do
			printf '%s|client %s VM %s|err %s/%s\n' "$(((client * 25 + i) & 255))" "$client" "$i" "$client" "$i"
		done
	done >"$T/expected"
	for client in $(seq 8); do
		printf "$T/reply-$client-%s\0" $(seq 25)
	done | xargs -0 jq -r '"\(.exit_code)|\(.stdout[:-1])|\(.stderr[:-1])"' >"$T/got"
	diff "$T/expected" "$T/got"
	pool '.warm + .cold == 200 and .failed == 0'
	[ "$(metric 'mayfly_vm_ends_total{reason="exited"}')" -eq 200 ]
	[ "$(metric mayfly_news_rejected_total)" -eq 0 ]
}

@test "clients of all kinds at once: HTTP, run --pool, run -d, followers of events and logs" {
	daemon_start "$T" --shells 4 --max-shells 16
	curl -sSN --max-time 60 --unix-socket "$SOCKET" 'http://mayfly/v1/events?since=0' >"$T/events" 3>&- &
	children+=($!)
	begin=${#children[@]}
	for i in 1 2 3; do
		(for n in $(seq 10); do
			[ "$("$MAYFLY" run --pool "$BB" echo "pool $i $n")" = "pool $i $n" ] || echo "pool $i $n" >>"$T/wrong"
		done) 3>&- &
		children+=($!)
		(for n in $(seq 10); do
			vm=$("$MAYFLY" run -d "$BB" echo "detached $i $n") && "$MAYFLY" wait "$vm" >/dev/null &&
				[ "$("$MAYFLY" logs "$vm")" = "detached $i $n" ] || echo "detached $i $n" >>"$T/wrong"
		done) 3>&- &
		children+=($!)
		(for n in $(seq 10); do
			[ "$(curl -sS --max-time 30 --unix-socket "$SOCKET" -d "{\"image\":\"$BB\",
				\"args\":[\"echo\",\"http $i $n\"],\"wait\":true}" http://mayfly/v1/vms |
				jq -r .stdout)" = "http $i $n" ] || echo "http $i $n" >>"$T/wrong"
		done) 3>&- &
		children+=($!)
	done
	wait "${children[@]:$begin}"
	[ ! -e "$T/wrong" ] || fail "$(cat "$T/wrong")"
	until_true 10 has_ended 90
}

has_ended() { # N: so many ends were told of
	[ "$(grep -c '"type":"exit"' "$T/events")" -eq "$1" ]
}

@test "flavours: each has its shells; another size is cold; what is left out goes" {
	daemon_start "$T" --shells 2 --max-shells 2
	set_flavours 64:2:2 16:3:3 128:1:1
	until_true 10 flavour 16 '.ready == 3'
	until_true 10 flavour 128 '.ready == 1'
	until_true 10 flavour 64 '.ready == 2'
	until_true 5 shells_are 6
	for mib in 16 64 128; do
		[ "$(path_of "\"memory_mib\":$mib")" = warm ]
		flavour $mib '.warm == 1 and .cold == 0'
	done
	[ "$(path_of '"memory_mib":33')" = cold ]
	# The program has the memory that was asked for.
	for mib in 16 33 128; do
		asked 200 POST /v1/vms "{\"image\":\"$BB\",\"args\":[\"cat\",\"/proc/meminfo\"],\"memory_mib\":$mib,\"wait\":true}"
		kib=$(field .stdout | awk '$1 == "MemTotal:" { print $2 }')
		[ "$kib" -le $((mib * 1024)) ] || fail "$kib KiB of $mib MiB"
		[ "$kib" -gt $(((mib - 8) * 1024)) ] || fail "$kib KiB of $mib MiB"
	done
	until_true 10 flavour 16 '.ready == 3'
	set_flavours 16:1:1 64:1:1
	until_true 5 shells_are 2
	asked 200 GET /v1/pool
	has '.flavours | map([.memory_mib, .ready]) == [[16, 1], [64, 1]]'
	[ "$(path_of '"memory_mib":128')" = cold ]
	asked 400 PUT /v1/pool '{"flavours":[{"memory_mib":16,"minimum":1,"maximum":1}]}'
	has '.error.message | contains("default flavour")'
	asked 400 PUT /v1/pool '{"flavours":[{"memory_mib":64,"minimum":3,"maximum":2}]}'
	has '.error.message | contains("minimum")'
	until_true 5 shells_are 2
}

@test "flavours that change all the time, under clients that notice nothing" {
	daemon_start "$T" --shells 2 --max-shells 4
	for client in 1 2 3; do
		printf '{"image":"%s","wait":true,"memory_mib":%s}' "$GUEST/hello" $((client * 16 + 16)) >"$T/request$client"
		for i in $(seq 60); do
			[ "$i" -eq 1 ] || echo next
			printf 'url = "http://mayfly/v1/vms"\nunix-socket = "%s"\ndata = "@%s"\n' "$SOCKET" "$T/request$client"
		done >"$T/curlrc$client"
		curl -sS --max-time 60 -K "$T/curlrc$client" >"$T/replies$client" 3>&- &
		children+=($!)
	done
	for _ in $(seq 6); do
		set_flavours 64:2:4 32:2:4
		set_flavours 48:1:2 64:1:4
		set_flavours 64:0:0
	done
	wait "${children[@]}"
	[ "$(cat "$T"/replies? | grep -c '"stdout":"Hello, world')" -eq 180 ] || fail "$(grep -h error "$T"/replies?)"
	set_flavours 64:2:2
	until_true 10 pool '.ready == 2 and .preparing == 0'
	until_true 5 shells_are 2
}

# at_once COUNT BODY: so many requests, which the daemon finds when it wakes up.
at_once() {
	kill -STOP "$DAEMON_PID"
	(
		until_true 10 waits_there $(($1 + 1)) || true
		sleep 0.1 # between connect and the request
		kill -CONT "$DAEMON_PID"
	) 3>&- &
	children+=($!)
	requests "$@" --parallel --parallel-immediate
}

waits_there() { # CONNECTIONS, with the listening one
	[ "$(awk -v path="$SOCKET" '$8 == path' /proc/net/unix | wc -l)" -ge "$1" ]
}

@test "demand: the target rises with it, falls back, and stays within its bounds" {
	daemon_start "$T" --shells 8 --max-shells 10
	until_true 10 pool '.ready == 8 and .target == 8'
	hello
	at_once 12 "{\"image\":\"$GUEST/handler\",\"args\":[\"wait\"]}"
	[ "$(grep -c '"state":"running"' "$replies")" -eq 12 ]
	until_true 5 pool '.target == 10 and .ready == 10'
	until_true 5 shells_are 22
	# Nobody asks any more: it falls, and never below the minimum.
	for _ in $(seq 200); do
		pool '.ready >= 8 and .target >= 8'
		[ "$(field '.flavours[0] | .target + .ready')" -gt 16 ] || break
		sleep 0.1
	done
	pool '.target == 8 and .ready == 8 and .failed == 0'
	until_true 5 shells_are 20
}

# Kills all shells, and is back when they are dead, which the daemon need not know yet.
kill_shells() {
	local pids
	pids=$(shells)
	# shellcheck disable=SC2086
	kill -KILL $pids
	# shellcheck disable=SC2086
	until_true 5 all_ended $pids
}

@test "ready shells that die are replaced, and starts get others that live" {
	daemon_start "$T" --shells 4 --max-shells 4
	hello
	for _ in 1 2 3; do
		until_true 10 pool '.ready == 4 and .preparing == 0'
		kill_shells
		hello
	done
	until_true 10 pool '.ready == 4 and .preparing == 0'
	kill_shells
	at_once 8 "{\"image\":\"$GUEST/hello\",\"wait\":true}"
	[ "$(grep -c '"stdout":"Hello, world' "$replies")" -eq 8 ] || fail "$(cat "$replies")"
	until_true 10 pool '.ready == 4 and .preparing == 0'
	until_true 5 shells_are 4
	until_true 5 files_are 4 4
}
