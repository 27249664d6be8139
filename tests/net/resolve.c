/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve.c NAME...: what getaddrinfo(3) says, a line each: NAME and its addresses, sorted, or NAME
 * and the error.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MAX 64

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all = NULL;
		char text[MAX][64];
		size_t n = 0;
		int error = getaddrinfo(argv[i], "80", &hints, &all);

		printf("%s", argv[i]);
		if (error)
			printf(" %s\n", error == EAI_NONAME  ? "EAI_NONAME"
					: error == EAI_AGAIN ? "EAI_AGAIN"
					: error == EAI_FAIL  ? "EAI_FAIL"
							     : gai_strerror(error));
		if (error)
			continue;
		for (struct addrinfo *a = all; a && n < MAX; a = a->ai_next)
			if (!getnameinfo(a->ai_addr, a->ai_addrlen, text[n], sizeof(text[n]), NULL,
					 0, NI_NUMERICHOST))
				n++;
		freeaddrinfo(all);
		qsort(text, n, sizeof(text[0]), compare);
		for (size_t k = 0; k < n; k++)
			printf(" %s", text[k]);
		printf("\n");
	}
	return 0;
}
