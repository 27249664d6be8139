/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power.c: front end of the power device: the monitor's requests are taken, done and
 * acknowledged, one by one. They are looked for wherever signals are: when a call returns,
 * around a WAIT, and when the monitor has preempted the program.
 */
#include <asm/signal.h>

#include "device.h"
#include "signal.h"

static struct noxs_power *const power = &UK_CONTROL->power;

void uk_power_start(const struct noxs_device *d)
{
	uk_device_ready(d, &power->front,
			NOXS_POWER_SIGNAL | NOXS_POWER_SHUTDOWN | NOXS_POWER_SUSPEND);
}

static uint32_t latest(void)
{
	return __atomic_load_n(&power->request, __ATOMIC_ACQUIRE);
}

/* Nothing of the program runs until the monitor asks for something else (RESUME). */
static void stand_still(uint32_t request)
{
	struct noxs_wait *wait = &UK_CONTROL->wait;
	uint64_t start = uk_monotonic_ns();

	while (latest() == request) {
		wait->events = NOXS_EV_POWER;
		wait->deadline_ns = NOXS_FOREVER;
		uk_doorbell(NOXS_DB_WAIT, 0);
	}
	uk_slept(uk_monotonic_ns() - start);
}

void uk_power_take(void)
{
	uint32_t request;

	while ((request = latest()) != power->ack) {
		/* Release: what led here is done before the monitor hears of it. */
		__atomic_store_n(&power->ack, request, __ATOMIC_RELEASE);
		switch (NOXS_REQUEST_WHAT(request)) {
		case NOXS_REQ_SIGNAL:
			uk_signal_sent((int)NOXS_REQUEST_SIGNAL(request));
			break;
		case NOXS_REQ_SHUTDOWN:
			uk_signal_sent(SIGTERM);
			break;
		case NOXS_REQ_SUSPEND:
			stand_still(request);
			break;
		}
		/* RESUME has done its work by ending the wait; what is unknown was acknowledged,
		 * so that the monitor need not wait for it. */
	}
}
