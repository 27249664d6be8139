/* SPDX-License-Identifier: Apache-2.0 */
/* vm_address.c: see vm_address.h. */
#include <arpa/inet.h>
#include <string.h>

#include "vm_address.h"
#include "vm_net.h"

static uint64_t hash(uint64_t h, const void *data, size_t n)
{
	const unsigned char *p = data;

	while (n--)
		h = (h ^ *p++) * 0x100000001b3u; /* FNV-1a */
	return h;
}

static uint64_t key_of(const struct vm_net_device *d, const struct noxs_net_address *a)
{
	uint64_t h = hash(0xcbf29ce484222325u, d->segment, strlen(d->segment));

	return table_mix(hash(h, a->address, sizeof(a->address)));
}

static bool is_same(const struct vm_net_address *taken, const struct vm_net_device *d,
		    const struct noxs_net_address *a)
{
	const struct noxs_net_address *b = &taken->address;

	return !strcmp(taken->segment, d->segment) && a->family == b->family &&
	       !memcmp(a->address, b->address, sizeof(a->address));
}

/* Who has it; NULL: nobody. */
static const struct record *owner(const struct vms *vms, const struct vm_net_device *d,
				  const struct noxs_net_address *a)
{
	uint64_t key = key_of(d, a);
	struct table_node *node = NULL;

	while ((node = table_find(&vms->by_address, key, node))) {
		struct vm_net_address *taken = LIST_OF(node, struct vm_net_address, node);

		if (is_same(taken, d, a))
			return taken->record;
	}
	return NULL;
}

static int refuse(const struct record *r, const struct record *has, const struct vm_net_device *d,
		  const struct noxs_net_address *a, struct err *err)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->address, text, sizeof(text));
	if (has == r)
		err_set(err, 0, "two of the VM's net devices on %s have ip=%s/%u", d->segment, text,
			a->prefix);
	else
		err_set(err, 0,
			"ip=%s/%u is VM %s's, which is on %s, too: choose another address, or stop "
			"that VM",
			text, a->prefix, has->vm.name ? has->vm.name : has->vm.id, d->segment);
	return ENGINE_CONFLICT;
}

int vm_address_take(struct vms *vms, struct record *r, struct err *err)
{
	struct vm_net *net = r->vm.net;

	for (unsigned i = 0; net && i < net->n; i++) {
		struct vm_net_device *d = &net->device[i];

		for (unsigned k = 0; *d->segment && k < NOXS_NET_ADDRESSES; k++) {
			const struct noxs_net_address *a = &d->config.address[k];
			const struct record *has;

			if (!a->family)
				continue;
			has = owner(vms, d, a);
			if (has) {
				int ret = refuse(r, has, d, a, err);

				vm_address_give_up(vms, r);
				return ret;
			}
			d->taken[k] = (struct vm_net_address){
				.record = r, .segment = d->segment, .address = *a};
			table_add(&vms->by_address, &d->taken[k].node, key_of(d, a));
		}
	}
	return 0;
}

void vm_address_give_up(struct vms *vms, struct record *r)
{
	struct vm_net *net = r->vm.net;

	for (unsigned i = 0; net && i < net->n; i++)
		for (unsigned k = 0; k < NOXS_NET_ADDRESSES; k++) {
			struct vm_net_address *taken = &net->device[i].taken[k];

			if (taken->record)
				table_remove(&vms->by_address, &taken->node);
			taken->record = NULL;
		}
}
