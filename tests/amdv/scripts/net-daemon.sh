# SPDX-License-Identifier: Apache-2.0
#
# net-daemon.sh: the daemon's VMs on AF_XDP: one whose device is opened for it, one whose shell
# has had it before. (Before Linux 6.4 sockets cannot be bound from within the jail.)
#
# shellcheck shell=sh source=tests/amdv/scripts/lib-net.sh
. scripts/lib-net.sh

flavour_ready() {
	api /v1/pool && grep -q '"ready":1[^}]*"net"' $reply
}

# A program that answers at port 80: NUMBER is the last of its address.
serve() {
	api /v1/vms "{\"image\": \"/guest-cli/answer\", \"args\": [\"80\", \"vm$1\"],
		\"net\": [\"xdp=br0,ip=10.9.0.$1/24\"]}" || fail "vm$1: $(cat $reply)"
	soon 10 answers "$1" || fail "vm$1 does not answer: $(cat $reply)"
}

answers() {
	[ "$(echo x | in_c timeout 3 nc "10.9.0.$1" 80)" = "vm$1" ]
}

mayfly() {
	exec /iproute2/ip netns exec h /mayfly/mayfly "$@"
}
start_daemon --shells 1
serve 2
says '"kind":"xdp"'
/mayfly/mayfly pool set -m 64M:1:1 -m 64M:1:1 --net xdp=br0 >/dev/null
check "a shell with its device gets ready" soon 10 flavour_ready
serve 3
api /v1/pool
says '"warm":1'
answers 2 || fail "vm2 does not answer any more"
