/* SPDX-License-Identifier: Apache-2.0 */
/* steer.c: see steer.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "program.h"
#include "steer.h"
#include "steer_maps.h"

#define GONE_MS 2000 /* a link whose holder is gone is detached a little later */

/* ---- one that is there ---- */

/* The link that attaches this program. -ENOENT: none. */
static int find_link(uint32_t program)
{
	uint32_t id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		struct bpf_link_info info = {0};
		uint32_t len = sizeof(info);
		int fd = bpf_link_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &len) && info.type == BPF_LINK_TYPE_XDP &&
		    info.prog_id == program)
			return fd;
		close(fd);
	}
	return -ENOENT;
}

/* 0: taken over; -ENOENT: it is gone, or just going; -EBUSY: somebody else's. */
static int take_over(struct steer *steer, const struct rtnl_link *link, struct err *err)
{
	static const char *const names[] = {"mf_macs", "mf_ports", "mf_queues", "mf_socks"};
	struct bpf_prog_info info = {0};
	int maps[4], ret = program_by_id(link->xdp_program, &info);

	if (ret == -ENOENT)
		return ret;
	if (ret == -EPERM) {
		err_set(err, 0,
			"%s has an XDP program (id %u): to see whether it is mayfly's takes "
			"CAP_SYS_ADMIN",
			link->name, link->xdp_program);
		return ret;
	}
	if (ret < 0 || strcmp(info.name, STEER_PROGRAM)) {
		err_set(err, 0,
			"%s has an XDP program of somebody else's (id %u, %s), which is left "
			"alone: use another interface, or a bridge (mayfly net create)",
			link->name, link->xdp_program, ret < 0 ? "unreadable" : info.name);
		return -EBUSY;
	}
	close(ret);
	steer->link = find_link(link->xdp_program);
	if (steer->link < 0)
		return -ENOENT;
	ret = program_maps_by_id(link->xdp_program, names, maps, 4);
	if (ret)
		return ret;
	steer->macs = maps[0];
	steer->ports = maps[1];
	steer->queues = maps[2];
	steer->socks = maps[3];
	if (steer->macs >= 0 && steer->ports >= 0 && steer->queues >= 0 && steer->socks >= 0)
		return 0;
	err_set(err, 0, "%s is used by another version of mayfly", link->name);
	return -EBUSY;
}

/* ---- a new one ---- */

static int attach_mode(const struct rtnl_link *link, int program, bool native)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	int fd = bpf_link_create(program, link->index, BPF_XDP, &opts);

	return fd < 0 ? -errno : fd;
}

static int attach_new(struct steer *steer, const struct rtnl_link *link, enum net_mode mode,
		      struct err *err)
{
	struct bpf_object *object = program_open(PROGRAM_STEER, err);
	int ret, program;

	if (!object)
		return -EINVAL;
	ret = program_load(object, link->name, err);
	if (ret)
		return ret;
	program = program_fd(object, STEER_PROGRAM);
	steer->native = mode != NET_MODE_GENERIC;
	ret = attach_mode(link, program, steer->native);
	if (ret < 0 && ret != -EBUSY && ret != -EEXIST && mode == NET_MODE_AUTO) {
		steer->native = false;
		ret = attach_mode(link, program, false);
	}
	if (ret == -EBUSY || ret == -EEXIST)
		return -EAGAIN; /* one that is just going */
	if (ret < 0)
		return err_set(err, -ret, "cannot attach an XDP program to %s (%s)%s", link->name,
			       steer->native ? "native" : "generic",
			       mode == NET_MODE_NATIVE ? "; its driver may only do mode=generic"
						       : "");
	steer->link = ret;
	steer->macs = program_map(object, "mf_macs");
	steer->ports = program_map(object, "mf_ports");
	steer->queues = program_map(object, "mf_queues");
	steer->socks = program_map(object, "mf_socks");
	return 0;
}

/* Whether some queue has, or had, a VM of its own. (Sockets in a map cannot be looked up. A
 * program that served queues ends with the last of them, for then nobody may share it.) */
static bool has_queues(const struct steer *steer)
{
	for (uint32_t i = 0; i < STEER_QUEUES; i++) {
		uint64_t mac = 0;

		if (!bpf_map_lookup_elem(steer->queues, &i, &mac) && mac)
			return true;
	}
	return false;
}

