/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc.c: files whose text is made when they are read: /proc and /sys.
 *
 * A text is made as a whole when it is read from the start, and what follows is read
 * from that copy: so a reader never sees half of one state and half of another.
 */
#include <linux/fs.h>

#include "vfs.h"
#include "net/if.h"

#define ARG_BYTES_MAX 0x200000 /* what argv or the environment may have: ARG_MAX */

/* ---- generated text ---- */

const struct uk_node *uk_text_node;

static long text_make(struct uk_file *f)
{
	size_t size = 1024, n;
	char *text;

	for (;;) {
		text = uk_alloc(size);
		if (!text)
			return -ENOMEM;
		uk_text_node = f->node;
		n = f->node->text(text, size);
		if (n < size)
			break;
		uk_free(text);
		size = n + 1;
	}
	uk_free(f->text);
	f->text = text;
	f->length = n;
	return 0;
}

static long text_read(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	if (!off || !f->text) {
		long r = text_make(f);

		if (r)
			return r;
	}
	if (off >= f->length)
		return 0;
	n = uk_min(n, f->length - off);
	return uk_copy_out(user, f->text + off, n) ? -EFAULT : (long)n;
}

static long text_lseek(struct uk_file *f, int64_t off, int whence)
{
	if (whence == SEEK_CUR)
		off += (int64_t)f->pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (off < 0)
		return -EINVAL;
	f->pos = (uint64_t)off;
	return (long)off;
}

static void text_release(struct uk_file *f)
{
	uk_free(f->text);
}

static const struct uk_file_ops text_ops = {
	.seekable = true,
	.release = text_release,
	.read = text_read,
	.lseek = text_lseek,
};

void uk_text_add(struct uk_node *dir, const struct uk_text *text, size_t n)
{
	for (size_t i = 0; dir && i < n; i++) {
		struct uk_node *node = uk_make_file(dir, text[i].name, S_IFREG | 0444, &text_ops);

		if (node)
			node->text = text[i].make;
	}
}

/* ---- the program ---- */

/* Last component of the program's path, cut as Linux cuts it. */
static size_t comm(char out[16])
{
	const char *at = UK_NOXS->exe, *base = at;
	size_t n;

	for (; *at; at++)
		if (*at == '/')
			base = at + 1;
	n = uk_min((size_t)(at - base), 15u);
	memcpy(out, base, n);
	out[n] = '\0';
	return n;
}

static size_t make_comm(char *buf, size_t size)
{
	char name[16];

	comm(name);
	return (size_t)uk_snprintf(buf, size, "%s\n", name);
}

/*
 * The strings of a vector of the initial stack, with their NULs: argv stands behind argc,
 * the environment behind argv's null pointer. The program may have overwritten them.
 */
static size_t stack_strings(char *buf, size_t size, bool environment)
{
	uint64_t argc = 0, at = UK_NOXS->rsp, string;
	size_t n = 0;

	if (uk_copy_in(&argc, at, 8))
		return 0;
	at += environment ? 8 * (argc + 2) : 8;
	for (; !uk_copy_in(&string, at, 8) && string && n < ARG_BYTES_MAX; at += 8) {
		char c = 1;

		for (; c && !uk_copy_in(&c, string, 1); string++, n++)
			if (n < size)
				buf[n] = c;
	}
	return n;
}

static size_t make_cmdline(char *buf, size_t size)
{
	return stack_strings(buf, size, false);
}

static size_t make_environ(char *buf, size_t size)
{
	return stack_strings(buf, size, true);
}

static size_t make_statm(char *buf, size_t size)
{
	uint64_t total, available, mapped, pages;

	uk_mm_usage(&total, &available, &mapped);
	pages = mapped / NOXS_PAGE;
	return (size_t)uk_snprintf(buf, size, "%lu %lu 0 0 0 %lu 0\n", pages, pages, pages);
}

static size_t make_self_stat(char *buf, size_t size)
{
	uint64_t total, available, mapped;
	char name[16];

	comm(name);
	uk_mm_usage(&total, &available, &mapped);
	/* proc(5): state, ppid, pgrp, session, tty ... utime, stime ... num_threads,
	 * itrealvalue, starttime, vsize, rss, rsslim, startcode ... */
	return (size_t)uk_snprintf(buf, size,
				   "%u (%s) R 0 %u %u 0 -1 4194304 0 0 0 0 %lu 0 0 0 20 0 1 0 0 "
				   "%lu %llu 18446744073709551615 0 0 %lu 0 0 0 0 0 0 0 0 0 17 0 0 "
				   "0 0 0 0 0 0 0 0 0 0 0\n",
				   UK_NOXS->pid, name, UK_NOXS->pid, UK_NOXS->pid,
				   uk_monotonic_ns() / 10000000, mapped, mapped / NOXS_PAGE,
				   UK_NOXS->rsp);
}

