/*
 * JSON web keys (RFC 7517) to what verifies signatures.
 */
#ifndef KITH_JWK_H
#define KITH_JWK_H

#include <stdbool.h>

struct kith_arena;
struct kith_json;
struct kith_key;

/*
 * Sets key's algorithm, kid and material from a public key: RSA of 2048 to 4096
 * bits (RS256) or EC on P-256 (ES256), checked by OpenSSL; with secret
 * also an oct key of at least 32 bytes (HS256).  NULL, or what is wrong: another kind
 * of key, another use, a private member.
 */
const char *kith_jwk_read(struct kith_arena *a, const struct kith_json *jwk, bool secret, struct kith_key *key);

#endif
