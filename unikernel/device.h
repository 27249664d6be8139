/* SPDX-License-Identifier: Apache-2.0 */
/* device.h: the front ends of the devices in the noxs page. */
#ifndef UK_DEVICE_H
#define UK_DEVICE_H

#include "arch.h"

/* At boot: every device in the noxs page that this kernel has a front end for. */
void uk_devices_start(void);

/* A front end's answer: of what d offers it takes what it knows, and is ready. */
void uk_device_ready(const struct noxs_device *d, struct noxs_front *front, uint64_t known);

/* ---- console.c, power.c: a front end's start ---- */
void uk_console_start(const struct noxs_device *d);
void uk_power_start(const struct noxs_device *d);

/* ---- power.c ---- */
/* Takes the monitor's requests: signals become pending; SUSPEND returns after RESUME. */
void uk_power_take(void);

#endif
