/*
 * Growing text in an arena.  Never NULL, always NUL-terminated behind len;
 * may hold any byte.
 */
#ifndef KITH_BUF_H
#define KITH_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct kith_arena;

struct kith_buf {
	struct kith_arena *arena;
	char *s;	/* the text; moves when it grows */
	size_t len;	/* bytes, without the terminator */
	size_t cap;
	size_t limit;	/* 0: none */
	bool full;	/* the limit was reached: what was in here is lost */
};

/* An empty buffer with room for about room bytes (0: a small default). */
void kith_buf_init(struct kith_buf *b, struct kith_arena *a, size_t room);

/*
 * Makes room for n more bytes and the terminator.  Where that would pass the
 * limit, the buffer starts over, empty, and is full: its writers go on as ever,
 * and who reads it has to look.
 */
void kith_buf_grow(struct kith_buf *b, size_t n);

/* The same, so that a writer may fill b->s + b->len itself.  Inline as the next two: rows are made of small pieces. */
static inline void
kith_buf_reserve(struct kith_buf *b, size_t n)
{
	if (n >= b->cap - b->len)
		kith_buf_grow(b, n);
}

static inline void
kith_buf_add(struct kith_buf *b, const char *p, size_t n)
{
	kith_buf_reserve(b, n);
	memcpy(b->s + b->len, p, n);
	b->len += n;
	b->s[b->len] = '\0';
}

static inline void
kith_buf_putc(struct kith_buf *b, char c)
{
	kith_buf_reserve(b, 1);
	b->s[b->len++] = c;
	b->s[b->len] = '\0';
}

void kith_buf_puts(struct kith_buf *b, const char *s);
void kith_buf_printf(struct kith_buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends a string literal: its length is known when compiling. */
#define kith_buf_lit(b, literal) kith_buf_add((b), "" literal, sizeof("" literal) - 1)

#endif
