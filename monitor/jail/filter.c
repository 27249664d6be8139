/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.c: runs when mayfly is built: makes the BPF programs of the rules by libseccomp and
 * writes them to stdout as C arrays; with --table, the rules as SYSCALLS.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "rules.h"

#define MAX_INSNS 1024

static const struct {
	enum jail_set set;
	const char *name;
} filters[] = {
	{JAIL_SHELL, "shell"},
	{JAIL_RUN, "run"},
	{JAIL_CORE, "core"},
};

static void die(const char *what, int ret)
{
	fprintf(stderr, "jail-filter: %s: %s\n", what, strerror(-ret));
	exit(1);
}

/*
 * seccomp(2) tries a new filter with the number of every system call, to remember which it
 * always allows, and that takes most of the time of the call (BENCH in monitor/README.md).
 * It stops trying where the filter looks at an argument. A shell makes few system calls, so
 * that memory is worth less than it costs: our first instruction looks at an argument.
 */
static const struct sock_filter look_at_argument =
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]));

static size_t compile(enum jail_set set, struct sock_filter *out)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	FILE *file = tmpfile();
	ssize_t bytes;
	int ret;

	if (!ctx || !file)
		die("cannot begin", -1);
	/* Its default there ends one thread, and KVM has given the process a second. */
	ret = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (ret)
		die("cannot set what 32-bit calls meet", ret);
	/* libseccomp turns the order of rules of the same priority round in no promised way. */
	for (size_t i = 0; i < jail_nrules; i++) {
		const struct rule *r = &jail_rules[i];
		unsigned priority = i < 255 ? 255 - (unsigned)i : 0;

		if (!(r->sets & set))
			continue;
		ret = seccomp_rule_add_exact_array(
			ctx, r->refuse ? SCMP_ACT_ERRNO((uint32_t)r->refuse) : SCMP_ACT_ALLOW,
			r->nr, r->nargs, r->args);
		if (ret)
			die(seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, r->nr), ret);
		ret = seccomp_syscall_priority(ctx, r->nr, (uint8_t)priority);
		if (ret)
			die("cannot set a priority", ret);
	}
	ret = seccomp_export_bpf(ctx, fileno(file));
	if (ret)
		die("cannot make the filter", ret);
	out[0] = look_at_argument;
	bytes = pread(fileno(file), out + 1, (MAX_INSNS - 1) * sizeof(*out), 0);
	if (bytes <= 0 || bytes % (ssize_t)sizeof(*out) ||
	    bytes == (ssize_t)((MAX_INSNS - 1) * sizeof(*out)))
		die("the filter is too long", 0);
	fclose(file);
	seccomp_release(ctx);
	return (size_t)bytes / sizeof(*out) + 1;
}

static void print_filter(enum jail_set set, const char *name)
{
	static struct sock_filter insns[MAX_INSNS];
	size_t n = compile(set, insns);

	printf("static const struct sock_filter jail_%s[] = {\n", name);
	for (size_t i = 0; i < n; i++)
		printf("\t{0x%x, %u, %u, 0x%x},\n", insns[i].code, insns[i].jt, insns[i].jf,
		       insns[i].k);
	printf("};\n");
}

static void print_table(void)
{
	const char *why = "";

	printf("# What a VM's process can ask of the kernel\n\n"
	       "Made by `build/jail-filter --table` from `rules.c`; `make lint` compares. "
	       "*shell*: a shell of the daemon's; *run*: `mayfly run` without a pool, which "
	       "reports its guest's crash itself; *run --core*: where that is to write a file. "
	       "Whatever is not here ends the process (SIGSYS); so does a 32-bit or x32 "
	       "call.\n\n"
	       "| system call | arguments | shell | run | run --core | for |\n"
	       "| --- | --- | --- | --- | --- | --- |\n");
	for (size_t i = 0; i < jail_nrules; i++) {
		const struct rule *r = &jail_rules[i];

		if (r->why)
			why = r->why;
		printf("| %s | %s | %s | %s | %s | %s |\n",
		       seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, r->nr),
		       r->refuse ? "fails"
		       : r->what ? r->what
				 : "any",
		       r->sets & JAIL_SHELL ? "yes" : "", r->sets & JAIL_RUN ? "yes" : "",
		       r->sets & JAIL_CORE ? "yes" : "", why);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--table")) {
		print_table();
		return 0;
	}
	printf("/* Made by monitor/jail/filter.c from rules.c. */\n");
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		print_filter(filters[i].set, filters[i].name);
	return 0;
}
