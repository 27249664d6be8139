/* SPDX-License-Identifier: Apache-2.0 */
/* write_rodata.c: writes to a string literal; dies of SIGSEGV. */
static const char *text = "constant";

static void write_rodata(const char *at)
{
	*(volatile char *)at = 'C';
}

int main(void)
{
	write_rodata(text);
	return 0;
}
