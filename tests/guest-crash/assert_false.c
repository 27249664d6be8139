/* SPDX-License-Identifier: Apache-2.0 */
/* assert_false.c: fails an assertion; dies of SIGABRT after a message on stderr. */
#include <assert.h>

static void assert_false(int value)
{
	assert(value == 4);
}

int main(void)
{
	assert_false(5);
	return 0;
}
