/* Goal: a difference leads from one document to the other, and is small when little changed. */
#include "json_try.h"

#include <stdlib.h>

#include "json_diff.h"
#include "json_patch.h"

/* The difference of two texts, which must lead from one to the other, also for who reads the patch as text. */
static const char *
diff(const char *from, const char *to)
{
	struct kith_json_value *a = parse(from), *b = parse(to), *patch;
	struct kith_buf out;
	size_t n;

	kith_buf_init(&out, arena, 0);
	n = kith_json_diff(&out, a, b);
	patch = parse(out.s);
	assert_int_equal(patch->n, n);
	assert_int_equal(n == 0, kith_json_value_equal(a, b));
	if (kith_json_patch_apply(arena, &a, patch, &error))
		fail_msg("%s to %s by %s: %s", from, to, out.s, error);
	if (!kith_json_value_equal(a, b))
		fail_msg("%s to %s by %s gave %s", from, to, out.s, written(a));
	return out.s;
}

static void
differences_say_what_changed(void **state)
{
	static const struct {
		const char *from, *to, *patch;
	} examples[] = {
		{ "{\"a\":1}", "{\"a\":1.0}", "[]" },
		{ "{\"a\":1}", "{\"a\":2}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":2}]" },
		{ "{\"a\":1}", "{\"a\":null}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":null}]" },
		{ "{\"a\":1}", "{\"b\":1}", "[{\"op\":\"remove\",\"path\":\"/a\"},{\"op\":\"add\",\"path\":\"/b\",\"value\":1}]" },
		{ "{\"a\":{\"b\":[1,{\"c\":2}]}}", "{\"a\":{\"b\":[1,{\"c\":3}]}}",
		    "[{\"op\":\"replace\",\"path\":\"/a/b/1/c\",\"value\":3}]" },
		{ "{\"a/b~c\":{\"\":1}}", "{\"a/b~c\":{\"\":2}}", "[{\"op\":\"replace\",\"path\":\"/a~1b~0c/\",\"value\":2}]" },
		{ "{\"\\\"\\n\":1}", "{}", "[{\"op\":\"remove\",\"path\":\"/\\\"\\n\"}]" },
		{ "{\"a\":{}}", "{\"a\":[]}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":[]}]" },
		{ "[1]", "{}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":{}}]" },
		{ "{\"n\":9007199254740992}", "{\"n\":9007199254740993}",
		    "[{\"op\":\"replace\",\"path\":\"/n\",\"value\":9007199254740993}]" },
		{ "[1,2,3]", "[1,2,3,4]", "[{\"op\":\"add\",\"path\":\"/3\",\"value\":4}]" },
		{ "[1,2,3]", "[0,1,2,3]", "[{\"op\":\"add\",\"path\":\"/0\",\"value\":0}]" },
		{ "[1,2,3]", "[1,3]", "[{\"op\":\"remove\",\"path\":\"/1\"}]" },
		{ "[1,1,1]", "[1,1]", "[{\"op\":\"remove\",\"path\":\"/2\"}]" },
		{ "[1,2,3,4]", "[2,3,5,4,6]", "[{\"op\":\"remove\",\"path\":\"/0\"},{\"op\":\"add\",\"path\":\"/2\",\"value\":5},"
		    "{\"op\":\"add\",\"path\":\"/4\",\"value\":6}]" },
		{ "[{\"id\":1,\"n\":\"a\"},{\"id\":2,\"n\":\"b\"},{\"id\":3}]", "[{\"id\":2,\"n\":\"c\"},{\"id\":3}]",
		    "[{\"op\":\"replace\",\"path\":\"/0/n\",\"value\":\"c\"},{\"op\":\"replace\",\"path\":\"/0/id\",\"value\":2},"
		    "{\"op\":\"remove\",\"path\":\"/1\"}]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++)
		assert_string_equal(diff(examples[i].from, examples[i].to), examples[i].patch);
}

/* --- random documents ------------------------------------------------------ */

static size_t
below(size_t n)
{
	return (size_t)random() % n;
}

