/* SPDX-License-Identifier: Apache-2.0 */
/* crash.c: see crash.h. */
#include <stdio.h>

#include "crash.h"

int crash_report(const struct vm *vm, const struct guest *guest, const struct run_result *result,
		 const char *path, const char *core)
{
	const struct noxs_crash *c = &result->crash;

	(void)vm, (void)guest, (void)path, (void)core;
	fprintf(stderr, "mayfly: guest crashed: signal %d kind %d at 0x%llx address 0x%llx %.*s\n",
		result->signal, (int)c->kind, (unsigned long long)c->regs.rip,
		(unsigned long long)c->address, (int)sizeof(c->message), c->message);
	return 128 + result->signal;
}
