/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query.c IFACE MS: asks all nodes which multicast groups they listen to, with an answer within
 * that time: a general query of RFC 2710. Prints "sent".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void set(int fd, int option, const void *value, size_t bytes)
{
	if (!setsockopt(fd, IPPROTO_IPV6, option, value, (socklen_t)bytes))
		return;
	fprintf(stderr, "query: option %d: %s\n", option, strerror(errno));
	exit(1);
}

int main(int argc, char **argv)
{
	static const uint8_t alert[8] = {0, 0, 5, 2, 0, 0, 1, 0}; /* to routers: RFC 2711 */
	static const int one = 1, none;
	struct sockaddr_in6 all = {.sin6_family = AF_INET6};
	struct mld_hdr query = {.mld_type = MLD_LISTENER_QUERY};
	int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	int index = argc == 3 ? (int)if_nametoindex(argv[1]) : 0;

	if (fd < 0 || !index) {
		fprintf(stderr, "query: IFACE MS: %s\n", strerror(errno));
		return 1;
	}
	query.mld_maxdelay = htons((uint16_t)atoi(argv[2]));
	inet_pton(AF_INET6, "ff02::1", &all.sin6_addr);
	all.sin6_scope_id = (uint32_t)index;
	set(fd, IPV6_MULTICAST_IF, &index, sizeof(index));
	set(fd, IPV6_MULTICAST_HOPS, &one, sizeof(one));
	set(fd, IPV6_MULTICAST_LOOP, &none, sizeof(none)); /* we do not answer ourselves */
	set(fd, IPV6_HOPOPTS, alert, sizeof(alert));
	if (sendto(fd, &query, sizeof(query), 0, (void *)&all, sizeof(all)) != sizeof(query)) {
		perror("query: sendto");
		return 1;
	}
	puts("sent");
	return 0;
}
