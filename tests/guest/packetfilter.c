/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packetfilter.c: classic BPF, instruction by instruction. A program returns how much of a
 * frame is kept, so the length of what arrives tells what it has computed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define MINE        0x88b5 /* a local experimental EtherType (IEEE 802) */
#define FRAME_BYTES 200
#define CODE_MAX    8
#ifndef SO_ATTACH_FILTER
#define SO_ATTACH_FILTER 26
#endif

/* linux/filter.h and linux/bpf_common.h, which musl's compiler does not find */
struct instruction {
	unsigned short code;
	unsigned char jt, jf;
	unsigned k;
};
struct program {
	unsigned short len;
	struct instruction *code;
};
enum { LD, LDX, ST, STX, ALU, JMP, RET, MISC };
enum {
	W = 0,
	H = 8,
	B = 0x10,
	IMM = 0,
	ABS = 0x20,
	IND = 0x40,
	MEM = 0x60,
	LEN = 0x80,
	MSH = 0xa0
};
enum { ADD = 0, SUB = 0x10, MUL = 0x20, DIV = 0x30, OR = 0x40, AND = 0x50, LSH = 0x60 };
enum { RSH = 0x70, NEG = 0x80, MOD = 0x90, XOR = 0xa0, JA = 0, JEQ = 0x10, JGT = 0x20 };
enum { JGE = 0x30, JSET = 0x40, K = 0, X = 8, A = 0x10, TAX = 0, TXA = 0x80 };
enum { AD = -0x1000, NET = -0x100000, LL = -0x200000 };

#define RETURN_A                 \
	{                        \
		RET | A, 0, 0, 0 \
	}

