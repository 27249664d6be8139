/* SPDX-License-Identifier: Apache-2.0 */
/* waits.c ATTACK [EVENTS DEADLINE]: the WAIT doorbell with odd requests. */
#include "hostile.h"

static void wait_for(uint32_t events, uint64_t deadline)
{
	control->wait.events = events;
	control->wait.deadline_ns = deadline;
	ring(NOXS_DB_WAIT, 0x5555555555555555);
}

int main(int argc, char **argv)
{
	const uint32_t events = (uint32_t)number(argc, argv, 2);
	const uint64_t deadline = number(argc, argv, 3);

	if (is(argv, "once")) {
		wait_for(events, deadline);
		say("back\n");
	} else if (is(argv, "after")) { /* deadline is from now on, and may overflow */
		wait_for(events, mono_ns() + deadline);
		say("back\n");
	} else if (is(argv, "storm")) {
		for (uint64_t i = 0; i < deadline; i++)
			wait_for(events, 0);
		say("back\n");
	} else if (is(argv, "timer")) { /* waiting, while its own timer is long over */
		control->power.timer_ns = 1;
		for (int i = 0; i < 1000; i++)
			wait_for(0, mono_ns() + 1000 * MS);
		control->power.timer_ns = 0;
		say("back\n");
	} else {
		return unknown_attack(argv);
	}
	return 0;
}
