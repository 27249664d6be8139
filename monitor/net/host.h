/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h: mayfly net create, rm, ls: bridges and veth pairs of the host, for VMs.
 *
 * What create has made bears RTNL_ALIAS; nothing else is ever removed. The three return the
 * exit status; argv[0] is the verb.
 */
#ifndef MAYFLY_NET_HOST_H
#define MAYFLY_NET_HOST_H

#include <net/if.h>

#include "rtnl.h"

#define HOST_PEER "-vm" /* veth: NAME is the host's end, NAME-vm the VM's */

int host_create(int argc, char **argv);
int host_rm(int argc, char **argv);
int host_ls(int argc, char **argv);

/* "mayfly: MESSAGE" on stderr; ERR_EXIT_SELF. */
int host_fail(const struct err *err);
/* A wrong use of a verb: says so; ERR_EXIT_SELF. */
int host_usage(const char *verb, const char *what, const char *which);

/* ---- host_address.c ---- */

#define HOST_ADDRESSES 4

/* "10.77.0.1/24", "fd00::1/64": 0, or -EINVAL and a message. */
int host_address_parse(const char *text, struct rtnl_address *address, struct err *err);
/* The first 10.77.N.1/24 of whose network the host has nothing. */
int host_address_free(struct rtnl *nl, struct rtnl_address *address, struct err *err);
/* An IPv6 network of one's own: fdXX:XXXX:XXXX::1/64, random (RFC 4193). */
void host_address_own(struct rtnl_address *address);
/* "10.77.0.1/24", in buf, which is returned; prefix < 0: without. */
#define HOST_ADDRESS_TEXT 64
char *host_address_text(const struct rtnl_address *address, int prefix, char *buf);

#endif
