/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lateack.c: acknowledgements that were put off go out when the program has nothing more to do.
 *
 * lwIP delays one for up to 250 ms, in the hope that data will carry it. When the program goes to
 * sleep there is none that could: a sender that waits for it (Nagle, RFC 896) would wait in vain.
 * Linux acknowledges when the reader has taken everything (tcp_cleanup_rbuf).
 */
#include "tcpsock.h"

#define MANY 16u /* connections; of more some wait for lwIP's timer */

static struct tcp_sock *late[MANY];
static uint32_t count;

void tcp_late_add(struct tcp_sock *t)
{
	for (uint32_t i = count; i-- > 0;)
		if (late[i] == t)
			return;
	if (count < MANY)
		late[count++] = t;
}

void tcp_late_remove(const struct tcp_sock *t)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++)
		if (late[i] != t)
			late[kept++] = late[i];
	count = kept;
}

bool net_late_acks(void)
{
	bool sent = false;

	for (uint32_t i = 0; i < count; i++) {
		struct tcp_pcb *pcb = late[i]->pcb;

		if (!pcb || !(pcb->flags & TF_ACK_DELAY))
			continue;
		tcp_ack_now(pcb);
		tcp_output(pcb);
		sent = true;
	}
	count = 0;
	return sent;
}
