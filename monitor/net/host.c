/* SPDX-License-Identifier: Apache-2.0 */
/* host.c: mayfly net create; see host.h. */
#include <errno.h>
#include <getopt.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>

#include "caps.h"
#include "host.h"

static const char help[] =
	"Usage: mayfly net create [OPTION]... NAME\n"
	"Makes a bridge called NAME, with an address of the host's, for VMs. It stays until\n"
	"`mayfly net rm NAME`, or until the host is restarted.\n"
	"\n"
	"      --address A/PREFIX  the host's address there; may be given for IPv4 and for IPv6\n"
	"                          (default: the first of 10.77.N.1/24 that is free)\n"
	"      --ipv6              also an IPv6 address, of a random private network\n"
	"      --uplink IF         make this interface a port of the bridge: VMs are then in the\n"
	"                          network that it leads to\n"
	"      --veth              instead of a bridge, a veth pair: NAME for the host, NAME-vm\n"
	"                          for one VM (--net xdp=NAME-vm)\n"
	"  -h, --help              this text\n";

struct create {
	const char *name, *uplink;
	bool veth, ipv6;
	struct rtnl_address address[HOST_ADDRESSES];
	unsigned naddresses;
};

int host_fail(const struct err *err)
{
	fprintf(stderr, "mayfly: %s\n", err->message);
	return ERR_EXIT_SELF;
}

int host_usage(const char *verb, const char *what, const char *which)
{
	fprintf(stderr, "mayfly net %s: %s%s; try 'mayfly net %s --help'\n", verb, what, which,
		verb);
	return ERR_EXIT_SELF;
}

/* ---- making ---- */

static int check_name(const struct create *c, struct err *err)
{
	size_t len = strlen(c->name), most = IFNAMSIZ - 1 - (c->veth ? strlen(HOST_PEER) : 0);

	if (!len || len > most || strpbrk(c->name, "/: \t\n\r\f\v%") || !strcmp(c->name, ".") ||
	    !strcmp(c->name, ".."))
		return err_set(err, 0,
			       "'%s' cannot be an interface's name: 1 to %zu characters without "
			       "/, :, %% and blanks",
			       c->name, most);
	return 0;
}

