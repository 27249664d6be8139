/* SPDX-License-Identifier: Apache-2.0 */
/* getifaddrs.c: the C library's view of interfaces: getifaddrs, if_nameindex and its kin. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

/* Is IPv6 switched off on this machine? */
static int has_ipv6(void)
{
	FILE *f = fopen("/proc/net/if_inet6", "r");
	char line[128];
	int found = f && fgets(line, sizeof(line), f);

	if (f)
		fclose(f);
	return found;
}

int main(void)
{
	int v4 = 0, v6 = 0, packet = 0, indices = 0;
	struct if_nameindex *list;
	struct ifaddrs *all;
	char name[IF_NAMESIZE];

	CHECK(getifaddrs(&all) == 0);
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		CHECK(i->ifa_name && i->ifa_name[0]);
		if (strcmp(i->ifa_name, "lo") || !i->ifa_addr)
			continue;
		CHECK(i->ifa_flags & IFF_UP && i->ifa_flags & IFF_LOOPBACK);
		if (i->ifa_addr->sa_family == AF_INET) {
			const struct sockaddr_in *a = (void *)i->ifa_addr;
			const struct sockaddr_in *m = (void *)i->ifa_netmask;

			if (a->sin_addr.s_addr != htonl(INADDR_LOOPBACK))
				continue;
			CHECK(m && m->sin_addr.s_addr == htonl(0xff000000));
			v4++;
		} else if (i->ifa_addr->sa_family == AF_INET6) {
			const struct sockaddr_in6 *a = (void *)i->ifa_addr;
			const struct sockaddr_in6 *m = (void *)i->ifa_netmask;

			CHECK(IN6_IS_ADDR_LOOPBACK(&a->sin6_addr));
			CHECK(m && m->sin6_addr.s6_addr[15] == 0xff);
			v6++;
		} else if (i->ifa_addr->sa_family == AF_PACKET) {
			const struct sockaddr_ll *a = (void *)i->ifa_addr;

			CHECK(a->sll_ifindex == 1 && a->sll_halen == 6 && a->sll_hatype == 772);
			packet++;
		}
	}
	freeifaddrs(all);
	CHECK(v4 == 1 && packet == 1 && v6 == has_ipv6());

	list = if_nameindex();
	CHECK(list);
	for (struct if_nameindex *i = list; i->if_index; i++) {
		CHECK(if_nametoindex(i->if_name) == i->if_index);
		CHECK(if_indextoname(i->if_index, name) && !strcmp(name, i->if_name));
		indices += i->if_index == 1 && !strcmp(i->if_name, "lo");
	}
	if_freenameindex(list);
	CHECK(indices == 1);
	errno = 0;
	CHECK(if_nametoindex("nosuchif0") == 0 && errno == ENODEV);
	errno = 0;
	CHECK(!if_indextoname(54321, name) && errno == ENXIO);
	return success();
}
