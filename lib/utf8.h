/*
 * UTF-8, strictly: Unicode 15, table 3-7.
 */
#ifndef KITH_UTF8_H
#define KITH_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* True for strict UTF-8: no overlong forms, surrogates or code points above U+10FFFF; NUL is valid here. */
bool kith_utf8_valid(const char *p, size_t n);

/* Length of the one well-formed sequence that (p, n) begins with: 1 to 4; 0 when there is none. */
size_t kith_utf8_sequence(const char *p, size_t n);

/* Writes the sequence of a code point, which is no surrogate, to p (room for 4 bytes); returns its length. */
size_t kith_utf8_encode(unsigned code_point, char *p);

#endif
