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

# Others' work on a shared machine shows in every figure.
warn_if_busy() {
	local load
	read -r load _ </proc/loadavg
	awk -v load="$load" -v n="$(nproc)" 'BEGIN { exit !(load > n / 2) }' || return 0
	say "the load average is $load on $(nproc) CPUs: figures will vary"
}
