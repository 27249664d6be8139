/* SPDX-License-Identifier: Apache-2.0 */
/* program.c: see program.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "program.h"

/* The objects that clang made of *.bpf.c. */
#define EMBED(symbol, file)                                                              \
	__asm__(".section .rodata\n.balign 8\n" #symbol ":\n.incbin \"" BPF_DIR "/" file \
		"\"\n" #symbol "_end:\n.byte 0\n.previous\n");                           \
	extern const char symbol[], symbol##_end[]

EMBED(steer_object, "steer.bpf.o");
EMBED(port_object, "port.bpf.o");

#define MOST_MAPS 8 /* of a program of ours */

static char last[256];

static int keep(enum libbpf_print_level level, const char *fmt, va_list args)
{
	if (level == LIBBPF_WARN) {
		vsnprintf(last, sizeof(last), fmt, args);
		last[strcspn(last, "\n")] = 0;
	}
	return 0;
}

void program_quiet(void)
{
	libbpf_set_print(keep);
}

struct bpf_object *program_open(enum program_object which, struct err *err)
{
	const char *start = which == PROGRAM_STEER ? steer_object : port_object;
	const char *end = which == PROGRAM_STEER ? steer_object_end : port_object_end;
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "mayfly");
	struct bpf_object *object = bpf_object__open_mem(start, (size_t)(end - start), &opts);

	if (!object)
		err_set(err, errno, "cannot read our own BPF object (%s)", last);
	return object;
}

int program_load(struct bpf_object *object, const char *what, struct err *err)
{
	int ret = bpf_object__load(object);

	if (ret)
		return err_set(err, -ret, "the kernel does not take the program for %s (%s)", what,
			       last);
	return 0;
}

int program_fd(const struct bpf_object *object, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);

	return program ? bpf_program__fd(program) : -1;
}

int program_map(const struct bpf_object *object, const char *name)
{
	return bpf_object__find_map_fd_by_name(object, name);
}

void program_skip(struct bpf_object *object, const char *name)
{
	bpf_program__set_autoload(bpf_object__find_program_by_name(object, name), false);
}

/* ---- of others ---- */

static int look(uint32_t id, struct bpf_prog_info *info, uint32_t *maps, unsigned nmaps)
{
	uint32_t len = sizeof(*info);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0)
		return -errno;
	*info = (struct bpf_prog_info){.nr_map_ids = nmaps, .map_ids = (uintptr_t)maps};
	if (!bpf_obj_get_info_by_fd(fd, info, &len))
		return fd;
	close(fd);
	return -errno;
}

int program_by_id(uint32_t id, struct bpf_prog_info *info)
{
	return look(id, info, NULL, 0);
}

int program_maps_by_id(uint32_t id, const char *const *names, int *fds, unsigned n)
{
	struct bpf_prog_info info;
	uint32_t maps[MOST_MAPS] = {0};
	int program = look(id, &info, maps, MOST_MAPS);

	if (program < 0)
		return program;
	close(program);
	for (unsigned i = 0; i < n; i++)
		fds[i] = -1;
	for (unsigned m = 0; m < info.nr_map_ids && m < MOST_MAPS; m++) {
		struct bpf_map_info map = {0};
		uint32_t len = sizeof(map);
		int fd = bpf_map_get_fd_by_id(maps[m]);

		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &map, &len))
			return -errno;
		for (unsigned i = 0; i < n && fd >= 0; i++) {
			if (strcmp(map.name, names[i]))
				continue;
			fds[i] = fd;
			fd = -1;
		}
		if (fd >= 0)
			close(fd);
	}
	return 0;
}
