#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# cache.bats: when /dev/kvm or the run directory is not as it should be; the cache of
# prepared images.
#
# Mind bats: in `a && b` a failing `a` goes unnoticed, so each check has its own line.
#
# $out, $err and others come from helpers.bash and cli.bash; bats runs each test in a
# subshell; what is in single quotes is for other shells.
# shellcheck disable=SC2154,SC2034,SC2016,SC2314,SC2030,SC2031

load helpers
load cli

# ---- the machine, the run directory ----

# without_kvm SHELL-TEXT ARG...: mayfly in a mount namespace of its own that SHELL-TEXT alters.
without_kvm() {
	local change=$1
	shift
	unshare -m true 2>/dev/null || skip "mount namespaces need root"
	status=0
	timeout "$LIMIT" unshare -m sh -c "$change"' && exec "$@"' sh "$MAYFLY" "$@" \
		>"$T/m.out" 2>"$T/m.err" </dev/null || status=$?
	out=$T/m.out
	err=$T/m.err
}

@test "no /dev/kvm: 125 and what to do" {
	without_kvm 'mount -t tmpfs none /dev' run "$HELLO"
	[ "$status" -eq 125 ]
	complains '/dev/kvm'
	complains 'modprobe'
	one_line
	without_kvm 'mount -t tmpfs none /dev' doctor
	[ "$status" -eq 1 ]
	prints 'kvm-device'
}

@test "a /dev/kvm that is none: 125 and says so" {
	: >"$T/empty"
	for fake in /dev/null "$T/empty"; do
		without_kvm "mount --bind '$fake' /dev/kvm" run "$HELLO"
		[ "$status" -eq 125 ]
		one_line
		complains '/dev/kvm'
	done
}

@test "a run directory that cannot be used: programs run all the same" {
	MAYFLY_RUN_DIR=/proc/none expect 0 run "$HELLO"
	prints 'Hello, world'
	MAYFLY_RUN_DIR=$HELLO expect 0 run "$HELLO"
	MAYFLY_RUN_DIR=/proc/none expect 126 run "$(command -v env)"
	# One that others may write into is not trusted: nothing is taken or left there.
	mkdir "$T/open"
	chmod 777 "$T/open"
	MAYFLY_RUN_DIR=$T/open expect 0 run "$HELLO"
	[ -z "$(ls -A "$T/open")" ]
}

@test "a run directory is made for its user alone" {
	MAYFLY_RUN_DIR=$T/new expect 0 run "$HELLO"
	[ "$(stat -c %a "$T/new")" = 700 ]
	[ -n "$(ls -A "$T/new")" ]
}

@test "the cache: prepared once, then found" {
	prepared
	prints 'Hello, world'
	# The same bytes elsewhere are another file, but the same image.
	cp "$T/image" "$T/copy"
	sleep 0.1
	expect 0 run "$T/copy"
	[ "$(find "$MAYFLY_RUN_DIR" -name 'sha256-*' | wc -l)" -eq 1 ]
}

@test "a damaged cache entry is made anew" {
	local entry size
	prepared
	entry=$(find "$MAYFLY_RUN_DIR" -name 'sha256-*')
	size=$(stat -c %s "$entry")
	for damage in ': >"$1"' 'head -c 100 /dev/urandom >"$1"' 'truncate -s 4096 "$1"' \
		'truncate -s -1 "$1"' 'head -c '"$size"' /dev/zero >"$1"' 'rm "$1"' \
		'rm "$1" && mkdir "$1"' 'rm "$1" && ln -s nowhere "$1"'; do
		bash -c "$damage" sh "$entry"
		expect 0 run "$T/image"
		prints 'Hello, world'
		# And it is whole again, or at least never in the way.
		expect 0 run "$T/image"
		prints 'Hello, world'
		rm -rf "$entry"
		expect 0 run "$T/image"
	done
}

@test "what mayfly knows of the host, damaged: asked anew" {
	own_run_dir
	expect 0 run "$HELLO"
	[ -f "$MAYFLY_RUN_DIR/host" ]
	head -c 5192 /dev/urandom >"$MAYFLY_RUN_DIR/host"
	expect 0 run "$HELLO"
	: >"$MAYFLY_RUN_DIR/host"
	expect 0 run "$HELLO"
	prints 'Hello, world'
}

@test "an image that is replaced is seen at once, even with the same size" {
	local i
	own_run_dir
	cp "$HELLO" "$T/a"
	sed 's/Hello, world/Other, words/' "$HELLO" >"$T/b"
	chmod +x "$T/b"
	[ "$(stat -c %s "$T/a")" -eq "$(stat -c %s "$T/b")" ]
	for i in 1 2 3 4 5 6 7 8 9 10; do
		cat "$T/a" >"$T/image" # in place: the inode stays
		chmod +x "$T/image"
		expect 0 run "$T/image"
		[ "$(cat "$out")" = 'Hello, world' ]
		cat "$T/b" >"$T/image"
		expect 0 run "$T/image"
		[ "$(cat "$out")" = 'Other, words' ] || fail "round $i: $(cat "$out")"
		cp "$T/a" "$T/image.new"
		mv "$T/image.new" "$T/image"
		expect 0 run "$T/image"
		[ "$(cat "$out")" = 'Hello, world' ] || fail "round $i: $(cat "$out")"
	done
}

@test "many at once with an empty cache" {
	local i pids=()
	own_run_dir
	cp "$HELLO" "$T/image"
	sleep 0.1
	for i in 1 2 3 4 5 6 7 8; do
		"$MAYFLY" run "$T/image" >"$T/out.$i" 2>&1 </dev/null 3>&- &
		pids+=("$!")
	done
	for i in "${!pids[@]}"; do
		wait "${pids[i]}" || fail "$(cat "$T/out.$((i + 1))")"
		[ "$(cat "$T/out.$((i + 1))")" = 'Hello, world' ]
	done
	[ -z "$(find "$MAYFLY_RUN_DIR" -name 'tmp-*' -o -name 'host.*')" ]
}
