/* SPDX-License-Identifier: Apache-2.0 */
/*
 * norings.c: a mayfly on a kernel that does not let a guest at the rings of an AF_XDP socket: for
 * tests of what happens then (net_fall_back). Linked with --wrap=net_prepare around the real one.
 *
 * The rings are mapped into the window with no access at all: KVM cannot get at such a page, and
 * KVM_RUN says EFAULT when the guest touches one, as it does where it refuses the page itself. The
 * memory that takes their place has access again.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "../../monitor/net_backend.h"

int __real_net_prepare(struct vm *vm, struct guest *guest, unsigned index,
		       const struct net_link *link, struct err *err);
int __wrap_net_prepare(struct vm *vm, struct guest *guest, unsigned index,
		       const struct net_link *link, struct err *err);

int __wrap_net_prepare(struct vm *vm, struct guest *guest, unsigned index,
		       const struct net_link *link, struct err *err)
{
	const size_t bytes = 0x18000 - NOXS_NET_OFF_FILL;
	int ret = __real_net_prepare(vm, guest, index, link, err);

	if (ret || net_devs[index].backend != &net_xdp || net_devs[index].counters.copying)
		return ret;
	if (mprotect(net_devs[index].window + NOXS_NET_OFF_FILL, bytes, PROT_NONE))
		return err_set(err, errno, "cannot take the rings away");
	return 0;
}
