/*
 * Base64 of JOSE (RFC 7515, section 2): the URL alphabet, no padding.
 */
#ifndef KITH_BASE64URL_H
#define KITH_BASE64URL_H

#include <stddef.h>

struct kith_arena;

/*
 * Decodes exactly (p, n), or returns NULL: a foreign character, padding, a
 * length that nothing encodes to, or left-over bits that are not zero.  So two
 * different texts never mean the same bytes.  The result is NUL-terminated.
 */
char *kith_base64url_decode(struct kith_arena *a, const char *p, size_t n, size_t *decoded);

/* The text of n bytes. */
char *kith_base64url_encode(struct kith_arena *a, const void *p, size_t n);

#endif
