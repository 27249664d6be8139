/* SPDX-License-Identifier: Apache-2.0 */
/* program.h: our BPF programs, which are part of this executable, into the kernel. */
#ifndef MAYFLY_NET_PROGRAM_H
#define MAYFLY_NET_PROGRAM_H

#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdint.h>

#include "../err.h"

enum program_object { PROGRAM_STEER, PROGRAM_PORT };

/* What libbpf and libxdp say is kept, and the last of it put into a message of program_*. */
void program_quiet(void);
/* Reads an object; the caller may still choose programs and maps. NULL: err. */
struct bpf_object *program_open(enum program_object which, struct err *err);
/* Of an object that is not loaded yet: this program is not needed. */
void program_skip(struct bpf_object *object, const char *name);
int program_load(struct bpf_object *object, const char *what, struct err *err);
/* Their descriptors, -1 where there is none of this name. */
int program_fd(const struct bpf_object *object, const char *name);
int program_map(const struct bpf_object *object, const char *name);

/* A program that somebody has loaded, by its id: its descriptor, name, and of its maps those
 * that are named: fds[i] for names[i], -1 where it has none. -errno: it is gone, or may not be
 * looked at (CAP_SYS_ADMIN). */
int program_by_id(uint32_t id, struct bpf_prog_info *info);
int program_maps_by_id(uint32_t id, const char *const *names, int *fds, unsigned n);

#endif
