# SPDX-License-Identifier: Apache-2.0
#
# cgroup-v2.sh: tests/unit/test_cgroup_*.c where all controllers are in the v2 hierarchy.
#
# shellcheck shell=sh source=tests/amdv/scripts/lib.sh
. scripts/lib.sh

mount_v2
cgroup_tests /tmp/tap
# Here nothing may be skipped, least of all what is v2's alone.
check "nothing was skipped" [ "$(grep -c SKIP /tmp/tap)" -eq 0 ]
