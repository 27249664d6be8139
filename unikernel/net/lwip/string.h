/* SPDX-License-Identifier: Apache-2.0 */
/* string.h: what lwIP includes by this name is the kernel's. */
#include "../../uk.h"
