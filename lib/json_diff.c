#include "json_diff.h"

#include <string.h>

#include "arena.h"
#include "json_value.h"

/* Bytes that setting a value whole must save: many small operations tell more than one large. */
#define WORTH 512

/* Bounds of the search for what two arrays have in common: edits of one array, and steps in all of them. */
#define MOST_EDITS 250
#define MOST_STEPS 4000000

struct diff {
	struct kith_buf *out;
	struct kith_buf path;	/* pointer to where the comparison is */
	size_t operations;
	long steps;		/* that are left */
	uint32_t *rows;		/* see pair_elements */
};

static void compare(struct diff *d, const struct kith_json_value *a, const struct kith_json_value *b);

static bool
same(const struct kith_json_value *a, const struct kith_json_value *b)
{
	return a->hash == b->hash && kith_json_value_equal(a, b);
}

/* True when what was written since mark is not worth it: to set b whole is shorter. */
static bool
too_long(const struct diff *d, size_t mark, const struct kith_json_value *b)
{
	return d->out->len - mark > d->path.len + b->size + WORTH;
}

static void
write_operation(struct diff *d, const char *op, const struct kith_json_value *value)
{
	kith_buf_printf(d->out, "%s{\"op\":\"%s\",\"path\":", d->operations++ ? "," : "", op);
	kith_json_write_string(d->out, d->path.s, d->path.len);
	if (value) {
		kith_buf_lit(d->out, ",\"value\":");
		kith_json_value_write(d->out, value);
	}
	kith_buf_putc(d->out, '}');
}

/* Steps into a member or an element; returns what leave() wants. */
static size_t
enter_member(struct diff *d, const struct kith_json_value *member)
{
	size_t mark = d->path.len;

	kith_buf_putc(&d->path, '/');
	for (size_t i = 0; i < member->key_len; i++) {
		char c = member->key[i];

		if (c == '~' || c == '/') {
			kith_buf_putc(&d->path, '~');
			c = c == '~' ? '0' : '1';
		}
		kith_buf_putc(&d->path, c);
	}
	return mark;
}

static size_t
enter_element(struct diff *d, size_t i)
{
	char digits[24];
	size_t mark = d->path.len, n = sizeof(digits);

	do
		digits[--n] = (char)('0' + i % 10);
	while (i /= 10);
	digits[--n] = '/';
	kith_buf_add(&d->path, digits + n, sizeof(digits) - n);
	return mark;
}

static void
leave(struct diff *d, size_t mark)
{
	d->path.len = mark;
	d->path.s[mark] = '\0';
}

/* Both are in order of their names. */
static void
compare_members(struct diff *d, const struct kith_json_value *a, const struct kith_json_value *b)
{
	size_t begin = d->out->len, i = 0, j = 0;

	while ((i < a->n || j < b->n) && !too_long(d, begin, b)) {
		const struct kith_json_value *x = i < a->n ? kith_json_value_at(a, i) : NULL;
		const struct kith_json_value *y = j < b->n ? kith_json_value_at(b, j) : NULL;
		int order = !x ? 1 : !y ? -1 : kith_json_value_order(x->key, x->key_len, y->key, y->key_len);
		size_t mark = enter_member(d, order <= 0 ? x : y);

		if (!order)
			compare(d, x, y);
		else
			write_operation(d, order < 0 ? "remove" : "add", order < 0 ? NULL : y);
		i += order <= 0;
		j += order >= 0;
		leave(d, mark);
	}
}

/* Two arrays without what they begin and end with in common. */
struct middle {
	const struct kith_json_value *a, *b;
	size_t begin;		/* in both */
	size_t a_len, b_len;
	size_t *pair;		/* for each element of a the number of its like in b, both counted from begin */
};

#define UNPAIRED ((size_t)-1)

static bool
like(struct diff *d, const struct middle *m, long i, long j)
{
	const struct kith_json_value *x = kith_json_value_at(m->a, m->begin + (size_t)i);
	const struct kith_json_value *y = kith_json_value_at(m->b, m->begin + (size_t)j);

	d->steps--;
	if (x->hash != y->hash)
		return false;
	d->steps -= x->size / 32;
	return kith_json_value_equal(x, y);
}

/* How far each diagonal came with so many edits: row(d, edits)[k + edits] elements of a, on diagonal k. */
static uint32_t *
row(const struct diff *d, long edits)
{
	return d->rows + edits * edits;
}

/* Diagonal k is reached with one edit more by an element of b, down from k + 1, or one of a, right from k - 1. */
static bool
comes_down(const struct diff *d, long edits, long k)
{
	const uint32_t *last = row(d, edits - 1) + edits - 1;

	return k == -edits || (k != edits && last[k - 1] < last[k + 1]);
}

