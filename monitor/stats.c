/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c: see stats.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include "stats.h"

uint64_t stats_resident_bytes(const struct gmem *ram)
{
	size_t pages = ram->bytes / NOXS_PAGE, n = 0;
	unsigned char *map = malloc(pages);

	if (map && !mincore(ram->host, ram->bytes, map))
		for (size_t i = 0; i < pages; i++)
			n += map[i] & 1;
	free(map);
	return n * NOXS_PAGE;
}

void stats_print(const struct vm *vm, const struct guest *guest, const struct console *console,
		 const struct image *image, const struct host *host,
		 const struct run_result *result)
{
	struct noxs_stats s = guest->control->stats; /* one copy: it is the guest's */
	const struct prepared_header *h = &image->head;
	uint64_t now = __rdtsc();
	FILE *f = stderr;

	fprintf(f, "mayfly: exits: %" PRIu32 "\n", vm->counters.exits);
	fprintf(f, "mayfly: waits: %" PRIu32 "\n", vm->counters.waits);
	fprintf(f, "mayfly: kicks: %" PRIu32 "\n", vm->counters.kicks);
	fprintf(f, "mayfly: kvm ioctls: %" PRIu32 "\n", vm->counters.ioctls);
	fprintf(f, "mayfly: image: %s, %" PRIu32 " of %" PRIu32 " syscall sites rewritten\n",
		image->cached ? "cached" : "prepared", h->rewritten, h->sites);
	fprintf(f, "mayfly: first instruction: %" PRIu64 " us after KVM_RUN\n",
		s.boot_tsc > result->start_tsc
			? (s.boot_tsc - result->start_tsc) * 1000 / host->facts.tsc_khz
			: 0);
	fprintf(f, "mayfly: run: %" PRIu64 " us\n",
		(now - result->start_tsc) * 1000 / host->facts.tsc_khz);
	fprintf(f, "mayfly: syscalls: %" PRIu64 ", %" PRIu64 " trapped\n", s.syscalls, s.lstar);
	fprintf(f, "mayfly: demand faults: %" PRIu64 ", page-table gates: %" PRIu64 "\n", s.faults,
		s.gates);
	fprintf(f, "mayfly: memory: %" PRIu64 " KiB resident of %" PRIu64 "\n",
		stats_resident_bytes(&vm->ram) / 1024, vm->ram.bytes / 1024);
	fprintf(f, "mayfly: console: %" PRIu64 " bytes out, %" PRIu64 " in\n",
		console->bytes[NOXS_STDOUT] + console->bytes[NOXS_STDERR],
		console->bytes[NOXS_STDIN]);
	for (uint32_t i = 0; i < s.nunknown && i < NOXS_MAX_UNKNOWN; i++)
		fprintf(f, "mayfly: unknown syscall %" PRIu32 ": %" PRIu32 " times\n",
			s.unknown[i].nr, s.unknown[i].count);
}
