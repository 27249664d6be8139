/* SPDX-License-Identifier: Apache-2.0 */
/* code.c: decodes functions with Zydis; see code.h. */
#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "code.h"

static void decoder_init(ZydisDecoder *decoder, bool minimal)
{
	ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	/* Minimal: length, opcode and raw fields only, at about a third of the time. */
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_MINIMAL, minimal);
}

static enum code_kind default_map_kind(const ZydisDecodedInstruction *in)
{
	const uint8_t op = in->opcode;

	if ((op >= 0x70 && op <= 0x7f) || (op >= 0xe0 && op <= 0xe3))
		return CODE_COND;
	switch (op) {
	case 0xeb:
	case 0xe9:
		return CODE_JUMP;
	case 0xe8:
		return CODE_CALL;
	case 0xc2:
	case 0xc3:
		return CODE_RET;
	case 0xff:
		if (in->raw.modrm.reg == 2 || in->raw.modrm.reg == 3)
			return CODE_CALL;
		if (in->raw.modrm.reg == 4 || in->raw.modrm.reg == 5)
			return CODE_INDIRECT;
		return CODE_PLAIN;
	case 0xc7: /* xbegin, and c6: xabort, are /7 */
	case 0xc6:
		return in->raw.modrm.reg == 7 ? CODE_STOP : CODE_PLAIN;
	case 0xca: /* far return, int3, int, iret, int1, hlt */
	case 0xcb:
	case 0xcc:
	case 0xcd:
	case 0xcf:
	case 0xf1:
	case 0xf4:
		return CODE_STOP;
	}
	return CODE_PLAIN;
}