static void
write_random(struct kith_buf *out, int depth)
{
	static const char *const plain[] = {
		"null", "true", "false", "0", "-0", "1", "1.0", "10e-1", "-1.5e3", "9007199254740993", "9007199254740993.0",
		"123456789012345678901234567890", "0.1000", "1e400", "\"\"", "\"a\"", "\"\\u0061\"", "\"~0/~1\"",
		"\"\\\"\\\\\\n\\u0001\"",
		"\"\xc3\xa9\xf0\x9f\x98\x80\"",
	};
	static const char *const names[] = {
		"", "a", "b", "c", "aa", "0", "1", "-", "/", "~", "~1", "a/b", "\xc3\xa9", "\\\"", "long name of a member",
	};
	size_t kind = below(depth > 4 ? 2 : 5), n = below(depth ? 6 : 12);

	if (kind < 2) {
		kith_buf_puts(out, plain[below(sizeof(plain) / sizeof(*plain))]);
		return;
	}
	kith_buf_putc(out, kind == 2 ? '{' : '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			kith_buf_putc(out, ',');
		if (kind == 2)
			kith_buf_printf(out, "\"%s\":", names[below(sizeof(names) / sizeof(*names))]);
		write_random(out, depth + 1);
	}
	kith_buf_putc(out, kind == 2 ? '}' : ']');
}

/* Changes something at a random place, or several times. */
static void
change(struct kith_json_value *v)
{
	struct kith_buf text;
	struct kith_json_value *item;
	size_t i;

	kith_buf_init(&text, arena, 0);
	write_random(&text, 2);
	item = parse(text.s);
	if (v->type == KITH_JSON_ARRAY && below(3)) {
		if (v->n && below(2))
			kith_json_value_remove(v, below(v->n));
		else
			kith_json_value_insert(arena, v, below(v->n + 1), item);
	} else if (v->type == KITH_JSON_OBJECT && v->n && !below(3)) {
		kith_json_value_remove(v, below(v->n));
	} else if ((v->type == KITH_JSON_OBJECT || v->type == KITH_JSON_ARRAY) && v->n) {
		i = below(v->n);
		change(kith_json_value_at(v, i));
	} else {
		item->key = v->key;
		item->key_len = v->key_len;
		*v = *item;
	}
}

static void
difference_and_patch_are_the_identity(void **state)
{
	(void)state;
	srandom(6902);
	for (int round = 0; round < 10000; round++) {
		struct kith_json_value *changed;
		struct kith_buf from, to;

		kith_arena_reset(arena);
		kith_buf_init(&from, arena, 0);
		kith_buf_init(&to, arena, 0);
		write_random(&from, 0);
		if (round % 2) {
			write_random(&to, 0);
		} else {
			changed = parse(from.s);
			for (size_t n = below(5); n; n--)
				change(changed);
			kith_json_value_write(&to, changed);
		}
		diff(from.s, to.s);
	}
}

/* --- size -------------------------------------------------------------------- */

/* 20 KB, as an app may know of a person: named things, and a list of notes. */
static const char *
memory(int changed_note, int without_note, const char *mood)
{
	struct kith_buf out;

	kith_buf_init(&out, arena, 0);
	kith_buf_printf(&out, "{\"mood\":\"%s\",\"parts\":{", mood);
	for (int i = 0; i < 40; i++)
		kith_buf_printf(&out, "%s\"part %d\":{\"role\":\"protector\",\"since\":%d,\"about\":\"%0100d\"}",
		    i ? "," : "", i, 1900 + i, i);
	kith_buf_puts(&out, "},\"notes\":[");
	for (int i = 0; i < 100; i++)
		if (i != without_note)
			kith_buf_printf(&out, "%s{\"id\":%d,\"text\":\"%0120d\"}", i ? "," : "", i, i == changed_note ? -i : i);
	kith_buf_puts(&out, "]}");
	return out.s;
}

static void
small_changes_are_small_patches(void **state)
{
	const char *whole = memory(-1, -1, "calm");

	(void)state;
	assert_in_range(strlen(whole), 20000, 25000);
	assert_string_equal(diff(whole, memory(-1, -1, "glad")),
	    "[{\"op\":\"replace\",\"path\":\"/mood\",\"value\":\"glad\"}]");
	assert_string_equal(diff(whole, memory(-1, 50, "calm")), "[{\"op\":\"remove\",\"path\":\"/notes/50\"}]");
	assert_in_range(strlen(diff(memory(-1, 50, "calm"), whole)), 100, 200);
	assert_in_range(strlen(diff(whole, memory(7, 50, "glad"))), 100, 300);
	assert_in_range(strlen(diff(memory(7, 20, "a"), memory(90, 50, "b"))), 400, 800);
}

