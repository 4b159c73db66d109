/*
 * Tokens verified a moment ago, by the SHA-256 of their exact text: checking a
 * signature costs 600 us, finding it here one.  Only good tokens get in; times
 * and session are checked with every request all the same.
 */
#ifndef KITH_TOKEN_CACHE_H
#define KITH_TOKEN_CACHE_H

struct kith_token;

#define KITH_TOKEN_CACHE_SIZE 1024

/* After this many seconds a token is verified anew. */
#define KITH_TOKEN_CACHE_SECONDS 60

/* NULL when it is not there.  Valid until the next call of a function below. */
struct kith_token *kith_token_cache_find(const unsigned char *sha256);

/* Keeps a copy, in place of the least recently used one when full; returns the copy. */
struct kith_token *kith_token_cache_add(const unsigned char *sha256, const struct kith_token *token);

/* Forgets all: after the keys changed. */
void kith_token_cache_clear(void);

#endif
