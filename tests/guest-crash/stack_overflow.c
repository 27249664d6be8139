/* SPDX-License-Identifier: Apache-2.0 */
/* stack_overflow.c: recurses for ever; dies of SIGSEGV below its stack. */
static int stack_overflow(volatile int depth)
{
	if (depth < 0) /* never: so that compilers do not object */
		return 0;
	return stack_overflow(depth + 1) + depth;
}

int main(void)
{
	return stack_overflow(0);
}
