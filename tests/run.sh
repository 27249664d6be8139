#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh: what `make check` runs once all is built: one line for a test file, the details
# of what failed, and last "N passed, N failed, N skipped".
#
#   tests/run.sh [--build DIR] [--only REGEX] [unit|guest|e2e|net|fuzz]...     (all five)
#
#   unit   DIR/tests/unit/*: cmocka programs, run as they are
#   guest  DIR/tests/guest/{musl,glibc}/*: run natively and by `mayfly run`; exit code 0 and
#          SUCCESS on stdout, or 77 and the reason on stdout's last line: skipped
#   e2e    tests/e2e/*.bats
#   net    tests/net/*.bats, as root
#   fuzz   DIR/tests/fuzz/*: libFuzzer programs, $FUZZ_SECONDS (10) each
#
# With $RETRY set a file that fails is run once more, and said to be flaky if it passes then.
# $MAYFLY is the monitor (DIR/mayfly). Without a /dev/kvm the tests fail; they do not skip.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
only=
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=$2 && shift 2 ;;
	--only) only=$2 && shift 2 ;;
	*) break ;;
	esac
done
mkdir -p "$build/tests"
build=$(cd "$build" && pwd)
export MAYFLY=${MAYFLY:-$build/mayfly} PROGRAMS=${PROGRAMS:-$build/tests/programs}
groups=("$@")
[ $# -gt 0 ] || groups=(unit guest e2e net fuzz)
limit=60 # seconds, for a unit test or a guest program; e2e has its own

passed=0 failed=0 skipped=0
work=$(mktemp -d "${TMPDIR:-/tmp}/mayfly-check.XXXXXX")
trap 'rm -rf "$work"' EXIT
touch "$work/failed" "$work/flaky"

# One line for a file of tests, and its details below.
line() { # GROUP NAME TEXT
	printf '%-6s %-32s %s\n' "$1" "$2" "$3"
	last="$1 $2"
	[[ $3 != *FAILED* ]] || echo "$1 $2: $3" >>"$work/failed"
}

# Of the file that line was called for last. Of those that failed the first ones are said again
# at the end, for who sees no more than that of a long log.
details() {
	cut -c1-240 | head -n 60 | tee "$work/said" | sed 's/^/    | /'
	! grep -q "^$last:" "$work/failed" || head -n 25 "$work/said" | sed 's/^/    | /' >>"$work/failed"
}

chosen() { [[ $1 =~ $only ]]; }

# Runs the tests of one file; with $RETRY set once more if one fails, and then only that second
# time counts. What failed the first time is said at the end all the same.
try() { # FUNCTION ARGUMENT...
	local before=("$passed" "$failed" "$skipped")
	cp "$work/failed" "$work/failed-before"
	"$@"
	[ -n "${RETRY:-}" ] && [ "$failed" -gt "${before[1]}" ] || return 0
	tail -n +$(($(wc -l <"$work/failed-before") + 1)) "$work/failed" >>"$work/flaky"
	cp "$work/failed-before" "$work/failed"
	passed=${before[0]} failed=${before[1]} skipped=${before[2]}
	echo "       once more:"
	"$@"
}

# Runs a command, its exit code in $status. The outer 2> is for bash's own "Aborted".
captured() { # STDOUT STDERR COMMAND...
	local out=$1 err=$2
	shift 2
	status=0
	{ timeout -k 5 "$limit" "$@" </dev/null >"$out" 2>"$err" || status=$?; } 2>/dev/null
}

executables() {
	find "$1" -maxdepth 1 -type f -executable 2>/dev/null | sort
}

# A source without its program would be a test that silently does not run.
missing_programs() { # GROUP PATTERN
	local source name
	for source in "$root/tests/$1"/$2; do
		[ -f "$source" ] || continue
		name=$(basename "$source" .c)
		if chosen "$1/$name" && [ ! -x "$build/tests/$1/$name" ]; then
			line "$1" "$name" "FAILED: it was not built"
			failed=$((failed + 1))
		fi
	done
}

# Counts the TAP in the file $1, of a program that ended with status $2, and prints its
# line. What fails a file as a whole (no plan, fewer results than planned, a status that
# the results do not explain) counts as one failure more. cmocka 1.1 says "not ok N # SKIP".
tap() { # FILE STATUS GROUP NAME SECONDS
	local p f s text
	awk -v status="$2" -v details="$work/details" -v counts="$work/counts" '
	BEGIN { printf "" >details; plan = -1 }
	/^1\.\.[0-9]+/ { plan = substr($0, 4) + 0 }
	/^(not )?ok / {
		results++
		failing = 0
		if ($0 ~ /# *[Ss][Kk][Ii][Pp]/) {
			skipped++
			sub(/^(not )?ok [0-9]+ /, "skipped: ")
			# cmocka has no place for a reason: it is what the test printed.
			print $0 (/^skipped: # SKIP/ && said != "" ? " (" said ")" : "") >details
		} else if ($1 == "ok") {
			passed++
		} else {
			failed++
			failing = 1
		}
	}
	/^(not )?ok / { said = "" }
	!/^(not )?ok |^1\.\./ { said = $0 }
	failing { print >details }
	!/^(not )?ok |^1\.\./ && !failing { other[++n] = $0 } # what a crash left
	END {
		if (plan < 0)
			whole = "it printed no plan"
		else if (results != plan)
			whole = results + 0 " results of " plan " planned"
		else if (status != 0 && !failed)
			whole = "all passed"
		if (status == 124 || status == 137)
			whole = whole ", it was ended by its limit"
		if (whole != "") {
			failed++
			print "as a whole: " whole ", exit code " status >details
			for (i = n > 30 ? n - 30 : 1; i <= n; i++)
				print other[i] >details
		}
		print passed + 0, failed + 0, skipped + 0 >counts
	}' "$1"
	read -r p f s <"$work/counts"
	text="$p passed"
	[ "$f" -eq 0 ] || text+=", $f FAILED"
	[ "$s" -eq 0 ] || text+=", $s skipped"
	line "$3" "$4" "$text ($5 s)"
	details <"$work/details"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

unit_file() { # FILE NAME
	local status begin=$SECONDS
	# shellcheck disable=SC2016 # stderr goes where stdout goes, in order
	captured "$work/tap" "$work/err" env CMOCKA_MESSAGE_OUTPUT=TAP sh -c 'exec "$0" 2>&1' "$1"
	tap "$work/tap" "$status" unit "$2" $((SECONDS - begin))
}

unit() {
	local file name
	missing_programs unit 'test_*.c'
	while read -r file; do
		name=$(basename "$file")
		chosen "unit/$name" || continue
		try unit_file "$file" "$name"
	done < <(executables "$build/tests/unit")
}

# Runs a guest program one way and adds what came of it to $result. Options of `mayfly run`
# for a program are in tests/guest/NAME.run, if anywhere.
guest_one() { # WAY COMMAND...
	local way=$1 status
	shift
	captured "$work/out" "$work/err" "$@"
	if [ "$status" -eq 0 ] && grep -q SUCCESS "$work/out"; then
		passed=$((passed + 1))
		result+=", $way ok"
		return
	elif [ "$status" -eq 77 ]; then
		skipped=$((skipped + 1))
		result+=", $way skipped: $(tail -n 1 "$work/out")"
		return
	fi
	failed=$((failed + 1))
	case "$status" in
	0) result+=", $way FAILED: no SUCCESS" ;;
	124 | 137) result+=", $way FAILED: ended by its limit of $limit s" ;;
	*) result+=", $way FAILED: exit code $status" ;;
	esac
	{
		tail -n 15 "$work/out" | sed "s/^/$way stdout: /"
		tail -n 15 "$work/err" | sed "s/^/$way stderr: /"
	} >>"$work/why"
}

