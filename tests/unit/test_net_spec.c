/* SPDX-License-Identifier: Apache-2.0 */
/* test_net_spec.c: what --net and -p take, what they refuse, and what they say then. */
/* sources: monitor/net_spec.c monitor/net_address.c monitor/net_spec_print.c */
/* sources: monitor/net_port.c monitor/err.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../../monitor/net_spec.h"

static struct net_spec parse(const char *text)
{
	struct err err = {0};
	struct net_spec spec;

	if (net_spec_parse(&spec, text, &err))
		fail_msg("%s: %s", text, err.message);
	return spec;
}

/* Refused, and the message has these words. */
static void refuse(const char *text, const char *words)
{
	struct err err = {0};
	struct net_spec spec;

	if (!net_spec_parse(&spec, text, &err))
		fail_msg("%s was taken", text);
	if (!strstr(err.message, words))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, err.message, words);
}

static void kinds(void **state)
{
	struct net_spec s = parse("xdp=veth0");

	(void)state;
	assert_int_equal(s.kind, NET_XDP);
	assert_string_equal(s.ifname, "veth0");
	assert_int_equal(s.queue, -1);
	assert_int_equal(s.offload, -1);
	assert_int_equal(s.fd, -1);
	assert_false(s.has_mac);
	assert_false(s.has_ip);
	assert_int_equal(s.config.flags, NOXS_NET_LINK_UP);
	s = parse("br0,mtu=1400");
	assert_int_equal(s.kind, NET_XDP);
	assert_string_equal(s.ifname, "br0");
	assert_int_equal(s.config.mtu, 1400);
	assert_int_equal(parse("tap").kind, NET_TAP);
	assert_string_equal(parse("tap").ifname, "");
	assert_string_equal(parse("tap=tap0").ifname, "tap0");
	assert_int_equal(parse("tap=fd:17").fd, 17);
	s = parse("user");
	assert_int_equal(s.kind, NET_USER);
	assert_false(s.has_ip);
	assert_int_equal(s.config.flags, NOXS_NET_LINK_UP | NOXS_NET_DHCP | NOXS_NET_SLAAC);
	refuse("", "no kind ''");
	refuse("a b", "no kind 'a b': it may be IFACE, xdp=IFACE, tap");
	refuse("veth=0", "no kind 'veth'");
	refuse("bridge=br0", "no kind 'bridge'");
	refuse("xdp", "xdp=IFACE");
	refuse("xdp=", "1 to 15 characters");
	refuse("tap=a-name-of-16-chars", "1 to 15 characters");
	refuse("tap=a/b", "no '/'");
	refuse("tap=..", "1 to 15 characters");
	refuse("tap=a b", "no blank");
	refuse("tap=tap%d", "'%'");
	refuse("tap=fd:x", "tap=fd:3");
	refuse("tap=fd:2", "not a standard stream");
	refuse("tap=fd:-1", "tap=fd:3");
	refuse("tap=fd:99999999999", "tap=fd:3");
	refuse("user=eth0", "takes no name");
}

