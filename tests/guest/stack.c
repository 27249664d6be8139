/* SPDX-License-Identifier: Apache-2.0 */
/* stack.c: nearly all of the 8 MiB of stack can be used, from the top down and up again. */
#include "check.h"

#define FRAME 4096
#define DEPTH 1750 /* of FRAME and a bit: about 7 MiB */

static __attribute__((noinline)) unsigned long down(int depth, volatile char *above)
{
	volatile char frame[FRAME];

	frame[0] = (char)depth;
	frame[FRAME - 1] = (char)(depth >> 4);
	if (depth < DEPTH) {
		unsigned long sum = down(depth + 1, frame);

		CHECK(frame[0] == (char)depth && frame[FRAME - 1] == (char)(depth >> 4));
		return sum + 1;
	}
	return above[0] == (char)(depth - 1);
}

/* Not page by page: a frame of 5 MiB whose far end is touched first. */
static __attribute__((noinline)) int wide(void)
{
	volatile char frame[5 << 20];

	frame[0] = 1;
	frame[sizeof(frame) / 2] = 2;
	return frame[0] + frame[sizeof(frame) / 2];
}

int main(void)
{
	char top = 0;

	CHECK(wide() == 3);
	CHECK(down(0, &top) == DEPTH + 1);
	CHECK(down(0, &top) == DEPTH + 1);
	return success();
}
