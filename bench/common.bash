# SPDX-License-Identifier: Apache-2.0
#
# common.bash: what the benchmarks' drivers share.
#
# $MAYFLY    the monitor                    (build/mayfly)
# $BENCH     the programs of bench/*.c      (build/bench)
# $PROGRAMS  what programs/build.sh made    (build/tests/programs)
#
# shellcheck shell=bash disable=SC2034 # what the drivers use

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
MAYFLY=$(realpath -m "${MAYFLY:-$root/build/mayfly}")
BENCH=$(realpath -m "${BENCH:-$root/build/bench}")
PROGRAMS=$(realpath -m "${PROGRAMS:-$root/build/tests/programs}")
export LC_ALL=C

say() {
	echo "${0##*/}: $*" >&2
}

die() {
	say "$*"
	exit 1
}

# need FILE...: executables that make builds.
need() {
	local file
	for file in "$@"; do
		[ -x "$file" ] || die "$file is missing: run make bench"
	done
}

# The kind of KVM, as the doctor names it: "PVM", "AMD-V", "VT-x" ...
kvm_kind() {
	"$MAYFLY" doctor --json |
		sed -n 's/.*"name": "kvm-kind".*"found": "\([^:"]*\).*/\1/p'
}

# make_work: $work, a directory for all that a benchmark leaves. In memory, as /run is where
# daemons have theirs, if there is such a place; a disk's file system makes sockets slowly.
work=
make_work() {
	local at=/dev/shm
	[ "$(stat -f -c %T $at 2>/dev/null)" = tmpfs ] && [ -w $at ] || at=${TMPDIR:-/tmp}
	work=$(mktemp -d "$at/mayfly-bench.XXXXXX")
}

# prepare_zygote DIR PROGRAM: a run directory for the programs here that start a zygote of their own,
# with the program prepared in it. What was made a moment ago is not kept at once: its time
# stamps could not tell a change.
prepare_zygote() {
	mkdir -m 700 "$1"
	until [ -n "$(find "$1" -name 'id-*' -print -quit)" ]; do
		MAYFLY_RUN_DIR=$1 "$MAYFLY" run "$2" >/dev/null
	done
}

# start_daemon RUN_DIR LOG OPTION...: a daemon of our own. Sets $daemon (its PID), $zygote (its
# child's) and $socket.
daemon='' zygote='' socket=''
start_daemon() {
	local dir=$1 log=$2 tries=0
	shift 2
	[ -d "$dir" ] || mkdir -m 700 "$dir"
	MAYFLY_RUN_DIR=$dir "$MAYFLY" daemon "$@" >"$log" 2>&1 &
	daemon=$! socket=$dir/mayfly.sock
	until grep -qs 'ready on' "$log"; do
		if ! kill -0 "$daemon" 2>/dev/null || [ $((tries += 1)) -gt 100 ]; then
			die "the daemon does not start: $(tail -n 1 "$log")"
		fi
		sleep 0.1
	done
	zygote=$(ps -o pid= --ppid "$daemon" | tr -d ' ')
}

# Ends it, and with it all its VMs. The zygote is PID 1 of their namespace: it is gone when they
# are.
stop_daemon() {
	local pid=$daemon
	[ -n "$pid" ] || return 0
	daemon=
	kill "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	while [ -n "$zygote" ] && [ -e "/proc/$zygote" ]; do
		sleep 0.1
	done
}

# start_dockerd DIR: an engine of our own, so that nobody else's images, settings or containers are
# touched. Sets $docker_host; false, and said why, if there is none.
dockerd='' docker_host=''
start_dockerd() {
	local dir=$1 tries=0
	command -v docker >/dev/null || { say "docker left out: not installed" && return 1; }
	command -v dockerd >/dev/null || { say "docker left out: no dockerd" && return 1; }
	[ "$(id -u)" -eq 0 ] || { say "docker left out: not root" && return 1; }
	docker_host=unix://$dir/docker.sock
	dockerd --iptables=false --bridge=none --data-root "$dir/data" --exec-root "$dir/exec" \
		--host "$docker_host" --pidfile "$dir/docker.pid" --cgroup-parent "mayfly-bench-$$" >"$dir/dockerd.log" 2>&1 &
	dockerd=$!
	until docker --host "$docker_host" info >/dev/null 2>&1; do
		if ! kill -0 "$dockerd" 2>/dev/null || [ $((tries += 1)) -gt 150 ]; then
			say "docker left out: dockerd does not start: $(tail -n 1 "$dir/dockerd.log")"
			return 1
		fi
		sleep 0.2
	done
}

# stop_dockerd DIR: and its containers, and the mounts that they may have left.
stop_dockerd() {
	local pid=$dockerd dir=$1
	[ -n "$pid" ] || return 0
	dockerd=
	docker --host "$docker_host" ps --quiet 2>/dev/null |
		xargs -r docker --host "$docker_host" kill >/dev/null 2>&1 || true
	kill "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo |
		sort -r | while read -r mount; do umount "$mount" || true; done
	find /sys/fs/cgroup -depth -type d -path "*/mayfly-bench-$$*" -exec rmdir {} + || true
}

# bundle DIR PROGRAM: an OCI bundle of that one file, without a terminal.
bundle() {
	local dir=$1 program=$2 name
	name=$(basename "$program")
	mkdir -p "$dir/rootfs"
	cp "$program" "$dir/rootfs/$name"
	(cd "$dir" && runc spec)
	jq --arg program "/$name" '.process.terminal = false | .process.args = [$program]' \
		"$dir/config.json" >"$dir/new"
	mv "$dir/new" "$dir/config.json"
}

# have_runc: or says why runc is left out.
have_runc() {
	command -v runc >/dev/null || { say "runc left out: not installed" && return 1; }
	command -v jq >/dev/null || { say "runc left out: jq is not installed" && return 1; }
	[ "$(id -u)" -eq 0 ] || { say "runc left out: not root" && return 1; }
}

# Others' work on a shared machine shows in every figure.
warn_if_busy() {
	local load
	read -r load _ </proc/loadavg
	awk -v load="$load" -v n="$(nproc)" 'BEGIN { exit !(load > n / 2) }' || return 0
	say "the load average is $load on $(nproc) CPUs: figures will vary"
}
