#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# cpu.sh [--runs N] [--json]
#
# What computing costs in a VM: the same program as a process and in a VM, in turn, N (5)
# times each, start and end included. sha256 is the vector units' (nettle chooses its code
# by CPUID), Lua's fib is branches, calls and a little memory. One table for each program.
set -euo pipefail
# shellcheck source=bench/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

runs=5 json=0 options=()
while [ $# -gt 0 ]; do
	case $1 in
	--runs) runs=${2:?--runs N} && shift ;;
	--json) json=1 && options+=(--json) ;;
	*) sed -n '4,8s/^# \{0,1\}//p' "$0" && exit 2 ;;
	esac
	shift
done
need "$MAYFLY" "$BENCH/boot" "$PROGRAMS/sha256" "$PROGRAMS/lua-musl" "$PROGRAMS/lua-glibc"

# The VM sees no file of the host: a script comes as an argument.
fib=$(grep -v '^--' "$PROGRAMS/fib.lua")
kvm=$(kvm_kind)

# both NAME PROGRAM ARG...: one table, or one JSON object.
both() {
	local name=$1
	shift
	"$BENCH/boot" --runs "$runs" --kvm "$kvm" "${options[@]}" \
		"$name process" "$@" ';' "$name VM" "$MAYFLY" run "$@"
}

warn_if_busy
separator=
[ $json -eq 0 ] || echo '['
for name in sha256 lua-musl lua-glibc; do
	[ -z "$separator" ] || echo "$separator"
	case $name in
	sha256) both $name "$PROGRAMS/sha256" 200 ;;
	lua-*) both $name "$PROGRAMS/$name" -e "$fib" ;;
	esac
	separator=$([ $json -eq 1 ] && echo , || echo ' ')
done
[ $json -eq 0 ] || echo ']'