static void all_keys(void **state)
{
	const uint8_t mac[6] = {0x52, 0x54, 0, 0xab, 0xcd, 0xef};
	const uint8_t ip[4] = {10, 0, 0, 2}, gw[4] = {10, 0, 0, 1};
	struct net_spec s = parse("xdp=veth0,queue=3,mode=native,copy=zerocopy,share,"
				  "mac=52:54:00:AB:cd:ef,ip=10.0.0.2/24,ip=fd00::2/64,gw=10.0.0.1,"
				  "gw=fe80::1,dns=9.9.9.9,dns=fd00::53,domain=example.org,mtu=1400,"
				  "name=lan0");
	const struct noxs_net_config *c = &s.config;

	(void)state;
	assert_int_equal(s.queue, 3);
	assert_int_equal(s.mode, NET_MODE_NATIVE);
	assert_int_equal(s.copy, NET_COPY_ZERO);
	assert_true(s.share && s.has_mac && s.has_ip);
	assert_memory_equal(c->mac, mac, 6);
	assert_int_equal(c->address[0].family, 4);
	assert_int_equal(c->address[0].prefix, 24);
	assert_memory_equal(c->address[0].address, ip, 4);
	assert_int_equal(c->address[1].family, 6);
	assert_int_equal(c->address[1].prefix, 64);
	assert_int_equal(c->address[2].family, 0);
	assert_memory_equal(c->gateway[0].address, gw, 4);
	assert_int_equal(c->gateway[1].family, 6);
	assert_int_equal(c->dns[0].family, 4);
	assert_int_equal(c->dns[1].family, 6);
	assert_string_equal(c->domain, "example.org");
	assert_string_equal(c->name, "lan0");
	assert_int_equal(c->mtu, 1400);
	s = parse("tap=t0,bridge=br0,offload=off,ip=dhcp,ip=auto");
	assert_string_equal(s.bridge, "br0");
	assert_int_equal(s.offload, 0);
	assert_int_equal(s.config.flags, NOXS_NET_LINK_UP | NOXS_NET_DHCP | NOXS_NET_SLAAC);
	/* All dhcp, no auto: what was asked for, and no more. */
	assert_int_equal(parse("user,ip=dhcp").config.flags, NOXS_NET_LINK_UP | NOXS_NET_DHCP);
	/* In point-to-point networks there is neither a network's nor a broadcast address. */
	parse("tap,ip=10.0.0.0/31,gw=10.0.0.1");
	parse("tap,ip=10.0.0.0/32");
	parse("tap,ip=fd00::/127");
	parse("tap,ip=10.0.0.1/24,ip=fd00::1/64,ip=fd00::2/64,ip=auto");
	parse("tap,ip=fd00::1/64,ip=fd00::2/64,ip=fd00::3/64,ip=fd00::4/64");
	/* The order does not matter. */
	parse("tap,gw=10.0.0.1,ip=10.0.0.2/24");
}

static void keys_refused(void **state)
{
	(void)state;
	refuse("tap,", "nothing between commas");
	refuse("tap,,ip=dhcp", "nothing between commas");
	refuse("tap,ipp=10.0.0.1/24", "is 'ip' meant?");
	refuse("tap,brigde=br0", "is 'bridge' meant?");
	refuse("tap,colour=red",
	       "tap takes mac, ip, gw, dns, domain, mtu, name, bridge, offload, flood");
	refuse("user,colour=red", "user takes mac, ip, gw, dns, domain, mtu, name");
	refuse("tap,queue=1", "'queue' is for xdp, not for tap");
	refuse("xdp=e,bridge=br0", "'bridge' is for tap, not for xdp");
	refuse("user,share", "'share' is for xdp");
	refuse("tap,mtu", "'mtu' takes a value");
	refuse("tap,mtu=", "'mtu' takes a value");
	refuse("xdp=e,share=1", "takes no value");
	refuse("xdp=e,promisc=1", "takes no value");
	refuse("tap,promisc", "'promisc' is for xdp");
	refuse("tap,mtu=1400,mtu=1400", "'mtu' is there twice");
	refuse("tap,name=lo", "loopback");
	refuse("tap,name=a:b", "':'");
	refuse("tap=fd:9,bridge=br0", "whoever opened it");
	refuse("xdp=e,queue=-1", "number of a queue");
	refuse("xdp=e,queue=65536", "number of a queue");
	refuse("xdp=e,mode=skb", "auto, native or generic");
	refuse("xdp=e,copy=yes", "auto, copy or zerocopy");
	refuse("tap,offload=1", "on or off");
	refuse("tap,mtu=575", "from 576 to 1500");
	refuse("tap,mtu=1501", "from 576 to 1500");
	refuse("tap,mtu=1e3", "from 576 to 1500");
	refuse("tap,mtu=1279,ip=fd00::1/64", "IPv6 takes at least 1280");
	refuse("tap,domain=a b", "letters, digits");
	refuse("tap,domain="
	       "0123456789012345678901234567890123456789012345678901234567890123",
	       "1 to 63");
	/* A terminal's control characters are not passed on. */
	refuse("tap,\033[2J=1", "there is no '?[2J'");
}

