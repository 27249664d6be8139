#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# memory.sh [--count N] [--rounds N] [--settle MS] [--json]
#
# What a VM costs the host in memory, all in, against a plain process of the same program:
# N (200) of each at once. The measuring is memory.c's.
set -euo pipefail
# shellcheck source=bench/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

for option; do
	case $option in
	--count | --rounds | --settle | --json | [0-9]*) ;;
	*) sed -n '4,7s/^# \{0,1\}//p' "$0" && exit 2 ;;
	esac
done
need "$MAYFLY" "$BENCH/memory" "$BENCH/idle"
warn_if_busy
exec "$BENCH/memory" --kvm "$(kvm_kind)" "$@" \
	process "$BENCH/idle" ';' VM "$MAYFLY" run "$BENCH/idle"
