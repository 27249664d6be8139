/* SPDX-License-Identifier: Apache-2.0 */
/* ifioctl.c: interfaces by ioctl (netdevice(7)), and what /proc and /sys have of them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static int fd;

static struct ifreq lo(unsigned long cmd)
{
	struct ifreq r = {0};

	strcpy(r.ifr_name, "lo");
	CHECK(ioctl(fd, cmd, &r) == 0);
	return r;
}

static unsigned address(struct ifreq r)
{
	CHECK(r.ifr_addr.sa_family == AF_INET);
	return ntohl(((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr);
}

static const char *text_of(const char *path)
{
	static char text[16384];
	int file = open(path, O_RDONLY);
	ssize_t n = read(file, text, sizeof(text) - 1);

	CHECK(file >= 0 && n > 0 && close(file) == 0);
	text[n] = 0;
	return text;
}

static void conf(void)
{
	struct ifreq r[32];
	struct ifconf c = {.ifc_len = 0};
	int seen = 0, bytes;

	/* without room: how much there is */
	CHECK(ioctl(fd, SIOCGIFCONF, &c) == 0 && c.ifc_len >= (int)sizeof(r[0]));
	bytes = c.ifc_len;
	c = (struct ifconf){.ifc_len = sizeof(r), .ifc_req = r};
	CHECK(ioctl(fd, SIOCGIFCONF, &c) == 0 && c.ifc_len == bytes);
	for (int i = 0; i < c.ifc_len / (int)sizeof(r[0]); i++)
		seen += !strcmp(r[i].ifr_name, "lo") && address(r[i]) == INADDR_LOOPBACK;
	CHECK(seen == 1);
	c = (struct ifconf){.ifc_len = sizeof(r[0]) - 1, .ifc_req = r};
	CHECK(ioctl(fd, SIOCGIFCONF, &c) == 0 && c.ifc_len == 0);
	CHECK_ERR(ioctl(fd, SIOCGIFCONF, BAD_POINTER), EFAULT);
}

int main(void)
{
	struct ifreq r = {.ifr_ifindex = 1};
	char mac[6] = {0};

	fd = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(fd >= 0);
	conf();
	r = lo(SIOCGIFFLAGS);
	CHECK((r.ifr_flags & (IFF_UP | IFF_LOOPBACK | IFF_RUNNING | IFF_BROADCAST)) ==
	      (IFF_UP | IFF_LOOPBACK | IFF_RUNNING));
	CHECK(address(lo(SIOCGIFADDR)) == INADDR_LOOPBACK);
	CHECK(address(lo(SIOCGIFNETMASK)) == 0xff000000);
	CHECK(address(lo(SIOCGIFBRDADDR)) == 0);
	r = lo(SIOCGIFHWADDR);
	CHECK(r.ifr_hwaddr.sa_family == 772 && !memcmp(r.ifr_hwaddr.sa_data, mac, 6));
	CHECK(lo(SIOCGIFMTU).ifr_mtu >= 16384 && lo(SIOCGIFINDEX).ifr_ifindex == 1);
	CHECK(lo(SIOCGIFTXQLEN).ifr_qlen > 0);
	r = (struct ifreq){.ifr_ifindex = 1};
	CHECK(ioctl(fd, SIOCGIFNAME, &r) == 0 && !strcmp(r.ifr_name, "lo"));

	strcpy(r.ifr_name, "nosuchif0");
	CHECK_ERR(ioctl(fd, SIOCGIFFLAGS, &r), ENODEV);
	r.ifr_ifindex = 12345;
	CHECK_ERR(ioctl(fd, SIOCGIFNAME, &r), ENODEV);
	CHECK_ERR(ioctl(fd, SIOCGIFADDR, BAD_POINTER), EFAULT);
	CHECK_ERR(ioctl(0, SIOCGIFADDR, &r), ENOTTY);
	CHECK(close(fd) == 0);

	CHECK(strstr(text_of("/proc/net/dev"), "    lo: "));
	CHECK(!strncmp(text_of("/proc/net/route"), "Iface\tDestination\tGateway", 25));
	CHECK(atoi(text_of("/proc/sys/net/core/somaxconn")) > 0);
	CHECK(!strcmp(text_of("/sys/class/net/lo/address"), "00:00:00:00:00:00\n"));
	CHECK(atoi(text_of("/sys/class/net/lo/mtu")) >= 16384);
	CHECK(!strcmp(text_of("/sys/class/net/lo/ifindex"), "1\n"));
	CHECK(!strcmp(text_of("/sys/class/net/lo/type"), "772\n"));
	CHECK(!strcmp(text_of("/sys/class/net/lo/operstate"), "unknown\n"));
	CHECK(strtoul(text_of("/sys/class/net/lo/flags"), NULL, 0) & IFF_LOOPBACK);
	CHECK(text_of("/sys/class/net/lo/statistics/rx_packets")[0] >= '0');
	CHECK_ERR(open("/sys/class/net/nosuchif0/mtu", O_RDONLY), ENOENT);
	return success();
}
