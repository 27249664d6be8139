#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# shell.sh [--runs N] [--pause US] [--json] [--no-jail] [-- DAEMON-OPTION...]
#
# How long a program takes from start to end where VMs are prepared ahead: by messages to a shell,
# through a daemon (warm and cold), by `mayfly run`, beside a process of the same program. The
# measuring is shell.c's; this brings up a daemon of our own and takes it down.
set -euo pipefail
# shellcheck source=bench/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

options=(--runs 200)
while [ $# -gt 0 ]; do
	case $1 in
	--runs | --pause) options+=("$1" "${2:?$1 N}") && shift ;;
	--json | --no-jail) options+=("$1") ;;
	--) shift && break ;;
	*) sed -n '4,8s/^# \{0,1\}//p' "$0" && exit 2 ;;
	esac
	shift
done
need "$MAYFLY" "$BENCH/shell" "$BENCH/hello"

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
start_daemon "$work/run" "$work/daemon.log" "$@"
export MAYFLY_RUN_DIR=$work/run
warn_if_busy
"$BENCH/shell" --kvm "$(kvm_kind)" --mayfly "$MAYFLY" --program "$BENCH/hello" \
	--zygote "$work/zygote" --daemon "$socket" "${options[@]}"