static bool is_gone(const struct steer *steer, uint64_t mac)
{
	uint32_t slot, device;

	return !bpf_map_lookup_elem(steer->macs, &mac, &slot) &&
	       bpf_map_lookup_elem(steer->ports, &slot, &device) && errno == ENOENT;
}

/* Takes entries of VMs that are gone out. Returns how many are left. */
static unsigned clean(const struct steer *steer)
{
	uint64_t mac, next = 0;
	bool more = !bpf_map_get_next_key(steer->macs, NULL, &mac);
	unsigned left = 0;

	while (more) {
		more = !bpf_map_get_next_key(steer->macs, &mac, &next);
		if (is_gone(steer, mac))
			bpf_map_delete_elem(steer->macs, &mac);
		else
			left++;
		mac = next;
	}
	return left;
}

static int check_use(const struct steer *steer, const struct rtnl_link *link, enum net_mode mode,
		     enum steer_use use, struct err *err)
{
	unsigned sharing = clean(steer);

	if (use == STEER_QUEUE && sharing)
		return err_set(err, 0, "%s is shared by %u VMs: add share", link->name, sharing);
	if (use == STEER_SHARE && has_queues(steer))
		return err_set(err, 0, "%s has a VM that does not share: give that one share, too",
			       link->name);
	if (mode != NET_MODE_AUTO && steer->native != (mode == NET_MODE_NATIVE))
		return err_set(err, 0, "%s is in use in %s mode: leave mode= out, or use that",
			       link->name, steer->native ? "native" : "generic");
	return 0;
}

int steer_attach(struct steer *steer, struct rtnl *nl, const struct rtnl_link *link,
		 enum net_mode mode, enum steer_use use, struct err *err)
{
	static const struct timespec pause = {.tv_nsec = 2000000};
	struct rtnl_link now;
	int ret;

	*steer = (struct steer){-1, -1, -1, -1, -1, false};
	for (int tries = 0; tries < GONE_MS / 2; tries++) {
		ret = rtnl_link_get_index(nl, link->index, &now);
		if (ret)
			return err_set(err, -ret, "cannot look at %s", link->name);
		if (now.xdp_program) {
			steer->native = !now.xdp_generic;
			ret = take_over(steer, &now, err);
			if (!ret)
				return check_use(steer, link, mode, use, err);
			if (ret != -ENOENT)
				return ret;
		} else {
			ret = attach_new(steer, link, mode, err);
			if (ret != -EAGAIN)
				return ret;
		}
		nanosleep(&pause, NULL);
	}
	err_set(err, 0, "%s has an XDP program (id %u) that goes not away, and is left alone",
		link->name, now.xdp_program);
	return -EBUSY;
}

/* ---- entries ---- */

static uint64_t mac_key(const uint8_t mac[6])
{
	uint64_t key = 0;

	memcpy(&key, mac, 6);
	return key;
}

int steer_queue(const struct steer *steer, unsigned queue, const uint8_t mac[6], bool all, int sock,
		struct err *err)
{
	uint64_t key = mac_key(mac) | (all ? STEER_ALL : 0);
	uint32_t index = queue;

	if (queue >= STEER_QUEUES)
		return err_set(err, 0, "queue %u: mayfly steers the first %d", queue, STEER_QUEUES);
	if (bpf_map_update_elem(steer->queues, &index, &key, BPF_ANY) ||
	    bpf_map_update_elem(steer->socks, &index, &sock, BPF_ANY))
		return err_set(err, errno, "cannot steer queue %u to its socket", queue);
	return 0;
}

int steer_port(const struct steer *steer, const uint8_t mac[6], int ifindex, struct err *err)
{
	uint64_t key = mac_key(mac);
	uint32_t slot = 0, device = (uint32_t)ifindex;

	/* The kernel takes a device that is gone out of the map: what is in it is alive. */
	while (bpf_map_update_elem(steer->ports, &slot, &device, BPF_NOEXIST)) {
		if (errno != EEXIST)
			return err_set(err, errno, "cannot steer %s to its VM", rtnl_mac_text(mac));
		if (++slot == STEER_VMS)
			return err_set(err, 0, "%d VMs share this interface: it takes no more",
				       STEER_VMS);
	}
	/* After the port, for a MAC without one is taken for a VM's that is gone. */
	if (bpf_map_update_elem(steer->macs, &key, &slot, BPF_ANY))
		return err_set(err, errno, "cannot steer %s to its VM", rtnl_mac_text(mac));
	return 0;
}
