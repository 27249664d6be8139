/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_inspect.c: mayfly inspect: the image helper's, which has libelf. */
#include <stdlib.h>

#include "cmd.h"
#include "image.h"

int cmd_inspect(int argc, char **argv)
{
	char **helper_argv = calloc((size_t)argc + 2, sizeof(*helper_argv));
	struct err err = {0};

	if (!helper_argv)
		return ERR_EXIT_SELF;
	for (int i = 0; i < argc; i++)
		helper_argv[i + 1] = argv[i];
	helper_exec("mayfly-image", helper_argv, &err);
	return cmd_fail(&err);
}
