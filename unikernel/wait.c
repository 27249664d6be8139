/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c: nothing to do: the WAIT exit, and what may cut it short (timers, requests). */
#include <asm/errno.h>

#include "arch.h"
#include "signal.h"

long uk_wait(uint32_t events, uint64_t deadline_ns)
{
	struct noxs_wait *wait = &UK_CONTROL->wait;

	for (;;) {
		uint64_t start = uk_monotonic_ns();
		uint32_t ready;

		if (uk_signal_poll())
			return -EINTR;
		wait->events = events | NOXS_EV_POWER;
		wait->deadline_ns = uk_min(deadline_ns, uk_timer_next());
		wait->ready = 0;
		uk_doorbell(NOXS_DB_WAIT, 0);
		ready = wait->ready; /* a suspended guest waits again, with the same record */
		uk_slept(uk_monotonic_ns() - start);
		if (uk_signal_poll())
			return -EINTR;
		/* A request that was nothing to the program does not end its wait. */
		if (ready != NOXS_EV_POWER)
			return (long)(ready & events);
	}
}
