/* SPDX-License-Identifier: Apache-2.0 */
/* discard.c: asks the host to take back what is not the guest's to give. */
#include "hostile.h"

static int accepted(uint64_t gpa, uint64_t bytes)
{
	control->discard.gpa = gpa;
	control->discard.bytes = bytes;
	ring(NOXS_DB_DISCARD, 0);
	return bytes && !control->discard.bytes;
}

int main(void)
{
	const uint64_t ram = NOXS_GPA_RAM, end = ram + page->ram_bytes, free = page->free_gpa;
	const uint64_t tables = page->cr3;
	const struct {
		uint64_t gpa, bytes;
	} bad[] = {
		{0, 0x1000},
		{0, UINT64_MAX},
		{0, end},
		{UINT64_MAX, 1},
		{UINT64_MAX - 0xfff, 0x1000},
		{UINT64_MAX - 0xfff, 0x2000},
		{NOXS_GPA_DOORBELL, 0x1000},
		{ram, 0x1000},
		{ram, page->ram_bytes},
		{ram - 0x1000, 0x2000},
		{tables, 0x1000},
		{page->tables_gpa, page->tables_bytes},
		{free - 0x1000, 0x1000},
		{free - 0x1000, 0x2000},
		{free + 1, 0x1000},
		{free, 0x1001},
		{free, 1},
		{free + 0x800, 0x800},
		{free, UINT64_MAX},
		{free, UINT64_MAX - 0xfff},
		{free, 0 - free},
		{free, end - free + 0x1000},
		{end - 0x1000, 0x2000},
		{end, 0x1000},
		{end + 0x1000, 0x1000},
		{1ull << 63, 1ull << 63},
	};
	int wrong = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (accepted(bad[i].gpa, bad[i].bytes)) {
			printf("accepted: 0x%llx, 0x%llx bytes\n", (unsigned long long)bad[i].gpa,
			       (unsigned long long)bad[i].bytes);
			wrong = 1;
		}
	accepted(free, 0);
	/* The last page of RAM is nobody's yet: this one is right. */
	ring(NOXS_DB_GROW, page->free_bytes);
	volatile uint64_t *last = (void *)(NOXS_GVA_LINEAR + ((end & ~0x1fffffull) - 0x1000));

	*last = 0x1234;
	if (!accepted((uint64_t)last - NOXS_GVA_LINEAR, 0x1000) || *last) {
		puts("a right one was refused, or does not read as zero");
		wrong = 1;
	}
	return wrong;
}