guest_file() { # FILE NAME
	local options=() result=
	[ ! -f "$root/tests/guest/${2##*/}.run" ] || read -r -a options <<<"$(
		grep -v '^#' "$root/tests/guest/${2##*/}.run" | tr '\n' ' ')"
	: >"$work/why"
	guest_one native "$1"
	[ ! -c /dev/kvm ] || guest_one VM "$MAYFLY" run "${options[@]}" "$1"
	line guest "$2" "${result#, }"
	details <"$work/why"
}

guest() {
	local file name
	while read -r file; do
		name=${file#"$build/tests/guest/"}
		chosen "guest/$name" || continue
		try guest_file "$file" "$name"
	done < <(executables "$build/tests/guest/musl" && executables "$build/tests/guest/glibc")
}

bats_file() { # GROUP FILE NAME
	local status=0 begin=$SECONDS
	bats --formatter tap "$2" </dev/null >"$work/tap" 2>&1 || status=$?
	tap "$work/tap" "$status" "$1" "$3" $((SECONDS - begin))
}

bats_files() { # GROUP
	local file name
	for file in "$root/tests/$1"/*.bats; do
		name=$(basename "$file")
		[ -f "$file" ] || continue
		chosen "$1/$name" || continue
		try bats_file "$1" "$file" "$name"
	done
}

e2e() { bats_files e2e; }

net() { bats_files net; }

# Seeds are in tests/fuzz/corpus/NAME; what a run finds new goes to DIR/tests/fuzz/corpus,
# an input that crashes to DIR/tests/fuzz/NAME-crash-*.
fuzz() {
	local file name status runs
	missing_programs fuzz 'fuzz_*.c'
	while read -r file; do
		name=$(basename "$file")
		chosen "fuzz/$name" || continue
		mkdir -p "$build/tests/fuzz/corpus/$name"
		set -- "$build/tests/fuzz/corpus/$name"
		[ ! -d "$root/tests/fuzz/corpus/$name" ] || set -- "$@" "$root/tests/fuzz/corpus/$name"
		status=0
		timeout -k 5 $((${FUZZ_SECONDS:-10} + limit)) "$file" \
			-max_total_time="${FUZZ_SECONDS:-10}" -timeout=10 -rss_limit_mb=2048 \
			-artifact_prefix="$build/tests/fuzz/$name-" -print_final_stats=1 "$@" \
			</dev/null >"$work/fuzz" 2>&1 || status=$?
		runs=$(awk '/number_of_executed_units/ { print $2 }' "$work/fuzz")
		# No unit executed is no test, whatever the exit code says.
		if [ "$status" -eq 0 ] && [ "${runs:-0}" -gt 0 ]; then
			passed=$((passed + 1))
			line fuzz "$name" "ok, $runs inputs"
		else
			failed=$((failed + 1))
			line fuzz "$name" "FAILED: exit code $status, ${runs:-no} inputs"
			grep -vE '^#[0-9]' "$work/fuzz" | tail -n 40 | details
		fi
	done < <(executables "$build/tests/fuzz")
}

if [ ! -c /dev/kvm ]; then
	line all /dev/kvm "FAILED: it is missing, and no test that needs a VM can pass"
	failed=$((failed + 1))
fi
for group in "${groups[@]}"; do
	counted=$((passed + failed + skipped))
	case $group in
	unit | guest | e2e | net | fuzz) $group ;;
	*) echo "run.sh: there is no group $group" >&2 && exit 2 ;;
	esac
	if [ $((passed + failed + skipped)) -eq "$counted" ] && [ -z "$only" ]; then
		line "$group" - "skipped: there is no test of this group"
		skipped=$((skipped + 1))
	fi
done
[ ! -s "$work/flaky" ] || { echo "what failed, and was run once more:" && cat "$work/flaky"; }
[ ! -s "$work/failed" ] || { echo "what failed:" && cat "$work/failed"; }
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