/* Goes back along the shortest way, which ends after so many edits. */
static void
trace_back(const struct diff *d, struct middle *m, long edits)
{
	long i = (long)m->a_len, j = (long)m->b_len;

	for (; edits; edits--) {
		bool down = comes_down(d, edits, i - j);
		long from = i - j + (down ? 1 : -1);
		long i_from = row(d, edits - 1)[from + edits - 1];

		/* Behind the edit everything is alike. */
		while (i > i_from + !down)
			m->pair[--i] = (size_t)--j;
		i = i_from;
		j = i - from;
	}
	while (i > 0)
		m->pair[--i] = (size_t)--j;
}

/*
 * Myers' O(ND) difference algorithm: how far each diagonal comes with 0, 1, 2
 * ... edits.  It gives up at its bounds, and then nothing is paired.
 */
static void
pair_elements(struct diff *d, struct middle *m)
{
	struct kith_arena *arena = d->out->arena;

	if (!d->rows)
		d->rows = kith_new_array(arena, uint32_t, (MOST_EDITS + 1) * (MOST_EDITS + 1));
	m->pair = kith_new_array(arena, size_t, m->a_len);
	for (size_t i = 0; i < m->a_len; i++)
		m->pair[i] = UNPAIRED;
	for (long edits = 0; edits <= MOST_EDITS; edits++) {
		for (long k = -edits; k <= edits && d->steps > 0; k += 2) {
			bool down = edits && comes_down(d, edits, k);
			long i = edits ? row(d, edits - 1)[k + (down ? 1 : -1) + edits - 1] + !down : 0;

			while (i < (long)m->a_len && i - k < (long)m->b_len && like(d, m, i, i - k))
				i++;
			d->steps--;
			row(d, edits)[k + edits] = (uint32_t)i;
			if (i == (long)m->a_len && i - k == (long)m->b_len) {
				trace_back(d, m, edits);
				return;
			}
		}
	}
}

/* A run of elements that became another: one by one as long as there are both. */
static void
compare_run(struct diff *d, const struct middle *m, size_t *at, size_t i, size_t i_end, size_t j, size_t j_end)
{
	size_t begin = d->out->len;

	while ((i < i_end || j < j_end) && !too_long(d, begin, m->b)) {
		size_t mark = enter_element(d, *at);

		if (i < i_end && j < j_end)
			compare(d, kith_json_value_at(m->a, m->begin + i), kith_json_value_at(m->b, m->begin + j));
		else if (i < i_end)
			write_operation(d, "remove", NULL);
		else
			write_operation(d, "add", kith_json_value_at(m->b, m->begin + j));
		leave(d, mark);
		*at += j < j_end;
		i += i < i_end;
		j += j < j_end;
	}
}

static void
compare_elements(struct diff *d, const struct kith_json_value *a, const struct kith_json_value *b)
{
	size_t shorter = a->n < b->n ? a->n : b->n, begin = d->out->len, end = 0, at, i = 0, j = 0;
	struct middle m = { .a = a, .b = b };

	while (m.begin < shorter && same(kith_json_value_at(a, m.begin), kith_json_value_at(b, m.begin)))
		m.begin++;
	while (end < shorter - m.begin && same(kith_json_value_at(a, a->n - 1 - end), kith_json_value_at(b, b->n - 1 - end)))
		end++;
	m.a_len = a->n - m.begin - end;
	m.b_len = b->n - m.begin - end;
	pair_elements(d, &m);
	at = m.begin;
	while ((i < m.a_len || j < m.b_len) && !too_long(d, begin, b)) {
		size_t i_end = i, j_end;

		while (i_end < m.a_len && m.pair[i_end] == UNPAIRED)
			i_end++;
		j_end = i_end < m.a_len ? m.pair[i_end] : m.b_len;
		compare_run(d, &m, &at, i, i_end, j, j_end);
		/* What follows is the same in both. */
		i = i_end;
		j = j_end;
		while (i < m.a_len && m.pair[i] == j) {
			i++;
			j++;
			at++;
		}
	}
}

static void
compare(struct diff *d, const struct kith_json_value *a, const struct kith_json_value *b)
{
	size_t mark = d->out->len, operations = d->operations;

	if (same(a, b))
		return;
	if (a->type != b->type || (a->type != KITH_JSON_OBJECT && a->type != KITH_JSON_ARRAY)) {
		write_operation(d, "replace", b);
		return;
	}
	if (a->type == KITH_JSON_OBJECT)
		compare_members(d, a, b);
	else
		compare_elements(d, a, b);
	if (too_long(d, mark, b)) {
		d->out->len = mark;
		d->operations = operations;
		write_operation(d, "replace", b);
	}
}

size_t
kith_json_diff(struct kith_buf *out, struct kith_json_value *from, struct kith_json_value *to)
{
	struct diff d = { .out = out, .steps = MOST_STEPS };

	kith_buf_init(&d.path, out->arena, 200);
	kith_json_value_digest(from);
	kith_json_value_digest(to);
	kith_buf_putc(out, '[');
	compare(&d, from, to);
	kith_buf_putc(out, ']');
	return d.operations;
}
