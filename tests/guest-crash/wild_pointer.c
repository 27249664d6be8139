/* SPDX-License-Identifier: Apache-2.0 */
/* wild_pointer.c: reads a non-canonical address; dies of SIGSEGV by #GP. */
static int wild_pointer(volatile const int *at)
{
	return *at;
}

int main(void)
{
	return wild_pointer((const int *)0x5a5a5a5a5a5a5a5aull);
}
