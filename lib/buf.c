#include "buf.h"

#include <stdarg.h>
#include <string.h>

#include "arena.h"

#define SMALL 64

void
kith_buf_init(struct kith_buf *b, struct kith_arena *a, size_t room)
{
	b->arena = a;
	b->len = b->limit = 0;
	b->full = false;
	b->cap = room < SMALL ? SMALL : room + 1;
	b->s = kith_realloc(a, NULL, 0, b->cap);
	b->s[0] = '\0';
}

void
kith_buf_grow(struct kith_buf *b, size_t n)
{
	size_t cap = b->cap * 2;

	if (b->limit && b->len + n > b->limit) {
		b->full = true;
		b->len = 0;
		if (n < b->cap)
			return;
	}
	if (b->limit && cap > b->limit + 1)
		cap = b->limit + 1;
	if (cap < b->len + n + 1)
		cap = b->len + n + 1;
	b->s = kith_realloc(b->arena, b->s, b->len + 1, cap);
	b->cap = cap;
}

void
kith_buf_puts(struct kith_buf *b, const char *s)
{
	kith_buf_add(b, s, strlen(s));
}

void
kith_buf_printf(struct kith_buf *b, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = kith_vformat(b->arena, format, args);
	va_end(args);
	kith_buf_puts(b, text);
}
