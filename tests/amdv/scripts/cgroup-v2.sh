# SPDX-License-Identifier: Apache-2.0
#
# cgroup-v2.sh: tests/unit/test_cgroup_live.c where all controllers are in the v2 hierarchy.
#
# shellcheck shell=sh source=tests/amdv/scripts/lib.sh
. scripts/lib.sh

mount_v2
check "test_cgroup_live was built" [ -x /bin/test_cgroup_live ]
CMOCKA_MESSAGE_OUTPUT=TAP test_cgroup_live >/tmp/tap 2>&1 || {
	cat /tmp/tap
	fail "test_cgroup_live: see above"
}
# Here nothing may be skipped, least of all what is v2's alone.
check "nothing was skipped" [ "$(grep -c SKIP /tmp/tap)" -eq 0 ]
check "nothing is left" [ -z "$(find /sys/fs/cgroup -name '*mayfly*')" ]