static void
the_most_alike_is_found(void **state)
{
	(void)state;
	srandom(1);
	/* Some elements of an array without repetitions taken out: as many operations, whatever lies between them. */
	for (int round = 0; round < 200; round++) {
		struct kith_buf from, to;
		size_t removed = 0, added = 0;
		const char *patch;

		kith_buf_init(&from, arena, 0);
		kith_buf_init(&to, arena, 0);
		kith_buf_puts(&from, "[-1");
		kith_buf_puts(&to, "[-1");
		for (int i = 0; i < 500; i++) {
			/* Never side by side, where they would be a replacement. */
			bool gone = i % 4 == 1 && !below(10), is_new = i % 4 == 3 && !below(10);

			removed += gone;
			added += is_new;
			kith_buf_printf(is_new ? &to : &from, ",%d", i);
			if (!gone && !is_new)
				kith_buf_printf(&to, ",%d", i);
		}
		kith_buf_puts(&from, ",-2]");
		kith_buf_puts(&to, ",-2]");
		patch = diff(from.s, to.s);
		assert_int_equal(parse(patch)->n, removed + added);
	}
}

/* Whatever the documents, a patch is at most so much longer than what it leads to. */
static void
check_size(const char *from, const char *to)
{
	assert_in_range(strlen(diff(from, to)), 2, strlen(to) + 700);
}

static const char *
list(const char *format, int n, int step)
{
	struct kith_buf out;

	kith_buf_init(&out, arena, 0);
	for (int i = 0; i < n; i++) {
		kith_buf_putc(&out, i ? ',' : '[');
		kith_buf_puts(&out, format);
		kith_buf_printf(&out, "%d", i * step);
		for (const char *c = format; *c; c++)
			if (*c == '[')
				kith_buf_putc(&out, ']');
	}
	kith_buf_putc(&out, ']');
	return out.s;
}

static void
hostile_documents_cost_what_they_weigh(void **state)
{
	struct kith_buf deep, deeper;

	(void)state;
	/* Nothing in common; everything alike; many arrays with nothing in common. */
	check_size(list("", 50000, 2), list("1", 50000, 3));
	check_size(list("", 90000, 0), list("", 50000, 0));
	check_size(list("[1,2,3,4,5,6,7,8,9,10,", 8000, 2), list("[10,9,8,7,6,5,4,3,2,1,", 8000, 3));
	/* A long name above many small changes, and many levels above a large one. */
	kith_buf_init(&deep, arena, 0);
	kith_buf_init(&deeper, arena, 0);
	kith_buf_printf(&deep, "{\"%0*d\":%s}", 200000, 0, list("", 50000, 2));
	kith_buf_printf(&deeper, "{\"%0*d\":%s}", 200000, 0, list("", 50000, 3));
	check_size(deep.s, deeper.s);
	deep.len = deeper.len = 0;
	for (int i = 0; i < 498; i++) {
		kith_buf_printf(&deep, "{\"%0600d\":", 0);
		kith_buf_printf(&deeper, "{\"%0600d\":", 0);
	}
	kith_buf_puts(&deep, list("", 50000, 2));
	kith_buf_puts(&deeper, list("", 50000, 3));
	for (int i = 0; i < 498; i++) {
		kith_buf_putc(&deep, '}');
		kith_buf_putc(&deeper, '}');
	}
	check_size(deep.s, deeper.s);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		json_that("differences say what changed", differences_say_what_changed),
		json_that("difference and patch are the identity on 10,000 random documents", difference_and_patch_are_the_identity),
		json_that("small changes of 20 KB are small patches", small_changes_are_small_patches),
		json_that("the most alike is found", the_most_alike_is_found),
		json_that("hostile documents cost what they weigh", hostile_documents_cost_what_they_weigh),
	};

	return unit_run(tests);
}
