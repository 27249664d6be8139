/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c: nothing to do: the WAIT exit, and what may cut it short (timers, requests). */
#include <asm/errno.h>

#include "arch.h"
#include "signal.h"

long uk_wait(uint32_t events, uint64_t deadline_ns)
{
	struct noxs_wait *wait = &UK_CONTROL->wait;
	uint64_t start = uk_monotonic_ns(), timer = uk_timer_next();

	if (uk_signal_poll())
		return -EINTR;
	wait->events = events | NOXS_EV_POWER;
	wait->deadline_ns = uk_min(deadline_ns, timer);
	wait->ready = 0;
	uk_doorbell(NOXS_DB_WAIT, 0);
	uk_slept(uk_monotonic_ns() - start);
	if (uk_signal_poll())
		return -EINTR;
	return (long)(wait->ready & events);
}
