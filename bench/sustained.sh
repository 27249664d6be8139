#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# sustained.sh [--seconds N] [--under-way N] [--json] [--no-jail] [-- DAEMON-OPTION...]
#
# How many programs a second start and end for N (10) seconds, each in a VM that nobody has used,
# and where the CPU time goes: on the zygote's wire, then through a daemon of our own. The
# measuring is sustained.c's.
set -euo pipefail
# shellcheck source=bench/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

options=() wire=() json=0
while [ $# -gt 0 ]; do
	case $1 in
	--seconds | --under-way) options+=("$1" "${2:?$1 N}") && shift ;;
	--json) json=1 && options+=("$1") ;;
	--no-jail) wire+=("$1") ;;
	--) shift && break ;;
	*) sed -n '4,8s/^# \{0,1\}//p' "$0" && exit 2 ;;
	esac
	shift
done
need "$MAYFLY" "$BENCH/sustained" "$BENCH/hello"

make_work
cleanup() {
	trap '' INT TERM
	stop_daemon
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

prepare_zygote "$work/zygote" "$BENCH/hello"
options+=(--kvm "$(kvm_kind)" --program "$BENCH/hello")
warn_if_busy
[ $json -eq 0 ] || echo '['
"$BENCH/sustained" "${options[@]}" "${wire[@]}" --mayfly "$MAYFLY" --zygote "$work/zygote"
[ $json -eq 0 ] && echo || echo ','
start_daemon "$work/run" "$work/daemon.log" "$@"
"$BENCH/sustained" "${options[@]}" --daemon "$socket" --daemon-pid "$daemon"
[ $json -eq 0 ] || echo ']'
