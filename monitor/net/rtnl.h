/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnl.h: interfaces by rtnetlink(7), as far as a VM's network needs it.
 *
 * A struct rtnl stays in the network namespace in which it was opened, wherever the process
 * goes. Requests wait for the kernel's answer and return 0 or -errno, without a message: the
 * caller knows what it was about.
 */
#ifndef MAYFLY_NET_RTNL_H
#define MAYFLY_NET_RTNL_H

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdint.h>

#include "../err.h"

/* IFLA_IFALIAS marks what is ours: of mayfly net create, and the ports of VMs. */
#define RTNL_ALIAS      "mayfly"
#define RTNL_ALIAS_PORT "mayfly vm"

struct rtnl {
	struct mnl_socket *netlink;
	int inet; /* any socket, for ioctls on interfaces */
	uint32_t seq;
};

struct rtnl_link {
	int index, master, lower; /* lower: IFLA_LINK, a veth's other end */
	uint32_t flags, mtu;
	uint8_t mac[6];
	char name[16], kind[16], port_kind[16], alias[64];
	uint32_t xdp_program; /* id; 0: none */
	bool xdp_generic;
};

struct rtnl_address {
	int index, family, prefix;
	uint8_t address[16];
};

int rtnl_open(struct rtnl *nl, struct err *err);
void rtnl_close(struct rtnl *nl);

/* A request in buf (RTNL_BYTES), to which attributes are put, and rtnl_talk. For links: its
 * struct ifinfomsg, of index (0: none yet). */
#define RTNL_BYTES 2048
struct nlmsghdr *rtnl_link_message(char *buf, uint16_t type, int flags, int index);
int rtnl_talk(struct rtnl *nl, struct nlmsghdr *message, mnl_cb_t each, void *data);

/* -ENODEV where there is none. */
int rtnl_link_get(struct rtnl *nl, const char *name, struct rtnl_link *link);
int rtnl_link_get_index(struct rtnl *nl, int index, struct rtnl_link *link);
/* Calls each for all links (addresses), until it returns not 0, which is returned. */
int rtnl_links(struct rtnl *nl, int (*each)(const struct rtnl_link *, void *), void *data);
int rtnl_addresses(struct rtnl *nl, int (*each)(const struct rtnl_address *, void *), void *data);

/* No IPv6 address of its own: for ends that only carry others' frames. Before it is up: the
 * kernel would send router solicitations and duplicate address detection into the VM. */
int rtnl_quiet(struct rtnl *nl, int index, const char *alias, int master);
int rtnl_up(struct rtnl *nl, int index);
int rtnl_delete(struct rtnl *nl, int index);
int rtnl_address_add(struct rtnl *nl, const struct rtnl_address *address);

/* Checksums of what is sent through it are computed, not promised: frames that go to AF_XDP
 * carry no note that the checksum is still to come. Segmentation offload goes with it. */
int rtnl_checksum_now(struct rtnl *nl, const char *name);

/* Makes a port that belongs to a VM of this MAC safe for its neighbours: no flooding of others'
 * unicast into it, nothing learnt from it, and only frames from its MAC taken (Linux 5.18).
 * quiet: nor does it get what is for all.
 * A message: the MAC is in use at another port, ... */
int rtnl_bridge_port(struct rtnl *nl, const struct rtnl_link *bridge, int port,
		     const uint8_t mac[6], bool quiet, struct err *err);

void rtnl_random(void *to, size_t bytes);
/* Address of an interface that stands on the host's side: high, so that a bridge does not take
 * it for its own, and nobody's. Fills mac. */
void rtnl_random_mac(uint8_t mac[6], uint8_t first);
/* A name that is not taken: "mf" and eight hexadecimal digits. */
void rtnl_random_name(char name[16]);

/* For messages: "02:00:00:00:00:01", in one of a few static buffers. */
const char *rtnl_mac_text(const uint8_t mac[6]);

#endif
