/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c [ADDRESS]: prints "up" or "down" when that changes for eth0, as SIOCGIFFLAGS, getifaddrs
 * and /sys/class/net all have it. With an address, sends datagrams there all the while. Runs in a
 * VM and as a process.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define NAME    "eth0"
#define PAUSE   20000000 /* ns */
#define PATIENT 100      /* looks that may differ: it changes between them */

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "link: %s: %s\n", what, strerror(errno));
	exit(1);
}

static bool by_ioctl(int fd)
{
	struct ifreq ifr = {.ifr_name = NAME};

	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		fail("SIOCGIFFLAGS");
	return ifr.ifr_flags & IFF_RUNNING;
}

static bool by_getifaddrs(void)
{
	struct ifaddrs *all;
	bool is = false;

	if (getifaddrs(&all))
		fail("getifaddrs");
	for (struct ifaddrs *a = all; a; a = a->ifa_next)
		is |= !strcmp(a->ifa_name, NAME) && a->ifa_flags & IFF_RUNNING;
	freeifaddrs(all);
	return is;
}

static bool by_file(void)
{
	FILE *f = fopen("/sys/class/net/" NAME "/operstate", "r");
	char text[16] = "";

	if (!f || !fgets(text, sizeof(text), f))
		fail("operstate");
	fclose(f);
	return !strcmp(text, "up\n");
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), differ = 0, shown = -1;

	if (fd < 0)
		fail("socket");
	if (argc > 1 && inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		fail(argv[1]);
	puts("ready");
	for (;; nanosleep(&(struct timespec){.tv_nsec = PAUSE}, NULL)) {
		bool is = by_ioctl(fd);

		if (argc > 1)
			(void)!sendto(fd, "x", 1, 0, (void *)&to, sizeof(to));
		if (is != by_getifaddrs() || is != by_file()) {
			errno = 0;
			if (++differ > PATIENT)
				fail("they differ");
			continue;
		}
		differ = 0;
		if (is != shown)
			puts(is ? "up" : "down");
		shown = is;
		fflush(stdout);
	}
}
