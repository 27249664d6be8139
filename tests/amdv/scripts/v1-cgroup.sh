# SPDX-License-Identifier: Apache-2.0
#
# v1-cgroup.sh: tests/unit/test_cgroup_*.c on v1 as systemd mounts it: cpu and cpuacct in one
# hierarchy, memory and pids in others, and v2 without controllers beside them.
#
# The last of the scripts, by its name: controllers that have gone to v1 come back only if
# they like.
#
# shellcheck shell=sh source=tests/amdv/scripts/lib.sh
. scripts/lib.sh

# A controller leaves v2 when there is no trace of a cgroup with it. For memory, that is every
# page that one has paid for: files, in this machine.
mount_v1() { # CONTROLLERS
	echo 3 >/proc/sys/vm/drop_caches
	mount -t cgroup -o "$1" none "/sys/fs/cgroup/$1" 2>/dev/null
}

umount -l /run/netns 2>/dev/null || true # ip netns mounts it over itself
rm -rf /run/* /tmp/user-run $log $reply /tmp/tap /tmp/curl.err
mount -t tmpfs none /sys/fs/cgroup
at_exit 'umount /sys/fs/cgroup/*; umount /sys/fs/cgroup'
mkdir /sys/fs/cgroup/unified
mount -t cgroup2 none /sys/fs/cgroup/unified
for controllers in cpu,cpuacct memory pids; do
	mkdir "/sys/fs/cgroup/$controllers"
	soon 20 mount_v1 $controllers || fail "v1 of $controllers cannot be mounted"
done
cgroup_tests /tmp/tap
check "v1 was found: v2's tests were skipped" grep -q SKIP /tmp/tap
