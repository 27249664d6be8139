/* SPDX-License-Identifier: Apache-2.0 */
/*
 * end.h: ending a VM's process without making its parent wait for the VM's destruction.
 *
 * Closing a VM takes the kernel about 0.35 ms, a third of a hello's whole run, and the
 * parent's wait() would include it. So a process that has run a VM leaves a twin behind
 * which shares its memory and descriptors (clone(2) with CLONE_VM | CLONE_FILES) and only
 * lives to be the last one: the kernel tears the VM down when the twin goes, a moment
 * after the parent has the exit code. QEMU's -run-with async-teardown=on does the same.
 *
 * The twin is an orphan, so whoever is init here must reap it. Not every container's
 * PID 1 does; therefore this is tried out first (end_probe_reaper), in the background of
 * the first run on a machine, and until it is known to work the end is the plain one.
 */
#ifndef MAYFLY_END_H
#define MAYFLY_END_H

#include <stdbool.h>

/* Has end_probe_reaper found that orphans are reaped here? run_dir may be -1. */
bool end_orphans_are_reaped(int run_dir);

/* Starts the try-out in the background; its result is a file in run_dir. */
void end_probe_reaper(int run_dir);

/* _exit(status), by way of a twin if twin is true. Closes the standard streams first. */
_Noreturn void end_process(int status, bool twin);

#endif
