# SPDX-License-Identifier: Apache-2.0
#
# daemon-user.sh: a daemon that is not root's, in a cgroup v2 that was delegated to its user.
#
# shellcheck shell=sh source=tests/amdv/scripts/lib.sh
. scripts/lib.sh

mount_v2
chmod 666 /dev/kvm
echo '+memory +cpu +pids' >/sys/fs/cgroup/cgroup.subtree_control
unit=/sys/fs/cgroup/unit
mkdir $unit
# What systemd gives away with Delegate=yes (cgroup-v2.rst, "Delegation").
chown nobody $unit $unit/cgroup.procs $unit/cgroup.subtree_control $unit/cgroup.threads
echo 0 >$unit/cgroup.procs
export MAYFLY_RUN_DIR=/tmp/user-run
SOCKET=$MAYFLY_RUN_DIR/mayfly.sock
su nobody -c "exec /mayfly/mayfly daemon --shells 1 --cgroup auto" >$log 2>&1 &
daemon=$!
echo 0 >/sys/fs/cgroup/cgroup.procs
check "it answers" soon 10 is_ready
check "it is in a leaf" grep -q '^0::/unit/mayfly-daemon$' "/proc/$daemon/cgroup"
check "a shell gets ready" soon 10 shells_ready 1
check "in a cgroup of its own" grep -q . $unit/mayfly/daemon-*/shell-1/cgroup.procs
api /v1/vms '{"image": "/programs/busybox", "argv0": "dd", "wait": true,
	"args": ["if=/dev/zero", "of=/dev/null", "bs=40M", "count=1"],
	"memory_mib": 64, "limits": {"memory_max_mib": 20}}' || fail "$(cat $reply)"
says '"end":"failed"' 'memorylimit'
api /v1/vms '{"image": "/guest-cli/hello", "wait": true, "limits": {"pids_max": 4}}' ||
	fail "$(cat $reply)"
says '"exit_code":0'
stop_daemon TERM
check "nothing is left" [ -z "$(find $unit -mindepth 1 -type d)" ]
