# SPDX-License-Identifier: Apache-2.0
#
# cgroup-v1.sh: tests/unit/test_cgroup_live.c on v1 as systemd mounts it: cpu and cpuacct in
# one hierarchy, memory and pids in others, and v2 without controllers beside them.
#
# shellcheck shell=sh source=tests/amdv/scripts/lib.sh
. scripts/lib.sh

mount -t tmpfs none /sys/fs/cgroup
at_exit 'umount /sys/fs/cgroup/*; umount /sys/fs/cgroup'
for controllers in unified cpu,cpuacct memory pids; do
	mkdir "/sys/fs/cgroup/$controllers"
	if [ $controllers = unified ]; then
		mount -t cgroup2 none /sys/fs/cgroup/unified
	else
		mount -t cgroup -o $controllers none "/sys/fs/cgroup/$controllers"
	fi
done
check "test_cgroup_live was built" [ -x /bin/test_cgroup_live ]
CMOCKA_MESSAGE_OUTPUT=TAP test_cgroup_live >/tmp/tap 2>&1 || {
	cat /tmp/tap
	fail "test_cgroup_live: see above"
}
check "v1 was found" grep -q "SKIP" /tmp/tap # what is v2's alone
check "nothing is left" [ -z "$(find /sys/fs/cgroup -name '*mayfly*')" ]
