/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h: what is the same for all devices: the table that offers them to the guest, and
 * the state that the guest's front end has come to.
 */
#ifndef MAYFLY_DEVICE_H
#define MAYFLY_DEVICE_H

#include <stdint.h>

#include "../noxs/noxs.h"
#include "err.h"

/* First doorbell slot of the console: its streams' queues. */
#define DEVICE_CONSOLE_SLOT NOXS_DB_QUEUE

#define DEVICE_CONSOLE_FEATURES NOXS_CONSOLE_DOORBELL
#define DEVICE_POWER_FEATURES   (NOXS_POWER_SIGNAL | NOXS_POWER_SHUTDOWN | NOXS_POWER_SUSPEND)

/* Fills the device table of a noxs page: what every VM has. */
void device_offer(struct noxs_page *page);

/* What we know of a front end: copied from the guest and checked. */
struct device_front {
	_Atomic uint32_t state; /* enum noxs_device_state */
	uint64_t features;      /* accepted; does not change once state is not INIT */
};

/*
 * device_look: has the front end moved on? offered: the device's features; name is for the
 * message. 0, or -EPROTO for a state that does not exist or lies behind, and for features
 * that were not offered.
 */
int device_look(struct device_front *seen, const struct noxs_front *front, uint64_t offered,
		const char *name, struct err *err);

/* Is it in use? */
static inline int device_is_live(const struct device_front *seen)
{
	return seen->state == NOXS_READY || seen->state == NOXS_CLOSING;
}

#endif
