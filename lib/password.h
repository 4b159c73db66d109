/*
 * Passwords: hashed and checked by libcrypt.  Contract: authentication, B5.
 */
#ifndef KITH_PASSWORD_H
#define KITH_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

struct kith_arena;

/* bcrypt looks at no more bytes than these: what is longer must be refused. */
#define KITH_PASSWORD_MAX 72

/*
 * A new hash in the arena.  method is what it starts with: "$2b$" for bcrypt,
 * which Supabase understands too, or "$y$" for yescrypt; about 70 and 40 ms.
 * NULL when libcrypt has no such method or the system no random bytes.
 */
const char *kith_password_hash(struct kith_arena *a, const char *password, const char *method);

/*
 * Whether the hash is of this password.  A NULL hash, or one that
 * kith_password_hash_known refuses, costs as much time as one of a user that is
 * there, and is never right.
 */
bool kith_password_matches(const char *password, const char *hash);

/*
 * Whether a hash, stored or brought by an import, may go to libcrypt: bcrypt
 * ($2a$, $2b$, $2y$) of cost 4 to 14, or yescrypt ($y$).
 */
bool kith_password_hash_known(const char *hash);

/* Whether it was made by another method, or with less work, than a new one would be. */
bool kith_password_hash_outdated(const char *hash, const char *method);

#endif
