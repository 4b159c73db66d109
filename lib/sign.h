/*
 * Signing access tokens: only the auth program may read the private key.
 * Contract: authentication, B4.
 */
#ifndef KITH_SIGN_H
#define KITH_SIGN_H

struct kith_request;

/*
 * Reads the key from the file that KITH_SIGNING_KEY names: a private EC key on
 * P-256 in PEM, which signs ES256 under the thumbprint of its public key as kid
 * (RFC 7638), or else the text of a shared secret of 32 bytes or more, which
 * signs HS256 without kid.  -1 after one line on stderr that says what is wrong.
 */
int kith_sign_init(void);

/*
 * A token with these claims, a JSON object, in the request's arena.  A key file
 * that changed is read again; a bad new one is logged, and the old key signs.
 * NULL with the error set, 500, when libjwt fails.
 */
const char *kith_sign(struct kith_request *req, const char *claims);

#endif
