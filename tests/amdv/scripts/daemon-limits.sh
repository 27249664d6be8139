# SPDX-License-Identifier: Apache-2.0
#
# daemon-limits.sh: a daemon's VMs are limited by cgroup v2.
#
# shellcheck shell=sh source=tests/amdv/scripts/lib.sh
. scripts/lib.sh

mount_v2
# As in a systemd unit with Delegate=yes: a cgroup of the daemon's own, and not the root.
echo '+memory +cpu +pids' >/sys/fs/cgroup/cgroup.subtree_control
unit=/sys/fs/cgroup/unit
mkdir $unit
echo 0 >$unit/cgroup.procs # this shell; the daemon inherits it, and then this shell leaves
mayfly daemon --shells 1 --cgroup auto >$log 2>&1 &
daemon=$!
echo 0 >/sys/fs/cgroup/cgroup.procs
check "it answers" soon 10 is_ready
check "it is in a leaf" grep -q '^0::/unit/mayfly-daemon$' "/proc/$daemon/cgroup"
own=$unit/mayfly/daemon-$daemon
check "a shell gets ready" soon 10 shells_ready 1
check "in a cgroup of its own" [ -d $own/shell-1 ]

# The limits of a VM that runs stand in its cgroup.
api /v1/vms '{"image": "/programs/busybox", "argv0": "sleep", "args": ["1000"], "name": "a",
	"limits": {"memory_max_mib": 20, "cpus": 0.5, "cpu_weight": 50, "pids_max": 3}}' ||
	fail "$(cat $reply)"
api /v1/vms/a
cgroup=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(field pid)/cgroup")
check "its process is in a shell's cgroup" [ "${cgroup%/*}" = "$own" ]
check "memory.max" [ "$(cat "$cgroup/memory.max")" = 20971520 ]
check "cpu.max" [ "$(cat "$cgroup/cpu.max")" = "50000 100000" ]
check "cpu.weight" [ "$(cat "$cgroup/cpu.weight")" = 50 ]
check "pids.max" [ "$(cat "$cgroup/pids.max")" = 3 ]
api '/v1/vms/a/kill?signal=KILL' ''
check "its cgroup goes with it" soon 5 [ ! -d "$cgroup" ]

# A program that wants more than it may: it ends, and the reason is told.
api /v1/vms '{"image": "/programs/busybox", "argv0": "dd", "wait": true,
	"args": ["if=/dev/zero", "of=/dev/null", "bs=40M", "count=1"],
	"memory_mib": 64, "limits": {"memory_max_mib": 20}}' || fail "$(cat $reply)"
says '"end":"failed"' '"exit_code":125' 'memorylimit'
api /v1/vms '{"image": "/programs/busybox", "argv0": "dd", "wait": true,
	"args": ["if=/dev/zero", "of=/dev/null", "bs=40M", "count=1"],
	"memory_mib": 64, "limits": {"memory_max_mib": 60}}' || fail "$(cat $reply)"
says '"exit_code":0'

# What a killed daemon leaves, the next removes.
stop_daemon KILL
check "a cgroup is left" [ -d "$own" ]
check "without processes, soon" soon 5 grep -q 'populated 0' $unit/mayfly/cgroup.events
start_daemon --shells 1 --cgroup /unit/mayfly
check "the leftover goes" soon 5 [ ! -d "$own" ]
check "the new one's is there" [ -d "$unit/mayfly/daemon-$daemon" ]
stop_daemon TERM
check "and nothing when it has ended" [ -z "$(find $unit -name 'daemon-*')" ]