static size_t make_status(char *buf, size_t size)
{
	uint64_t total, available, mapped;
	uint32_t pid = UK_NOXS->pid, uid = UK_NOXS->uid, gid = UK_NOXS->gid;
	char name[16];

	comm(name);
	uk_mm_usage(&total, &available, &mapped);
	return (size_t)uk_snprintf(
		buf, size,
		"Name:\t%s\nUmask:\t0%03o\nState:\tR (running)\nTgid:\t%u\nPid:\t%u\nPPid:\t0\n"
		"TracerPid:\t0\nUid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%u\n"
		"VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\n"
		"Threads:\t1\nCpus_allowed:\t1\nCpus_allowed_list:\t0\n",
		name, UK_NOXS->umask, pid, pid, uid, uid, uid, uid, gid, gid, gid, gid, uk_fds.size,
		mapped / 1024, mapped / 1024, mapped / 1024, mapped / 1024);
}

static size_t make_limits(char *buf, size_t size)
{
	return (size_t)uk_snprintf(
		buf, size,
		"Limit                     Soft Limit           Hard Limit           Units     \n"
		"Max stack size            %20llu %20llu bytes     \n"
		"Max open files            %20u %20u files     \n",
		NOXS_STACK_BYTES, NOXS_STACK_BYTES, uk_fds.limit, UK_FD_MAX);
}

/* /proc/self/fd: links are made and dropped as descriptors have come and gone. */
static void fd_fill(struct uk_node *dir)
{
	dir->dir.fill = NULL; /* finding names would fill again */
	for (uint32_t fd = 0; fd < uk_fds.size; fd++) {
		char text[12];
		size_t n;
		struct uk_name *name;
		struct uk_node *link;

		n = (size_t)uk_snprintf(text, sizeof(text), "%u", fd);
		name = uk_dir_find(dir, text, n);
		if (name && !uk_fds.file[fd])
			uk_dir_remove(name);
		if (name || !uk_fds.file[fd])
			continue;
		link = uk_make_link(dir, text, "");
		if (!link)
			break;
		link->mode = S_IFLNK | 0700;
		link->size = 64;
		link->link.magic = UK_LINK_FD;
		link->link.fd = (int)fd;
	}
	dir->dir.fill = fd_fill;
}

static void self_fill(struct uk_node *dir)
{
	static const struct uk_text texts[] = {
		{"maps", uk_mm_maps},  {"cmdline", make_cmdline}, {"environ", make_environ},
		{"comm", make_comm},   {"status", make_status},   {"stat", make_self_stat},
		{"statm", make_statm}, {"limits", make_limits},
	};
	struct uk_node *link;

	dir->dir.fill = NULL;
	uk_text_add(dir, texts, uk_countof(texts));
	uk_make_link(dir, "exe", UK_NOXS->exe);
	uk_make_link(dir, "root", "/");
	link = uk_make_link(dir, "cwd", "");
	if (link)
		link->link.magic = UK_LINK_CWD;
	uk_make_dir(dir, "fd", 0500, fd_fill);
	uk_make_dir(dir, "net", 0555, net_proc_fill);
}

/* ---- the machine ---- */

static size_t make_meminfo(char *buf, size_t size)
{
	uint64_t total, available, mapped;

	uk_mm_usage(&total, &available, &mapped);
	return (size_t)uk_snprintf(
		buf, size,
		"MemTotal:       %8lu kB\nMemFree:        %8lu kB\nMemAvailable:   %8lu kB\n"
		"Buffers:        %8u kB\nCached:         %8u kB\nSwapTotal:      %8u kB\n"
		"SwapFree:       %8u kB\n",
		total / 1024, available / 1024, available / 1024, 0, 0, 0, 0);
}

static size_t make_cpuinfo(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size,
				   "processor\t: 0\nmodel name\t: mayfly\ncpu cores\t: 1\n\n");
}

static size_t make_uptime(char *buf, size_t size)
{
	uint64_t cs = uk_monotonic_ns() / 10000000;

	return (size_t)uk_snprintf(buf, size, "%lu.%02lu 0.00\n", cs / 100, cs % 100);
}

