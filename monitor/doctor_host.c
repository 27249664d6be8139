/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_host.c: what bears on how many VMs fit here and how fast they are; see doctor.h.
 * Nothing here keeps a single program from running, so nothing fails.
 */
#include <cpuid.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "doctor.h"

/* A VM that has printed a line takes about this much of the host, all in. */
#define VM_KIB         900ull
#define FEW_VMS        1000ull
#define DEFAULT_VM_KIB 65536ull
#define PIDS_PER_VM    2ull /* its process, and a thread that KVM adds */
#define CPUID_POWER    0x80000007
#define INVARIANT_TSC  (1u << 8)

static unsigned long long read_number(const char *path)
{
	char text[64];

	/* "max", or nothing to read: no limit that we can see. */
	if (!doctor_read(path, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
		return ULLONG_MAX;
	return strtoull(text, NULL, 10);
}

/* A line "NAME:   N kB" of /proc/meminfo; 0 if there is none. */
static unsigned long long meminfo(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			kib = strtoull(line + strlen(name) + 1, NULL, 10);
	if (f)
		fclose(f);
	return kib;
}

static void check_memory(struct doctor *d)
{
	unsigned long long available = meminfo("MemAvailable"), huge = meminfo("HugePages_Total");
	unsigned long long maps = read_number("/proc/sys/vm/max_map_count");
	char text[64], *chosen;

	if (available >= DEFAULT_VM_KIB) {
		doctor_add(d, "memory", CHECK_OK, "%llu MiB available, for about %llu small VMs",
			   available >> 10, available / VM_KIB);
	} else {
		doctor_add(d, "memory", CHECK_WARN, "only %llu MiB available", available >> 10);
		doctor_fix(d, "end what takes it, or add memory");
	}

	if (read_number("/proc/sys/vm/overcommit_memory") != 2) {
		doctor_add(d, "overcommit", CHECK_OK, "VMs are charged only for pages they touch");
	} else {
		doctor_add(d, "overcommit", CHECK_WARN,
			   "strict (vm.overcommit_memory = 2): each VM is "
			   "charged for all of its --memory");
		doctor_fix(
			d,
			"as root: sysctl vm.overcommit_memory=0, or give programs less --memory");
	}

	/* A VM maps its RAM, the image and the kernel: some tens of ranges. */
	doctor_add(d, "max-map-count", maps >= 1024 ? CHECK_OK : CHECK_WARN, "%llu", maps);
	if (maps < 1024)
		doctor_fix(d, "as root: sysctl vm.max_map_count=65530");

	doctor_read("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text));
	chosen = strchr(text, '[');
	if (chosen && !strncmp(chosen, "[always]", 8)) {
		doctor_add(d, "hugepages", CHECK_WARN,
			   "transparent huge pages are always on: a VM "
			   "takes 2 MiB where it touches 4 KiB");
		doctor_fix(d,
			   "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
	} else {
		doctor_add(d, "hugepages", CHECK_OK, "transparent: %s; reserved: %llu",
			   text[0] ? text : "none", huge);
	}
}

/* Path of this process' pids cgroup's limit: v2 first, then v1. */
static unsigned long long pids_cgroup_max(void)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	unsigned long long least = ULLONG_MAX;
	char line[512], path[640];

	while (f && fgets(line, sizeof(line), f)) {
		const bool v2 = !strncmp(line, "0::", 3);
		char *controllers = strchr(line, ':'), *group = strrchr(line, ':');
		unsigned long long n;

		if (!controllers || (!v2 && strncmp(controllers, ":pids:", 6)))
			continue;
		group[strcspn(group, "\n")] = 0;
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s%s/pids.max", v2 ? "" : "/pids",
			 group + 1);
		n = read_number(path);
		least = n < least ? n : least;
	}
	if (f)
		fclose(f);
	return least;
}

static unsigned long long soft_limit(int resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return ULLONG_MAX;
	return limit.rlim_cur;
}

static const char *number(char text[32], unsigned long long n)
{
	if (n == ULLONG_MAX)
		return "no limit";
	snprintf(text, 32, "%llu", n);
	return text;
}

static void check_limits(struct doctor *d)
{
	unsigned long long files = soft_limit(RLIMIT_NOFILE), procs = soft_limit(RLIMIT_NPROC);
	unsigned long long pid_max = read_number("/proc/sys/kernel/pid_max"),
			   cgroup = pids_cgroup_max();
	unsigned long long threads = read_number("/proc/sys/kernel/threads-max"), least = procs;
	char a[32], b[32], c[32], e[32];

	doctor_add(d, "open-files", files >= 256 ? CHECK_OK : CHECK_WARN, "%s (RLIMIT_NOFILE)",
		   number(a, files));
	if (files < 256)
		doctor_fix(d, "ulimit -n 1024, or nofile in /etc/security/limits.conf");

	least = pid_max < least ? pid_max : least;
	least = cgroup < least ? cgroup : least;
	least = threads < least ? threads : least;
	doctor_add(d, "processes", least >= FEW_VMS * PIDS_PER_VM ? CHECK_OK : CHECK_WARN,
		   "room for at most %llu VMs, %llu pids each (pid_max %s, threads-max %s, "
		   "RLIMIT_NPROC %s, pids cgroup %s)",
		   least / PIDS_PER_VM, PIDS_PER_VM, number(a, pid_max), number(b, threads),
		   number(c, procs), number(e, cgroup));
	if (least >= FEW_VMS * PIDS_PER_VM)
		return;
	if (least == cgroup)
		doctor_fix(
			d,
			"raise the cgroup's pids.max (systemd: TasksMax=, docker: --pids-limit)");
	else if (least == procs)
		doctor_fix(d, "ulimit -u unlimited, or nproc in /etc/security/limits.conf");
	else
		doctor_fix(d, "as root: sysctl kernel.pid_max=4194304 kernel.threads-max=1000000");
}

static void check_cgroups(struct doctor *d)
{
	char controllers[160] = "", line[512];
	FILE *f = fopen("/proc/self/cgroup", "re");
	bool v2 = false;
	size_t n = 0;

	/* One line a hierarchy: "NUMBER:CONTROLLERS:PATH"; v2 is number 0 and has no list. */
	while (f && fgets(line, sizeof(line), f)) {
		char *list = strchr(line, ':'), *end = list ? strchr(list + 1, ':') : NULL;

		if (!end)
			continue;
		*end = 0;
		if (!list[1])
			v2 = true;
		else if (!strchr(list + 1, '=') && n < sizeof(controllers))
			n += (size_t)snprintf(controllers + n, sizeof(controllers) - n, " %s",
					      list + 1);
	}
	if (f)
		fclose(f);
	if (n) {
		doctor_add(d, "cgroups", CHECK_OK, "%s:%s", v2 ? "v1 and v2 (hybrid); v1" : "v1",
			   controllers);
	} else if (v2 && doctor_read("/sys/fs/cgroup/cgroup.controllers", line, sizeof(line))) {
		doctor_add(d, "cgroups", CHECK_OK, "v2: %.200s", line);
	} else {
		doctor_add(d, "cgroups", CHECK_WARN, "none: VMs cannot be given shares or limits");
		doctor_fix(d, "as root: mount -t cgroup2 none /sys/fs/cgroup");
	}
}

static void check_clock(struct doctor *d)
{
	unsigned a, b, c, x = 0;
	const char *invariant;
	char source[64];

	invariant = __get_cpuid(CPUID_POWER, &a, &b, &c, &x) && (x & INVARIANT_TSC) ? "" : " not";
	if (!doctor_read("/sys/devices/system/clocksource/clocksource0/current_clocksource", source,
			 sizeof(source)))
		strcpy(source, "unknown");
	/* kvm-clock and hyperv's are read from the TSC too, by way of a page. */
	if (!strcmp(source, "tsc") || !strcmp(source, "kvm-clock") ||
	    !strcmp(source, "hyperv_clocksource_tsc_page")) {
		doctor_add(d, "clock", CHECK_OK, "source %s; the TSC is%s invariant", source,
			   invariant);
		return;
	}
	doctor_add(d, "clock", CHECK_WARN,
		   "source %s, not the TSC, which is%s invariant: a guest's clock, "
		   "made from the TSC, may drift between its waits",
		   source, invariant);
	doctor_fix(d, "if the TSC is listed in .../clocksource0/available_clocksource, boot with "
		      "clocksource=tsc tsc=reliable");
}

void doctor_host_checks(struct doctor *d)
{
	check_memory(d);
	check_limits(d);
	check_cgroups(d);
	check_clock(d);
}
