/* SPDX-License-Identifier: Apache-2.0 */
/* ud2.c: executes an undefined instruction; dies of SIGILL. */
static void ud2(void)
{
	__builtin_trap();
}

int main(void)
{
	ud2();
	return 0;
}
