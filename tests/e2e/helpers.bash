# SPDX-License-Identifier: Apache-2.0
#
# helpers.bash: what the end-to-end tests share: where things are, a temporary directory
# for each test, and "the same in a VM as natively".
#
# $MAYFLY    the monitor                    (build/mayfly)
# $PROGRAMS  what programs/build.sh made    (build/tests/programs)
# $SCALE     factor for the sizes of data   (1; 0.1 where a VM is slow)
# $LIMIT     seconds that one run may take  (120)
#
# shellcheck shell=bash disable=SC2034 # what the tests use: $ROOT, $out, $err

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
MAYFLY=${MAYFLY:-$ROOT/build/mayfly}
PROGRAMS=${PROGRAMS:-$ROOT/build/tests/programs}
SCALE=${SCALE:-1}
LIMIT=${LIMIT:-120}
export LC_ALL=C

# A test without its machine is a failure, not a skip: it would hide that nothing ran.
need_machine() {
	local file
	for file in "$MAYFLY" "$PROGRAMS/busybox"; do
		[ -x "$file" ] || fail "$file is missing: run make first"
	done
	[[ -c /dev/kvm && -w /dev/kvm ]] || fail "/dev/kvm is missing or may not be written"
}

fail() {
	printf '%s\n' "$@" >&2
	return 1
}

# scaled N: N times $SCALE, at least 1.
scaled() {
	awk -v n="$1" -v scale="$SCALE" 'BEGIN { n = int(n * scale); print n < 1 ? 1 : n }'
}

# A program by name is one of $PROGRAMS.
program() {
	case $1 in
	*/*) echo "$1" ;;
	*) echo "$PROGRAMS/$1" ;;
	esac
}

# captured NAME COMMAND...: runs COMMAND with the files NAME.out and NAME.err, status in $status.
captured() {
	local name=$1
	shift
	status=0
	{ # the outer 2> is for bash's own "Aborted"
		timeout -k 5 "$LIMIT" "$@" >"$BATS_TEST_TMPDIR/$name.out" \
			2>"$BATS_TEST_TMPDIR/$name.err" || status=$?
	} 2>/dev/null
	[ $status -ne 124 ] && [ $status -ne 137 ] || echo "$name: ended by the limit of $LIMIT s?" >&2
}

# mayfly_same [-i STDIN] [-c EXITCODE] [-f PREFIX] [-r OPTION]... PROGRAM ARGS...
# Runs PROGRAM natively, then in a VM; fails unless stdout, stderr and exit code are the
# same, byte for byte, and the exit code is EXITCODE (0). STDIN is a file (/dev/null);
# files that start with PREFIX are removed before, between and after the two runs; each
# OPTION is given to `mayfly run`. Leaves the output in $out and $err (files).
mayfly_same() {
	local stdin=/dev/null code=0 prefix='' options=() opt OPTIND=1 image native
	while getopts i:c:f:r: opt; do
		case $opt in
		i) stdin=$OPTARG ;;
		c) code=$OPTARG ;;
		f) prefix=$OPTARG ;;
		r) options+=("$OPTARG") ;;
		*) return 2 ;;
		esac
	done
	shift $((OPTIND - 1))
	image=$(program "$1")
	shift

	[ -z "$prefix" ] || rm -f "$prefix"*
	captured native "$image" "$@" <"$stdin"
	native=$status
	[ -z "$prefix" ] || rm -f "$prefix"*
	captured vm "$MAYFLY" run "${options[@]}" "$image" "$@" <"$stdin"
	[ -z "$prefix" ] || rm -f "$prefix"*

	out=$BATS_TEST_TMPDIR/vm.out
	err=$BATS_TEST_TMPDIR/vm.err
	if [ "$native" -ne "$code" ]; then
		show native
		fail "the test is wrong: natively the exit code is $native, not $code"
		return 1
	fi
	if [ "$status" -ne "$native" ]; then
		show vm
		fail "exit code in the VM: $status, natively: $native"
		return 1
	fi
	same out && same err
}

# same out|err: compares what the two runs wrote there and shows where they part.
same() {
	local native=$BATS_TEST_TMPDIR/native.$1 vm=$BATS_TEST_TMPDIR/vm.$1
	cmp -s "$native" "$vm" && return
	{
		echo "std$1 differs (natively $(wc -c <"$native") bytes, in the VM $(wc -c <"$vm")):"
		cmp "$native" "$vm" || true
		# Not -a: where the data is binary, the offset above says enough.
		diff "$native" "$vm" | cut -c1-200 | head -n 20 || true
	} >&2
	return 1
}

# show native|vm: the end of what a run wrote, for a failure's message.
show() {
	local stream
	for stream in out err; do
		if [ -s "$BATS_TEST_TMPDIR/$1.$stream" ]; then
			echo "-- $1 std$stream:"
			tail -n 10 "$BATS_TEST_TMPDIR/$1.$stream" | cut -c1-200
		fi
	done >&2
}

# wrote TEXT: the last mayfly_same printed a line which contains TEXT.
wrote() {
	grep -aqF -- "$1" "$out" || fail "stdout does not contain: $1" "$(tail -n 5 "$out")"
}

# BYTES FILE: lines of text, and bytes that do not compress.
text_file() {
	seq 1 1000000000 2>/dev/null | head -c "$1" >"$2" || true # seq's SIGPIPE
}

noise_file() {
	head -c "$1" /dev/urandom >"$2"
}
