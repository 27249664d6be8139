/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port.bpf.c: what VMs' own veth pairs run: which frames reach a VM, and which leave it.
 *
 *   mayfly_port1  XDP, at the VM's end: frames for it, and broadcast and multicast, go to its
 *                 AF_XDP socket; a VM never sees another's unicast
 *   mayfly_guard  tc ingress, at the other end: frames that bear the VM's source address go
 *                 on to its macvlan; a forged one ends here, and so do those by which switches
 *                 talk to each other (01:80:c2:00:00:0x, IEEE 802.1Q 8.6.3)
 *   mayfly_relay  tc ingress of the macvlan: all that it takes goes to the VM
 *
 * One instance of mayfly_port1 serves all VMs: attaching an XDP program that is attached nowhere
 * yet takes 10 ms (the kernel rewrites the code that calls XDP programs, and waits for all who
 * are in it), attaching it once more 0.03. The number of the VM's end tells VMs apart.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "port_maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORT_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} mf_port_mac SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, PORT_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} mf_port_sock SEC(".maps");

SEC("xdp")
int mayfly_port1(struct xdp_md *ctx)
{
	unsigned char *frame = (unsigned char *)(long)ctx->data;
	__u32 slot = ctx->ingress_ifindex;
	__u64 mac = 0, *own;

	if (frame + ETH_HLEN > (unsigned char *)(long)ctx->data_end)
		return XDP_DROP;
	__builtin_memcpy(&mac, frame, ETH_ALEN);
	own = bpf_map_lookup_elem(&mf_port_mac, &slot);
	if (!own || (*own != mac && !(frame[0] & 1)))
		return XDP_DROP;
	return bpf_redirect_map(&mf_port_sock, slot, XDP_DROP);
}

SEC("tc")
int mayfly_guard(struct __sk_buff *skb)
{
	unsigned char *frame = (unsigned char *)(long)skb->data;
	__u32 slot = skb->ifindex - PORT_FAR;
	__u64 mac = 0, *own;

	if (frame + ETH_HLEN > (unsigned char *)(long)skb->data_end)
		return TC_ACT_SHOT;
	__builtin_memcpy(&mac, frame + ETH_ALEN, ETH_ALEN);
	own = bpf_map_lookup_elem(&mf_port_mac, &slot);
	if (!own || *own != mac)
		return TC_ACT_SHOT;
	mac = 0;
	__builtin_memcpy(&mac, frame, ETH_ALEN);
	if ((mac & 0xf0ffffffffffull) == 0x0000c28001ull)
		return TC_ACT_SHOT;
	return bpf_redirect(slot + PORT_UPLINK, 0);
}

SEC("tc")
int mayfly_relay(struct __sk_buff *skb)
{
	return bpf_redirect(skb->ifindex - PORT_UPLINK + PORT_FAR, 0);
}

char _license[] SEC("license") = "Apache-2.0";