/* flood=off: what is for all does not come. */
static void flood(void **state)
{
	(void)state;
	assert_false(parse("tap,bridge=br0").quiet);
	assert_false(parse("tap,bridge=br0,flood=on").quiet);
	assert_true(parse("tap,bridge=br0,flood=off").quiet);
	assert_true(parse("tap=t0,flood=off,bridge=br0,ip=10.0.0.2/24").quiet);
	assert_true(parse("xdp=br0,flood=off").quiet); /* whether it is a bridge is seen later */
	assert_false(parse("tap,flood=on").quiet);
	assert_false(parse("xdp=e,share,flood=on,ip=auto").quiet);
	/* A server may answer the one who asks. */
	assert_true(parse("tap,bridge=br0,flood=off,ip=dhcp").quiet);
	refuse("tap,bridge=br0,flood=no", "on or off");
	refuse("tap,bridge=br0,flood=", "'flood' takes a value");
	refuse("tap,bridge=br0,flood", "'flood' takes a value");
	refuse("tap,bridge=br0,flood=off,flood=off", "'flood' is there twice");
	refuse("user,flood=off", "'flood' is for xdp and tap, not for user");
	refuse("tap,flood=off", "for a VM at a bridge: bridge=IFACE");
	refuse("tap=fd:9,flood=off", "for a VM at a bridge");
	refuse("tap,bridge=br0,flood=off,ip=auto", "give ip=ADDRESS/PREFIX");
	refuse("xdp=br0,ip=auto,ip=dhcp,flood=off", "give ip=ADDRESS/PREFIX");
	refuse("tap,bridge=br0,floods=off", "is 'flood' meant?");
}

static void macs_refused(void **state)
{
	static const char *const bad[] = {
		"52:54:00:12:34", "52:54:00:12:34:56:78", "52-54-00-12-34-56", "52:54:00:12:34:5g",
		"525400123456",   "52:54:00:12:34:5",     "52:54:00:12:34:56 "};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "tap,mac=%s", bad[i]);
		refuse(text, bad[i]);
		refuse(text, "six bytes");
	}
	refuse("tap,mac=01:00:5e:00:00:01", "multicast");
	refuse("tap,mac=ff:ff:ff:ff:ff:ff", "multicast");
	refuse("tap,mac=00:00:00:00:00:00", "all zero");
}

static void addresses_refused(void **state)
{
	(void)state;
	refuse("tap,ip=10.0.0.5", "write the prefix length, too: ip=10.0.0.5/24");
	refuse("tap,ip=fd00::5", "write the prefix length, too: ip=fd00::5/64");
	refuse("tap,ip=10.0.0.5/33", "from 1 to 32");
	refuse("tap,ip=10.0.0.5/0", "from 1 to 32");
	refuse("tap,ip=10.0.0.5/", "from 1 to 32");
	refuse("tap,ip=fd00::5/129", "from 1 to 128");
	refuse("tap,ip=10.0.0/24", "ip=10.0.0/24: it may be an address");
	refuse("tap,ip=10.0.0.256/24", "it may be an address");
	refuse("tap,ip=010.0.0.1/24", "it may be an address");
	refuse("tap,ip=fd00:::1/64", "it may be an address");
	refuse("tap,ip=static", "dhcp (IPv4) or auto (IPv6");
	refuse("tap,ip=224.0.0.1/24", "not a unicast address");
	refuse("tap,ip=127.0.0.1/8", "not a unicast address");
	refuse("tap,ip=0.0.0.0/8", "not a unicast address");
	refuse("tap,ip=ff02::1/64", "not a unicast address");
	refuse("tap,ip=::1/128", "not a unicast address");
	refuse("tap,ip=::ffff:10.0.0.1/120", "not a unicast address");
	refuse("tap,ip=10.0.0.0/24", "the network's own");
	refuse("tap,ip=10.0.0.255/24", "broadcast");
	refuse("tap,ip=10.0.255.255/16", "broadcast");
	refuse("tap,ip=fd00::/64", "the network's own");
	refuse("tap,ip=10.0.0.5/24,ip=10.0.0.5/16", "twice");
	refuse("tap,ip=dhcp,ip=dhcp", "twice");
	refuse("tap,ip=fd00::1/64,ip=fd00::2/64,ip=fd00::3/64,ip=fd00::4/64,ip=fd00::5/64",
	       "at most four");
	refuse("tap,ip=10.0.0.1/24,ip=10.0.1.1/24", "ip=10.0.1.1/24: a device has one IPv4");
	refuse("tap,ip=fd00::1/64,ip=10.0.0.1/24,ip=fd00::2/64,ip=10.0.0.2/24", "one IPv4");
	refuse("tap,ip=10.0.0.1/24,ip=dhcp", "ip=dhcp: a device has one IPv4 address");
	refuse("user,ip=dhcp,ip=10.0.0.1/24", "ip=10.0.0.1/24: a device has one IPv4");
	refuse("tap,ip=10.0.0.5/24,gw=10.0.1.1", "gw=10.0.1.1: it is in no prefix");
	refuse("tap,ip=10.0.0.5/25,gw=10.0.0.129", "in no prefix");
	refuse("tap,ip=fd00::5/64,gw=fd00:0:0:1::1", "in no prefix");
	refuse("tap,ip=10.0.0.5/24,gw=fe80::1", "in no prefix");
	refuse("tap,ip=dhcp,gw=10.0.0.1", "in no prefix");
	refuse("tap,ip=10.0.0.5/24,gw=10.0.0.5", "the same address");
	refuse("tap,ip=10.0.0.5/24,gw=10.0.0.1/24", "without a prefix");
	refuse("tap,ip=10.0.0.5/24,gw=10.0.0.1,gw=10.0.0.2", "one for IPv4 and one for IPv6");
	refuse("tap,dns=9.9.9.9:53", "without a port");
	refuse("tap,dns=one.one", "without a port");
	refuse("tap,dns=9.9.9.9,dns=9.9.9.9", "twice");
	refuse("tap,dns=1.1.1.1,dns=1.1.1.2,dns=1.1.1.3,dns=1.1.1.4", "at most three");
}

