/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_doctor.c: mayfly doctor. */
#include "cmd.h"

int cmd_doctor(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 0;
}
