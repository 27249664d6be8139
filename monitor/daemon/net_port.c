/* SPDX-License-Identifier: Apache-2.0 */
/* net_port.c: ../net_port.c, for the daemon. */
#include "../net_port.c"
