/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.c: `mayfly-image inspect`; see inspect.h. */
#define _GNU_SOURCE /* memmem */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect.h"
#include "prepare.h"

/* Sites that are named in the table; JSON has all of them. */
#define SHOWN_SITES 8

static const char *type_text(const struct elf_plan *plan)
{
	return plan->pie ? "static PIE" : "static";
}

static bool has(const struct store_file *file, const char *text)
{
	return memmem(file->bytes, file->n, text, strlen(text));
}

/* A guess by strings that these libraries cannot do without; "unknown" is an answer. */
static const char *guess_libc(const struct store_file *file)
{
	if (has(file, "Go buildinf:"))
		return "none (Go)";
	if (has(file, "GNU C Library") || has(file, "GLIBC_TUNABLES"))
		return "glibc";
	if (has(file, "__init_libc") || has(file, "/etc/ld-musl-") || has(file, "musl libc"))
		return "musl";
	return "unknown";
}

static void prot_text(uint32_t prot, char out[4])
{
	out[0] = prot & PREPARED_R ? 'r' : '-';
	out[1] = prot & PREPARED_W ? 'w' : '-';
	out[2] = prot & PREPARED_X ? 'x' : '-';
	out[3] = 0;
}

static void digest_text(const struct prepared_header *header, char out[72])
{
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", header->digest[i]);
}

static uint64_t memory_needed(const struct prepared_header *header)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < header->nsegments; i++)
		bytes += header->segment[i].mem_bytes;
	return bytes;
}

static void print_segments(const struct prepared_header *header)
{
	printf("segments      %16s %12s %12s  prot\n", "address", "in memory", "in file");
	for (uint32_t i = 0; i < header->nsegments; i++) {
		const struct prepared_segment *segment = &header->segment[i];
		char prot[4];

		prot_text(segment->prot, prot);
		printf("              %#16" PRIx64 " %12" PRIu64 " %12" PRIu64 "  %s%s\n",
		       segment->vaddr, segment->mem_bytes, segment->file_bytes, prot,
		       segment->stubs ? "  (system-call stubs, added)" : "");
	}
}

static void print_sites(const struct sites *sites)
{
	uint32_t shown = 0, left = 0;

	printf("system calls  %zu sites, %" PRIu32 " rewritten\n", sites->n,
	       sites->count[SITE_REWRITTEN]);
	for (int state = SITE_REWRITTEN + 1; state < SITE_NSTATES; state++) {
		if (sites->count[state])
			printf("              %" PRIu32 " left: %s\n", sites->count[state],
			       site_state_text[state]);
		left += sites->count[state];
	}
	for (size_t i = 0; i < sites->n && shown < SHOWN_SITES; i++) {
		const struct site *site = &sites->site[i];

		if (site->state == SITE_REWRITTEN)
			continue;
		printf("              %#" PRIx64 " %s: %s\n", site->addr,
		       *site->name ? site->name : "?", site_state_text[site->state]);
		shown++;
	}
	if (left > shown)
		printf("              (%" PRIu32 " more; see --json)\n", left - shown);
}

static void print_table(const struct store_file *file, const char *path,
			const struct image_out *out)
{
	char digest[72];

	digest_text(out->header, digest);
	printf("program       %s\n", path);
	printf("type          %s, x86-64%s\n", type_text(&out->plan),
	       out->sites.stripped ? ", stripped" : "");
	printf("C library     %s (a guess)\n", guess_libc(file));
	printf("digest        sha256:%s\n", digest);
	printf("entry         %#" PRIx64 "\n", out->header->entry);
	print_segments(out->header);
	print_sites(&out->sites);
	printf("memory        %" PRIu64 " KiB, stack and heap apart\n",
	       memory_needed(out->header) / 1024);
	if (out->plan.exec_stack)
		printf("note          asks for an executable stack; it gets one that is not\n");
	if (out->plan.textrel)
		printf("note          relocates its own text: no system call is rewritten\n");
	printf("runs: yes\n");
}

