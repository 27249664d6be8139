/* SPDX-License-Identifier: Apache-2.0 */
/* unknown.c: calls that nobody has are ENOSYS, whatever their number, and all else goes on. */
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

int main(void)
{
	static const long numbers[] = {400, 500, 600, 100000, 1l << 31, -1};

	for (int round = 0; round < 50; round++)
		for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
			CHECK_ERR(syscall(numbers[i], 1, 2, 3, 4, 5, 6), ENOSYS);
	for (long nr = 10000; nr < 10200; nr++)
		CHECK_ERR(syscall(nr), ENOSYS);
	CHECK(syscall(SYS_getpid) == getpid());
	return success();
}
