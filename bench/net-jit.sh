#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# net-jit.sh [--clients N] [--intervals US,...] [--device tap|xdp] [--ready N] [--json]
#
# A VM is started by the first packet to its address (LightVM, figure 16): N (1000) clients, each
# with an address of its own, send one ping each, one after the other at each of the intervals
# (1000, 5000, 10000, 50000, 100000 us). How long until the answer, and how many got none.
#
#   clients     namespace C, 10.9.0.1/16, a veth to
#   dispatcher  namespace H, on the bridge: sees the ARP request for an address that has no
#               VM, and asks the daemon for one; net_jit.c is both
#   daemon      with --ready (N + 8) shells that have a tap or a veth on the bridge already
#   VM          noop: tells its address when it starts, which answers the client's ARP request;
#               the ping that the client's kernel has kept meanwhile is answered by the library kernel
#
# All VMs run until the last client is done. Broadcasts are not flooded to them (flood=off): a
# thousand that wake up for each other's ARP requests are no part of what is measured.
set -euo pipefail
# shellcheck source=bench/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

APPS=$(realpath -m "${APPS:-$root/build/apps}")
clients=1000 intervals=1000,5000,10000,50000,100000 device=tap json=0 ready=
while [ $# -gt 0 ]; do
	case $1 in
	--clients) clients=${2:?--clients N} && shift ;;
	--intervals) intervals=${2:?--intervals US,...} && shift ;;
	--device) device=${2:?--device tap or xdp} && shift ;;
	--ready) ready=${2:?--ready N} && shift ;;
	--json) json=1 ;;
	*) sed -n '4,8s/^# \{0,1\}//p' "$0" && exit 2 ;;
	esac
	shift
done
case $device in
tap) device=tap,bridge=br0,flood=off ;;
xdp) device=xdp=br0,flood=off ;;
*) die '--device is tap or xdp' ;;
esac
ready=${ready:-$((clients + 8))}
need "$MAYFLY" "$BENCH/net_jit" "$APPS/noop"
for tool in ip ethtool jq curl; do
	command -v $tool >/dev/null || die "$tool is missing: scripts/deps.sh bench"
done
[ "$(id -u)" -eq 0 ] || die 'network namespaces are made by root'

make_work # sets $work
C=mfj$$.c H=mfj$$.h dispatcher=''
cleanup() {
	trap '' INT TERM
	[ -z "$dispatcher" ] || kill "$dispatcher" 2>/dev/null || true
	stop_daemon
	ip netns del $C 2>/dev/null || true
	ip netns del $H 2>/dev/null || true
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- the network ----

ip netns add $C
ip netns add $H
ip link add c0 netns $C type veth peer name h0 netns $H
ip -n $C address add 10.9.0.1/16 dev c0
ip -n $H link add br0 type bridge
ip -n $H link set h0 master br0
ip netns exec $C ethtool -K c0 tx off >/dev/null
for link in "$C lo" "$C c0" "$H lo" "$H h0" "$H br0"; do
	ip -n "${link% *}" link set "${link#* }" up
done
ip netns exec $C sh -c 'echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range
	echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6'

# ---- the daemon ----

api() { # METHOD PATH [BODY]
	curl -sS --fail-with-body --unix-socket "$socket" -X "$1" ${3+-d "$3"} "http://mayfly$2"
}

start_all() {
	MAYFLY="$work/mayfly" start_daemon "$work/run" "$work/daemon.log" --shells 0 --keep 100000
	api PUT /v1/pool "{\"flavours\": [{\"memory_mib\": 64, \"minimum\": 0, \"maximum\": 0},
		{\"memory_mib\": 64, \"minimum\": $ready, \"maximum\": $ready,
		\"net\": [\"$device\"]}]}" >"$work/pool" ||
		die "the pool: $(cat "$work/pool")"
	until [ "$(api GET /v1/pool | jq '.flavours[1].ready')" -ge "$ready" ]; do
		kill -0 "$daemon" || die "the daemon ended: $(tail -n 2 "$work/daemon.log")"
		[ "$(api GET /v1/pool | jq '.flavours[1].failed')" -lt 20 ] || die "shells fail: $(tail -n 2 "$work/daemon.log")"
		sleep 0.2
	done
	# One that does not count: what the first start does once is done.
	api POST /v1/vms "{\"image\": \"$APPS/noop\", \"net\": [\"$device,ip=10.9.255.254/16\"]}" >"$work/first" ||
		die "a VM: $(cat "$work/first")"
	mkfifo "$work/fifo"
	ip netns exec $H "$BENCH/net_jit" dispatcher br0 10.9 "$socket" \
		"{\"image\": \"$APPS/noop\", \"net\": [\"$device,ip=@/16\"]}" >"$work/fifo" 2>"$work/dispatcher" &
	dispatcher=$!
	read -r _ <"$work/fifo" || die "the dispatcher: $(cat "$work/dispatcher")"
	rm "$work/fifo"
}

stop_all() {
	kill "$dispatcher" 2>/dev/null || true
	wait "$dispatcher" 2>/dev/null || true
	dispatcher=
	stop_daemon
	rm -rf "$work/run"
	ip -n $C neigh flush all
}

# start_daemon starts it where it is; this one is in the namespace.
printf '#!/bin/sh\nexec ip netns exec %s %s "$@"\n' "$H" "$MAYFLY" >"$work/mayfly"
chmod 755 "$work/mayfly"
warn_if_busy
if [ $json -eq 1 ]; then
	echo '['
else
	echo '| every, ms | clients | lost | p50 ms | p90 ms | p99 ms | max ms | asked again |'
	echo '|---|---|---|---|---|---|---|---|'
fi
separator=
for interval in ${intervals//,/ }; do
	start_all
	ip netns exec $C "$BENCH/net_jit" clients 10.9 "$clients" "$interval" >"$work/out" || die "$(tail -n 2 "$work/dispatcher")"
	[ ! -s "$work/dispatcher" ] || say "$(tail -n 1 "$work/dispatcher")"
	if [ $json -eq 1 ]; then
		echo "$separator"
		awk -v i="$interval" '{ printf "{\"interval_us\": %d", i; for (n = 1; n < NF; n += 2) printf ", \"%s\": %s", $n, $(n + 1); print "}" }' "$work/out"
		separator=,
	else
		awk -v i="$interval" '{ printf "| %g ", i / 1000; for (n = 2; n <= NF; n += 2) printf "| %s ", $n; print "|" }' "$work/out"
	fi
	stop_all
done
[ $json -eq 0 ] || echo ']'
