/* SPDX-License-Identifier: Apache-2.0 */
/* crashes.c ATTACK [KIND SIGNAL]: a CRASH record that nobody would write. */
#include "hostile.h"

static void record(uint32_t kind, uint32_t signal)
{
	static const char text[] = "\033[31mred\033]0;title\007\r\b\n\x9b"
				   "5mend%s%n";

	memset((void *)&control->crash, 0xa5, sizeof(control->crash));
	for (size_t i = 0; i < sizeof(control->crash.message); i++) /* no NUL */
		control->crash.message[i] = text[i % (sizeof(text) - 1)];
	control->crash.kind = kind;
	control->crash.signal = signal;
	control->crash.si_code = 1;
}

static void finish(void)
{
	ring(NOXS_DB_CRASH, 0xffffffffffffffff);
}

int main(int argc, char **argv)
{
	const uint32_t kind = (uint32_t)number(argc, argv, 2);
	const uint32_t signal = (uint32_t)number(argc, argv, 3);
	volatile struct noxs_regs *r = &control->crash.regs;

	record(kind, signal);
	control->crash.vector = 14;
	if (is(argv, "garbage")) {
		finish();
	} else if (is(argv, "wild")) { /* every register leads out of every range */
		memset((void *)r, 0xff, sizeof(*r));
		finish();
	} else if (is(argv, "kernel")) { /* the registers point at the library kernel */
		r->rip = NOXS_GVA_KERNEL;
		r->rsp = NOXS_GVA_MACHINE;
		r->rbp = NOXS_GVA_DOORBELL;
		finish();
	} else if (is(argv, "edge")) {
		r->rip = NOXS_GVA_END - 1;
		r->rsp = NOXS_GVA_END - 1;
		r->rbp = NOXS_GVA_END - 8;
		finish();
	} else if (is(argv, "chain")) { /* frames without an end */
		static uint64_t frame[0x10000];

		for (size_t i = 0; i + 2 < sizeof(frame) / sizeof(frame[0]); i += 2) {
			frame[i] = (uint64_t)&frame[i + 2];
			frame[i + 1] = (uint64_t)main + 4;
		}
		r->rip = (uint64_t)main + 4;
		r->rsp = r->rbp = (uint64_t)frame;
		finish();
	} else if (is(argv, "circle")) {
		static uint64_t frame[2];

		frame[0] = (uint64_t)frame;
		frame[1] = (uint64_t)main + 4;
		r->rip = (uint64_t)main + 4;
		r->rsp = r->rbp = (uint64_t)frame;
		finish();
	} else {
		return unknown_attack(argv);
	}
	return 0;
}
