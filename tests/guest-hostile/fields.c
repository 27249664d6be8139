/* SPDX-License-Identifier: Apache-2.0 */
/* fields.c ATTACK [VALUE]: the control page's other fields: statistics, the power device. */
#include "hostile.h"

static void compute(uint64_t ns)
{
	const uint64_t end = mono_ns() + ns;

	while (mono_ns() < end)
		;
}

int main(int argc, char **argv)
{
	const uint64_t value = number(argc, argv, 2);

	if (is(argv, "stats")) {
		memset((void *)&control->stats, 0xff, sizeof(control->stats));
		ring(NOXS_DB_EXIT, 0);
	} else if (is(argv, "page")) { /* all of the control page */
		memset((void *)control, (int)value, NOXS_PAGE);
		ring(NOXS_DB_WAIT, 0);
		ring(NOXS_DB_EXIT, 0);
	} else if (is(argv, "deaf")) { /* claims handlers, takes no signal */
		control->power.handled = UINT64_MAX;
		say("ready\n");
		for (;;)
			control->power.ack = 0;
	} else if (is(argv, "ack")) { /* of a request that was never made */
		control->power.ack = (uint32_t)value;
		compute(1000 * MS);
	} else if (is(argv, "front")) { /* a state of the power device's front end */
		control->wait.deadline_ns = 1;
		ring(NOXS_DB_WAIT, 0);
		control->power.front.state = (uint32_t)value;
		compute(1000 * MS);
	} else if (is(argv, "features")) { /* accepted too late */
		control->wait.deadline_ns = 1;
		ring(NOXS_DB_WAIT, 0);
		control->power.front.features = value;
		compute(50 * MS);
	} else if (is(argv, "liar")) { /* acknowledges whatever is asked, and goes on */
		say("ready\n");
		for (;;) {
			control->power.ack = control->power.request;
			say(".");
			control->wait.events = NOXS_EV_STDOUT;
			control->wait.deadline_ns = 0;
			ring(NOXS_DB_WAIT, 0);
		}
	} else if (is(argv, "timer")) {
		/* The kernel would clear it: without it, as a loop that writes it again. */
		const uint64_t end = mono_ns() + 1000 * MS;

		while (mono_ns() < end)
			control->power.timer_ns = value;
	} else if (is(argv, "request")) { /* as if the monitor had asked for something */
		const uint64_t end = mono_ns() + 1000 * MS;

		while (mono_ns() < end) {
			control->power.request = (uint32_t)value;
			control->power.ack = ~(uint32_t)value;
		}
	} else if (is(argv, "resume")) { /* preempted, it goes on at a wild address */
		control->power.timer_ns = 1;
		for (;;)
			control->power.resume_rip = value;
	} else if (is(argv, "preempt")) { /* straight to the kernel's entry */
		control->power.resume_rip = value;
		((void (*)(void))((const struct noxs_kernel *)NOXS_GVA_KERNEL)->preempt)();
	} else {
		compute(0);
		return unknown_attack(argv);
	}
	ring(NOXS_DB_EXIT, 0);
	return 0;
}
