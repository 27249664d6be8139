/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_address.h: which VM has which static address on which bridge or interface.
 *
 * Two VMs with one address take each other's packets, and neither says why. The daemon knows what
 * its own VMs were given, so it refuses the second. It compares what was asked for: addresses of
 * DHCP and router advertisements are what a guest says, which must not keep others from starting;
 * and a bridge and an interface behind it are two names.
 */
#ifndef MAYFLY_VM_ADDRESS_H
#define MAYFLY_VM_ADDRESS_H

#include "vms.h"

/* The record's addresses are its own until it gives them up. 0, or ENGINE_CONFLICT with a message
 * that names the VM that has one of them; then it has none. */
int vm_address_take(struct vms *vms, struct record *r, struct err *err);
/* Also if it has none. */
void vm_address_give_up(struct vms *vms, struct record *r);

#endif
