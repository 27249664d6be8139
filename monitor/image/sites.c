/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sites.c: from the bytes 0F 05 to patches; see sites.h. README.md says why it is safe.
 *
 * To be quick, only functions that contain the two bytes at all are decoded.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../noxs/noxs.h"
#include "refs.h"
#include "sites.h"

const char *const site_state_text[SITE_NSTATES] = {
	[SITE_REWRITTEN] = "rewritten",
	[SITE_NO_FUNCTION] = "in no known function",
	[SITE_UNCLEAN] = "in a function that does not decode",
	[SITE_NO_WINDOW] = "no room for a jump",
	[SITE_SIGRETURN] = "signal return, known by its bytes",
	[SITE_FLAGS] = "flags are used afterwards",
	[SITE_REFERENCED] = "something may point into it",
	[SITE_FAR] = "too far from the stubs",
};

/* More occurrences than any real program has: the rest are left alone. */
#define MAX_CANDIDATES (1u << 18)

/*
 * A lying symbol table can name the same bytes as a thousand functions. The bytes decoded
 * and symbols compared may be this many times the file's; real programs need less than one.
 */
#define MAX_WORK 16u

/* Stubs are aligned so that a jump lands at the start of a fetch block. */
#define STUB_ALIGN 16u

/* At the start of the stubs: the address of the kernel's fast entry. */
#define STUB_HEAD_BYTES 16u

/*
 * The next 0F 05 in [at, end), or NULL. This reads all of a program's text, so 16 bytes at
 * a time; memmem takes several times as long for so short a needle.
 */
static const uint8_t *next_pair(const uint8_t *at, const uint8_t *end)
{
	typedef uint8_t v16u __attribute__((vector_size(16)));
	typedef uint64_t v2u __attribute__((vector_size(16)));

	for (; end - at >= 17; at += 16) {
		v16u first, second;

		memcpy(&first, at, 16);
		memcpy(&second, at + 1, 16);
		v2u both = (v2u)((first == 0x0f) & (second == 0x05));

		if (both[0] | both[1])
			break;
	}
	for (; end - at >= 2; at++) {
		if (at[0] == 0x0f && at[1] == 0x05)
			return at;
	}
	return NULL;
}

