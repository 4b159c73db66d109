/*
 * Memory of one request: take pieces, free everything at once.
 *
 * A program serves one request at a time, so nothing made for a request is
 * freed by hand; the accept loop resets the arena after the answer is sent.
 * What outlives a request (settings, keys, catalog) has an arena of its own
 * and is replaced whole.
 */
#ifndef KITH_ARENA_H
#define KITH_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct kith_arena;

/*
 * Makes an arena that never holds more than ceiling bytes (0: no ceiling).
 * Ends the process when the system has no memory.
 */
struct kith_arena *kith_arena_new(size_t ceiling);

/* Runs the cleanups, last registered first, and forgets all memory; the first block is kept for reuse. */
void kith_arena_reset(struct kith_arena *a);

/* Resets and releases the arena itself.  NULL does nothing. */
void kith_arena_free(struct kith_arena *a);

/*
 * Calls die(arg) when the ceiling is reached or the system has no memory; die
 * must not return (the process ends with status 71, EX_OSERR, if it does, or
 * if none is set).  Hence no allocation in Kith is checked for NULL.
 */
void kith_arena_on_exhausted(struct kith_arena *a, void (*die)(void *), void *arg);

/* Calls fn(p) when the arena is reset or freed: ties a foreign handle (PGresult, CURL, jwt_t, fd) to the request. */
void kith_arena_later(struct kith_arena *a, void (*fn)(void *), void *p);

/* Zeroed memory of n bytes, aligned for any type.  Never NULL. */
void *kith_alloc(struct kith_arena *a, size_t n);

/* Moves p (old bytes, from kith_alloc) to at least n bytes; the bytes behind old are undefined. */
void *kith_realloc(struct kith_arena *a, void *p, size_t old, size_t n);

#define kith_new(a, type) ((type *)kith_alloc((a), sizeof(type)))
#define kith_new_array(a, type, n) ((type *)kith_alloc_array((a), (n), sizeof(type)))

/* As kith_alloc(n * size), and dies on overflow. */
void *kith_alloc_array(struct kith_arena *a, size_t n, size_t size);

/* Copies of text, NUL-terminated. */
char *kith_strdup(struct kith_arena *a, const char *s);
char *kith_strndup(struct kith_arena *a, const char *s, size_t n);
char *kith_format(struct kith_arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *kith_vformat(struct kith_arena *a, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

#endif
