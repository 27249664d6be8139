/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.c: the device table of the noxs page, and each device's front end.
 *
 * Nothing is asked and nothing is waited for: what the monitor offers stands in the page,
 * what this kernel takes of it is written into the device's control block.
 */
#include "device.h"
#include "net/net.h"

void uk_devices_start(void)
{
	const struct noxs_page *noxs = UK_NOXS;
	uint32_t n = uk_min(noxs->ndevices, (uint32_t)NOXS_MAX_DEVICES);

	if (noxs->magic != NOXS_MAGIC || noxs->version != NOXS_VERSION)
		uk_panic("the noxs page is of version %u, this kernel is made for %u",
			 noxs->version, NOXS_VERSION);
	for (uint32_t i = 0; i < n; i++) {
		const struct noxs_device *d = &noxs->device[i];

		/* One that is not known here stays in INIT; so does a second of its type. */
		if (d->type == NOXS_DEV_CONSOLE && !UK_CONTROL->console.front.state)
			uk_console_start(d);
		else if (d->type == NOXS_DEV_POWER && !UK_CONTROL->power.front.state)
			uk_power_start(d);
		else if (d->type == NOXS_DEV_NET)
			uk_net_device_start(d);
	}
}

void uk_device_ready(const struct noxs_device *d, struct noxs_front *front, uint64_t known)
{
	/* Where the control blocks are was settled when the kernel was linked (entry.S too), or
	 * by the device's window. */
	if (d->control != (uint64_t)front)
		uk_panic("device %u has its control block at 0x%lx, not 0x%lx", d->type, d->control,
			 (uint64_t)front);
	front->features = d->features & known;
	/* Release: what was accepted is there before the state says so. */
	__atomic_store_n(&front->state, NOXS_READY, __ATOMIC_RELEASE);
}
