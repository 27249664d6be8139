#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# boot.sh [--runs N] [--pause US | --back-to-back] [--json] [--no-runc] [--no-docker]
#         [--no-published]
#
# How long one program takes from start to end: as a process, in a mayfly VM, in a runc
# container, by docker. The measuring is boot.c's; this only says what, and brings up and
# takes down what the others need. runc and docker take part where they are installed and
# this is root, less often than the rest, for they are slow.
set -euo pipefail
# shellcheck source=bench/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

runs=200 runc=1 docker=1 published=1 options=()
while [ $# -gt 0 ]; do
	case $1 in
	--runs) runs=${2:?--runs N} && shift ;;
	--pause) options+=(--pause "${2:?--pause US}") && shift ;;
	--back-to-back) options+=(--back-to-back) ;;
	--json) published=0 && options+=(--json) ;;
	--no-runc) runc=0 ;;
	--no-docker) docker=0 ;;
	--no-published) published=0 ;;
	*) sed -n '4,10s/^# \{0,1\}//p' "$0" && exit 2 ;;
	esac
	shift
done
need "$MAYFLY" "$BENCH/boot" "$BENCH/hello"

work=$(mktemp -d)

# Ends what was started, also after a failure or ^C, by its pid alone.
cleanup() {
	trap '' INT TERM
	stop_dockerd "$work"
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Each adds its subject to $subjects, or says why not.
subjects=(process "$BENCH/hello" ';' mayfly "$MAYFLY" run "$BENCH/hello")

add_first() {
	local every=$((runs >= 10 ? runs / 10 : 1))
	mkdir -m 700 "$work/run"
	subjects+=(';' "mayfly first run,every=$every,forget=$work/run" "$MAYFLY" run "$BENCH/hello")
}

add_runc() {
	local path
	have_runc || return 0
	path=$(command -v runc)
	bundle "$work/bundle" "$BENCH/hello"
	"$path" run --bundle "$work/bundle" "mayfly-bench-$$" >/dev/null 2>"$work/runc.log" ||
		{ say "runc left out: $(tail -n 1 "$work/runc.log")" && return; }
	subjects+=(';' "runc run,every=$((runs >= 20 ? runs / 20 : 1))"
		"$path" run --bundle "$work/bundle" "mayfly-bench-$$")
}

add_docker() {
	start_dockerd "$work" || return 0
	tar -C "$BENCH" -c hello | docker --host "$docker_host" import - mayfly-bench >/dev/null
	subjects+=(';' "docker run --rm,every=$((runs >= 10 ? runs / 10 : 1))"
		"$(command -v docker)" --host "$docker_host" run --rm --network none mayfly-bench /hello)
}

add_first
[ $runc -eq 0 ] || add_runc
[ $docker -eq 0 ] || add_docker
warn_if_busy
"$BENCH/boot" --runs "$runs" --kvm "$(kvm_kind)" "${options[@]}" "${subjects[@]}"
[ $published -eq 0 ] || { echo && cat "$root/bench/published.txt"; }