static enum code_kind kind_of(const ZydisDecodedInstruction *in)
{
	if (in->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT)
		return default_map_kind(in);
	if (in->opcode_map != ZYDIS_OPCODE_MAP_0F ||
	    in->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return CODE_PLAIN;
	if (in->opcode >= 0x80 && in->opcode <= 0x8f)
		return CODE_COND;
	switch (in->opcode) {
	case 0x05:
		return in->length == 2 ? CODE_SYSCALL : CODE_STOP;
	case 0x07: /* sysret, ud2, sysenter, sysexit, rsm, ud1, ud0 */
	case 0x0b:
	case 0x34:
	case 0x35:
	case 0xaa:
	case 0xb9:
	case 0xff:
		return CODE_STOP;
	}
	return CODE_PLAIN;
}

static struct code_insn *add(struct code *code)
{
	if (code->n == code->room) {
		uint32_t room = code->room ? code->room * 2 : 1024;
		struct code_insn *grown = reallocarray(code->insn, room, sizeof(*grown));

		if (!grown)
			return NULL;
		code->insn = grown;
		code->room = room;
	}
	return &code->insn[code->n++];
}

int64_t code_find(const struct code *code, uint32_t off)
{
	uint32_t lo = 0, hi = code->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (code->insn[mid].off < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < code->n && code->insn[lo].off == off ? (int64_t)lo : -1;
}

/*
 * Mark what branches reach. A target inside an instruction proves that the boundaries are
 * wrong (data in text, overlapping code), except after a lock prefix: C libraries jump
 * over it when there is one thread.
 */
static int mark_targets(struct code *code)
{
	for (uint32_t i = 0; i < code->n; i++) {
		uint32_t target = code->insn[i].target;

		if (target == CODE_OUTSIDE)
			continue;
		int64_t at = code_find(code, target);

		if (at < 0 && target && code->bytes[target - 1] == 0xf0)
			at = code_find(code, target - 1);
		if (at < 0)
			return -EILSEQ;
		code->insn[at].targeted = true;
	}
	return 0;
}

int code_decode(struct code *code, const uint8_t *bytes, uint32_t n, uint64_t addr)
{
	ZydisDecoder decoder;
	ZydisDecodedInstruction in;

	code->bytes = bytes;
	code->nbytes = n;
	code->addr = addr;
	code->n = 0;
	code->indirect = false;
	if (n > CODE_MAX_BYTES)
		return -E2BIG;
	decoder_init(&decoder, true);
	for (uint32_t off = 0; off < n; off += in.length) {
		if (ZYAN_FAILED(ZydisDecoderDecodeInstruction(&decoder, NULL, bytes + off, n - off,
							      &in)))
			return -EILSEQ;
		struct code_insn *insn = add(code);

		if (!insn)
			return -ENOMEM;
		*insn = (struct code_insn){
			.off = off,
			.target = CODE_OUTSIDE,
			.len = in.length,
			.kind = kind_of(&in),
		};
		code->indirect |= insn->kind == CODE_INDIRECT;
		/* raw.imm is set for the direct forms only. */
		if ((insn->kind == CODE_COND || insn->kind == CODE_JUMP ||
		     insn->kind == CODE_CALL) &&
		    in.raw.imm[0].size) {
			int64_t target = (int64_t)off + in.length + in.raw.imm[0].value.s;

			if (target >= 0 && target < (int64_t)n)
				insn->target = (uint32_t)target;
		}
	}
	return mark_targets(code);
}

void code_free(struct code *code)
{
	free(code->insn);
	*code = (struct code){0};
}

static bool allowed(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
	case ZYDIS_MNEMONIC_LEA:
	case ZYDIS_MNEMONIC_NOP:
	case ZYDIS_MNEMONIC_XOR:
	case ZYDIS_MNEMONIC_OR:
	case ZYDIS_MNEMONIC_AND:
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_ADC:
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_SBB:
	case ZYDIS_MNEMONIC_INC:
	case ZYDIS_MNEMONIC_DEC:
	case ZYDIS_MNEMONIC_NEG:
	case ZYDIS_MNEMONIC_NOT:
	case ZYDIS_MNEMONIC_IMUL:
	case ZYDIS_MNEMONIC_SHL:
	case ZYDIS_MNEMONIC_SHR:
	case ZYDIS_MNEMONIC_SAR:
	case ZYDIS_MNEMONIC_ROL:
	case ZYDIS_MNEMONIC_ROR:
	case ZYDIS_MNEMONIC_TEST:
	case ZYDIS_MNEMONIC_CMP:
	case ZYDIS_MNEMONIC_CDQE:
	case ZYDIS_MNEMONIC_CDQ:
	case ZYDIS_MNEMONIC_CQO:
	case ZYDIS_MNEMONIC_BSWAP:
	case ZYDIS_MNEMONIC_SETB:
	case ZYDIS_MNEMONIC_SETNB:
	case ZYDIS_MNEMONIC_SETZ:
	case ZYDIS_MNEMONIC_SETNZ:
	case ZYDIS_MNEMONIC_SETBE:
	case ZYDIS_MNEMONIC_SETNBE:
	case ZYDIS_MNEMONIC_SETL:
	case ZYDIS_MNEMONIC_SETNL:
	case ZYDIS_MNEMONIC_SETLE:
	case ZYDIS_MNEMONIC_SETNLE:
	case ZYDIS_MNEMONIC_SETS:
	case ZYDIS_MNEMONIC_SETNS:
	case ZYDIS_MNEMONIC_CMOVB:
	case ZYDIS_MNEMONIC_CMOVNB:
	case ZYDIS_MNEMONIC_CMOVZ:
	case ZYDIS_MNEMONIC_CMOVNZ:
	case ZYDIS_MNEMONIC_CMOVBE:
	case ZYDIS_MNEMONIC_CMOVNBE:
	case ZYDIS_MNEMONIC_CMOVL:
	case ZYDIS_MNEMONIC_CMOVNL:
	case ZYDIS_MNEMONIC_CMOVLE:
	case ZYDIS_MNEMONIC_CMOVNLE:
	case ZYDIS_MNEMONIC_CMOVS:
	case ZYDIS_MNEMONIC_CMOVNS:
	case ZYDIS_MNEMONIC_MOVAPS:
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_MOVDQA:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_MOVD:
	case ZYDIS_MNEMONIC_MOVQ:
	case ZYDIS_MNEMONIC_PXOR:
	case ZYDIS_MNEMONIC_PUNPCKLQDQ:
	case ZYDIS_MNEMONIC_MOVHPS:
		return true;
	default:
		return false;
	}
}

static bool operand_ok(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *op, bool frame)
{
	const ZydisDecodedOperandMem *mem = &op->mem;

	switch (op->type) {
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		return !op->imm.is_relative;
	case ZYDIS_OPERAND_TYPE_REGISTER:
		switch (ZydisRegisterGetClass(op->reg.value)) {
		case ZYDIS_REGCLASS_GPR8:
		case ZYDIS_REGCLASS_GPR16:
		case ZYDIS_REGCLASS_GPR32:
		case ZYDIS_REGCLASS_GPR64:
		case ZYDIS_REGCLASS_XMM:
		case ZYDIS_REGCLASS_FLAGS:
			return true;
		default:
			return false; /* segment, control, debug registers, RIP */
		}
	case ZYDIS_OPERAND_TYPE_MEMORY:
		if (mem->type == ZYDIS_MEMOP_TYPE_AGEN)
			return mem->base != ZYDIS_REGISTER_EIP;
		if (in->mnemonic == ZYDIS_MNEMONIC_NOP)
			return mem->base != ZYDIS_REGISTER_EIP && mem->base != ZYDIS_REGISTER_RIP;
		/* A slot of the frame, or of the red zone below it. */
		return frame && mem->type == ZYDIS_MEMOP_TYPE_MEM &&
		       mem->base == ZYDIS_REGISTER_RSP && mem->index == ZYDIS_REGISTER_NONE &&
		       mem->segment == ZYDIS_REGISTER_SS && mem->disp.value >= -128 &&
		       mem->disp.value < 4096;
	default:
		return false;
	}
}

bool code_movable(const uint8_t *bytes, uint32_t n, bool frame, uint8_t *disp_at)
{
	ZydisDecoder decoder;
	ZydisDecodedInstruction in;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];

