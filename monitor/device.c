/* SPDX-License-Identifier: Apache-2.0 */
/* device.c: see device.h. */
#include <errno.h>

#include "device.h"

void device_offer(struct noxs_page *page)
{
	const uint64_t control = NOXS_GVA_CONTROL;

	page->device[0] = (struct noxs_device){
		.type = NOXS_DEV_CONSOLE,
		.doorbell = DEVICE_CONSOLE_SLOT,
		.features = DEVICE_CONSOLE_FEATURES,
		.control = control + offsetof(struct noxs_control, console),
		.config =
			{
				NOXS_GVA_STDIN,
				NOXS_STDIN_BYTES,
				NOXS_GVA_STDOUT,
				NOXS_STDOUT_BYTES,
				NOXS_GVA_STDERR,
				NOXS_STDERR_BYTES,
			},
	};
	page->device[1] = (struct noxs_device){
		.type = NOXS_DEV_POWER,
		.features = DEVICE_POWER_FEATURES,
		.control = control + offsetof(struct noxs_control, power),
	};
	page->ndevices = 2;
}

int device_look(struct device_front *seen, const struct noxs_front *front, uint64_t offered,
		const char *name, struct err *err)
{
	/* Acquire: the features were written before. */
	uint32_t state = __atomic_load_n(&front->state, __ATOMIC_ACQUIRE), was = seen->state;

	if (state == was)
		return 0;
	if (state > NOXS_CLOSED || state < was)
		return err_set(err, EPROTO,
			       "the guest put its %s into state %u, which cannot follow %u", name,
			       state, was);
	if (was == NOXS_INIT) {
		seen->features = __atomic_load_n(&front->features, __ATOMIC_RELAXED);
		if (seen->features & ~offered)
			return err_set(err, EPROTO,
				       "the guest accepted features 0x%llx of its %s, which has "
				       "0x%llx",
				       (unsigned long long)seen->features, name,
				       (unsigned long long)offered);
	}
	seen->state = state;
	return 0;
}
