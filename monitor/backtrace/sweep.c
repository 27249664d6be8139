/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.c: see sweep.h. Instruction format: Intel SDM vol. 2A, chapter 2; opcodes: vol. 2D,
 * appendix A. Only lengths are needed, and what compilers make of C; no VEX or EVEX.
 */
#include <string.h>

#include "sweep.h"

#define MAX_CODE 65536u
#define MAX_INSN 15u

enum { RSP = 4, RBP = 5 }; /* as instructions number them */

struct insn {
	unsigned len;
	uint8_t op; /* of a two-byte opcode 0x0f */
	uint8_t rex;
	const uint8_t *rest; /* behind the opcode */
};

/* ModRM, SIB and displacement. */
static unsigned operand(const uint8_t *b)
{
	unsigned mod = b[0] >> 6, rm = b[0] & 7, len = 1;

	if (mod != 3 && rm == 4) {
		len++;
		if (mod == 0 && (b[1] & 7) == 5)
			len += 4;
	}
	if (mod == 1)
		len += 1;
	if (mod == 2 || (mod == 0 && rm == 5))
		len += 4;
	return len;
}

/* Bytes behind a one-byte opcode; imm: of a full-size immediate. -1: not known. */
static int rest_one(const struct insn *i, unsigned imm)
{
	const unsigned op = i->op, full = operand(i->rest), reg = i->rest[0] >> 3 & 7;

	if (op < 0x40) {
		static const int8_t low[] = {0, 0, 0, 0, 1, 4, -1, -1};

		return (op & 7) < 4 ? (int)full : (op & 7) == 5 ? (int)imm : low[op & 7];
	}
	if ((op >= 0x50 && op <= 0x5f) || (op >= 0x90 && op <= 0x99))
		return 0;
	if ((op >= 0x70 && op <= 0x7f) || (op >= 0xb0 && op <= 0xb7) || (op >= 0xe0 && op <= 0xe3))
		return 1;
	if ((op >= 0x84 && op <= 0x8f) || (op >= 0xd0 && op <= 0xd3) || op >= 0xfe ||
	    (op >= 0xd8 && op <= 0xdf))
		return (int)full;
	if (op >= 0xb8 && op <= 0xbf)
		return i->rex & 8 ? 8 : (int)imm;
	switch (op) {
	case 0x63:
		return (int)full;
	case 0x6a:
	case 0xa8:
	case 0xeb:
		return 1;
	case 0x6b:
	case 0x80:
	case 0x83:
	case 0xc0:
	case 0xc1:
	case 0xc6:
		return (int)full + 1;
	case 0x69:
	case 0x81:
	case 0xc7:
		return (int)(full + imm);
	case 0x68:
	case 0xa9:
		return (int)imm;
	case 0xe8:
	case 0xe9:
		return 4;
	case 0xc2:
		return 2;
	case 0xf6:
		return (int)full + (reg < 2);
	case 0xf7:
		return (int)(full + (reg < 2 ? imm : 0));
	}
	if ((op >= 0xa4 && op <= 0xa7) || (op >= 0xaa && op <= 0xaf) || op == 0xc3 || op == 0xc9 ||
	    op == 0xcc || op == 0xf4)
		return 0;
	return -1;
}

/* Bytes behind the opcode 0x0f: the second byte and what follows it. */
static unsigned rest_two(const uint8_t *b)
{
	if (b[0] >= 0x80 && b[0] <= 0x8f)
		return 5;
	if (b[0] == 0x38)
		return 2 + operand(b + 2);
	if (b[0] == 0x3a)
		return 3 + operand(b + 2);
	if (b[0] == 0x05 || b[0] == 0x0b || b[0] == 0x31 || b[0] == 0x77 || b[0] == 0xa2 ||
	    (b[0] >= 0xc8 && b[0] <= 0xcf))
		return 1;
	if ((b[0] >= 0x70 && b[0] <= 0x73) || b[0] == 0xa4 || b[0] == 0xac || b[0] == 0xba ||
	    b[0] == 0xc2 || (b[0] >= 0xc4 && b[0] <= 0xc6))
		return 2 + operand(b + 1);
	return 1 + operand(b + 1);
}

/* b has MAX_INSN bytes and some more. */
static bool decode(const uint8_t *b, struct insn *i)
{
	unsigned n = 0, imm = 4;
	int rest;

	while (n < 4 && (b[n] == 0x66 || b[n] == 0xf2 || b[n] == 0xf3 || b[n] == 0x64 ||
			 b[n] == 0x65 || b[n] == 0x2e || b[n] == 0xf0)) {
		imm = b[n] == 0x66 ? 2 : imm;
		n++;
	}
	i->rex = (b[n] & 0xf0) == 0x40 ? b[n++] : 0;
	i->op = b[n++];
	i->rest = b + n;
	rest = i->op == 0x0f ? (int)rest_two(i->rest) : rest_one(i, imm);
	i->len = n + (unsigned)rest;
	return rest >= 0 && i->len <= MAX_INSN;
}