static int make_bridge(struct rtnl *nl, const struct create *c)
{
	char buf[RTNL_BYTES];
	struct nlmsghdr *message =
		rtnl_link_message(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct nlattr *info, *data;
	uint8_t mac[6];

	/* An address of its own: one that follows its ports' would change under the VMs. */
	rtnl_random_mac(mac, 0x02);
	mnl_attr_put_strz(message, IFLA_IFNAME, c->name);
	mnl_attr_put(message, IFLA_ADDRESS, sizeof(mac), mac);
	info = mnl_attr_nest_start(message, IFLA_LINKINFO);
	mnl_attr_put_strz(message, IFLA_INFO_KIND, "bridge");
	data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
	mnl_attr_put_u8(message, IFLA_BR_MCAST_SNOOPING, 0);
	mnl_attr_nest_end(message, data);
	mnl_attr_nest_end(message, info);
	return rtnl_talk(nl, message, NULL, NULL);
}

static int make_veth(struct rtnl *nl, const struct create *c, const char *peer_name)
{
	char buf[RTNL_BYTES];
	struct nlmsghdr *message =
		rtnl_link_message(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct nlattr *info, *data, *peer;

	mnl_attr_put_strz(message, IFLA_IFNAME, c->name);
	mnl_attr_put_u32(message, IFLA_NUM_TX_QUEUES, 1);
	mnl_attr_put_u32(message, IFLA_NUM_RX_QUEUES, 1);
	info = mnl_attr_nest_start(message, IFLA_LINKINFO);
	mnl_attr_put_strz(message, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(message, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(message, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(message, IFLA_IFNAME, peer_name);
	mnl_attr_put_u32(message, IFLA_NUM_TX_QUEUES, 1);
	mnl_attr_put_u32(message, IFLA_NUM_RX_QUEUES, 1);
	mnl_attr_nest_end(message, peer);
	mnl_attr_nest_end(message, data);
	mnl_attr_nest_end(message, info);
	return rtnl_talk(nl, message, NULL, NULL);
}

static int set_attr(struct rtnl *nl, int index, uint16_t type, const void *value, size_t bytes)
{
	char buf[RTNL_BYTES];
	struct nlmsghdr *message = rtnl_link_message(buf, RTM_NEWLINK, 0, index);

	mnl_attr_put(message, type, bytes, value);
	return rtnl_talk(nl, message, NULL, NULL);
}

static int set_alias(struct rtnl *nl, int index)
{
	return set_attr(nl, index, IFLA_IFALIAS, RTNL_ALIAS, sizeof(RTNL_ALIAS));
}

static int has_index(const struct rtnl_address *a, void *data)
{
	/* A link-local address is nothing that anybody would miss. */
	return a->index == *(int *)data &&
	       !(a->family == AF_INET6 && a->address[0] == 0xfe && (a->address[1] & 0xc0) == 0x80);
}

/* An interface whose addresses the host needs would lose them as a port. */
static int find_uplink(struct rtnl *nl, const char *name, struct rtnl_link *uplink, struct err *err)
{
	int ret = rtnl_link_get(nl, name, uplink);

	if (ret)
		return err_set(err, ret == -ENODEV ? 0 : -ret, "--uplink: there is no interface %s",
			       name);
	if (uplink->master)
		return err_set(err, 0, "--uplink: %s is a port of something already", name);
	ret = rtnl_addresses(nl, has_index, &uplink->index);
	if (ret < 0)
		return err_set(err, -ret, "cannot look at the host's addresses");
	return ret ? err_set(err, 0,
			     "--uplink: %s has addresses, which would not work any more: move "
			     "them to the bridge (ip address del ... dev %s) and give them with "
			     "--address",
			     name, name)
		   : 0;
}

static int set_up_veth(struct rtnl *nl, const struct create *c, const char *peer, int index)
{
	struct rtnl_link link;
	int ret = rtnl_link_get(nl, peer, &link);

	if (!ret)
		ret = rtnl_quiet(nl, link.index, RTNL_ALIAS_PORT, 0);
	if (!ret)
		ret = rtnl_checksum_now(nl, c->name);
	if (!ret)
		ret = rtnl_up(nl, link.index);
	return ret ? ret : rtnl_up(nl, index);
}

static int set_up(struct rtnl *nl, struct create *c, const struct rtnl_link *link,
		  const struct rtnl_link *uplink, const char *peer, struct err *err)
{
	int ret = set_alias(nl, link->index);

	if (!ret && c->veth)
		ret = set_up_veth(nl, c, peer, link->index);
	else if (!ret)
		ret = rtnl_up(nl, link->index);
	if (!ret && c->uplink) {
		uint32_t master = (uint32_t)link->index;

		ret = set_attr(nl, uplink->index, IFLA_MASTER, &master, sizeof(master));
		if (!ret)
			ret = rtnl_up(nl, uplink->index);
	}
	if (ret)
		return err_set(err, -ret, "cannot set %s up", c->name);
	for (unsigned i = 0; i < c->naddresses; i++) {
		char text[HOST_ADDRESS_TEXT];

		c->address[i].index = link->index;
		ret = rtnl_address_add(nl, &c->address[i]);
		if (ret)
			return err_set(
				err, -ret, "cannot give %s the address %s", c->name,
				host_address_text(&c->address[i], c->address[i].prefix, text));
	}
	return 0;
}

static int create(struct create *c, struct err *err)
{
	struct rtnl_link link, uplink = {0};
	char peer[IFNAMSIZ];
	struct rtnl nl;
	int ret = check_name(c, err);

	if (!ret)
		ret = caps_check(CAPS_ADMIN, "mayfly net create", err);
	if (!ret)
		ret = rtnl_open(&nl, err);
	if (!ret && c->uplink)
		ret = find_uplink(&nl, c->uplink, &uplink, err);
	if (!ret && !c->naddresses)
		ret = host_address_free(&nl, &c->address[c->naddresses++], err);
	if (ret)
		return ret;
	if (c->ipv6)
		host_address_own(&c->address[c->naddresses++]);
	snprintf(peer, sizeof(peer), "%.*s" HOST_PEER, (int)(sizeof(peer) - sizeof(HOST_PEER)),
		 c->name);
	ret = c->veth ? make_veth(&nl, c, peer) : make_bridge(&nl, c);
	if (ret == -EEXIST)
		return err_set(err, 0, "there is an interface %s%s%s already", c->name,
			       c->veth ? " or " : "", c->veth ? peer : "");
	if (!ret)
		ret = rtnl_link_get(&nl, c->name, &link);
	if (ret)
		return err_set(err, -ret, "cannot make %s", c->name);
	ret = set_up(&nl, c, &link, &uplink, peer, err);
	if (ret)
		rtnl_delete(&nl, link.index);
	return ret;
}

/* ---- the command ---- */

static void say_next(const struct create *c)
{
	char text[HOST_ADDRESS_TEXT], next[HOST_ADDRESS_TEXT], host[HOST_ADDRESS_TEXT];
	struct rtnl_address vm = c->address[0];

	printf("%s is a %s, ", c->name, c->veth ? "veth" : "bridge");
	for (unsigned i = 0; i < c->naddresses; i++)
		printf("%s%s", i ? " and " : "the host is ",
		       host_address_text(&c->address[i], c->address[i].prefix, text));
	vm.address[vm.family == AF_INET ? 3 : 15]++;
	host_address_text(&vm, vm.prefix, next);
	host_address_text(&c->address[0], -1, host);
	printf(" there. Next:\n  mayfly run --net %s%s,ip=%s,gw=%s IMAGE\n", c->name,
	       c->veth ? HOST_PEER : "", next, host);
	printf("Remove it: mayfly net rm %s\n", c->name);
}

int host_create(int argc, char **argv)
{
	static const struct option options[] = {
		{"address", required_argument, NULL, 'a'}, {"uplink", required_argument, NULL, 'u'},
		{"ipv6", no_argument, NULL, '6'},          {"veth", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
	};
	struct create c = {0};
	struct err err = {0};
	int opt;

	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (opt) {
		case 'a':
			if (c.naddresses == HOST_ADDRESSES - 1)
				return host_usage(argv[0], "too many addresses: ", optarg);
			if (host_address_parse(optarg, &c.address[c.naddresses++], &err))
				return host_fail(&err);
			break;
		case 'u':
			c.uplink = optarg;
			break;
		case '6':
			c.ipv6 = true;
			break;
		case 'v':
			c.veth = true;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return host_usage(argv[0],
					  opt == ':' ? "no value after " : "no such option: ",
					  argv[optind - 1]);
		}
	}
	if (argc - optind != 1)
		return host_usage(argv[0], "one NAME is needed", "");
	if (c.veth && c.uplink)
		return host_usage(argv[0], "a veth pair has no --uplink", "");
	c.name = argv[optind];
	if (create(&c, &err))
		return host_fail(&err);
	say_next(&c);
	return 0;
}