static int add_candidate(struct sites *out, size_t *room, uint64_t addr)
{
	if (out->n == *room) {
		*room = *room ? *room * 2 : 256;
		struct site *grown = reallocarray(out->site, *room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		out->site = grown;
	}
	out->site[out->n++] = (struct site){.addr = addr, .name = "", .state = SITE_NO_FUNCTION};
	return 0;
}

/* Where 0F 05 stands in executable loads; state NO_FUNCTION until more is known. */
static int find_candidates(const struct elf_plan *plan, struct sites *out)
{
	size_t room = 0;

	for (uint32_t i = 0; i < plan->nloads; i++) {
		const struct elf_load *load = &plan->load[i];
		const uint8_t *start = plan->elf + load->off, *end = start + load->file_bytes;
		const uint8_t *at = start;

		if (!(load->prot & PREPARED_X))
			continue;
		while (out->n < MAX_CANDIDATES && (at = next_pair(at, end))) {
			if (add_candidate(out, &room, load->vaddr + (uint64_t)(at - start)))
				return -ENOMEM;
			at += 2;
		}
	}
	return 0;
}

/* Index of the first site at or above addr. */
static size_t first_site(const struct sites *sites, uint64_t addr)
{
	size_t lo = 0, hi = sites->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (sites->site[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/*
 * rt_sigreturn's trampoline: libgcc's unwinder and gdb recognise a signal frame by the
 * bytes "mov $15, %rax; syscall" at the return address, so they must stay.
 */
static bool is_sigreturn(const struct code *code, uint32_t off)
{
	return (off >= 7 && !memcmp(code->bytes + off - 7, "\x48\xc7\xc0\x0f\0\0\0", 7)) ||
	       (off >= 5 && !memcmp(code->bytes + off - 5, "\xb8\x0f\0\0\0", 5));
}

/* What do_functions goes through the program with. */
struct search {
	const struct elf_plan *plan;
	const struct symbols *symbols;
	const struct symbol *fn;
	struct code code;                     /* of fn */
	enum { UNKNOWN, WHOLE, SPLIT } parts; /* of fn */
	uint64_t work;                        /* see MAX_WORK */
};

/* gcc moves unlikely code of f to f.cold, and jumps to and fro; see README.md. */
static bool is_split(struct search *search)
{
	const struct symbols *symbols = search->symbols;
	const char *name = search->fn->name;
	const size_t len = strlen(name);

	if (search->parts != UNKNOWN)
		return search->parts == SPLIT;
	search->parts = strstr(name, ".cold") ? SPLIT : WHOLE;
	search->work += symbols->n;
	for (size_t i = 0; i < symbols->n; i++) {
		const char *other = symbols->symbol[i].name;

		if (!strncmp(other, name, len) && !strncmp(other + len, ".cold", 5))
			search->parts = SPLIT;
	}
	return search->parts == SPLIT;
}

static enum site_state consider(struct search *search, uint32_t i, struct patch *patch)
{
	const struct code *code = &search->code;

	if (is_sigreturn(code, code->insn[i].off))
		return SITE_SIGRETURN;
	if (!code_flags_dead(code, i + 1))
		return SITE_FLAGS;
	if (!*search->fn->name || search->fn->guessed)
		return patch_choose(code, i, PATCH_UNNAMED, patch) ? SITE_NO_WINDOW
								   : SITE_REWRITTEN;
	/* Looking for the other parts is slow: only if it could help. */
	if (!patch_choose(code, i, PATCH_SPLIT, patch))
		return SITE_REWRITTEN;
	if (patch_choose(code, i, PATCH_WHOLE, patch))
		return SITE_NO_WINDOW;
	return is_split(search) ? SITE_NO_WINDOW : SITE_REWRITTEN;
}

static bool undecided(const struct site *site)
{
	return site->state == SITE_NO_FUNCTION || site->state == SITE_UNCLEAN;
}

/* Decode search->fn and choose patches for its sites, of which first is the first. */
static int do_function(struct search *search, size_t first, struct sites *out)
{
	const struct symbol *fn = search->fn;
	struct code *code = &search->code;
	int ret = -E2BIG;

	if (fn->bytes <= CODE_MAX_BYTES)
		ret = code_decode(code, elf_at(search->plan, fn->addr, fn->bytes),
				  (uint32_t)fn->bytes, fn->addr);
	if (ret == -ENOMEM)
		return ret;
	search->work += fn->bytes;
	search->parts = UNKNOWN;
	for (size_t s = first; s < out->n && out->site[s].addr < fn->addr + fn->bytes; s++) {
		struct site *site = &out->site[s];

		if (!undecided(site))
			continue; /* decided in another function that holds this one */
		site->name = fn->name;
		site->state = SITE_UNCLEAN;
		if (ret)
			continue;
		int64_t i = code_find(code, (uint32_t)(site->addr - fn->addr));

		if (i < 0 || code->insn[i].kind != CODE_SYSCALL) {
			site->state = SITE_NSTATES; /* two bytes of something else */
			continue;
		}
		site->state = consider(search, (uint32_t)i, &out->patch[out->npatches]);
		if (site->state == SITE_REWRITTEN)
			out->npatches++;
	}
	return 0;
}

static int do_functions(const struct elf_plan *plan, const struct symbols *symbols,
			struct sites *out)
{
	const uint64_t max_work = (uint64_t)plan->elf_bytes * MAX_WORK;
	struct search search = {.plan = plan, .symbols = symbols};
	int ret = 0;

	for (size_t i = 0; !ret && i < symbols->n && search.work < max_work; i++) {
		const struct symbol *fn = &symbols->symbol[i];

		if (!fn->function)
			continue;
		size_t first = first_site(out, fn->addr);
		bool open = false;

		for (size_t s = first; s < out->n && out->site[s].addr < fn->addr + fn->bytes;
		     s++) {
			open |= undecided(&out->site[s]);
			search.work++;
		}
		if (!open)
			continue;
		search.fn = fn;
		ret = do_function(&search, first, out);
	}
	code_free(&search.code);
	return ret;
}

static int patch_by_addr(const void *pa, const void *pb)
{
	const struct patch *a = pa, *b = pb;

	return (a->start > b->start) - (a->start < b->start);
}

/*
 * A symbol inside a window is an entrance. One between the window and the instruction
 * after the syscall is a label by which the program compares program counters (musl's
 * cancellation points, __cp_begin to __cp_end): a stub's would be in no such range.
 */
static void drop_by_symbols(const struct symbols *symbols, struct sites *out)
{
	size_t p = 0;

	for (size_t i = 0; i < symbols->n; i++) {
		const uint64_t addr = symbols->symbol[i].addr;

		while (p < out->npatches && out->patch[p].site + 2 < addr &&
		       out->patch[p].start + out->patch[p].window <= addr)
			p++;
		for (size_t k = p; k < out->npatches && out->patch[k].start < addr; k++) {
			struct patch *patch = &out->patch[k];

			if (addr <= patch->site + 2 || addr < patch->start + patch->window)
				patch->dropped = true;
		}
	}
}

static int drop_unsafe(const struct elf_plan *plan, const struct symbols *symbols,
		       struct sites *out)
{
	int ret;

	if (!out->npatches)
		return 0;
	qsort(out->patch, out->npatches, sizeof(*out->patch), patch_by_addr);
	for (size_t i = 1; i < out->npatches; i++) {
		const struct patch *last = &out->patch[i - 1];

		/* Sites close together: the second would copy the first one's jump. */
		if (out->patch[i].start < last->start + last->window)
			out->patch[i].dropped = true;
	}
	drop_by_symbols(symbols, out);
	ret = refs_drop(plan, out->patch, out->npatches);
	if (ret < 0)
		return ret;
	for (size_t i = 0; i < out->npatches; i++) {
		if (out->patch[i].dropped)
			out->site[first_site(out, out->patch[i].site)].state = SITE_REFERENCED;
	}
	return 0;
}

static void count(struct sites *out)
{
	size_t n = 0;

	memset(out->count, 0, sizeof(out->count));
	for (size_t i = 0; i < out->n; i++) {
		if (out->site[i].state == SITE_NSTATES)
			continue;
		out->count[out->site[i].state]++;
		out->site[n++] = out->site[i];
	}
	out->n = n;
}

int sites_find(const struct elf_plan *plan, struct sites *out)
{
	struct symbols symbols;
	int ret;

	*out = (struct sites){0};
	ret = symbols_read(plan, &symbols);
	if (ret)
		return ret;
	out->stripped = symbols.stripped;
	ret = find_candidates(plan, out);
	if (!ret && out->n && !plan->textrel) {
		out->patch = calloc(out->n, sizeof(*out->patch));
		ret = out->patch ? do_functions(plan, &symbols, out) : -ENOMEM;
		if (!ret)
			ret = drop_unsafe(plan, &symbols, out);
	}
	symbols_free(&symbols);
	if (ret) {
		sites_free(out);
		return ret;
	}
	count(out);
	return 0;
}

uint64_t sites_stub_bytes(const struct sites *sites)
{
	return sites->npatches ? STUB_HEAD_BYTES + sites->npatches * PATCH_MAX_STUB : 0;
}

uint64_t sites_rewrite(struct sites *sites, uint8_t *stubs, uint64_t stubs_addr,
		       uint8_t *(*text)(void *arg, uint64_t addr), void *arg)
{
	const uint64_t entry = NOXS_GVA_FAST_ENTRY;
	uint64_t used = STUB_HEAD_BYTES;
	bool any = false;

	for (size_t i = 0; i < sites->npatches; i++) {
		struct patch *patch = &sites->patch[i];
		uint8_t *bytes = text(arg, patch->start);
		int n;

		if (patch->dropped)
			continue;
		n = patch_emit(patch, bytes, stubs_addr + used, stubs_addr, stubs + used);
		if (n < 0) {
			patch->dropped = true;
			sites->site[first_site(sites, patch->site)].state = SITE_FAR;
			continue;
		}
		any = true;
		used += ((uint64_t)n + STUB_ALIGN - 1) & ~(uint64_t)(STUB_ALIGN - 1);
	}
	count(sites);
	if (!any)
		return 0;
	memcpy(stubs, &entry, sizeof(entry));
	return used;
}

void sites_skip(struct sites *sites)
{
	for (size_t i = 0; i < sites->n; i++) {
		if (sites->site[i].state == SITE_REWRITTEN)
			sites->site[i].state = SITE_FAR;
	}
	count(sites);
}

void sites_free(struct sites *sites)
{
	free(sites->site);
	free(sites->patch);
	*sites = (struct sites){0};
}
