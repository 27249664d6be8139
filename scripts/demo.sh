#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh: what `make demo` does, and says while it does it: packages, build, a program
# in a virtual machine, and how long that took beside the same program as a process.
#
#   scripts/demo.sh BUILD_DIR
set -euo pipefail
build=$1

echo "1. Packages"
scripts/deps.sh build
echo "   all there"

echo "2. Build"
make --no-print-directory B="$build" all apps

echo "3. A program: static, unmodified, nothing in it knows of mayfly"
cat >"$build/hello.c" <<'C'
#include <stdio.h>

int main(int argc, char **argv)
{
	printf("Hello from %s!\n", argc > 1 ? argv[1] : "a process");
	return 0;
}
C
musl-gcc -static -O2 -o "$build/hello" "$build/hello.c"
echo "   \$ $build/hello"
"$build/hello"

echo "4. The same file in a virtual machine of its own"
echo "   \$ $build/mayfly run $build/hello 'a virtual machine'"
"$build/mayfly" run "$build/hello" 'a virtual machine'

echo "5. A web server in a virtual machine, published on a port of this machine"
port=$((20000 + RANDOM % 20000))
echo "   \$ $build/mayfly run --net user -p $port:8080 $build/apps/http &"
echo "   \$ curl http://127.0.0.1:$port/"
"$build/mayfly" run --net "user" -p "127.0.0.1:$port:8080" "$build/apps/http" >/dev/null &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
curl -s --retry 20 --retry-all-errors --retry-delay 1 --max-time 10 "http://127.0.0.1:$port/" ||
	echo "   (no network for a user here: see mayfly-run(1), --net user)"
kill "$server" 2>/dev/null || true

# Milliseconds of one command, the best of 20: what the machine can do, not its mood.
best() {
	local start end best=999999999
	for _ in $(seq 20); do
		start=$(date +%s%N)
		"$@" >/dev/null
		end=$(date +%s%N)
		[ $((end - start)) -ge "$best" ] || best=$((end - start))
	done
	printf '%d.%02d ms' $((best / 1000000)) $((best / 10000 % 100))
}
echo "6. How long it takes from start to end, the best of 20 each"
echo "   as a process          $(best "$build/hello")"
echo "   in a virtual machine  $(best "$build/mayfly" run "$build/hello")"
echo "   ('make bench' measures it properly, beside containers)"
echo
echo "Next: $build/mayfly doctor, $build/mayfly run --help, make check"
