/* SPDX-License-Identifier: Apache-2.0 */
/* options.c: see options.h. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "options.h"

int option_size(const char *text, uint64_t *bytes, struct err *err)
{
	static const char units[] = "kmgt";
	unsigned long long n;
	int shift = 0;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || errno)
		return err_set(err, 0, "%s is not a size: write 512K, 64M or 1G", text);
	if (*end) {
		const char *unit = strchr(units, tolower((unsigned char)*end));

		if (!unit || (strcasecmp(end + 1, "") && strcasecmp(end + 1, "b") &&
			      strcasecmp(end + 1, "ib")))
			return err_set(err, 0, "%s is not a size: write 512K, 64M or 1G", text);
		shift = 10 * (int)(unit - units + 1);
	}
	if (n > UINT64_MAX >> shift)
		return err_set(err, ERANGE, "%s is too large a size", text);
	*bytes = n << shift;
	return 0;
}

int option_duration(const char *text, uint64_t *ns, struct err *err)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"m", 60e9}, {"h", 3600e9}};
	char *end;
	double n = strtod(text, &end);

	if (isdigit((unsigned char)*text))
		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (!strcmp(end, units[i].unit) && n > 0 && n * units[i].ns < 1e18 &&
			    n * units[i].ns >= 1) {
				*ns = (uint64_t)(n * units[i].ns);
				return 0;
			}
	return err_set(err, 0, "%s is not a duration: write 250ms, 5s or 2m", text);
}
