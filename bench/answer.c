/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer.c: what bench/density starts: does nothing but answer each line of its input with
 * "answer " and the line, until its input ends.
 */
#include <string.h>
#include <unistd.h>

static void put(const char *text, size_t bytes)
{
	while (bytes) {
		ssize_t n = write(1, text, bytes);

		if (n <= 0)
			_exit(1);
		text += n;
		bytes -= (size_t)n;
	}
}

int main(void)
{
	static const char prefix[] = "answer ";
	char line[sizeof(prefix) - 1 + 200];
	size_t held = sizeof(prefix) - 1;
	ssize_t n;

	memcpy(line, prefix, held);
	/* Byte by byte: a line is short, and what follows it may not be there yet. */
	while ((n = read(0, line + held, 1)) == 1) {
		held++;
		if (line[held - 1] != '\n' && held < sizeof(line))
			continue;
		put(line, held);
		held = sizeof(prefix) - 1;
	}
	return n < 0;
}
