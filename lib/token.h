/*
 * One token (RFC 7519): split, verified, its claims checked.
 *
 * libjwt only checks signatures, other than those of ES256 (ec.h), and prints
 * claims.  It would let the token choose the algorithm, skips foreign
 * characters in base64, and knows nothing of claims; all of that happens here,
 * before and after (contract: authentication, A3 and A6).  One limit of
 * libjwt 1.10 stays for RS256 and HS256: of the two types of RFC 9068 it takes
 * "JWT" only, so at+jwt needs 1.17.
 */
#ifndef KITH_TOKEN_H
#define KITH_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth.h"

struct kith_arena;
struct kith_json;
struct kith_keys;

/* libjwt copies a token to the stack: a longer one never gets there. */
#define KITH_TOKEN_MAX 8192

/* The parts of a token, nothing verified. */
struct kith_token_parts {
	const struct kith_json *header;
	const struct kith_json *claims;
};

/*
 * Splits text at its two dots; both JSON parts must be objects without
 * duplicate keys, all three strict base64url.  NULL, or what is wrong.
 */
const char *kith_token_split(struct kith_arena *a, const char *text, struct kith_token_parts *parts);

enum kith_verdict {
	KITH_TOKEN_GOOD,
	KITH_TOKEN_BROKEN,	/* not a token, no key for it, bad signature */
	KITH_TOKEN_CLAIMS,	/* signed, but its claims do not hold */
	KITH_TOKEN_ROLE,	/* all is well, but its role is not allowed */
};

/* What was found; all texts live in the arena given. */
struct kith_token {
	struct kith_identity identity;
	int64_t expires;	/* exp */
	int64_t begins;		/* nbf; 0 when absent */
	const char *message;	/* for the client, unless good */
	const char *reason;	/* for the log, unless good */
};

enum kith_verdict kith_token_verify(struct kith_arena *a, const struct kith_keys *keys, const char *text,
    struct kith_token *token);

/* Whether the token's times hold at this moment. */
enum kith_verdict kith_token_check_times(struct kith_token *token);

/*
 * The claims of an API key whose text is known to be good: its own when it is a
 * token, with role set to the one given; {"role":...} otherwise.
 */
const char *kith_token_api_key_claims(struct kith_arena *a, const char *text, const char *role);

/* True for 8-4-4-4-12 lower-case hex digits. */
bool kith_uuid_canonical(const char *text);

#endif
