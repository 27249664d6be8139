/* SPDX-License-Identifier: Apache-2.0 */
/* patch.c: chooses a window around a syscall, and writes its stub; see patch.h. */
#include <errno.h>
#include <string.h>

#include "patch.h"

#define JMP_BYTES     5u /* e9 rel32 */
#define SYSCALL_BYTES 2u

/* How many instructions before and after the syscall are looked at. */
#define REACH 16

static bool movable(const struct code *code, uint32_t i, bool frame)
{
	const struct code_insn *insn = &code->insn[i];
	uint8_t disp;

	return insn->kind == CODE_PLAIN &&
	       code_movable(code->bytes + insn->off, insn->len, frame, &disp);
}

/* May stand last in a technique-B window: leaves it, and can be made anew elsewhere. */
static bool last(const struct code *code, uint32_t i)
{
	const struct code_insn *insn = &code->insn[i];
	const uint8_t op = code->bytes[insn->off];

	return (insn->kind == CODE_RET && op == 0xc3) || op == 0xeb || op == 0xe9;
}

static uint32_t end_of(const struct code *code, uint32_t i)
{
	return code->insn[i].off + code->insn[i].len;
}

static void set(const struct code *code, uint32_t from, uint32_t to, uint32_t site,
		struct patch *out)
{
	*out = (struct patch){
		.start = code->addr + code->insn[from].off,
		.site = code->addr + code->insn[site].off,
		.function = code->addr,
		.function_end = code->addr + code->nbytes,
		.single = from == to,
		.window = (uint8_t)(end_of(code, to) - code->insn[from].off),
	};
}

/*
 * A and A': the instructions from..to, before the syscall; the fewest, then the nearest.
 * With most == 1 that is technique A only.
 */
static int choose_before(const struct code *code, uint32_t site, uint32_t first, uint32_t most,
			 struct patch *out)
{
	for (uint32_t count = 1; count <= most; count++) {
		for (uint32_t from = site; from-- > first;) {
			uint32_t to = from + count - 1;
			bool entered = false;

			if (to >= site || end_of(code, to) - code->insn[from].off < JMP_BYTES)
				continue;
			for (uint32_t i = from + 1; i <= to; i++)
				entered |= code->insn[i].targeted;
			if (entered)
				continue;
			set(code, from, to, site, out);
			return 0;
		}
	}
	return -ENOENT;
}

/* B: a window that takes in the syscall, with as few instructions before it as will do. */
static int choose_around(const struct code *code, uint32_t site, uint32_t first, struct patch *out)
{
	for (uint32_t from = site + 1; from-- > first;) {
		if (from < site && code->insn[from + 1].targeted)
			return -ENOENT; /* every larger window has this inside, too */
		for (uint32_t to = site; to < code->n && to <= site + REACH; to++) {
			if (to > site && (code->insn[to].targeted ||
					  !(movable(code, to, true) || last(code, to))))
				break;
			if (end_of(code, to) - code->insn[from].off >= JMP_BYTES) {
				set(code, from, to, site, out);
				return 0;
			}
			if (to > site && last(code, to))
				break;
		}
	}
	return -ENOENT;
}

int patch_choose(const struct code *code, uint32_t site, enum patch_trust trust, struct patch *out)
{
	const uint32_t site_off = code->insn[site].off;
	uint32_t first = site;

	/* The straight run before the syscall that can be copied. */
	while (first && site - first < REACH && movable(code, first - 1, trust != PATCH_UNNAMED) &&
	       site_off - code->insn[first - 1].off <= PATCH_MAX_COPY / 2)
		first--;
	const bool alone = trust != PATCH_WHOLE || code->indirect;

	if (!choose_before(code, site, first, alone ? 1 : JMP_BYTES, out))
		return 0;
	if (alone)
		return -ENOENT;
	/*
	 * B gives the kernel a return address in the stub. glibc cancels a thread that is
	 * blocked in a system call by unwinding from there, which must find the function:
	 * such calls follow the call that allows cancellation, with no branch in between.
	 */
	uint32_t run = first;

	while (run && code->insn[run - 1].kind == CODE_PLAIN && !code->insn[run].targeted)
		run--;
	if (run && code->insn[run - 1].kind == CODE_CALL)
		return -ENOENT;
	return choose_around(code, site, first, out);
}

/* ---- the stub ---- */

