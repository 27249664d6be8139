/* SPDX-License-Identifier: Apache-2.0 */
/* privileged.c: executes an instruction that ring 3 may not; dies of SIGSEGV by #GP. */
static void privileged(void)
{
	__asm__ volatile("hlt");
}

int main(void)
{
	privileged();
	return 0;
}