static void printed(void **state)
{
	static const char *const same[] = {
		"xdp=veth0,mode=auto,copy=auto",
		"xdp=e,mac=02:00:00:00:00:0a,ip=10.0.0.2/24,ip=fd00::2/64,gw=10.0.0.1,dns=9.9.9.9,"
		"domain=a.b,mtu=1400,name=eth7,queue=2,mode=generic,copy=copy,share,promisc",
		"tap",
		"tap=fd:8,ip=dhcp,offload=on",
		"tap=t,ip=dhcp,ip=auto,bridge=br0,offload=off",
		"tap,bridge=br0,flood=off",
		"xdp=br0,mode=auto,copy=auto,flood=off",
		"user,ip=dhcp,ip=auto",
		"user", /* what that means is whoever opens it to say */
	};
	char text[NET_SPEC_TEXT], cut[8];

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		struct net_spec s = parse(same[i]);

		assert_int_equal(net_spec_print(&s, text, sizeof(text)), strlen(same[i]));
		assert_string_equal(text, same[i]);
	}
	struct net_spec s = parse("user,ip=dhcp,ip=auto");

	assert_int_equal(net_spec_print(&s, cut, sizeof(cut)), 20);
	assert_string_equal(cut, "user,ip");
	assert_int_equal(net_spec_print(&s, NULL, 0), 20);
}

static void finished(void **state)
{
	static const uint8_t random[4][6] = {{0xff, 1, 2, 3, 4, 5}, {0}, {7}, {8}};
	const uint8_t first[6] = {0xfe, 1, 2, 3, 4, 5};
	struct net_spec s[4] = {parse("tap"), parse("user,name=eth0"), parse("xdp=e"),
				parse("xdp=e,share,mac=52:54:00:12:34:56")};
	struct err err = {0};

	(void)state;
	assert_int_equal(net_spec_finish(s, 4, random, &err), 0);
	assert_string_equal(s[0].config.name, "eth1");
	assert_string_equal(s[1].config.name, "eth0");
	assert_string_equal(s[2].config.name, "eth2");
	assert_string_equal(s[3].config.name, "eth3");
	assert_memory_equal(s[0].config.mac, first, 6);
	assert_int_equal(s[1].config.mac[0], 2);
	assert_int_equal(s[3].config.mac[0], 0x52);
	assert_true(s[0].has_mac && s[1].has_mac && s[3].has_mac);
	assert_false(s[2].has_mac); /* the interface's own */
	s[0] = parse("tap,mac=52:54:00:12:34:56");
	s[1] = parse("tap,mac=52:54:00:12:34:56");
	assert_true(net_spec_finish(s, 2, random, &err) < 0);
	assert_non_null(strstr(err.message, "mac=52:54:00:12:34:56"));
	s[0] = parse("tap,name=a");
	s[1] = parse("tap,name=a");
	assert_true(net_spec_finish(s, 2, random, &err) < 0);
	assert_non_null(strstr(err.message, "called a"));
}

