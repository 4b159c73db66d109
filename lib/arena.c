#include "arena.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#if defined(__SANITIZE_ADDRESS__)
#define EVERY_PIECE_ITS_OWN_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EVERY_PIECE_ITS_OWN_MALLOC 1
#endif
#endif
#ifndef EVERY_PIECE_ITS_OWN_MALLOC
#define EVERY_PIECE_ITS_OWN_MALLOC 0
#endif

#define ALIGNMENT _Alignof(max_align_t)
#define BLOCK_SIZE ((size_t)16 * 1024)

struct block {
	struct block *next;
	size_t used;
	size_t size;
	_Alignas(max_align_t) char bytes[];
};

struct later {
	struct later *next;
	void (*fn)(void *);
	void *p;
};

struct kith_arena {
	struct block *blocks;	/* the one being filled comes first */
	struct later *laters;
	size_t total;		/* bytes in blocks */
	size_t ceiling;
	void (*die)(void *);
	void *die_arg;
};

static _Noreturn void
exhausted(struct kith_arena *a)
{
	if (a && a->die)
		a->die(a->die_arg);
	fputs("out of memory\n", stderr);
	exit(EX_OSERR);
}

struct kith_arena *
kith_arena_new(size_t ceiling)
{
	struct kith_arena *a = calloc(1, sizeof(*a));

	if (!a)
		exhausted(NULL);
	a->ceiling = ceiling;
	return a;
}

void
kith_arena_on_exhausted(struct kith_arena *a, void (*die)(void *), void *arg)
{
	a->die = die;
	a->die_arg = arg;
}

void
kith_arena_reset(struct kith_arena *a)
{
	/* A cleanup may still read memory of the arena, so these run first. */
	while (a->laters) {
		struct later *l = a->laters;

		a->laters = l->next;
		l->fn(l->p);
	}
	while (a->blocks) {
		struct block *b = a->blocks;

		if (!EVERY_PIECE_ITS_OWN_MALLOC && !b->next && b->size == BLOCK_SIZE) {
			b->used = 0;
			break;
		}
		a->blocks = b->next;
		a->total -= b->size;
		free(b);
	}
}

void
kith_arena_free(struct kith_arena *a)
{
	if (!a)
		return;
	kith_arena_reset(a);
	free(a->blocks);
	free(a);
}

void
kith_arena_later(struct kith_arena *a, void (*fn)(void *), void *p)
{
	struct later *l = kith_new(a, struct later);

	l->fn = fn;
	l->p = p;
	l->next = a->laters;
	a->laters = l;
}

/* A piece larger than a block gets a block of its own size, behind the one being filled. */
static struct block *
new_block(struct kith_arena *a, size_t n)
{
	size_t size = EVERY_PIECE_ITS_OWN_MALLOC || n > BLOCK_SIZE ? n : BLOCK_SIZE;
	struct block *b;

	if (a->ceiling && size > a->ceiling - a->total)
		exhausted(a);
	b = malloc(sizeof(*b) + size);
	if (!b)
		exhausted(a);
	b->size = size;
	b->used = 0;
	a->total += size;
	if (a->blocks && size > BLOCK_SIZE) {
		b->next = a->blocks->next;
		a->blocks->next = b;
	} else {
		b->next = a->blocks;
		a->blocks = b;
	}
	return b;
}

static void *
take(struct kith_arena *a, size_t n)
{
	struct block *b = a->blocks;
	void *p;

	if (n > SIZE_MAX / 2)
		exhausted(a);
	/* AddressSanitizer is to see the exact size: no rounding there. */
	if (!EVERY_PIECE_ITS_OWN_MALLOC)
		n = (n + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	if (EVERY_PIECE_ITS_OWN_MALLOC || !b || n > b->size - b->used)
		b = new_block(a, n);
	p = b->bytes + b->used;
	b->used += n;
	return p;
}

void *
kith_alloc(struct kith_arena *a, size_t n)
{
	return memset(take(a, n), 0, n);
}

void *
kith_alloc_array(struct kith_arena *a, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / size)
		exhausted(a);
	return kith_alloc(a, n * size);
}

void *
kith_realloc(struct kith_arena *a, void *p, size_t old, size_t n)
{
	void *moved;

	if (n <= old)
		return p;
	moved = take(a, n);
	if (old)
		memcpy(moved, p, old);
	return moved;
}

char *
kith_strndup(struct kith_arena *a, const char *s, size_t n)
{
	char *copy = take(a, n + 1);

	memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

char *
kith_strdup(struct kith_arena *a, const char *s)
{
	return kith_strndup(a, s, strlen(s));
}

char *
kith_vformat(struct kith_arena *a, const char *format, va_list args)
{
	char few[128];	/* most texts are short: these are printed once */
	va_list again;
	char *text;
	int n;

	va_copy(again, args);
	n = vsnprintf(few, sizeof(few), format, again);
	va_end(again);
	if (n < 0)
		exhausted(a);
	text = take(a, (size_t)n + 1);
	if ((size_t)n < sizeof(few))
		memcpy(text, few, (size_t)n + 1);
	else
		vsnprintf(text, (size_t)n + 1, format, args);
	return text;
}

char *
kith_format(struct kith_arena *a, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = kith_vformat(a, format, args);
	va_end(args);
	return text;
}