/* DWARF's number of a register in an instruction. */
static unsigned dwarf_reg(unsigned reg, uint8_t rex)
{
	static const uint8_t low[8] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX,
				       REG_RSP, REG_RBP, REG_RSI, REG_RDI};

	return rex & 1 ? reg + REG_R8 : low[reg];
}

/* add or sub of an immediate to rsp: changes depth. False: rsp becomes something else. */
static bool adjust(const struct insn *i, uint64_t *depth)
{
	int64_t by;
	int32_t imm;

	if ((i->op != 0x81 && i->op != 0x83) || (i->rest[0] & 0xc7) != (0xc0 | RSP) || i->rex & 1)
		return true;
	if (i->op == 0x83) {
		by = (int8_t)i->rest[1];
	} else {
		memcpy(&imm, i->rest + 1, sizeof(imm));
		by = imm;
	}
	switch (i->rest[0] >> 3 & 7) {
	case 0:
		*depth -= (uint64_t)by;
		return true;
	case 5:
		*depth += (uint64_t)by;
		return true;
	case 7: /* cmp */
		return true;
	}
	return false;
}

/* Does the instruction load rsp from elsewhere? */
static bool loads_rsp(const struct insn *i)
{
	unsigned reg = i->rest[0] >> 3 & 7, rm = i->rest[0] & 7, mod = i->rest[0] >> 6;

	if (i->op == 0x8b || i->op == 0x8d)
		return reg == RSP && !(i->rex & 4);
	return i->op == 0x89 && mod == 3 && rm == RSP && !(i->rex & 1);
}

/*
 * The way out of a function takes from the stack what it holds, and then leaves. What stands
 * behind that is reached otherwise, with the stack as it was before: `full` remembers it.
 */
struct state {
	struct sweep *out;
	uint64_t full;
	bool called;   /* the last instruction was a call, or took its arguments off */
	bool taking;   /* the stack has only become smaller since full */
	bool argument; /* it began with a call's arguments */
};

static void taken(struct state *st, uint64_t before)
{
	/* What a call leaves on the stack is more likely its arguments. */
	if (!st->taking || (st->argument && !st->called)) {
		st->full = before;
		st->argument = st->called;
	}
	st->taking = true;
}

static bool step(struct state *st, const struct insn *i)
{
	const uint8_t op = i->op, reg = i->rest[0] >> 3 & 7;
	struct sweep *s = st->out;
	uint64_t before = s->depth;
	bool call = op == 0xe8 || (op == 0xff && reg == 2);

	if (op >= 0x50 && op <= 0x57) {
		unsigned pushed = dwarf_reg(op - 0x50u, i->rex);

		s->depth += 8;
		if (!s->saved[pushed])
			s->saved[pushed] = (uint32_t)s->depth;
	} else if (op >= 0x58 && op <= 0x5f) {
		s->depth -= 8;
	} else if (op == 0x68 || op == 0x6a || (op == 0xff && reg == 6)) {
		s->depth += 8;
	} else if (op == 0x89 && i->rex == 0x48 && i->rest[0] == 0xe5) { /* mov %rsp, %rbp */
		s->frame = s->depth == 8 && s->saved[REG_RBP] == 8;
	} else if (op == 0xc9) { /* leave */
		s->depth = s->saved[REG_RBP] - 8;
	} else if (op == 0xc3 || op == 0xc2 || ((op == 0xe9 || op == 0xeb) && !s->depth) ||
		   (op == 0xff && reg == 4 && !s->depth)) {
		if (st->taking)
			s->depth = before = st->full;
		call = false;
	} else if (loads_rsp(i) || !adjust(i, &s->depth)) {
		return false;
	}
	if (s->depth < before)
		taken(st, before);
	else if (s->depth > before || call || (op >= 0x70 && op <= 0x7f) || op == 0x0f)
		st->taking = false;
	st->called = call || (st->called && s->depth < before);
	return s->depth < 1u << 24;
}

bool sweep(const struct target *t, uint64_t start, uint64_t pc, struct sweep *out)
{
	struct state state = {.out = out};
	uint8_t b[MAX_INSN + 9] = {0};
	struct insn insn;

	memset(out, 0, sizeof(*out));
	if (pc < start || pc - start > MAX_CODE)
		return false;
	while (start < pc) {
		/* Where the code ends sooner than an instruction may, the rest is zero. */
		for (size_t n = MAX_INSN; !target_read(t, start, b, n); n--)
			if (n == 1)
				return false;
		if (!decode(b, &insn) || !step(&state, &insn))
			return false;
		start += insn.len;
	}
	return start == pc;
}
