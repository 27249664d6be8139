/* SPDX-License-Identifier: Apache-2.0 */
/* text.h: text from outside, made fit to be shown: in JSON, on a terminal. */
#ifndef MAYFLY_TEXT_H
#define MAYFLY_TEXT_H

#include <stddef.h>

/* Replaces what is not UTF-8, control characters (but tab and newline) and NUL by '?', in
 * place; a character that is cut off by the end goes. The length that is left. */
size_t text_clean(char *text, size_t bytes);

#endif
