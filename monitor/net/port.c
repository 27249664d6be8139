/* SPDX-License-Identifier: Apache-2.0 */
/* port.c: see port.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "port.h"
#include "program.h"

static const char *const map_names[] = {"mf_port_mac", "mf_port_sock"};

/* One that another VM uses. */
static int find(struct port *port)
{
	uint32_t id = 0;

	while (!bpf_prog_get_next_id(id, &id)) {
		struct bpf_prog_info info;
		int maps[2], fd = program_by_id(id, &info);

		if (fd < 0)
			continue;
		if (info.type == BPF_PROG_TYPE_XDP && !strcmp(info.name, PORT_PROGRAM) &&
		    !program_maps_by_id(id, map_names, maps, 2) && maps[0] >= 0 && maps[1] >= 0) {
			*port = (struct port){fd, maps[0], maps[1]};
			return 0;
		}
		close(fd);
	}
	return -ENOENT;
}

int port_get(struct port *port, struct err *err)
{
	struct bpf_object *object;

	if (!find(port))
		return 0;
	object = program_open(PROGRAM_PORT, err);
	if (!object)
		return -EINVAL;
	program_skip(object, "mayfly_guard");
	program_skip(object, "mayfly_relay");
	if (program_load(object, "VMs' veths", err))
		return -EINVAL;
	*port = (struct port){program_fd(object, PORT_PROGRAM), program_map(object, map_names[0]),
			      program_map(object, map_names[1])};
	return 0;
}

int port_claim(const struct port *port, uint32_t slot, const uint8_t mac[6], int sock,
	       struct err *err)
{
	uint64_t key = 0;

	memcpy(&key, mac, 6);
	/* The kernel takes a socket out of the map when it is closed: what is in it is alive. */
	if (bpf_map_update_elem(port->socks, &slot, &sock, BPF_NOEXIST))
		return errno == EEXIST
			       ? -EEXIST
			       : err_set(err, errno, "cannot lead frames to the AF_XDP socket");
	if (bpf_map_update_elem(port->macs, &slot, &key, BPF_ANY))
		return err_set(err, errno, "cannot lead frames to the AF_XDP socket");
	return 0;
}

static int attach(struct bpf_object *object, const char *program, uint32_t index)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)index, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program_fd(object, program));
	int ret = bpf_tc_hook_create(&hook);

	return ret ? ret : bpf_tc_attach(&hook, &opts);
}

int port_guard(const struct port *port, uint32_t slot, struct err *err)
{
	struct bpf_object *object = program_open(PROGRAM_PORT, err);
	int ret;

	if (!object)
		return -EINVAL;
	program_skip(object, PORT_PROGRAM);
	bpf_map__set_autocreate(bpf_object__find_map_by_name(object, map_names[1]), false);
	ret = bpf_map__reuse_fd(bpf_object__find_map_by_name(object, map_names[0]), port->macs);
	if (ret)
		return err_set(err, -ret, "cannot use the map of the VMs' addresses");
	ret = program_load(object, "a VM's veth", err);
	if (ret)
		return ret;
	ret = attach(object, "mayfly_guard", slot + PORT_FAR);
	if (!ret)
		ret = attach(object, "mayfly_relay", slot + PORT_UPLINK);
	return ret ? err_set(err, -ret, "cannot attach a tc program to a VM's veth") : 0;
}