static json_t *json_segments(const struct prepared_header *header)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < header->nsegments; i++) {
		const struct prepared_segment *segment = &header->segment[i];
		char prot[4];

		prot_text(segment->prot, prot);
		json_array_append_new(list, json_pack("{s:I,s:I,s:I,s:s,s:b}", "address",
						      (json_int_t)segment->vaddr, "memory_bytes",
						      (json_int_t)segment->mem_bytes, "file_bytes",
						      (json_int_t)segment->file_bytes, "protection",
						      prot, "stubs", (int)segment->stubs));
	}
	return list;
}

/* A symbol's name is any bytes; JSON takes UTF-8 only. */
static json_t *json_name(const char *name)
{
	json_t *text = json_string(name);

	return text ? text : json_string("?");
}

static json_t *json_sites(const struct sites *sites)
{
	json_t *list = json_array(), *counts = json_object();

	for (int state = 0; state < SITE_NSTATES; state++)
		json_object_set_new(counts, site_state_text[state],
				    json_integer(sites->count[state]));
	for (size_t i = 0; i < sites->n; i++) {
		const struct site *site = &sites->site[i];

		json_array_append_new(list,
				      json_pack("{s:I,s:o,s:s}", "address", (json_int_t)site->addr,
						"function", json_name(site->name), "state",
						site_state_text[site->state]));
	}
	return json_pack("{s:I,s:I,s:o,s:o}", "found", (json_int_t)sites->n, "rewritten",
			 (json_int_t)sites->count[SITE_REWRITTEN], "by_state", counts, "sites",
			 list);
}

static json_t *json_image(const struct store_file *file, const struct image_out *out)
{
	char digest[72];

	digest_text(out->header, digest);
	return json_pack("{s:b,s:s,s:b,s:s,s:s,s:I,s:o,s:o,s:I,s:b,s:b}", "runs", 1, "type",
			 type_text(&out->plan), "stripped", (int)out->sites.stripped, "libc",
			 guess_libc(file), "sha256", digest, "entry",
			 (json_int_t)out->header->entry, "segments", json_segments(out->header),
			 "syscalls", json_sites(&out->sites), "memory_bytes",
			 (json_int_t)memory_needed(out->header), "asks_exec_stack",
			 (int)out->plan.exec_stack, "text_relocations", (int)out->plan.textrel);
}

static int print_json(json_t *root, const char *path, struct err *err)
{
	json_t *name = root ? json_name(path) : NULL;
	int ret = !root || json_object_set_new(root, "path", name) ||
		  json_dumpf(root, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);

	json_decref(root);
	putchar('\n');
	return ret ? err_set(err, ENOMEM, "inspect %s: make JSON", path) : 0;
}

/* The program cannot run: that is the answer, not a failure to give one. */
static int print_refusal(const char *path, bool json, struct err *err)
{
	const size_t len = strlen(path);
	const char *reason = err->message;
	int ret = 0;

	/* The message is made for a line that names the program; here that has been done. */
	if (!strncmp(reason, path, len) && !strncmp(reason + len, ": cannot run: ", 14))
		reason += len + 14;
	if (json)
		ret = print_json(json_pack("{s:b,s:o}", "runs", 0, "reason", json_name(reason)),
				 path, err);
	else
		printf("program       %s\nruns: no: %s\n", path, reason);
	if (ret)
		return ret;
	err->exit = ERR_EXIT_IMAGE;
	err->message[0] = 0;
	return -ENOEXEC;
}

int inspect_print(const struct store_file *file, const char *path, bool json, struct err *err)
{
	struct image_out out;
	int ret = image_prepare(file->bytes, file->n, path, &out, err);

	if (ret)
		return err->exit == ERR_EXIT_IMAGE ? print_refusal(path, json, err) : ret;
	if (json)
		ret = print_json(json_image(file, &out), path, err);
	else
		print_table(file, path, &out);
	image_free(&out);
	if (!ret && fflush(stdout))
		ret = err_set(err, errno, "write the report");
	return ret;
}
