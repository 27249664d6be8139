/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.c: classic BPF, as tcpdump and DHCP clients attach it to packet sockets.
 *
 * Source: McCanne and Jacobson, The BSD Packet Filter (USENIX 1993), and Linux,
 * Documentation/networking/filter.rst. A program is checked once: it jumps forward only and
 * within itself, its last instruction returns, its memory slots exist; so it ends.
 */
#include <linux/errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>

#include "if.h"

struct net_filter {
	uint32_t n;
	struct sock_filter code[];
};

/* ---- the check ---- */

static bool known_ancillary(uint32_t k)
{
	switch (k - (uint32_t)SKF_AD_OFF) {
	case SKF_AD_PROTOCOL:
	case SKF_AD_PKTTYPE:
	case SKF_AD_IFINDEX:
	case SKF_AD_HATYPE:
	case SKF_AD_VLAN_TAG:
	case SKF_AD_VLAN_TAG_PRESENT:
	case SKF_AD_RANDOM:
	case SKF_AD_CPU:
		return true;
	default:
		return false;
	}
}

static bool known(const struct sock_filter *i)
{
	switch (i->code) {
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_B | BPF_ABS:
		return i->k < (uint32_t)SKF_AD_OFF || known_ancillary(i->k);
	case BPF_LD | BPF_W | BPF_IND:
	case BPF_LD | BPF_H | BPF_IND:
	case BPF_LD | BPF_B | BPF_IND:
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_B | BPF_MSH:
	case BPF_ALU | BPF_ADD | BPF_K:
	case BPF_ALU | BPF_ADD | BPF_X:
	case BPF_ALU | BPF_SUB | BPF_K:
	case BPF_ALU | BPF_SUB | BPF_X:
	case BPF_ALU | BPF_MUL | BPF_K:
	case BPF_ALU | BPF_MUL | BPF_X:
	case BPF_ALU | BPF_DIV | BPF_X:
	case BPF_ALU | BPF_MOD | BPF_X:
	case BPF_ALU | BPF_AND | BPF_K:
	case BPF_ALU | BPF_AND | BPF_X:
	case BPF_ALU | BPF_OR | BPF_K:
	case BPF_ALU | BPF_OR | BPF_X:
	case BPF_ALU | BPF_XOR | BPF_K:
	case BPF_ALU | BPF_XOR | BPF_X:
	case BPF_ALU | BPF_LSH | BPF_X:
	case BPF_ALU | BPF_RSH | BPF_X:
	case BPF_ALU | BPF_NEG:
	case BPF_JMP | BPF_JA:
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JEQ | BPF_X:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_X:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_X:
	case BPF_JMP | BPF_JSET | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_X:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
		return true;
	case BPF_ALU | BPF_DIV | BPF_K:
	case BPF_ALU | BPF_MOD | BPF_K:
		return i->k != 0;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K:
		return i->k < 32;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return i->k < BPF_MEMWORDS;
	default:
		return false;
	}
}

static bool program_ok(const struct sock_filter *code, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t left = n - i - 1; /* instructions behind this one */

		if (!known(&code[i]))
			return false;
		if (BPF_CLASS(code[i].code) != BPF_JMP)
			continue;
		if (BPF_OP(code[i].code) == BPF_JA ? code[i].k >= left
						   : code[i].jt >= left || code[i].jf >= left)
			return false;
	}
	return BPF_CLASS(code[n - 1].code) == BPF_RET;
}

long net_filter_make(const void *fprog, uint32_t bytes, struct net_filter **out)
{
	struct {
		uint16_t n;
		uint64_t code; /* the program's address */
	} prog;
	struct net_filter *f;

	if (bytes != sizeof(prog))
		return -EINVAL;
	memcpy(&prog, fprog, sizeof(prog));
	if (!prog.n || prog.n > BPF_MAXINSNS)
		return -EINVAL;
	f = uk_alloc(sizeof(*f) + prog.n * sizeof(f->code[0]));
	if (!f)
		return -ENOMEM;
	f->n = prog.n;
	if (uk_copy_in(f->code, prog.code, prog.n * sizeof(f->code[0]))) {
		uk_free(f);
		return -EFAULT;
	}
	if (!program_ok(f->code, f->n)) {
		uk_free(f);
		return -EINVAL;
	}
	*out = f;
	return 0;
}

