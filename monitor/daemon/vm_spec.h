/* SPDX-License-Identifier: Apache-2.0 */
/* vm_spec.h: what a caller asks of a VM: checked, and copied into a record. */
#ifndef MAYFLY_VM_SPEC_H
#define MAYFLY_VM_SPEC_H

#include "vms.h"

/* 0, or an enum engine_failure. That a limit can be kept is cgroups_check's matter. */
int vm_spec_check(const struct vm_spec *spec, struct err *err);

/* A record with all strings and the text of its START; in no table yet. The descriptors are
 * the record's then. 0, or an enum engine_failure. */
int vm_spec_copy(const struct vm_spec *spec, const char id[ENGINE_ID_BYTES], struct record **record,
		 struct err *err);

/* Closes the descriptors that came with it. */
void vm_spec_close(const struct vm_spec *spec);

#endif
