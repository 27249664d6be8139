/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer.bpf.c: the XDP program of an interface that VMs use: one instance for all of them.
 *
 *   unicast, destination in mf_macs    to the VM's port, a veth (share)
 *   for the VM of the queue it is in,  to the AF_XDP socket of the queue (without share)
 *   broadcast and multicast, too
 *   everything else                    to the host, as if this program were not there
 *
 * A VM that is gone has no entry in mf_ports or mf_socks any more, the kernel takes care of it;
 * the redirect then fails over to XDP_PASS. What is left of it in the other maps is harmless.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>

#include "steer_maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_VMS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64); /* MAC */
	__type(value, __u32);
} mf_macs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, STEER_VMS);
	__type(key, __u32); /* mf_macs' value */
	__type(value, __u32);
} mf_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STEER_QUEUES);
	__type(key, __u32);
	__type(value, __u64); /* MAC */
} mf_queues SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, STEER_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} mf_socks SEC(".maps");

SEC("xdp")
int mayfly_steer(struct xdp_md *ctx)
{
	unsigned char *frame = (unsigned char *)(long)ctx->data;
	__u32 queue = ctx->rx_queue_index;
	__u64 mac = 0, *own;
	__u32 *port;

	if (frame + ETH_HLEN > (unsigned char *)(long)ctx->data_end)
		return XDP_PASS;
	__builtin_memcpy(&mac, frame, ETH_ALEN);

	if (!(frame[0] & 1)) {
		port = bpf_map_lookup_elem(&mf_macs, &mac);
		if (port)
			return bpf_redirect_map(&mf_ports, *port, XDP_PASS);
	}
	own = bpf_map_lookup_elem(&mf_queues, &queue);
	if (own && *own && (frame[0] & 1 || *own == mac || *own & STEER_ALL))
		return bpf_redirect_map(&mf_socks, queue, XDP_PASS);
	return XDP_PASS;
}

char _license[] SEC("license") = "Apache-2.0";
