/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split.c: segments that are cut in two, when the peer's window is smaller or a router says so.
 *
 * lwIP puts FIN and PSH on the second half, and means to take them off the first, but what it does
 * that with only sets flags. So the peer takes the first half's end for the end of all. This stands
 * in front of lwIP's function (--wrap in the Makefile).
 */
#include "lwip/priv/tcp_priv.h"

#include "lwip_hooks.h"

err_t __real_tcp_split_unsent_seg(struct tcp_pcb *pcb, u16_t split);
err_t __wrap_tcp_split_unsent_seg(struct tcp_pcb *pcb, u16_t split);

err_t __wrap_tcp_split_unsent_seg(struct tcp_pcb *pcb, u16_t split)
{
	struct tcp_seg *seg = pcb->unsent;
	const struct tcp_seg *next = seg ? seg->next : NULL;
	err_t err = __real_tcp_split_unsent_seg(pcb, split);

	if (err == ERR_OK && seg && seg->next != next)
		TCPH_UNSET_FLAG(seg->tcphdr, TCP_FIN | TCP_PSH);
	return err;
}
