/*
 * Who is calling: the apikey and Authorization headers, checked against the
 * key file.  Contract: authentication, part A.
 */
#ifndef KITH_AUTH_H
#define KITH_AUTH_H

#include <stdbool.h>
#include <stdint.h>

struct kith_arena;
struct kith_request;

enum kith_role {
	KITH_ANON,
	KITH_AUTHENTICATED,
	KITH_SERVICE,
};

/* Verified: nothing in here comes from the client unchecked. */
struct kith_identity {
	enum kith_role role;
	const char *role_name;	/* "anon", "authenticated", "service_role" */
	const char *claims;	/* verified, re-serialised claims object for request.jwt.claims */
	const char *subject;	/* sub, canonical uuid text; NULL when absent */
	const char *session;	/* session_id to be checked against auth.sessions; NULL: no check needed */
};

/*
 * Loads the key file (setting KITH_KEYS) and the JWKS files it names.  Called
 * at start; afterwards kith_auth_identify re-reads it when its mtime, size or
 * inode changes, and keeps the old keys when the new file is bad (logged).
 * -1 and a line on stderr when the first load fails.  To be called again in a
 * child of the process: keys that were withdrawn since do not count there.
 */
int kith_auth_init(void);

/*
 * Sets req->identity from the request's headers.  0, or -1 with the error set:
 * 401 PGRST301/302/303 with the WWW-Authenticate header added, 403 42501 for a
 * role that is not listed, 503 when the key file cannot be read.  Why a token
 * was refused goes to error.log only.
 */
int kith_auth_identify(struct kith_request *req);

/* The same where Authorization alone will do, as it does for files: without either it is anon. */
int kith_auth_identify_bearer(struct kith_request *req);

#endif
