/* SPDX-License-Identifier: Apache-2.0 */
/* net_spec_print.c: ../net_spec_print.c, for the daemon. */
#include "../net_spec_print.c"
