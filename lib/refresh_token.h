/*
 * Refresh tokens: a session and how often it was refreshed, signed with the
 * session's key.  GoTrue's format, so its sessions go on:
 *
 *	base64url(0 | session, 16 bytes | counter, a varint
 *	          | HMAC-SHA256(key, all before), 16 bytes | SHA-256(all before), 4 bytes)
 *
 * So a session needs one row, however often it is refreshed.
 */
#ifndef KITH_REFRESH_TOKEN_H
#define KITH_REFRESH_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kith_arena;

struct kith_refresh_token {
	const char *session;	/* canonical uuid */
	int64_t counter;
	const unsigned char *bytes;	/* what is signed, and behind it the signature */
	size_t signed_len;
};

/* The text, in the arena, for a session (canonical uuid). */
const char *kith_refresh_token_make(struct kith_arena *a, const char *session, int64_t counter, const void *key,
    size_t key_len);

/* 0 and the parts in the arena; -1 when text is no such token.  Nothing is verified yet. */
int kith_refresh_token_parse(struct kith_arena *a, const char *text, struct kith_refresh_token *token);

/* Whether it was signed with this key. */
bool kith_refresh_token_signed(const struct kith_refresh_token *token, const void *key, size_t key_len);

#endif
