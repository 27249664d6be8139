#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# cli.bats: the command line: verbs, options and their limits, images that cannot run,
# reports. The other tests of it are streams.bats and cache.bats.
#
# Mind bats: in `a && b` a failing `a` goes unnoticed, so each check has its own line.
#
# $out, $err and others come from helpers.bash and cli.bash; bats runs each test in a
# subshell; what is in single quotes is for other shells.
# shellcheck disable=SC2154,SC2034,SC2016,SC2314,SC2030,SC2031

load helpers
load cli

# ---- help, verbs, options ----

@test "help goes to stdout and ends with 0, for mayfly and each verb" {
	for verb in '' run inspect doctor; do
		# shellcheck disable=SC2086 # no verb is no word
		expect 0 $verb --help
		grep -qi '^usage: mayfly' "$out" || fail "mayfly $verb --help: $(head -n 3 "$out")"
		silent "$err"
	done
	expect 0 help
	prints 'run IMAGE'
	expect 0 -h
	prints 'run IMAGE'
	expect 0 run -h
	prints '--memory'
	expect 0 doctor -h
	prints '--json'
}

@test "version: one line" {
	expect 0 version
	[[ "$(cat "$out")" =~ ^mayfly\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "$(cat "$out")"
	expect 0 --version
	expect 0 version --help
}

@test "no verb, an unknown verb: 125 and where help is" {
	expect 125
	complains 'Usage: mayfly'
	silent "$out"
	expect 125 runn "$HELLO"
	complains "'runn'"
	complains 'mayfly --help'
	silent "$out"
}

@test "an unknown option, a missing value: 125 and where help is" {
	refused 125 '--memroy' --memroy 5 "$HELLO"
	complains 'mayfly run --help'
	refused 125 '-Z' -Z "$HELLO"
	refused 125 '--memory' --memory
	refused 125 'mayfly run --help'
	refused 125 'mayfly run --help' --
	expect 125 inspect --bogus "$HELLO"
	expect 125 doctor --bogus
	complains 'mayfly doctor --help'
	expect 125 doctor extra
}

@test "options end at the image, or at --" {
	expect 0 run "$BB" echo --memory -e --help --
	[ "$(cat "$out")" = '--memory -e --help --' ]
	expect 0 run -- "$BB" echo -- x
	[ "$(cat "$out")" = '-- x' ]
	cp "$HELLO" "$T/--stats"
	cd "$T"
	expect 0 run -- --stats
	prints 'Hello, world'
	expect 0 run --memory=32M -e A=1 --env B=2 "$BB" env
	prints 'A=1'
	prints 'B=2'
}

@test "the program's exit code is mayfly's" {
	for n in 0 1 7 77 124 125 126 127 128 255; do
		expect "$n" run "$GUEST/status" "$n"
		silent "$err"
	done
}

# ---- environment, directory, name ----

@test "the environment is empty but for what is asked for" {
	export SECRET=1
	expect 0 run "$BB" env
	silent "$out"
}

@test "--env: NAME=VALUE, NAME alone, later ones win" {
	export GIVEN='from outside' OTHER=no
	expect 0 run -e A=1 -e B= -e 'C=x=y z' -e GIVEN -e NOT_SET_ANYWHERE -e A=2 "$BB" env
	printf '%s\n' A=2 B= 'C=x=y z' 'GIVEN=from outside' >"$T/want"
	diff <(sort "$out") "$T/want"
	refused 125 'NAME=VALUE' -e '' "$HELLO"
	refused 125 'NAME=VALUE' -e =x "$HELLO"
}

@test "--env-file: comments, blanks, literal quotes, NAME alone, no last newline" {
	export GIVEN=outside
	printf '%s\n' '# a comment' '' '   ' 'A=1' '  B=leading blanks go' 'C="quotes" stay' \
		"D='these too'" 'E=a # no comment here' 'GIVEN' 'NOT_SET_ANYWHERE' \
		$'F=carriage return\r' '#G=no' 'H=$HOME `x` \n' >"$T/env"
	printf 'LAST=1' >>"$T/env"
	expect 0 run --env-file "$T/env" -e A=2 "$BB" env
	printf '%s\n' 'A=2' 'B=leading blanks go' 'C="quotes" stay' "D='these too'" \
		'E=a # no comment here' 'F=carriage return' 'GIVEN=outside' 'H=$HOME `x` \n' \
		'LAST=1' >"$T/want"
	diff <(sort "$out") "$T/want"
	refused 125 "$T/none" --env-file "$T/none" "$HELLO"
	refused 125 "$T" --env-file "$T" "$HELLO"
	echo '=broken' >"$T/env"
	refused 125 'NAME=VALUE' --env-file "$T/env" "$HELLO"
}

@test "--workdir" {
	expect 0 run "$BB" pwd
	[ "$(cat "$out")" = / ]
	expect 0 run -w /a/new/one "$BB" pwd
	[ "$(cat "$out")" = /a/new/one ]
	refused 125 'absolute' -w not/absolute "$HELLO"
	refused 125 'absolute' -w '' "$HELLO"
	refused 125 'absolute' -w "/$(printf '%0300d' 0)" "$HELLO"
}

@test "--name" {
	expect 0 run "$BB" uname -n
	[ "$(cat "$out")" = mayfly ]
	expect 0 run --name a-host.example "$BB" uname -n
	[ "$(cat "$out")" = a-host.example ]
	expect 0 run --name web-1 "$BB" hostname
	[ "$(cat "$out")" = web-1 ]
	expect 0 run --name "$(printf '%064d' 0)" "$BB" uname -n
	refused 125 '64 bytes' --name "$(printf '%065d' 0)" "$HELLO"
	refused 125 '64 bytes' --name '' "$HELLO"
}

# ---- sizes and times ----

@test "--memory: all ways to write it" {
	for size in 64M 64m 64MB 64MiB 65536K 67108864 1G 0064M 10001K; do
		expect 0 run -m $size "$HELLO"
	done
	for size in junk '' -1 64X 64MM 64Mi 1.5G M 0x40 99999999999999999999 17179869184G ' 1M' '1 M'; do
		refused 125 'size' -m "$size" "$HELLO"
	done
	refused 125 '--memory 0' -m 0 "$HELLO"
	refused 125 'more than this machine' -m 10T "$HELLO"
}

@test "--memory too small: 126 and how much it takes, which then suffices" {
	local need
	for size in 1 4096 512K; do
		refused 126 'it needs at least --memory' -m $size "$HELLO"
	done
	need=$(sed -n 's/.*at least --memory \([0-9]*M\).*/\1/p' "$err")
	[ -n "$need" ]
	expect 0 run -m "$need" "$HELLO"
	prints 'Hello, world'
}

@test "--timeout: all ways to write it" {
	for time in 10 10s 10000ms 10000000us 1m 1h 0.5m 10.5; do
		expect 0 run --timeout $time "$HELLO"
	done
	for time in junk '' 0 0s -1 5x 5ss 1e99 s .; do
		refused 125 'duration' --timeout "$time" "$HELLO"
	done
}

@test "--timeout ends what computes, waits or reads: 124, in time" {
	local begin elapsed_ms
	for how in spin wait read; do
		begin=$(date +%s%N)
		# Not /dev/null, whose end read would see.
		captured m "$MAYFLY" run --timeout 300ms "$GUEST/handler" $how < <(sleep 5)
		elapsed_ms=$((($(date +%s%N) - begin) / 1000000))
		[ "$status" -eq 124 ]
		[ "$(cat "$T/m.out")" = ready ]
		grep -q 'time limit' "$T/m.err"
		[ $elapsed_ms -ge 290 ] || fail "$how: ended after $elapsed_ms ms"
		[ $elapsed_ms -lt 4000 ] || fail "$how: it took $elapsed_ms ms"
	done
}

# ---- images that cannot run ----

@test "no image: 127" {
	refused 127 "$T/none" "$T/none"
	refused 127 "$HELLO/x" "$HELLO/x"
	refused 127 'cannot open the image' ''
}

@test "what is no executable file: 126" {
	refused 126 'directory' "$T"
	refused 126 'regular file' /dev/null
	mkfifo "$T/fifo"
	chmod +x "$T/fifo"
	refused 126 'regular file' "$T/fifo"
	cp "$HELLO" "$T/plain"
	chmod -x "$T/plain"
	refused 126 'chmod +x' "$T/plain"
}

@test "what is no static x86-64 ELF: 126, and why" {
	: >"$T/empty"
	printf '#!/bin/sh\necho hi\n' >"$T/script"
	head -c 100000 /dev/urandom >"$T/noise"
	head -c 63 "$HELLO" >"$T/short"
	head -c 5000 "$HELLO" >"$T/cut"
	cp "$HELLO" "$T/elf32"
	printf '\x01' | dd of="$T/elf32" bs=1 seek=4 conv=notrunc status=none
	cp "$HELLO" "$T/arm"
	printf '\xb7' | dd of="$T/arm" bs=1 seek=18 conv=notrunc status=none
	chmod +x "$T"/*
	for file in empty script noise short cut elf32 arm; do
		expect 126 run "$T/$file"
		complains "$T/$file"
		one_line
		silent "$out"
	done
	expect 126 run "$T/script"
	complains 'ELF'
	expect 126 run "$T/elf32"
	complains '32-bit'
}

@test "a dynamically linked program: 126, and that it must be static" {
	local program
	program=$(command -v env)
	refused 126 'static' "$program"
}

@test "arguments and environment: as large as they may be, and larger" {
	local big
	big=$(printf '%0100000d' 0)
	expect 0 run "$BB" sh -c 'echo ${#1} ${#5}' x "$big" "$big" "$big" "$big" "$big"
	[ "$(cat "$out")" = '100000 100000' ]
	expect 0 run -e "A=$big" -e "B=$big" "$BB" sh -c 'echo ${#A} ${#B}'
	[ "$(cat "$out")" = '100000 100000' ]
	# Linux' own limit for one call is near the same size: 8 of these come by a file.
	for name in a b c d e f g h i j k l m n o p q r s t u v; do
		echo "$name=$big"
	done >"$T/env"
	expect 126 run --env-file "$T/env" "$HELLO"
	complains 'larger than'
	one_line
}

# ---- what a run tells ----

@test "--stats: hello takes one exit" {
	prepared # the second run is of a cached image
	[ "$(grep -c '^mayfly: exits: ' "$err")" -eq 1 ]
	grep -qx 'mayfly: exits: 1' "$err" || fail "$(cat "$err")"
	grep -qx 'mayfly: waits: 0' "$err"
	[ "$(grep -vc '^mayfly: ' "$err")" -eq 0 ]
	[ "$(cat "$out")" = 'Hello, world' ]
}

@test "--strace names the calls" {
	expect 0 run --strace "$HELLO"
	grep -qE '^writev?\(1, ' "$err" || fail "$(cat "$err")"
	grep -qF 'exit_group(0)' "$err"
	[ "$(cat "$out")" = 'Hello, world' ]
	expect 5 run --strace "$GUEST/status" 5
	complains 'exit_group(5)'
	silent "$out"
}

@test "inspect: what can run, what cannot, what is not there" {
	expect 0 inspect "$HELLO"
	prints 'runs: yes'
	expect 0 inspect --json "$HELLO"
	jq -e '.runs == true and .path != "" and (.syscalls.rewritten > 0)' "$out" >/dev/null
	expect 126 inspect "$(command -v env)"
	prints 'runs: no'
	expect 126 inspect --json "$(command -v env)"
	jq -e '.runs == false and (.reason | contains("static"))' "$out" >/dev/null
	expect 127 inspect "$T/none"
	complains "$T/none"
	silent "$out"
}

@test "doctor: this machine can run programs; --json is JSON" {
	expect 0 doctor
	prints 'mayfly run works here'
	grep -q '^ok *vm-run' "$out"
	! grep -q $'\033' "$out" || fail "colours in a file"
	expect 0 doctor --json
	jq -e 'length > 15 and all(.[]; (.name | length > 0) and (.found | length > 0) and
		(.status | . == "ok" or . == "warn" or . == "fail") and has("fix"))' "$out" >/dev/null
	# Each name once; what does not pass has a fix.
	jq -e '(map(.name) | length) == (map(.name) | unique | length)' "$out" >/dev/null
	jq -e 'all(.[]; .status == "ok" or (.fix | length > 0))' "$out" >/dev/null
	MAYFLY_RUN_DIR=$T/$'odd\n"\\\t\xff' expect 0 doctor --json
	jq -e '.[] | select(.name == "run-directory") | .found | contains("odd\n\"\\\t")' "$out" \
		>/dev/null
	captured m bash -c '"$1" doctor >/dev/full' sh "$MAYFLY"
	[ "$status" -eq 125 ]
}
