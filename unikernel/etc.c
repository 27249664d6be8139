/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etc.c: /etc: what a C library looks up in there. Ordinary files, which the program may
 * change; resolv.conf is a link to what the network knows, as it can be on Linux (nfsroot.rst).
 */
#include "vfs.h"
#include "net/if.h"

/* The services that programs ask for by name, of services(5). */
static const char services[] = "echo\t7/tcp\necho\t7/udp\ndiscard\t9/tcp\ndiscard\t9/udp\n"
			       "daytime\t13/tcp\ndaytime\t13/udp\nftp\t21/tcp\nssh\t22/tcp\n"
			       "telnet\t23/tcp\nsmtp\t25/tcp\ntime\t37/tcp\ntime\t37/udp\n"
			       "domain\t53/tcp\ndomain\t53/udp\nbootps\t67/udp\nbootpc\t68/udp\n"
			       "tftp\t69/udp\nhttp\t80/tcp\nkerberos\t88/tcp\nkerberos\t88/udp\n"
			       "pop3\t110/tcp\nntp\t123/udp\nimap2\t143/tcp\timap\n"
			       "snmp\t161/udp\nldap\t389/tcp\nhttps\t443/tcp\nhttps\t443/udp\n"
			       "syslog\t514/udp\nldaps\t636/tcp\nimaps\t993/tcp\n"
			       "pop3s\t995/tcp\nmysql\t3306/tcp\npostgresql\t5432/tcp\n"
			       "redis\t6379/tcp\nhttp-alt\t8080/tcp\twebcache\n";

static const char protocols[] = "ip\t0\tIP\nicmp\t1\tICMP\nigmp\t2\tIGMP\ntcp\t6\tTCP\n"
				"udp\t17\tUDP\nipv6\t41\tIPv6\nipv6-icmp\t58\tIPv6-ICMP\n";

void uk_etc_fill(struct uk_node *dir)
{
	char hosts[192];
	const struct {
		const char *name, *text;
	} file[] = {
		{"passwd", "root:x:0:0:root:/root:/bin/sh\n"
			   "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"},
		{"group", "root:x:0:\nnogroup:x:65534:\n"},
		{"hostname", UK_NOXS->hostname},
		{"hosts", hosts},
		{"nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"
				  "networks: files\nprotocols: files\nservices: files\n"},
		/* Without it glibc takes the first line of a name in hosts for the only one
		 * (host.conf(5)). */
		{"host.conf", "multi on\n"},
		{"services", services},
		{"protocols", protocols},
	};

	dir->dir.fill = NULL;
	uk_snprintf(hosts, sizeof(hosts),
		    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
		    "127.0.1.1\t%s\n",
		    UK_NOXS->hostname);
	for (size_t i = 0; i < uk_countof(file); i++) {
		struct uk_node *node =
			uk_make_file(dir, file[i].name, S_IFREG | 0644, &uk_ramfs_ops);

		if (node && file[i].text[0])
			uk_ramfs_fill(node, file[i].text, strlen(file[i].text));
	}
	if (uk_net_ndevs)
		uk_make_link(dir, "resolv.conf", "/proc/net/pnp");
	else
		uk_make_file(dir, "resolv.conf", S_IFREG | 0644, &uk_ramfs_ops);
}
