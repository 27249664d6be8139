/* SPDX-License-Identifier: Apache-2.0 */
/* net_spec.c: ../net_spec.c, for the daemon. */
#include "../net_spec.c"
