/* SPDX-License-Identifier: Apache-2.0 */
/* vms.c: see vms.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "images.h"
#include "vm_address.h"
#include "vm_net.h"
#include "vm_spec.h"
#include "vms.h"

int vms_init(struct vms *vms, struct err *err)
{
	*vms = (struct vms){0};
	list_init(&vms->order);
	list_init(&vms->ended);
	if (table_init(&vms->by_id) || table_init(&vms->by_name) || table_init(&vms->by_address)) {
		table_free(&vms->by_id);
		table_free(&vms->by_name);
		err_set(err, ENOMEM, "no memory for the table of VMs");
		return -ENOMEM;
	}
	return 0;
}

void record_drop_start(struct record *r)
{
	struct start *s = r->start;

	if (!s)
		return;
	r->start = NULL;
	for (int i = 0; i < 3; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	if (s->image_fd >= 0)
		close(s->image_fd);
	if (s->image)
		image_put(s->image);
	for (unsigned i = 0; i < s->nnet; i++)
		net_handed_close(&s->net[i]);
	free(s->net);
	free(s);
}

static void record_free(struct record *r)
{
	record_drop_start(r);
	free(r->vm.reason);
	free(r->vm.out[0]);
	free(r->vm.out[1]);
	free(r->vm.net);
	free(r);
}

void vms_free(struct vms *vms)
{
	struct link *l;

	while ((l = list_first(&vms->order))) {
		struct record *r = LIST_OF(l, struct record, order);

		list_remove(l);
		record_free(r);
	}
	table_free(&vms->by_id);
	table_free(&vms->by_name);
	table_free(&vms->by_address);
}

/* ---- ids and names ---- */

/* The upper 48 bits of a table's key: 12 hexadecimal digits. Equal beginnings of ids are
 * neighbours in the table, which is what prefixes are looked up by. */
static uint64_t id_key(const char *hex, size_t digits)
{
	uint64_t key = 0;

	for (size_t i = 0; i < digits; i++) {
		char c = hex[i];
		uint64_t v = c <= '9' ? (uint64_t)(c - '0') : (uint64_t)(c - 'a' + 10);

		key |= v << (60 - 4 * i);
	}
	return key;
}

static bool is_hex(const char *s, size_t n)
{
	return strspn(s, "0123456789abcdef") == n;
}

static uint64_t name_key(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
	return table_mix(hash);
}

static int new_id(const struct vms *vms, char id[ENGINE_ID_BYTES], uint64_t *key, struct err *err)
{
	/* Random, so that an id tells nothing; read in advance, for a start pays for it. */
	static uint64_t random[32]; /* what one call gives */
	static size_t left;

	do {
		if (!left && getentropy(random, sizeof(random)))
			return err_set(err, errno, "cannot get random numbers");
		if (!left)
			left = sizeof(random) / sizeof(random[0]);
		*key = random[--left] & ~0xffffull;
	} while (table_find(&vms->by_id, *key, NULL));
	for (int i = 0; i < 12; i++)
		id[i] = "0123456789abcdef"[*key >> (60 - 4 * i) & 15];
	id[12] = 0;
	return 0;
}

static struct record *find_name(const struct vms *vms, const char *name)
{
	uint64_t key = name_key(name);
	struct table_node *node = NULL;

	while ((node = table_find(&vms->by_name, key, node))) {
		struct record *r = LIST_OF(node, struct record, by_name);

		if (!strcmp(r->vm.name, name))
			return r;
	}
	return NULL;
}

/* The one whose id begins with these digits. */
static struct record *find_prefix(const struct vms *vms, const char *hex, size_t digits)
{
	uint64_t mask = digits >= 16 ? ~0ull : ~(~0ull >> (4 * digits));
	uint64_t key = id_key(hex, digits);
	struct table_node **first = table_bucket(&vms->by_id, key);
	struct table_node **last = table_bucket(&vms->by_id, key | ~mask);
	struct record *found = NULL;

	for (; first <= last; first++)
		for (const struct table_node *n = *first; n; n = n->next) {
			if ((n->key & mask) != key)
				continue;
			if (found)
				return NULL;
			found = LIST_OF(n, struct record, by_id);
		}
	return found;
}

struct record *vms_find(const struct vms *vms, const char *id_or_name)
{
	size_t n = strlen(id_or_name);
	struct table_node *node;
	struct record *r;

	if (n == ENGINE_ID_BYTES - 1 && is_hex(id_or_name, n)) {
		node = table_find(&vms->by_id, id_key(id_or_name, n), NULL);
		if (node)
			return LIST_OF(node, struct record, by_id);
	}
	r = find_name(vms, id_or_name);
	if (!r && n && n < ENGINE_ID_BYTES - 1 && is_hex(id_or_name, n))
		r = find_prefix(vms, id_or_name, n);
	return r;
}

struct record *vms_next(const struct vms *vms, const struct record *r)
{
	const struct link *next = r ? r->order.next : vms->order.next;

	return next == &vms->order ? NULL : LIST_OF(next, struct record, order);
}

/* ---- making and removing ---- */

static void insert(struct vms *vms, struct record *r, uint64_t key)
{
	list_init(&r->queue);
	list_init(&r->waiters);
	list_init(&r->asks);
	list_add(&vms->order, &r->order);
	table_add(&vms->by_id, &r->by_id, key);
	if (r->vm.name)
		table_add(&vms->by_name, &r->by_name, name_key(r->vm.name));
	r->vm.state = VM_CREATED;
	vms->count[VM_CREATED]++;
}

int vms_create(struct vms *vms, const struct vm_spec *spec, uint64_t memory_bytes,
	       struct record **record, struct err *err)
{
	char id[ENGINE_ID_BYTES];
	struct record *r = NULL;
	uint64_t key = 0;
	int failure = vm_spec_check(spec, err);

	if (!failure && spec->name && find_name(vms, spec->name)) {
		failure = ENGINE_CONFLICT;
		err_set(err, 0, "the name %s is in use; choose another, or remove that VM",
			spec->name);
	}
	if (!failure && new_id(vms, id, &key, err))
		failure = ENGINE_FAILED;
	if (!failure)
		failure = vm_spec_copy(spec, id, &r, err);
	if (failure) {
		vm_spec_close(spec);
		return failure;
	}
	r->vm.memory_bytes = memory_bytes;
	insert(vms, r, key);
	*record = r;
	return 0;
}

void vms_set_state(struct vms *vms, struct record *r, enum vm_state state)
{
	vms->count[r->vm.state]--;
	vms->count[state]++;
	r->vm.state = (uint8_t)state;
	if (state == VM_EXITED)
		vm_address_give_up(vms, r);
}

void vms_remove(struct vms *vms, struct record *r)
{
	if (r->removed)
		return;
	r->removed = true;
	if (r->vm.state == VM_EXITED && !list_empty(&r->queue))
		vms->ended_count--;
	list_remove(&r->queue);
	list_remove(&r->order);
	table_remove(&vms->by_id, &r->by_id);
	if (r->vm.name)
		table_remove(&vms->by_name, &r->by_name);
	vm_address_give_up(vms, r);
	vms->count[r->vm.state]--;
	if (!r->holds)
		record_free(r);
}

void record_hold(struct record *r)
{
	r->holds++;
}

bool record_release(struct record *r)
{
	if (--r->holds || !r->removed)
		return false;
	record_free(r);
	return true;
}