	*disp_at = 0;
	decoder_init(&decoder, false);
	if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, bytes, n, &in, op)) || in.length != n)
		return false;
	if (!allowed(in.mnemonic) || in.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
	    in.attributes & (ZYDIS_ATTRIB_HAS_LOCK | ZYDIS_ATTRIB_IS_PRIVILEGED))
		return false;
	for (uint8_t i = 0; i < in.operand_count; i++) {
		if (!operand_ok(&in, &op[i], frame))
			return false;
		if (op[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    op[i].mem.base == ZYDIS_REGISTER_RIP) {
			if (in.raw.disp.size != 32)
				return false;
			*disp_at = in.raw.disp.offset;
		}
	}
	return true;
}

#define ARITHMETIC_FLAGS                                                             \
	(ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF | ZYDIS_CPUFLAG_ZF | \
	 ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF)

bool code_flags_dead(const struct code *code, uint32_t i)
{
	ZydisDecoder decoder;
	ZydisAccessedFlagsMask live = ARITHMETIC_FLAGS;

	decoder_init(&decoder, false);
	for (int steps = 0; steps < 32; steps++) {
		if (i >= code->n)
			return true; /* a system call that does not return ends the function */
		const struct code_insn *insn = &code->insn[i];
		ZydisDecodedInstruction in;

		/* The ABI says that flags mean nothing across calls and returns. */
		if (insn->kind == CODE_CALL || insn->kind == CODE_RET || insn->kind == CODE_STOP)
			return true;
		if (insn->kind == CODE_JUMP && insn->target == CODE_OUTSIDE)
			return true; /* a tail call, or another part of a split function */
		if (insn->kind == CODE_JUMP) {
			int64_t next = code_find(code, insn->target);

			if (next < 0)
				return false;
			i = (uint32_t)next;
			continue;
		}
		if (insn->kind == CODE_INDIRECT || insn->kind == CODE_COND)
			return false; /* used, or two ways to follow: not worth it */
		if (ZYAN_FAILED(ZydisDecoderDecodeInstruction(
			    &decoder, NULL, code->bytes + insn->off, insn->len, &in)))
			return false;
		if (in.cpu_flags) {
			if (in.cpu_flags->tested & live)
				return false;
			live &= ~(in.cpu_flags->modified | in.cpu_flags->set_0 |
				  in.cpu_flags->set_1 | in.cpu_flags->undefined);
		}
		if (!live)
			return true;
		i++;
	}
	return false;
}
