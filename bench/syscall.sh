#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# syscall.sh [--runs N] [--json]
#
# What a system call costs, natively and in a VM: syscall.c run N (5) times in each, in
# turn; the median of each program's own median. First it makes sure that the two forms
# of getppid are rewritten and not rewritten.
set -euo pipefail
# shellcheck source=bench/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

runs=5 json=0
while [ $# -gt 0 ]; do
	case $1 in
	--runs) runs=${2:?--runs N} && shift ;;
	--json) json=1 ;;
	*) sed -n '4,8s/^# \{0,1\}//p' "$0" && exit 2 ;;
	esac
	shift
done
image=$BENCH/syscall
need "$MAYFLY" "$image"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What inspect says of the one, and what the guest's kernel counted of the other.
check_forms() {
	local asked counted
	"$MAYFLY" inspect --json "$image" >"$work/inspect"
	grep -A1 '"function": "getppid_plain"' "$work/inspect" | grep -q '"state": "rewritten"' ||
		die "getppid_plain is not rewritten: its figure would be wrong"
	"$MAYFLY" run --stats "$image" >"$work/out" 2>"$work/stats"
	asked=$(awk '$1 == "getppid-trapped" { print $3 }' "$work/out")
	counted=$(sed -n 's/.*syscalls: [0-9]*, \([0-9]*\) trapped.*/\1/p' "$work/stats")
	# A few of libc's own may trap too.
	if [ "$counted" -lt "$asked" ] || [ "$counted" -gt $((asked + 100)) ]; then
		die "$counted calls trapped, and $asked were to"
	fi
	say "$asked calls were to trap, $counted did"
}

warn_if_busy
check_forms
for ((i = 0; i < runs; i++)); do
	"$image" | sed 's/^/native /'
	"$MAYFLY" run "$image" | sed 's/^/vm /'
done >"$work/samples"

# NATIVE|VM NAME: the median.
median() {
	awk -v way="$1" -v name="$2" '$1 == way && $2 == name { print $3 }' "$work/samples" | sort -n |
		awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

kvm=$(kvm_kind) date=$(date -u +%Y-%m-%dT%H:%M:%SZ)
if [ $json -eq 1 ]; then
	printf '{"kvm": "%s", "kernel": "%s", "date": "%s", "runs": %d, "calls": [' "$kvm" \
		"$(uname -r)" "$date" "$runs"
else
	echo "machine:$(sed -n 's/^model name.*://p' /proc/cpuinfo | head -n 1), $(nproc) CPUs," \
		"Linux $(uname -r), KVM: $kvm"
	printf 'date: %s\n\n%-20s %10s %10s %8s\n' "$date" "call (ns)" native VM ratio
fi
separator=
for name in getppid getppid-trapped clock_gettime; do
	native=$(median native $name) vm=$(median vm $name)
	ratio=$(awk -v a="$vm" -v b="$native" 'BEGIN { printf "%.2f", a / b }')
	if [ $json -eq 1 ]; then
		printf '%s\n {"name": "%s", "native_ns": %s, "vm_ns": %s, "ratio": %s}' "$separator" \
			$name "$native" "$vm" "$ratio"
		separator=,
	else
		printf '%-20s %10.1f %10.1f %8s\n' $name "$native" "$vm" "$ratio"
	fi
done
[ $json -eq 0 ] || echo ']}'
