# SPDX-License-Identifier: Apache-2.0
#
# lib-net.sh: two namespaces joined by a veth: c has 10.9.0.1 on c0; h has h0, a port of br0. A
# VM in h, a client in c. busybox's own ip knows no veth.
#
# shellcheck shell=sh source=tests/amdv/scripts/lib.sh
. scripts/lib.sh

iproute() {
	/iproute2/ip "$@"
}

# shellcheck disable=SC2016
at_exit 'for ns in c h; do iproute netns del $ns; done'
for ns in c h; do
	iproute netns add $ns
	iproute -n $ns link set lo up
done
iproute link add c0 netns c type veth peer name h0 netns h
iproute netns exec c ethtool -K c0 tx off >/dev/null # as on a line: no checksum is left out
iproute netns exec h ethtool -K h0 tx off >/dev/null
iproute -n h link add br0 type bridge
iproute -n h link set h0 master br0
for link in 'c c0' 'h h0' 'h br0'; do
	iproute -n "${link% *}" link set "${link#* }" up
done
iproute -n c address add 10.9.0.1/24 dev c0
iproute -n c address add fd09::1/64 dev c0 nodad

in_c() {
	iproute netns exec c "$@"
}

interfaces() {
	iproute -n h -o link | sed -E 's/^[0-9]+: ([^:@]*).*/\1/'
}

as_before() {
	[ "$(interfaces)" = "$before" ]
}

ready() {
	grep -q ready /tmp/vm.out
}

# net_test OPTION: the server of tests/net in a VM with that --net, asked by its client.
net_test() {
	before=$(interfaces)
	iproute netns exec h mayfly run --net \
		"$1,mac=02:00:0a:09:00:02,ip=10.9.0.2/24,ip=fd09::2/64,gw=10.9.0.1" net/serve \
		>/tmp/vm.out 2>/tmp/vm.err &
	vm=$!
	soon 10 ready || fail "$1: it does not get ready: $(tail -n 3 /tmp/vm.err)"
	check "$1: ping" in_c ping -c 3 -W 5 -s 1400 10.9.0.2 >/tmp/ping.out
	check "$1: ping, IPv6" in_c ping -6 -c 3 -W 5 fd09::2 >/tmp/ping.out
	for address in 10.9.0.2 fd09::2; do
		check "$1: UDP" in_c net/ask udp $address 5 1000 >/dev/null
		check "$1: TCP" in_c net/ask both $address 100000 >/dev/null
		check "$1: half-closed" in_c net/ask half $address
		check "$1: RST" in_c net/ask reset $address
	done
	check "$1: many connections" in_c net/ask many 10.9.0.2 20 >/dev/null
	check "$1: end" in_c net/ask end 10.9.0.2
	wait $vm || fail "$1: exit code $?: $(tail -n 3 /tmp/vm.err)"
	check "$1: nothing is left" soon 5 as_before
}
