/* SPDX-License-Identifier: Apache-2.0 */
/* div_zero.c: divides by zero; dies of SIGFPE. */
static int div_zero(volatile int a, volatile int b)
{
	return a / b;
}

int main(void)
{
	return div_zero(7, 0);
}
