/* SPDX-License-Identifier: Apache-2.0 */
/* longjmp.c: out of a SIGSEGV handler a thousand times: nothing is left behind anywhere. */
#include <sys/mman.h>

#include "check.h"
#include "fault.h"

int main(void)
{
	char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigset_t set;

	fault_catch();
	CHECK(ro != MAP_FAILED);
	for (int i = 0; i < 1000; i++) {
		CHECK(fault_code(BAD_POINTER, i & 1) == SEGV_MAPERR);
		CHECK(fault_code(ro + i, true) == SEGV_ACCERR && fault_address == ro + i);
		CHECK(fault_code(ro + i, false) == 0);
	}
	CHECK(sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGSEGV) == 0);
	return success();
}
