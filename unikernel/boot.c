/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.c: the library kernel's start and its end. There is next to nothing to start: the
 * monitor wrote all machine state, and what a program does not use is made at first use.
 */
#include <stdarg.h>

#include "arch.h"

_Noreturn void uk_boot(uint64_t tsc);

_Noreturn void uk_boot(uint64_t tsc)
{
	UK_CONTROL->stats.boot_tsc = tsc;
	uk_clock_start();
	UK_CONTROL->console.state = NOXS_READY;
	UK_CONTROL->power.state = NOXS_READY;
	uk_vfs_init();
	uk_run_program(UK_NOXS->entry, UK_NOXS->rsp);
}

int uk_vsnprintf(char *buf, size_t size, const char *fmt, va_list args);

_Noreturn void uk_panic(const char *fmt, ...)
{
	struct noxs_crash *crash = &UK_CONTROL->crash;
	va_list args;

	va_start(args, fmt);
	uk_vsnprintf(crash->message, sizeof(crash->message), fmt, args);
	va_end(args);
	crash->kind = NOXS_CRASH_KERNEL;
	crash->signal = 6;
	if (!crash->regs.rip)
		crash->regs.rip = (uint64_t)__builtin_return_address(0);
	for (;;)
		uk_doorbell(NOXS_DB_CRASH, 0);
}
