#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# density.sh [--vms N] [--processes N] [--runc N] [--docker N] [--marks N,...] [--probes N]
#            [--idle S] [--floor MIB] [--no-shrink] [--json] [-- DAEMON-OPTION...]
#
# What one more costs when many are alive: VMs of a daemon of our own (1000), the same program as
# plain processes (as many), in runc containers (200), by docker (30); 0 leaves one out. The
# measuring is density.c's. A VM takes two PIDs: for many, kernel.pid_max is raised meanwhile.
set -euo pipefail
# shellcheck source=bench/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

vms=1000 processes='' runc=200 docker=30 probes=50 json=0 options=()
while [ $# -gt 0 ]; do
	case $1 in
	--vms) vms=${2:?--vms N} && shift ;;
	--processes) processes=${2:?--processes N} && shift ;;
	--runc) runc=${2:?--runc N} && shift ;;
	--docker) docker=${2:?--docker N} && shift ;;
	--probes) probes=${2:?--probes N} && shift ;;
	--marks | --idle | --floor) options+=("$1" "${2:?$1 N}") && shift ;;
	--no-shrink) options+=("$1") ;;
	--json) json=1 && options+=("$1") ;;
	--) shift && break ;;
	*) sed -n '4,9s/^# \{0,1\}//p' "$0" && exit 2 ;;
	esac
	shift
done
processes=${processes:-$vms}
need "$MAYFLY" "$BENCH/density" "$BENCH/hello" "$BENCH/answer"
options+=(--kvm "$(kvm_kind)")

make_work
declare -A limit_was=()
mkdir "$work/fifo"

# Ends what was started, also after a failure or ^C, by its PID or its own name alone.
cleanup() {
	local name id
	trap '' INT TERM
	stop_daemon
	if [ -d "$work/runc" ]; then
		runc --root "$work/runc" list --quiet | while read -r id; do
			runc --root "$work/runc" delete --force "$id" || true
		done
	fi
	stop_dockerd "$work"
	for name in "${!limit_was[@]}"; do
		echo "${limit_was[$name]}" >"/proc/sys/kernel/$name"
		say "kernel.$name is ${limit_was[$name]} again"
	done
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# raise NAME LEAST: a limit of the kernel's, until the end.
raise() {
	local name=$1 least=$2 now
	now=$(cat "/proc/sys/kernel/$name")
	[ "$now" -lt "$least" ] || return 0
	if ! echo "$least" 2>/dev/null >"/proc/sys/kernel/$name"; then
		die "kernel.$name is $now and must be $least for so many: run this as root, or give less"
	fi
	limit_was[$name]=$now
	say "kernel.$name was $now and is $least until this ends"
}

make_room() {
	local most=$((2 * vms > processes ? 2 * vms : processes)) used
	used=$(awk '{ sub(/.*\//, "", $4); print $4 }' /proc/loadavg)
	raise pid_max $((most + 2 * probes + used + 4096))
	raise threads-max $((most + 2 * probes + used + 4096))
}

# part COMMAND...: one table or JSON object; a part that fails does not keep the others back.
status=0 separator=
part() {
	if [ $json -eq 1 ]; then
		printf '%s' "$separator"
		separator=,
	fi
	"$@" || { status=1 && say "$3: failed"; }
	[ $json -eq 1 ] || echo
}

density_vms() {
	# A pool that grows while many are started would be counted as theirs.
	start_daemon "$work/run" "$work/daemon.log" --shells 16 --max-shells 16 "$@"
	part "$BENCH/density" --name VM --vms "$vms" --probes "$probes" "${options[@]}" \
		--daemon "$socket" --daemon-pid "$daemon" --run-dir "$work/run" \
		--program "$BENCH/answer" --hello "$BENCH/hello"
	stop_daemon
	if [ -n "$(find "$work/run/shell" "$work/run/log" -mindepth 1 -print -quit)" ]; then
		status=1
		say "the daemon has left sockets or logs behind"
	fi
}

density_processes() {
	part "$BENCH/density" --name process --vms "$processes" --probes "$probes" "${options[@]}" \
		--start "$BENCH/answer" --hello "$BENCH/hello" --dir "$work/fifo"
}

density_runc() {
	local run="runc --root $work/runc"
	have_runc || return 0
	bundle "$work/answer" "$BENCH/answer"
	bundle "$work/hello" "$BENCH/hello"
	mkdir "$work/runc"
	$run run --bundle "$work/hello" "mayfly-bench-$$" >/dev/null 2>"$work/runc.log" ||
		{ say "runc left out: $(tail -n 1 "$work/runc.log")" && return; }
	part "$BENCH/density" --name 'runc container' --vms "$runc" --probes 20 "${options[@]}" \
		--start "$run run --detach --bundle $work/answer mayfly-bench-$$-@" --detached \
		--end "$run delete --force mayfly-bench-$$-@" --dir "$work/fifo" \
		--hello "$run run --bundle $work/hello mayfly-bench-$$"
}

density_docker() {
	local client
	start_dockerd "$work" || return 0
	client="docker --host $docker_host"
	tar -C "$BENCH" -c hello answer | $client import - mayfly-bench >/dev/null
	part "$BENCH/density" --name 'Docker container' --vms "$docker" --probes 5 "${options[@]}" \
		--start "$client run --detach --interactive --network none --name mayfly-bench-@ \
mayfly-bench /answer" --detached --ask "$client attach mayfly-bench-@" \
		--end "$client rm --force mayfly-bench-@" --dir "$work/fifo" \
		--hello "$client run --rm --network none mayfly-bench /hello"
}

make_room
warn_if_busy
[ $json -eq 0 ] || echo '['
[ "$vms" -eq 0 ] || density_vms "$@"
[ "$processes" -eq 0 ] || density_processes
[ "$runc" -eq 0 ] || density_runc
[ "$docker" -eq 0 ] || density_docker
[ $json -eq 0 ] || echo ']'
[ $status -eq 0 ]
