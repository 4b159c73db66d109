/*
 * Two documents, or a document and a patch, as any bytes with a NUL between
 * them.
 *
 * What is parsed comes back from what is written of it.  The difference of two
 * documents leads from one to the other, and is not much longer than that one;
 * a patch gives a document that can be parsed again, or an error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json_diff.h"
#include "json_patch.h"
#include "json_value.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
demand(bool truth, const char *what)
{
	if (truth)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static struct kith_json_value *
parse(struct kith_arena *a, const char *p, size_t n)
{
	const char *error;
	struct kith_json_value *v = kith_json_value_parse(a, p, n, &error);

	demand(!v == !!error, "error without text");
	return v;
}

static struct kith_buf
written(struct kith_arena *a, const struct kith_json_value *v)
{
	struct kith_buf out;

	kith_buf_init(&out, a, 0);
	kith_json_value_write(&out, v);
	return out;
}

static void
read_again(struct kith_arena *a, struct kith_json_value *v)
{
	struct kith_buf text = written(a, v);
	struct kith_json_value *again = parse(a, text.s, text.len);

	demand(again && kith_json_value_equal(v, again), "not what was written");
	kith_json_value_digest(v);
	kith_json_value_digest(again);
	demand(v->hash == again->hash && v->size == again->size, "digest");
}

static void
compare(struct kith_arena *a, struct kith_json_value *from, struct kith_json_value *to)
{
	struct kith_json_value *patch;
	struct kith_buf text;
	const char *error;
	size_t operations;

	kith_buf_init(&text, a, 0);
	operations = kith_json_diff(&text, from, to);
	demand(!operations == kith_json_value_equal(from, to), "a difference of equals, or none of others");
	demand(text.len <= to->size + 1000, "longer than what it leads to");
	patch = parse(a, text.s, text.len);
	/* Two levels around the deepest values are too many. */
	if (!patch && kith_json_value_depth(to) > KITH_JSON_DEPTH - 2)
		return;
	demand(patch && patch->n == operations, "not a patch of so many operations");
	demand(!kith_json_patch_apply(a, &from, patch, &error), "does not apply");
	demand(kith_json_value_equal(from, to), "leads elsewhere");
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct kith_arena *a = kith_arena_new(0);
	const unsigned char *nul = memchr(data, 0, size);
	size_t n = nul ? (size_t)(nul - data) : size, rest = nul ? size - n - 1 : 0;
	/* Of exactly these sizes, so that a byte read too many is seen. */
	const char *first = kith_strndup(a, (const char *)data, n);
	const char *second = kith_strndup(a, (const char *)data + size - rest, rest);
	struct kith_json_value *from = parse(a, first, n), *to = parse(a, second, rest);
	const char *error;

	if (from)
		read_again(a, from);
	if (from && to) {
		struct kith_json_value *patched = parse(a, first, n), *patch = parse(a, second, rest);

		if (kith_json_patch_apply(a, &patched, patch, &error))
			demand(error != NULL, "refused without a word");
		else
			read_again(a, patched);
		compare(a, from, to);
	}
	kith_arena_free(a);
	return 0;
}