static const struct {
	struct instruction code[CODE_MAX];
	unsigned kept; /* 0: nothing, the frame does not arrive */
} cases[] = {
	{{{RET | K, 0, 0, 0xffffffff}}, FRAME_BYTES},
	{{{RET | K, 0, 0, 1}}, 1},
	{{{RET | K, 0, 0, 0}}, 0},
	{{{LD | IMM, 0, 0, 20}, RETURN_A}, 20},
	{{{LD | IMM, 0, 0, 20}, {ALU | ADD | K, 0, 0, 3}, RETURN_A}, 23},
	{{{LD | IMM, 0, 0, 20}, {LDX | IMM, 0, 0, 5}, {ALU | ADD | X, 0, 0, 0}, RETURN_A}, 25},
	{{{LD | IMM, 0, 0, 20}, {LDX | IMM, 0, 0, 5}, {ALU | SUB | X, 0, 0, 0}, RETURN_A}, 15},
	{{{LD | IMM, 0, 0, 20}, {ALU | SUB | K, 0, 0, 21}, RETURN_A}, FRAME_BYTES},
	{{{LD | IMM, 0, 0, 20}, {ALU | MUL | K, 0, 0, 4}, RETURN_A}, 80},
	{{{LD | IMM, 0, 0, 23}, {LDX | IMM, 0, 0, 5}, {ALU | DIV | X, 0, 0, 0}, RETURN_A}, 4},
	{{{LD | IMM, 0, 0, 23}, {LDX | IMM, 0, 0, 5}, {ALU | MOD | X, 0, 0, 0}, RETURN_A}, 3},
	{{{LD | IMM, 0, 0, 23}, {ALU | DIV | K, 0, 0, 7}, RETURN_A}, 3},
	{{{LD | IMM, 0, 0, 23}, {ALU | MOD | K, 0, 0, 7}, RETURN_A}, 2},
	{{{LD | IMM, 0, 0, 23}, {ALU | DIV | X, 0, 0, 0}, {RET | K, 0, 0, 9}}, 0},
	{{{LD | IMM, 0, 0, 23}, {ALU | MOD | X, 0, 0, 0}, {RET | K, 0, 0, 9}}, 0},
	{{{LD | IMM, 0, 0, 0x3c}, {ALU | AND | K, 0, 0, 0xf}, RETURN_A}, 12},
	{{{LD | IMM, 0, 0, 0x30}, {ALU | OR | K, 0, 0, 5}, RETURN_A}, 53},
	{{{LD | IMM, 0, 0, 0x3c}, {ALU | XOR | K, 0, 0, 0xf}, RETURN_A}, 51},
	{{{LD | IMM, 0, 0, 5}, {ALU | LSH | K, 0, 0, 3}, RETURN_A}, 40},
	{{{LD | IMM, 0, 0, 80}, {LDX | IMM, 0, 0, 2}, {ALU | RSH | X, 0, 0, 0}, RETURN_A}, 20},
	{{{LD | IMM, 0, 0, -30u}, {ALU | NEG, 0, 0, 0}, RETURN_A}, 30},
	{{{LD | W | LEN, 0, 0, 0}, {ALU | RSH | K, 0, 0, 1}, RETURN_A}, FRAME_BYTES / 2},
	{{{LDX | W | LEN, 0, 0, 0}, {MISC | TXA, 0, 0, 0}, {ALU | SUB | K, 0, 0, 1}, RETURN_A},
	 FRAME_BYTES - 1},
	{{{LD | IMM, 0, 0, 33},
	  {MISC | TAX, 0, 0, 0},
	  {LD | IMM, 0, 0, 0},
	  {MISC | TXA, 0, 0, 0},
	  RETURN_A},
	 33},
	/* loads: byte i of the frame is i, but for the header's, and 14 is 0x45 */
	{{{LD | B | ABS, 0, 0, 50}, RETURN_A}, 50},
	{{{LD | H | ABS, 0, 0, 50}, {ALU | AND | K, 0, 0, 0xff}, RETURN_A}, 51},
	{{{LD | W | ABS, 0, 0, 50}, {ALU | RSH | K, 0, 0, 24}, RETURN_A}, 50},
	{{{LD | W | ABS, 0, 0, 196}, {ALU | AND | K, 0, 0, 0xff}, RETURN_A}, 199},
	{{{LD | W | ABS, 0, 0, 197}, {RET | K, 0, 0, 9}}, 0},
	{{{LD | B | ABS, 0, 0, 200}, {RET | K, 0, 0, 9}}, 0},
	{{{LDX | IMM, 0, 0, 40}, {LD | B | IND, 0, 0, 20}, RETURN_A}, 60},
	{{{LDX | IMM, 0, 0, 190}, {LD | W | IND, 0, 0, 7}, {RET | K, 0, 0, 9}}, 0},
	{{{LDX | B | MSH, 0, 0, 14}, {MISC | TXA, 0, 0, 0}, RETURN_A}, 20},
	{{{LDX | B | MSH, 0, 0, 200}, {RET | K, 0, 0, 9}}, 0},
	/* memory */
	{{{LD | IMM, 0, 0, 44},
	  {ST, 0, 0, 15},
	  {LD | IMM, 0, 0, 0},
	  {LD | MEM, 0, 0, 15},
	  RETURN_A},
	 44},
	{{{LDX | IMM, 0, 0, 45}, {STX, 0, 0, 0}, {LD | MEM, 0, 0, 0}, RETURN_A}, 45},
	{{{LD | IMM, 0, 0, 46},
	  {ST, 0, 0, 3},
	  {LDX | MEM, 0, 0, 3},
	  {MISC | TXA, 0, 0, 0},
	  RETURN_A},
	 46},
	/* jumps */
	{{{JMP | JA, 0, 0, 1}, {RET | K, 0, 0, 1}, {RET | K, 0, 0, 2}}, 2},
	{{{LD | IMM, 0, 0, 7}, {JMP | JEQ | K, 0, 1, 7}, {RET | K, 0, 0, 1}, {RET | K, 0, 0, 2}},
	 1},
	{{{LD | IMM, 0, 0, 7}, {JMP | JEQ | X, 0, 1, 7}, {RET | K, 0, 0, 1}, {RET | K, 0, 0, 2}},
	 2},
	{{{LD | IMM, 0, 0, 7}, {JMP | JGT | K, 0, 1, 7}, {RET | K, 0, 0, 1}, {RET | K, 0, 0, 2}},
	 2},
	{{{LD | IMM, 0, 0, 7}, {JMP | JGE | K, 0, 1, 7}, {RET | K, 0, 0, 1}, {RET | K, 0, 0, 2}},
	 1},
	{{{LD | IMM, 0, 0, -1u}, {JMP | JGT | K, 0, 1, 7}, {RET | K, 0, 0, 1}, {RET | K, 0, 0, 2}},
	 1},
	{{{LD | IMM, 0, 0, 6}, {JMP | JSET | K, 0, 1, 4}, {RET | K, 0, 0, 1}, {RET | K, 0, 0, 2}},
	 1},
	{{{LD | IMM, 0, 0, 6}, {JMP | JSET | K, 0, 1, 1}, {RET | K, 0, 0, 1}, {RET | K, 0, 0, 2}},
	 2},
	/* what is not in the frame, and other places to count from */
	{{{LD | W | ABS, 0, 0, AD + 0},
	  {JMP | JEQ | K, 0, 1, MINE},
	  {RET | K, 0, 0, 1},
	  {RET | K, 0, 0, 2}},
	 1},
	{{{LD | W | ABS, 0, 0, AD + 4}, {ALU | ADD | K, 0, 0, 60}, RETURN_A}, 60 + PACKET_HOST},
	{{{LD | W | ABS, 0, 0, AD + 8}, {ALU | ADD | K, 0, 0, 60}, RETURN_A}, 61},
	{{{LD | W | ABS, 0, 0, AD + 28}, {ALU | SUB | K, 0, 0, 700}, RETURN_A}, 72},
	{{{LD | B | ABS, 0, 0, NET + 50}, RETURN_A}, 64},
	{{{LD | B | ABS, 0, 0, LL + 50}, RETURN_A}, 50},
	{{{LD | H | ABS, 0, 0, LL + 12},
	  {JMP | JEQ | K, 0, 1, MINE},
	  {RET | K, 0, 0, 1},
	  {RET | K, 0, 0, 2}},
	 1},
};

