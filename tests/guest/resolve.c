/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.c: names that need no server: numbers, /etc/hosts, services, and back. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static int lookup(const char *host, const char *service, int flags, int family,
		  struct addrinfo **found)
{
	struct addrinfo hints = {
		.ai_flags = flags, .ai_family = family, .ai_socktype = SOCK_STREAM};

	*found = NULL;
	return getaddrinfo(host, service, &hints, found);
}

int main(void)
{
	char host[256], service[32];
	struct addrinfo *a;
	struct sockaddr_in *in;
	struct servent *s;
	int four = 0;

	CHECK(lookup("192.0.2.7", "8080", AI_NUMERICHOST, AF_UNSPEC, &a) == 0);
	in = (void *)a->ai_addr;
	CHECK(a->ai_family == AF_INET && !a->ai_next && in->sin_port == htons(8080));
	CHECK(in->sin_addr.s_addr == htonl(0xc0000207));
	freeaddrinfo(a);
	CHECK(lookup("2001:db8::1", NULL, 0, AF_INET6, &a) == 0 && a->ai_family == AF_INET6);
	freeaddrinfo(a);
	CHECK(lookup("not.a.number", NULL, AI_NUMERICHOST, AF_UNSPEC, &a) == EAI_NONAME);
	CHECK(lookup(NULL, "80", AI_PASSIVE, AF_INET, &a) == 0);
	CHECK(((struct sockaddr_in *)a->ai_addr)->sin_addr.s_addr == 0);
	freeaddrinfo(a);

	CHECK(lookup("localhost", "80", 0, AF_INET, &a) == 0);
	for (const struct addrinfo *i = a; i; i = i->ai_next)
		four += ((struct sockaddr_in *)i->ai_addr)->sin_addr.s_addr ==
			htonl(INADDR_LOOPBACK);
	CHECK(four >= 1); /* glibc takes ::1's line for one, too, if it has this name */
	CHECK(getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof(host), service, sizeof(service),
			  NI_NUMERICSERV) == 0);
	CHECK(!strncmp(host, "localhost", 9) && !strcmp(service, "80"));
	freeaddrinfo(a);
	CHECK(lookup("localhost", "80", AI_ADDRCONFIG, AF_UNSPEC, &a) == 0);
	freeaddrinfo(a);

	if (!access("/etc/services", R_OK)) {
		s = getservbyname("http", "tcp");
		CHECK(s && s->s_port == htons(80));
		s = getservbyport(htons(53), "udp");
		CHECK(s && !strcmp(s->s_name, "domain"));
		CHECK(lookup("127.0.0.1", "https", 0, AF_INET, &a) == 0);
		CHECK(((struct sockaddr_in *)a->ai_addr)->sin_port == htons(443));
		freeaddrinfo(a);
	}
	if (!access("/etc/protocols", R_OK))
		CHECK(getprotobyname("udp") && getprotobyname("udp")->p_proto == IPPROTO_UDP);
	return success();
}