static void port_is(const char *text, const char *shown)
{
	struct net_spec s = {0};
	struct err err = {0};
	char out[128];

	if (net_port_parse(&s, text, &err))
		fail_msg("%s: %s", text, err.message);
	net_port_print(&s.port[0], out, sizeof(out));
	assert_string_equal(out, shown);
	assert_int_equal(s.nports, 1);
}

static void port_refused(const char *before, const char *text, const char *words)
{
	struct net_spec s = {0};
	struct err err = {0};

	if (before)
		assert_int_equal(net_port_parse(&s, before, &err), 0);
	if (!net_port_parse(&s, text, &err))
		fail_msg("%s was taken", text);
	if (!strstr(err.message, words))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, err.message, words);
	assert_int_equal(s.nports, !!before);
}

static void ports(void **state)
{
	(void)state;
	port_is("8080:80", "8080:80/tcp");
	port_is("8080:80/tcp", "8080:80/tcp");
	port_is("53:5353/udp", "53:5353/udp");
	port_is("127.0.0.1:8080:80", "127.0.0.1:8080:80/tcp");
	port_is("[::1]:8080:80/udp", "[::1]:8080:80/udp");
	port_is("8000-8010:9000-9010", "8000-8010:9000-9010/tcp");
	port_is("1-65535:1-65535", "1-65535:1-65535/tcp");
	port_refused(NULL, "", "number from 1 to 65535");
	port_refused(NULL, "80", "both ports, as in 8080:80");
	port_refused(NULL, "0:80", "host's port is to be");
	port_refused(NULL, "65536:80", "host's port is to be");
	port_refused(NULL, "80:0", "guest's port is to be");
	port_refused(NULL, "80:", "guest's port is to be");
	port_refused(NULL, "80:65536", "guest's port is to be");
	port_refused(NULL, "80:x", "guest's port is to be");
	port_refused(NULL, "20-10:20-10", "host's port is to be");
	port_refused(NULL, "8000-8010:9000", "not of the same size");
	port_refused(NULL, "80:80/sctp", "/tcp or /udp");
	port_refused(NULL, "80:80:80", "/tcp or /udp");
	port_refused(NULL, "localhost:80:80", "[ADDRESS:]HOST:GUEST");
	port_refused(NULL, "::1:80:80", "number from 1");
	port_refused(NULL, "[::1:80:80", "brackets");
	port_refused(NULL, "[::1]80:80", "brackets");
	port_refused(NULL, "300.0.0.1:80:80", "[ADDRESS:]HOST:GUEST");
	port_refused("80:80", "80:81", "published twice");
	port_refused("80-90:80-90", "85:85", "published twice");
	port_refused("80:80", "127.0.0.1:80:81", "published twice");
	port_refused("0.0.0.0:80:80", "127.0.0.1:80:81", "published twice");
}

static void ports_beside(void **state)
{
	struct net_spec s = {0};
	struct err err = {0};
	char text[32];

	(void)state;
	assert_int_equal(net_port_parse(&s, "80:80", &err), 0);
	assert_int_equal(net_port_parse(&s, "80:80/udp", &err), 0);
	assert_int_equal(net_port_parse(&s, "127.0.0.1:81:80", &err), 0);
	assert_int_equal(net_port_parse(&s, "127.0.0.2:81:80", &err), 0);
	assert_int_equal(net_port_parse(&s, "[::1]:81:80", &err), 0);
	for (int i = 5; i < NET_MAX_PORTS; i++) {
		snprintf(text, sizeof(text), "%d:80", 1000 + i);
		assert_int_equal(net_port_parse(&s, text, &err), 0);
	}
	assert_true(net_port_parse(&s, "9:9", &err) < 0);
	assert_non_null(strstr(err.message, "at most 32"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds),        cmocka_unit_test(all_keys),
		cmocka_unit_test(keys_refused), cmocka_unit_test(flood),
		cmocka_unit_test(macs_refused), cmocka_unit_test(addresses_refused),
		cmocka_unit_test(printed),      cmocka_unit_test(finished),
		cmocka_unit_test(ports),        cmocka_unit_test(ports_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
