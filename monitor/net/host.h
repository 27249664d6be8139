/* SPDX-License-Identifier: Apache-2.0 */
/* host.h: mayfly net create, rm, ls: bridges and veth pairs for VMs. Each returns the exit
 * status; argv[0] is the verb. */
#ifndef MAYFLY_NET_HOST_H
#define MAYFLY_NET_HOST_H

int host_create(int argc, char **argv);
int host_rm(int argc, char **argv);
int host_ls(int argc, char **argv);

#endif
