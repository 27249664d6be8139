# SPDX-License-Identifier: Apache-2.0
#
# cgroup-v1.sh: tests/unit/test_cgroup_*.c on v1 as systemd mounts it: cpu and cpuacct in one
# hierarchy, memory and pids in others, and v2 without controllers beside them.
#
# It has to run before what uses v2, for memory never leaves v2 as long as a file's page lives
# that a cgroup there has paid for.
#
# shellcheck shell=sh source=tests/amdv/scripts/lib.sh
. scripts/lib.sh

v1="cpu,cpuacct memory pids"

# A controller goes back to v2 when its hierarchy is unmounted and has no trace of a cgroup,
# which takes a moment; if it is too early it is mounted and unmounted again.
is_back() { # CONTROLLERS
	echo 3 >/proc/sys/vm/drop_caches
	umount "/sys/fs/cgroup/$1" 2>/dev/null || true
	grep -q "^${1%,*}	0	" /proc/cgroups && return
	mount -t cgroup -o "$1" none "/sys/fs/cgroup/$1"
	return 1
}

release() {
	for controllers in $v1; do
		soon 20 is_back "$controllers" || echo "$controllers does not go back to v2" >&2
	done
	umount /sys/fs/cgroup/unified
	umount /sys/fs/cgroup
}

mount -t tmpfs none /sys/fs/cgroup
at_exit release
mkdir /sys/fs/cgroup/unified
mount -t cgroup2 none /sys/fs/cgroup/unified
for controllers in $v1; do
	mkdir "/sys/fs/cgroup/$controllers"
	mount -t cgroup -o "$controllers" none "/sys/fs/cgroup/$controllers"
done
cgroup_tests /tmp/tap
check "v1 was found: v2's tests were skipped" grep -q SKIP /tmp/tap
