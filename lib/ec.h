/*
 * Signatures of ES256 (RFC 7518, section 3.4), with a key that is kept.
 *
 * libjwt would make the key anew from its PEM text for every token: 0.6 ms, and
 * 100 kB that stay in each process.
 */
#ifndef KITH_EC_H
#define KITH_EC_H

#include <stdbool.h>
#include <stddef.h>

#define KITH_EC_BYTES 32	/* of a coordinate, and of each half of a signature */

struct evp_pkey_st;
struct kith_arena;

/*
 * The public key at this point of P-256, which lives as long as the arena; NULL
 * when that is no point of the curve.
 */
struct evp_pkey_st *kith_ec_key(struct kith_arena *a, const unsigned char *x, const unsigned char *y);

/* Did the key's owner sign these n bytes?  The signature is r and s behind each other. */
bool kith_ec_verify(struct evp_pkey_st *key, const char *text, size_t n, const unsigned char *signature,
    size_t signature_len);

#endif
