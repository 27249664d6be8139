/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.c: the program's memory, with bad pointers turned into -EFAULT. The copy loops
 * themselves are in entry.S, where the fault handler knows their addresses.
 */
#include <asm/errno.h>

#include "arch.h"

/* A program may name its own area and its stack, not the linear map or the kernel. */
static bool user_range(uint64_t p, size_t n)
{
	if (p < NOXS_GVA_USER_END)
		return n <= NOXS_GVA_USER_END - p;
	return p >= NOXS_GVA_STACK_MIN && p <= NOXS_GVA_STACK_TOP && n <= NOXS_GVA_STACK_TOP - p;
}

long uk_copy_in(void *dst, uint64_t user, size_t n)
{
	return user_range(user, n) ? uk_user_copy(dst, (const void *)user, n) : -EFAULT;
}

long uk_copy_out(uint64_t user, const void *src, size_t n)
{
	return user_range(user, n) ? uk_user_copy((void *)user, src, n) : -EFAULT;
}

long uk_zero_out(uint64_t user, size_t n)
{
	return user_range(user, n) ? uk_user_zero((void *)user, n) : -EFAULT;
}

long uk_copy_str(char *dst, uint64_t user, size_t size)
{
	/* In steps that end at page boundaries: what follows the NUL may not be mapped. */
	for (size_t done = 0; done < size;) {
		size_t n = uk_min(size - done, NOXS_PAGE - ((user + done) & (NOXS_PAGE - 1)));
		long err;

		n = uk_min(n, 256);
		err = uk_copy_in(dst + done, user + done, n);
		if (err)
			return err;
		for (size_t i = done; i < done + n; i++)
			if (!dst[i])
				return (long)i;
		done += n;
	}
	return -ENAMETOOLONG;
}
