/* SPDX-License-Identifier: Apache-2.0 */
/* host_list.c: mayfly net rm, and ls; see host.h. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "host.h"

static const char help_rm[] =
	"Usage: mayfly net rm [OPTION]... NAME...\n"
	"Removes bridges and veth pairs that `mayfly net create` has made, and nothing else.\n"
	"\n"
	"  -f, --force   also a bridge that VMs are at: they lose their network\n"
	"  -h, --help    this text\n";

static const char help_ls[] =
	"Usage: mayfly net ls [OPTION]...\n"
	"Lists what `mayfly net create` has made.\n"
	"\n"
	"      --json   an array of objects: name, kind, up, addresses, vms,\n"
	"               uplinks\n"
	"  -h, --help   this text\n";

static bool is_ours(const struct rtnl_link *link)
{
	return !strcmp(link->alias, RTNL_ALIAS);
}

/* ---- ports of a bridge ---- */

struct ports {
	int bridge;
	unsigned vms, nuplinks;
	char uplinks[8][IFNAMSIZ];
};

static int count_port(const struct rtnl_link *link, void *data)
{
	struct ports *p = data;

	if (link->master != p->bridge)
		return 0;
	if (!strcmp(link->alias, RTNL_ALIAS_PORT))
		p->vms++;
	else if (p->nuplinks < 8)
		memcpy(p->uplinks[p->nuplinks++], link->name, IFNAMSIZ);
	return 0;
}

/* ---- rm ---- */

static int rm(struct rtnl *nl, const char *name, bool force, struct err *err)
{
	struct rtnl_link link;
	struct ports ports = {0};
	int ret = rtnl_link_get(nl, name, &link);

	if (ret)
		return err_set(err, ret == -ENODEV ? 0 : -ret, "there is no interface %s", name);
	if (!is_ours(&link))
		return err_set(err, 0,
			       "%s is nothing that mayfly net create has made: it is left alone",
			       name);
	ports.bridge = link.index;
	ret = rtnl_links(nl, count_port, &ports);
	if (!ret && ports.vms && !force)
		return err_set(err, 0, "%s has %u VM%s: stop %s first, or add --force", name,
			       ports.vms, ports.vms == 1 ? "" : "s",
			       ports.vms == 1 ? "it" : "them");
	if (!ret)
		ret = rtnl_delete(nl, link.index);
	return ret ? err_set(err, -ret, "cannot remove %s", name) : 0;
}

int host_rm(int argc, char **argv)
{
	static const struct option options[] = {{"force", no_argument, NULL, 'f'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	bool force = false;
	struct err err = {0};
	struct rtnl nl;
	int opt, status = 0;

	while ((opt = getopt_long(argc, argv, ":fh", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(help_rm, stdout);
			return 0;
		}
		if (opt != 'f')
			return host_usage(argv[0], "no such option: ", argv[optind - 1]);
		force = true;
	}
	if (optind == argc)
		return host_usage(argv[0], "a NAME is needed", "");
	if (caps_check(CAPS_ADMIN, "mayfly net rm", &err) || rtnl_open(&nl, &err))
		return host_fail(&err);
	for (int i = optind; i < argc; i++)
		if (rm(&nl, argv[i], force, &err))
			status = host_fail(&err);
	return status;
}

/* ---- ls ---- */

struct list {
	struct rtnl_link *links;
	unsigned n, room;
};

static int add_link(const struct rtnl_link *link, void *data)
{
	struct list *l = data;

	if (!is_ours(link))
		return 0;
	if (l->n == l->room) {
		unsigned room = l->room ? l->room * 2 : 16;
		struct rtnl_link *links = realloc(l->links, room * sizeof(*links));

		if (!links)
			return -ENOMEM;
		l->links = links;
		l->room = room;
	}
	l->links[l->n++] = *link;
	return 0;
}

struct print {
	int index;
	bool json, any;
};

static int print_address(const struct rtnl_address *a, void *data)
{
	struct print *p = data;
	char text[HOST_ADDRESS_TEXT];

	if (a->index != p->index || (a->family != AF_INET && a->family != AF_INET6) ||
	    (a->family == AF_INET6 && a->address[0] == 0xfe))
		return 0;
	host_address_text(a, a->prefix, text);
	printf(p->json ? "%s\"%s\"" : "%s%s", p->any ? "," : "", text);
	p->any = true;
	return 0;
}

/* A name may have any character but blanks, / and :. */
static void print_json_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < 0x20 || *text == 0x7f)
			printf("\\u%04x", *text);
		else
			putchar(*text);
	}
	putchar('"');
}

static int print_link(struct rtnl *nl, const struct rtnl_link *link, bool json, bool first)
{
	struct ports ports = {.bridge = link->index};
	struct print p = {.index = link->index, .json = json};
	int ret = rtnl_links(nl, count_port, &ports);

	if (ret)
		return ret;
	if (!json) {
		printf("%-15s  %-6s  %4u  %-15s  ", link->name, link->kind, ports.vms,
		       ports.nuplinks ? ports.uplinks[0] : "-");
		ret = rtnl_addresses(nl, print_address, &p);
		puts(p.any ? "" : "-");
		return ret;
	}
	printf("%s\n  {\"name\": ", first ? "" : ",");
	print_json_text(link->name);
	printf(", \"kind\": \"%s\", \"up\": %s, \"addresses\": [", link->kind,
	       link->flags & IFF_UP ? "true" : "false");
	ret = rtnl_addresses(nl, print_address, &p);
	printf("], \"vms\": %u, \"uplinks\": [", ports.vms);
	for (unsigned i = 0; i < ports.nuplinks; i++) {
		fputs(i ? ", " : "", stdout);
		print_json_text(ports.uplinks[i]);
	}
	fputs("]}", stdout);
	return ret;
}

static int list(bool json, struct err *err)
{
	struct list l = {0};
	struct rtnl nl;
	int ret = rtnl_open(&nl, err);

	if (ret)
		return ret;
	ret = rtnl_links(&nl, add_link, &l);
	fputs(json ? "[" : "NAME             KIND     VMS  UPLINK           ADDRESS\n", stdout);
	for (unsigned i = 0; !ret && i < l.n; i++)
		ret = print_link(&nl, &l.links[i], json, !i);
	fputs(json ? (l.n ? "\n]\n" : "]\n") : "", stdout);
	free(l.links);
	return ret ? err_set(err, -ret, "cannot list the host's interfaces") : 0;
}

int host_ls(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	struct err err = {0};
	bool json = false;
	int opt;

	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(help_ls, stdout);
			return 0;
		}
		if (opt != 'j')
			return host_usage(argv[0], "no such option: ", argv[optind - 1]);
		json = true;
	}
	if (optind != argc)
		return host_usage(argv[0], "no argument is expected: ", argv[optind]);
	if (list(json, &err))
		return host_fail(&err);
	if (fflush(stdout) || ferror(stdout)) {
		err_set(&err, errno, "cannot write to the standard output");
		return host_fail(&err);
	}
	return 0;
}
