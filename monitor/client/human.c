/* SPDX-License-Identifier: Apache-2.0 */
/* human.c: see human.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "human.h"

char *human_age(int64_t ns, char buffer[HUMAN_BYTES])
{
	long long s = ns < 0 ? 0 : ns / 1000000000;

	if (s < 60)
		snprintf(buffer, HUMAN_BYTES, "%llds", s);
	else if (s < 3600)
		snprintf(buffer, HUMAN_BYTES, "%lldm", s / 60);
	else if (s < 48 * 3600)
		snprintf(buffer, HUMAN_BYTES, "%lldh", s / 3600);
	else
		snprintf(buffer, HUMAN_BYTES, "%lldd", s / 86400);
	return buffer;
}

char *human_bytes(uint64_t bytes, char buffer[HUMAN_BYTES])
{
	static const char units[] = "KMGTPE";
	double n = (double)bytes;
	char unit[2] = "", *zero;
	int i = 0;

	/* 1023.9 would be printed as 1024 of the smaller unit. */
	for (; n >= 1023.5; n /= 1024)
		unit[0] = units[i++];
	snprintf(buffer, HUMAN_BYTES, "%.*f", unit[0] && n < 9.95 ? 1 : 0, n);
	zero = strstr(buffer, ".0");
	if (zero)
		*zero = 0;
	return strcat(buffer, unit);
}

char *human_us(uint64_t us, char buffer[HUMAN_BYTES])
{
	if (us < 1000)
		snprintf(buffer, HUMAN_BYTES, "%lluus", (unsigned long long)us);
	else if (us < 1000000)
		snprintf(buffer, HUMAN_BYTES, "%.4gms", (double)us / 1e3);
	else
		snprintf(buffer, HUMAN_BYTES, "%.1fs", (double)us / 1e6);
	return buffer;
}

char *human_time(int64_t real_ns, char buffer[HUMAN_BYTES])
{
	time_t s = (time_t)(real_ns / 1000000000);
	long ns = (long)(real_ns % 1000000000);
	struct tm tm;
	size_t n;

	if (ns < 0) {
		ns += 1000000000;
		s--;
	}
	n = gmtime_r(&s, &tm) ? strftime(buffer, HUMAN_BYTES, "%Y-%m-%dT%H:%M:%S", &tm) : 0;
	snprintf(buffer + n, HUMAN_BYTES - n, ".%09ldZ", ns);
	return buffer;
}

int human_parse_time(const char *text, int64_t *real_ns)
{
	struct tm tm = {0};
	const char *at = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ns = 0, digit = 100000000;

	if (at && *at == '.')
		for (at++; isdigit((unsigned char)*at); at++, digit /= 10)
			ns += (*at - '0') * digit;
	if (!at || at[0] != 'Z' || at[1])
		return -EINVAL;
	*real_ns = (int64_t)timegm(&tm) * 1000000000 + ns;
	return 0;
}

char *human_clean(char *text)
{
	for (char *c = text; c && *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return text;
}
