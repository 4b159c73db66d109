/*
 * The key file: what tokens and API keys are checked against.
 *
 *	{"keys": [
 *	   {"kty":"EC", "crv":"P-256", "x":..., "y":..., "kid":..., "alg":"ES256",
 *	    "issuer":"https://host/auth/v1",	tokens must name it; absent: any issuer
 *	    "audience":"authenticated",		instead of KITH_JWT_AUDIENCE
 *	    "roles":["anon","authenticated","service_role"],	what it may sign for; all when absent
 *	    "sessions":"https://host/auth/v1",	session_id of tokens of this issuer, our own, is
 *					checked against auth.sessions
 *	    "state":"verify"},		or "sign"; "retired": not used
 *	   {"kty":"RSA", "n":..., "e":..., ...},
 *	   {"kty":"oct", "k":..., "alg":"HS256"}],	a shared secret of 32 bytes or more
 *	 "jwks": [
 *	   {"file":"third-party.json",	a JWK set that somebody fetches, beside the key file
 *	    "issuer":..., "audience":...,
 *	    "role":"authenticated",	the only role it may sign for, and that of tokens without one
 *	    "sub":"any"}],		sub need not be a uuid
 *	 "api_keys": [{"sha256":"hex of the key's text", "role":"anon"}]}
 *
 * A key record fixes algorithm, issuer and roles: a token chooses none of them.
 * A key that signed for several issuers has a record for each.
 */
#ifndef KITH_KEYS_H
#define KITH_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "auth.h"
#include "stamp.h"

#define KITH_SHA256_SIZE 32

enum kith_algorithm {
	KITH_HS256,
	KITH_RS256,
	KITH_ES256,
};

struct evp_pkey_st;

struct kith_key {
	enum kith_algorithm algorithm;
	const char *kid;	/* NULL: none */
	const char *issuer;	/* NULL: any */
	const char *audience;	/* NULL: KITH_JWT_AUDIENCE */
	unsigned roles;		/* bits 1 << enum kith_role */
	const char *role;	/* of tokens that name none; NULL: such tokens are refused */
	bool foreign;		/* of a JWK set */
	bool any_subject;
	const char *sessions;	/* issuer whose sessions are in auth.sessions; NULL: none */
	struct evp_pkey_st *ec;		/* of ES256 */
	const unsigned char *material;	/* of the others, as libjwt wants it: PEM text, or the secret itself */
	int length;
};

struct kith_api_key {
	unsigned char sha256[KITH_SHA256_SIZE];
	struct kith_identity identity;	/* claims are NULL until the key is first seen: only then is its text known */
};

/* A set of foreign keys. */
struct kith_key_set {
	const char *path;
	struct kith_stamp stamp;
	const char *issuer;
	const char *text;	/* what its keys were made from; NULL when there was nothing good yet */
	int64_t wanted;		/* when a refresh was last asked for, CLOCK_MONOTONIC seconds */
};

/* Ends with the next reload, all of it. */
struct kith_keys {
	struct kith_arena *arena;
	struct kith_stamp stamp;
	struct kith_key *keys;
	size_t nkeys;
	struct kith_api_key *api_keys;
	size_t napi_keys;
	struct kith_key_set *sets;
	size_t nsets;
	unsigned generation;	/* another one after each reload; never 0 */
};

/*
 * First load; later ones, in a process that inherited the keys, read what has
 * changed and believe nothing older.  -1 after one line on stderr that says
 * what is wrong with which file.
 */
int kith_keys_load(void);

/*
 * The keys in force; looks whether a file changed, ten times a second at most.  A bad
 * new key file is logged and the old keys stay; a bad JWK set keeps that set's
 * old keys.  NULL while the key file cannot be reached.
 */
const struct kith_keys *kith_keys_current(void);

/* The API key of that digest, compared in constant time; NULL when there is none. */
struct kith_api_key *kith_keys_api_key(const struct kith_keys *keys, const unsigned char *sha256);

/*
 * The key for a token: by kid; by algorithm and issuer when it has none.  A
 * shared secret also takes HS256 tokens whose kid nobody knows, for it has
 * none itself.  NULL when there is no such key, or no single one; an unknown
 * kid of a foreign issuer leaves a file beside its set, named *.wanted, at
 * most once a minute.
 */
const struct kith_key *kith_keys_choose(const struct kith_keys *keys, enum kith_algorithm algorithm, const char *kid,
    const char *issuer);

/* "anon", "authenticated", "service_role". */
const char *kith_role_name(enum kith_role role);

/* False when name is none of the three. */
bool kith_role_parse(const char *name, enum kith_role *role);

#endif
