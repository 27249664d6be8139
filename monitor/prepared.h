/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepared.h: a prepared image, the form in which a program is started.
 *
 * The image helper (monitor/image/) reads an ELF file with libelf, checks it, rewrites
 * the system-call sites that it can prove, and writes this: one page of header, then
 * the segments' pages, page-aligned, ready to be mapped MAP_PRIVATE. What `mayfly run`
 * waits for then needs no ELF parser. All numbers are little-endian, host order.
 *
 * A prepared image is a cache entry and may be damaged: the reader checks every field
 * (prepared_check) before it uses one.
 */
#ifndef MAYFLY_PREPARED_H
#define MAYFLY_PREPARED_H

#include <stdint.h>

#define PREPARED_MAGIC        0x3170666d /* "mfp1" */
#define PREPARED_VERSION      2u
#define PREPARED_HEADER_BYTES 4096u
#define PREPARED_MAX_SEGMENTS 16u

enum prepared_prot { PREPARED_R = 1, PREPARED_W = 2, PREPARED_X = 4 }; /* as enum noxs_prot */

struct prepared_segment {
	uint64_t vaddr;      /* page-aligned; for a PIE relative to its base */
	uint64_t mem_bytes;  /* page-aligned; what lies beyond file_bytes is zero */
	uint64_t file_off;   /* page-aligned, in the prepared file */
	uint64_t file_bytes; /* page-aligned, <= mem_bytes; may be 0 */
	uint32_t prot;       /* enum prepared_prot; never W and X together */
	uint32_t stubs;      /* 1: code that the helper added */
};

struct prepared_header {
	uint32_t magic;
	uint32_t version;
	uint64_t noxs_fast_entry; /* NOXS_GVA_FAST_ENTRY the stubs were made for */
	uint8_t digest[32];       /* SHA-256 of the ELF file */
	uint32_t pie;             /* 1: vaddrs are relative to a base that is a multiple of align */
	uint32_t nsegments;       /* ascending, not overlapping */
	uint64_t align;           /* power of two, 4096 .. 2 MiB */
	uint64_t entry;           /* like vaddr */
	uint64_t phdr;            /* AT_PHDR, like vaddr; 0 if the headers are not mapped */
	uint32_t phnum;
	uint32_t phent;
	uint64_t brk;         /* where the heap starts: behind the last segment, like vaddr */
	uint64_t stack_bytes; /* PT_GNU_STACK's p_memsz: the least stack it asks for, or 0 */
	uint64_t file_bytes;  /* length of the whole prepared file */
	uint32_t sites;       /* system-call sites found */
	uint32_t rewritten;   /* of them rewritten */
	struct prepared_segment segment[PREPARED_MAX_SEGMENTS];
};

_Static_assert(sizeof(struct prepared_header) <= PREPARED_HEADER_BYTES, "header is one page");

#endif
