/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_parse.c: the texts of cgroups. */
#include "cgroup_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	unsigned bit;
} controller[] = {
	{"memory", CGROUP_MEMORY},   {"cpu", CGROUP_CPU},       {"pids", CGROUP_PIDS},
	{"cpuacct", CGROUP_CPUACCT}, {"cpuset", CGROUP_CPUSET},
};
#define NCONTROLLERS (sizeof(controller) / sizeof(controller[0]))

unsigned cgroup_controllers(const char *list)
{
	unsigned bits = 0;

	while (*list) {
		size_t n = strcspn(list, ", \n");

		for (size_t i = 0; i < NCONTROLLERS; i++)
			if (n == strlen(controller[i].name) && !memcmp(list, controller[i].name, n))
				bits |= controller[i].bit;
		list += n + (list[n] != '\0');
	}
	return bits;
}

const char *cgroup_controller_names(unsigned bits, char text[64])
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < NCONTROLLERS; i++)
		if (bits & controller[i].bit)
			n += (size_t)snprintf(text + n, 64 - n, "%s%s", n ? ", " : "",
					      controller[i].name);
	return text;
}

/* "\040" and the like, as the kernel writes space, tab, newline and backslash. In place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* The next word of *line, ended by one space; NULL at the end. */
static char *word(char **line)
{
	return strsep(line, " ");
}

/*
 * proc_pid_mountinfo(5):
 *   36 35 98:0 /root /point rw,noatime master:1 - type source super,options
 * with any number of optional fields before the lone "-".
 */
bool cgroup_parse_mount(char *line, struct cgroup_mount *m)
{
	char *root, *point, *options, *type, *super, *s;

	for (int i = 0; i < 3; i++)
		if (!word(&line))
			return false;
	root = word(&line);
	point = word(&line);
	options = word(&line);
	do {
		s = word(&line);
	} while (s && strcmp(s, "-") != 0);
	type = word(&line);
	s = word(&line); /* the source: any word at all, for cgroups */
	super = word(&line);
	if (!super || !s || root[0] != '/' || point[0] != '/')
		return false;
	m->v2 = !strcmp(type, "cgroup2");
	if (!m->v2 && strcmp(type, "cgroup") != 0)
		return false;
	m->read_only = !strncmp(options, "ro", 2) && (options[2] == ',' || !options[2]);
	m->controllers = m->v2 ? 0 : cgroup_controllers(super);
	unescape(root);
	unescape(point);
	m->root = root;
	m->point = point;
	return true;
}

/* cgroups(7): "hierarchy-ID:controller-list:cgroup-path"; the path may have colons, too. */
bool cgroup_parse_self(char *line, struct cgroup_self *s)
{
	char *id = strsep(&line, ":"), *list = strsep(&line, ":");

	if (!line || line[0] != '/' || !id[0] || strspn(id, "0123456789") != strlen(id))
		return false;
	s->v2 = !strcmp(id, "0") && !list[0];
	s->controllers = cgroup_controllers(list);
	s->path = line;
	return true;
}

/* Whether a component of path is "..": it leads out of what can be named. */
static bool leads_out(const char *path)
{
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && !memcmp(path, "..", 2))
			return true;
		path += n + (path[n] == '/');
	}
	return false;
}

const char *cgroup_below(const char *root, const char *path)
{
	size_t n = strlen(root);

	while (n && root[n - 1] == '/')
		n--;
	if (strncmp(root, path, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return NULL;
	path += n;
	path += strspn(path, "/");
	/* Above its namespace's root a path goes by "..". If the mount's root has as many of them
	 * they are gone by now; if not, the names of the way back are not known. */
	return leads_out(path) ? NULL : path;
}

bool cgroup_path_is_good(const char *path)
{
	path += strspn(path, "/");
	return path[0] && strlen(path) <= 1000 && !leads_out(path) && !strchr(path, '\n');
}

uint64_t cgroup_shares(uint32_t weight)
{
	return ((uint64_t)weight * 1024 + 50) / 100;
}

void cgroup_quota(uint32_t milli, uint64_t *quota_us, uint64_t *period_us)
{
	/* The kernel takes quotas from 1 ms on, and periods up to 1 s. */
	*period_us = milli < 10 ? 1000000 : 100000;
	*quota_us = *period_us / 1000 * milli;
}

int64_t cgroup_field(const char *text, const char *key)
{
	size_t n = strlen(key);

	while (text) {
		if (!strncmp(text, key, n) && text[n] == ' ')
			return strtoll(text + n + 1, NULL, 10);
		text = strchr(text, '\n');
		text += text != NULL;
	}
	return -1;
}
