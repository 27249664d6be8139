# SPDX-License-Identifier: Apache-2.0
#
# net-tap.sh: a VM on a tap behind a bridge and a veth: ping, TCP, UDP, a clean end.
#
# shellcheck shell=sh source=tests/amdv/scripts/lib-net.sh
. scripts/lib-net.sh

net_test tap,bridge=br0