static const struct instruction wrong[][CODE_MAX] = {
	{{LD | IMM, 0, 0, 1}},                              /* does not return */
	{{0xffff, 0, 0, 0}, {RET | K, 0, 0, 1}},            /* no instruction */
	{{LD | H | IMM, 0, 0, 0}, {RET | K, 0, 0, 1}},      /* nor this one */
	{{ST, 0, 0, 16}, {RET | K, 0, 0, 1}},               /* no such memory */
	{{LDX | MEM, 0, 0, 16}, {RET | K, 0, 0, 1}},        /* there neither */
	{{ALU | DIV | K, 0, 0, 0}, {RET | K, 0, 0, 1}},     /* by zero */
	{{ALU | LSH | K, 0, 0, 32}, {RET | K, 0, 0, 1}},    /* all bits */
	{{JMP | JA, 0, 0, 1}, {RET | K, 0, 0, 1}},          /* behind the end */
	{{JMP | JA, 0, 0, -1u}, {RET | K, 0, 0, 1}},        /* backwards */
	{{JMP | JEQ | K, 0, 9, 0}, {RET | K, 0, 0, 1}},     /* behind the end, sometimes */
	{{LD | W | ABS, 0, 0, AD + 1}, {RET | K, 0, 0, 1}}, /* nothing is there */
};

/* Instructions up to the last that is not all zero; {LD|W|IMM, 0, 0, 0} is never last. */
static struct program program(const struct instruction *code)
{
	unsigned short n = CODE_MAX;

	while (n > 1 && !code[n - 1].code && !code[n - 1].k)
		n--;
	return (struct program){n, (struct instruction *)code};
}

int main(void)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET, .sll_protocol = htons(MINE), .sll_ifindex = 1};
	unsigned char frame[FRAME_BYTES], got[256];
	int in, out;

	if (geteuid()) {
		puts("packet sockets are root's");
		return 77;
	}
	in = socket(AF_PACKET, SOCK_RAW, 0);
	out = socket(AF_PACKET, SOCK_RAW, 0);
	CHECK(in >= 0 && out >= 0 && bind(in, (void *)&at, sizeof(at)) == 0);
	at.sll_protocol = 0;
	CHECK(bind(out, (void *)&at, sizeof(at)) == 0);
	for (int i = 0; i < FRAME_BYTES; i++)
		frame[i] = (unsigned char)(i < 12 ? 0 : i);
	frame[12] = MINE >> 8;
	frame[13] = MINE & 255;
	frame[14] = 0x45;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct program p = program(cases[i].code);
		ssize_t n;

		CHECK(setsockopt(in, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)) == 0);
		CHECK(send(out, frame, sizeof(frame), 0) == sizeof(frame));
		n = recv(in, got, sizeof(got), MSG_DONTWAIT);
		if (n != (cases[i].kept ? (ssize_t)cases[i].kept : -1))
			printf("case %zu: %zd bytes, not %u\n", i, n, cases[i].kept);
		CHECK(n == (cases[i].kept ? (ssize_t)cases[i].kept : -1));
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct program p = program(wrong[i]);

		if (setsockopt(in, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)) == 0)
			printf("wrong %zu was accepted\n", i);
		CHECK_ERR(setsockopt(in, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)), EINVAL);
	}
	return success();
}
