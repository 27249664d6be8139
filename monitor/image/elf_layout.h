/* SPDX-License-Identifier: Apache-2.0 */
/* elf_layout.h: from checked loads to pages with one protection each. */
#ifndef MAYFLY_ELF_LAYOUT_H
#define MAYFLY_ELF_LAYOUT_H

#include "elf_check.h"

/*
 * elf_layout: fill plan->segment, start and end from plan->load. Refuses (as elf_check
 * does) loads that do not ascend, that overlap, or that would need a page to be writable
 * and executable.
 */
int elf_layout(struct elf_plan *plan, const char *name, struct err *err);

#endif
