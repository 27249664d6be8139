# SPDX-License-Identifier: Apache-2.0
#
# net-xdp.sh: a VM on AF_XDP behind a bridge and a veth: ping, TCP, UDP, a clean end.
#
# shellcheck shell=sh source=tests/amdv/scripts/lib-net.sh
. scripts/lib-net.sh

net_test xdp=br0

# On the interface itself, by its own queue.
iproute -n h link del br0
net_test xdp=h0