struct emit {
	uint8_t *stub;
	uint64_t addr; /* of stub[0] */
	uint32_t n;
	bool failed; /* a displacement did not fit */
};

static void put(struct emit *e, const void *bytes, uint32_t n)
{
	if (e->n + n > PATCH_MAX_STUB) {
		e->failed = true;
		return;
	}
	memcpy(e->stub + e->n, bytes, n);
	e->n += n;
}

/* A 32-bit displacement from the byte behind it to target. */
static void put_rel32(struct emit *e, uint64_t target)
{
	int64_t rel = (int64_t)(target - (e->addr + e->n + 4));
	int32_t rel32 = (int32_t)rel;

	if (rel != rel32)
		e->failed = true;
	put(e, &rel32, sizeof(rel32));
}

static void put_jmp(struct emit *e, uint64_t target)
{
	put(e, "\xe9", 1);
	put_rel32(e, target);
}

/* A short or near jmp of the program at addr, made anew. */
static void copy_jmp(struct emit *e, const struct code_insn *insn, const uint8_t *bytes,
		     uint64_t addr)
{
	int64_t rel;

	if (bytes[0] == 0xeb) {
		rel = (int8_t)bytes[1];
	} else {
		int32_t rel32;

		memcpy(&rel32, bytes + 1, sizeof(rel32));
		rel = rel32;
	}
	put_jmp(e, addr + insn->len + (uint64_t)rel);
}

/* Copy the instructions of bytes[0..n), which stand at addr. Returns true after a jmp or ret. */
static bool copy(struct emit *e, struct code *code, const uint8_t *bytes, uint32_t n, uint64_t addr)
{
	if (n && code_decode(code, bytes, n, addr)) {
		e->failed = true; /* cannot be: it was decoded before */
		return true;
	}
	for (uint32_t i = 0; n && i < code->n; i++) {
		const struct code_insn *insn = &code->insn[i];
		const uint8_t *from = bytes + insn->off;
		uint8_t disp = 0;

		if (insn->kind == CODE_JUMP) {
			copy_jmp(e, insn, from, addr + insn->off);
			return true;
		}
		if (insn->kind == CODE_RET) {
			put(e, from, insn->len);
			return true;
		}
		if (!code_movable(from, insn->len, true, &disp)) {
			e->failed = true;
			return true;
		}
		if (!disp) {
			put(e, from, insn->len);
			continue;
		}
		int32_t rel;

		memcpy(&rel, from + disp, sizeof(rel));
		put(e, from, disp);
		/* Only lea has a displacement here; it is the instruction's last field. */
		put_rel32(e, addr + insn->off + insn->len + (uint64_t)(int64_t)rel);
		put(e, from + disp + 4, insn->len - disp - 4u);
	}
	return false;
}

int patch_emit(const struct patch *patch, uint8_t *bytes, uint64_t stub_addr, uint64_t entry_addr,
	       uint8_t *stub)
{
	const uint32_t before = (uint32_t)(patch->site - patch->start);
	const uint64_t end = patch->start + patch->window;
	const uint64_t after = patch->site + SYSCALL_BYTES;
	const bool around = end > patch->site;
	struct emit e = {.stub = stub, .addr = stub_addr};
	struct emit jump = {.addr = patch->start};
	uint8_t window[PATCH_MAX_STUB];
	struct code code = {0};

	copy(&e, &code, bytes, before, patch->start);
	put(&e, "\x48\x8d\x0d", 3); /* lea rel32(%rip), %rcx */
	/* Technique B: over the jmp (6 bytes) and the syscall (2). */
	put_rel32(&e, around ? stub_addr + e.n + 4 + 6 + SYSCALL_BYTES : after);
	put(&e, "\xff\x25", 2); /* jmp *rel32(%rip) */
	put_rel32(&e, entry_addr);
	if (around) {
		put(&e, "\x0f\x05", SYSCALL_BYTES);
		if (!copy(&e, &code, bytes + before + SYSCALL_BYTES, (uint32_t)(end - after),
			  after))
			put_jmp(&e, end);
	}
	code_free(&code);

	jump.stub = window;
	put_jmp(&jump, stub_addr);
	if (e.failed || jump.failed)
		return -ERANGE;
	memset(bytes, 0x90, patch->window);
	memcpy(bytes, window, JMP_BYTES);
	return (int)e.n;
}
