/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h: the daemon's command line. */
#ifndef MAYFLY_SETTINGS_H
#define MAYFLY_SETTINGS_H

#include <stdbool.h>

#include "engine.h"

struct settings {
	struct engine_options engine; /* run_dir is filled in, absolute */
	const char *socket;           /* absolute; NULL: RUN_DIR/mayfly.sock */
	bool help;
};

/* The strings live as long as the process. 0, or -errno and a message. */
int settings_parse(struct settings *s, int argc, char **argv, struct err *err);

extern const char settings_help[];

#endif