static size_t make_stat(char *buf, size_t size)
{
	uint64_t up = uk_monotonic_ns();

	return (size_t)uk_snprintf(
		buf, size,
		"cpu  %lu 0 0 0 0 0 0 0 0 0\ncpu0 %lu 0 0 0 0 0 0 0 0 0\nintr 0\n"
		"ctxt 0\nbtime %lu\nprocesses 1\nprocs_running 1\n"
		"procs_blocked 0\n",
		up / 10000000, up / 10000000, (uk_realtime_ns() - up) / 1000000000);
}

static size_t make_version(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size, "Linux version %s (mayfly) #1\n", UK_RELEASE);
}

static size_t make_loadavg(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size, "0.00 0.00 0.00 1/1 %u\n", UK_NOXS->pid);
}

static size_t make_mounts(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size,
				   "tmpfs / tmpfs rw 0 0\nproc /proc proc ro 0 0\n"
				   "sysfs /sys sysfs ro 0 0\n");
}

static size_t make_filesystems(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size, "nodev\ttmpfs\nnodev\tproc\nnodev\tsysfs\n");
}

static size_t make_osrelease(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size, "%s\n", UK_RELEASE);
}

static size_t make_ostype(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size, "Linux\n");
}

static size_t make_hostname(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size, "%s\n", UK_NOXS->hostname);
}

static size_t make_uuid(char *buf, size_t size)
{
	uint8_t u[16];

	uk_random(u, sizeof(u));
	u[6] = (u[6] & 0x0f) | 0x40; /* RFC 9562: version 4, random */
	u[8] = (u[8] & 0x3f) | 0x80;
	return (size_t)uk_snprintf(buf, size,
				   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
				   "%02x%02x%02x%02x%02x%02x\n",
				   u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9],
				   u[10], u[11], u[12], u[13], u[14], u[15]);
}

static size_t make_boot_id(char *buf, size_t size)
{
	static char id[40];

	if (!id[0])
		make_uuid(id, sizeof(id));
	return (size_t)uk_snprintf(buf, size, "%s", id);
}

static size_t make_zero(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size, "0\n");
}

static size_t make_pid_max(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size, "4194304\n");
}

static void sysctl_fill(struct uk_node *dir)
{
	static const struct uk_text kernel[] = {
		{"osrelease", make_osrelease},
		{"ostype", make_ostype},
		{"hostname", make_hostname},
		{"pid_max", make_pid_max},
	};
	static const struct uk_text random[] = {{"boot_id", make_boot_id}, {"uuid", make_uuid}};
	static const struct uk_text vm[] = {{"overcommit_memory", make_zero}};
	struct uk_node *sub;

	dir->dir.fill = NULL;
	sub = uk_make_dir(dir, "kernel", 0555, NULL);
	uk_text_add(sub, kernel, uk_countof(kernel));
	if (sub)
		uk_text_add(uk_make_dir(sub, "random", 0555, NULL), random, uk_countof(random));
	uk_text_add(uk_make_dir(dir, "vm", 0555, NULL), vm, uk_countof(vm));
	uk_make_dir(dir, "net", 0555, net_sysctl_fill);
}

void uk_proc_fill(struct uk_node *dir)
{
	static const struct uk_text texts[] = {
		{"meminfo", make_meminfo}, {"cpuinfo", make_cpuinfo},
		{"uptime", make_uptime},   {"stat", make_stat},
		{"version", make_version}, {"loadavg", make_loadavg},
		{"mounts", make_mounts},   {"filesystems", make_filesystems},
	};
	char pid[12];

	dir->dir.fill = NULL;
	uk_text_add(dir, texts, uk_countof(texts));
	uk_snprintf(pid, sizeof(pid), "%u", UK_NOXS->pid);
	uk_make_link(dir, "self", pid);
	uk_make_link(dir, "net", "self/net");
	uk_make_dir(dir, pid, 0555, self_fill);
	uk_make_dir(dir, "sys", 0555, sysctl_fill);
}

void uk_sys_fill(struct uk_node *dir)
{
	static const struct uk_text texts[] = {{"online", make_zero}, {"possible", make_zero}};
	static const char *const path[] = {"devices", "system", "cpu"};
	struct uk_node *class;

	dir->dir.fill = NULL;
	class = uk_make_dir(dir, "class", 0555, NULL);
	if (class)
		uk_make_dir(class, "net", 0555, net_class_fill);
	for (size_t i = 0; dir && i < uk_countof(path); i++)
		dir = uk_make_dir(dir, path[i], 0555, NULL);
	uk_text_add(dir, texts, uk_countof(texts));
}
