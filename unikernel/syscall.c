/* SPDX-License-Identifier: Apache-2.0 */
/* syscall.c: the dispatcher: from the saved registers to the function that serves. */
#include <asm/errno.h>

#include "arch.h"
#include "net/net.h"
#include "signal.h"
#include "strace.h"

#define UK_CALL(nr, name, args) uk_syscall_fn sys_##name;
#include "syscalls.h"
#undef UK_CALL

#define NCALLS 464
static uk_syscall_fn *const calls[NCALLS] = {
#define UK_CALL(nr, name, args) [nr] = sys_##name,
#include "syscalls.h"
#undef UK_CALL
};

struct uk_frame *uk_frame;

static long unknown(uint64_t nr)
{
	struct noxs_stats *s = &UK_CONTROL->stats;
	uint32_t i = 0;

	while (i < s->nunknown && s->unknown[i].nr != nr)
		i++;
	if (i < NOXS_MAX_UNKNOWN) {
		s->unknown[i].nr = (uint32_t)nr;
		s->unknown[i].count++;
		if (i == s->nunknown)
			s->nunknown = i + 1;
	}
	return -ENOSYS;
}

/* Returns 1 if the registers are to be restored in full (a signal frame was made). */
int uk_syscall(struct uk_frame *f)
{
	uint64_t nr = (uint32_t)f->rax; /* an int, as Linux has it */
	uk_syscall_fn *fn = nr < NCALLS ? calls[nr] : NULL;
	long ret;

	uk_frame = f;
	UK_CONTROL->stats.syscalls++;
	UK_CONTROL->stats.lstar += f->how;
	if (__builtin_expect(UK_NOXS->flags & NOXS_FLAG_STRACE, 0))
		uk_strace_enter(f);
	ret = fn ? fn(f->rdi, f->rsi, f->rdx, f->r10, f->r8, f->r9) : unknown(nr);
	if (__builtin_expect(UK_NOXS->flags & NOXS_FLAG_STRACE, 0))
		uk_strace_exit(f, ret);
	if (__builtin_expect(uk_console_written, 0))
		uk_console_tell();
	if (__builtin_expect(uk_net_unsent, 0))
		net_flush_late();
	f->rax = (uint64_t)ret;
	/* After rt_sigreturn rax is the interrupted code's, which signal.c returned here. */
	return __builtin_expect(uk_signal_poll() || uk_frame_full || uk_mask_pending, 0)
		       ? uk_signal_deliver(f)
		       : 0;
}
