/* SPDX-License-Identifier: Apache-2.0 */
/* program.c: see program.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "program.h"

int program_path(const char *name, char *path, size_t bytes, struct err *err)
{
	static const char *const places[] = {"%s/%s", "%s/../../bin/%s"};
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return err_set(err, errno, "cannot find %s: no /proc/self/exe", name);
	self[n] = 0;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, bytes, places[i], self, name);
		if (!access(path, X_OK))
			return 0;
	}
	return err_set(err, ENOENT, "cannot find %s beside %s; install mayfly again", name, self);
}
