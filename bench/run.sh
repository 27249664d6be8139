#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [--build DIR] [--full]
#
# All benchmarks, one after the other; some minutes with the short defaults, half an hour and
# 16 GiB of memory with --full. For one of them and its options see bench/README.md.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$here/../build runs=100 repeats=3 rounds=3 seconds=5
many=(--vms 500 --runc 20 --docker 5 --probes 20 --idle 3 --marks '1,10,100')
net=(--rounds 3 --ms 700) jit=(--clients 100 --intervals '1000,10000')
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=${2:?--build DIR} && shift ;;
	--full)
		runs=1000 repeats=15 rounds=9 seconds=10 many=(--vms 20000)
		net=(--rounds 9) jit=()
		;;
	*) sed -n '4,7s/^# \{0,1\}//p' "$0" && exit 2 ;;
	esac
	shift
done
export MAYFLY=$build/mayfly BENCH=$build/bench PROGRAMS=$build/tests/programs APPS=$build/apps

title() {
	printf '\n== %s ==\n' "$*"
}

title 'boot: one program, start to end'
"$here/boot.sh" --runs "$runs"
title 'boot, with a pause of 2 ms before each sample'
"$here/boot.sh" --runs "$runs" --pause 2000 --no-runc --no-docker --no-published
title 'prepared VMs: one program, start to end'
"$here/shell.sh" --runs "$runs"
title 'prepared VMs: starts a second'
"$here/sustained.sh" --seconds "$seconds"
title 'system calls'
"$here/syscall.sh" --runs "$repeats"
title 'computing'
"$here/cpu.sh" --runs "$repeats"
title 'memory of a running program'
"$here/memory.sh" --rounds "$rounds"
title 'network: the same servers in four homes'
"$here/net.sh" "${net[@]}"
title 'network: VMs started by the first packet'
"$here/net-jit.sh" "${jit[@]}"
title 'many at once'
"$here/density.sh" "${many[@]}"