/* ---- the machine ---- */

static uint32_t ancillary(const struct net_filter_frame *f, uint32_t k)
{
	uint32_t v = 0;

	switch (k - (uint32_t)SKF_AD_OFF) {
	case SKF_AD_PROTOCOL:
		return if_be16(f->protocol);
	case SKF_AD_PKTTYPE:
		return f->type;
	case SKF_AD_IFINDEX:
		return f->index;
	case SKF_AD_HATYPE:
		return f->hardware;
	case SKF_AD_RANDOM:
		uk_random(&v, sizeof(v));
		return v;
	default: /* no VLAN tag is ever taken out of a frame; there is one CPU */
		return 0;
	}
}

/* Size bytes at k, which may count from the network or the Ethernet header. */
static bool load(const struct net_filter_frame *f, uint32_t k, uint32_t size, uint32_t *out)
{
	int64_t at = (int32_t)k;
	uint32_t v = 0;

	if (at < 0) {
		if (at < SKF_LL_OFF)
			return false;
		at = at >= SKF_NET_OFF ? at - SKF_NET_OFF + (int64_t)f->net
				       : at - SKF_LL_OFF + (int64_t)f->net - ETH_HLEN;
	}
	if (at < 0 || at + size > f->bytes)
		return false;
	for (uint32_t i = 0; i < size; i++)
		v = v << 8 | f->data[at + i];
	*out = v;
	return true;
}

static uint32_t alu(uint16_t code, uint32_t a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return a / b;
	case BPF_MOD:
		return a % b;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return b < 32 ? a << b : 0;
	case BPF_RSH:
		return b < 32 ? a >> b : 0;
	default:
		return -a;
	}
}

static bool jumps(uint16_t code, uint32_t a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	default:
		return a & b;
	}
}

uint32_t net_filter_run(const struct net_filter *f, const struct net_filter_frame *frame)
{
	uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = {0};

	for (const struct sock_filter *i = f->code;; i++) {
		uint32_t size = BPF_SIZE(i->code) == BPF_W ? 4 : BPF_SIZE(i->code) == BPF_H ? 2 : 1;
		uint32_t operand = BPF_SRC(i->code) == BPF_X ? x : i->k;

		switch (BPF_CLASS(i->code)) {
		case BPF_LD:
			switch (BPF_MODE(i->code)) {
			case BPF_ABS:
				if (i->k >= (uint32_t)SKF_AD_OFF)
					a = ancillary(frame, i->k);
				else if (!load(frame, i->k, size, &a))
					return 0;
				break;
			case BPF_IND:
				if (!load(frame, x + i->k, size, &a))
					return 0;
				break;
			case BPF_LEN:
				a = frame->bytes;
				break;
			case BPF_MEM:
				a = mem[i->k];
				break;
			default:
				a = i->k;
			}
			break;
		case BPF_LDX:
			switch (BPF_MODE(i->code)) {
			case BPF_MSH: /* the length of an IPv4 header */
				if (!load(frame, i->k, 1, &x))
					return 0;
				x = (x & 15) * 4;
				break;
			case BPF_LEN:
				x = frame->bytes;
				break;
			case BPF_MEM:
				x = mem[i->k];
				break;
			default:
				x = i->k;
			}
			break;
		case BPF_ST:
			mem[i->k] = a;
			break;
		case BPF_STX:
			mem[i->k] = x;
			break;
		case BPF_ALU:
			if (!operand && (BPF_OP(i->code) == BPF_DIV || BPF_OP(i->code) == BPF_MOD))
				return 0;
			a = alu(i->code, a, operand);
			break;
		case BPF_JMP:
			if (BPF_OP(i->code) == BPF_JA)
				i += i->k;
			else
				i += jumps(i->code, a, operand) ? i->jt : i->jf;
			break;
		case BPF_RET:
			return BPF_RVAL(i->code) == BPF_A ? a : i->k;
		default:
			if (BPF_MISCOP(i->code) == BPF_TAX)
				x = a;
			else
				a = x;
		}
	}
}
