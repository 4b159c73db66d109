/*
 * One reading of the key file and of the JWK sets that it names.
 */
#ifndef KITH_KEYS_LOAD_H
#define KITH_KEYS_LOAD_H

#include <stddef.h>

struct kith_keys;

/*
 * The keys in the file at path, in an arena of their own; sets that are missing
 * or bad are taken from old, which may be NULL, and logged.  NULL when the file
 * is bad: error (of size bytes) says why.
 */
struct kith_keys *kith_keys_read(const char *path, const struct kith_keys *old, char *error, size_t size);

#endif
