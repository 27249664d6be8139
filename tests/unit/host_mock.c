/* SPDX-License-Identifier: Apache-2.0 */
/* host_mock.c: a run directory for tests of files that ask host.c for its path. */
#include "../../monitor/host.h"

const char *host_run_dir(void)
{
	return "/nonexistent";
}
