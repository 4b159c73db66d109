/*
 * The strict scanner: a loop over tokens with one byte per open level, so
 * that neither depth nor length of a body costs stack.
 */
#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "json_keys.h"
#include "json_number.h"
#include "utf8.h"

struct scan {
	struct kith_arena *arena;
	struct kith_json_scan *out;
	const char *start;
	const char *p;
	const char *end;

	enum want {
		WANT_VALUE,
		WANT_VALUE_OR_END,	/* behind '[' */
		WANT_NAME,
		WANT_NAME_OR_END,	/* behind '{' */
		WANT_COMMA_OR_END,
		WANT_NOTHING,
	} want;
	int depth;
	char closers[KITH_JSON_DEPTH];	/* what ends each open level: ']' or '}' */

	size_t zeros;		/* that the exponents so far stand for */
	int row_depth;		/* depth inside of a row; 0: the document has no objects as rows */
	struct kith_json_keys keys;
	struct kith_buf unescaped;
};

#define CUT_SHORT "unexpected end of input"

static int
fail_at(struct scan *s, const char *where, const char *error)
{
	s->out->error = error;
	s->out->offset = (size_t)(where - s->start);
	return -1;
}

static int
fail(struct scan *s, const char *error)
{
	if (s->p == s->end)
		error = CUT_SHORT;
	return fail_at(s, s->p, error);
}

static void
skip_blanks(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
		s->p++;
}

/* Four hex digits at p, or -1. */
static int
hex4(const char *p, const char *end)
{
	int value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];

		value *= 16;
		if (c >= '0' && c <= '9')
			value += c - '0';
		else if (c >= 'a' && c <= 'f')
			value += c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			value += c - 'A' + 10;
		else
			return -1;
	}
	return value;
}

/* Reads the escape at *p, which begins with a backslash; returns its code point, or -1 with *error set. */
static int
escape(const char **p, const char *end, const char **error)
{
	const char *letter;
	int high, low;

	*error = "invalid escape";
	if (end - *p < 2)
		return -1;
	if ((*p)[1] != 'u') {
		static const char letters[] = "\"\\/bfnrt";

		letter = memchr(letters, (*p)[1], sizeof(letters) - 1);
		if (!letter)
			return -1;
		*p += 2;
		return "\"\\/\b\f\n\r\t"[letter - letters];
	}
	high = hex4(*p + 2, end);
	if (high < 0)
		return -1;
	*p += 6;
	if (!high) {
		*error = "\\u0000 cannot be stored";
		return -1;
	}
	if (high < 0xd800 || high > 0xdfff)
		return high;
	*error = "unpaired surrogate";
	if (high > 0xdbff || end - *p < 2 || (*p)[0] != '\\' || (*p)[1] != 'u')
		return -1;
	low = hex4(*p + 2, end);
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	*p += 6;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

static bool
is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Behind the bytes that mean themselves: neither quote, backslash, control character nor beyond ASCII. */
static const char *
skip_plain(const char *p, const char *end)
{
	while (end - p >= 8) {
		uint64_t word;

		memcpy(&word, p, 8);
		/* The first byte that is special sets its high bit: no borrow reaches it. */
		if ((word | (word - EACH_BYTE(0x20)) | ((word ^ EACH_BYTE('"')) - EACH_BYTE(1)) |
		    ((word ^ EACH_BYTE('\\')) - EACH_BYTE(1))) & EACH_BYTE(0x80))
			break;
		p += 8;
	}
	while (p < end && is_plain((unsigned char)*p))
		p++;
	return p;
}

/* The string whose opening quote is at p. */
static int
string(struct scan *s, bool *escaped)
{
	const char *p = s->p + 1;
	const char *error;

	*escaped = false;
	for (;;) {
		p = skip_plain(p, s->end);
		if (p == s->end)
			return fail_at(s, p, CUT_SHORT);
		if (*p == '"')
			break;
		if (*p == '\\') {
			const char *begin = p;

			*escaped = true;
			if (escape(&p, s->end, &error) < 0)
				return fail_at(s, begin, error);
			continue;
		}
		if ((unsigned char)*p < 0x20)
			return fail_at(s, p, "control character in a string");
		do {
			size_t n = kith_utf8_sequence(p, (size_t)(s->end - p));

			if (!n)
				return fail_at(s, p, "invalid UTF-8");
			p += n;
		} while (p < s->end && (unsigned char)*p >= 0x80);
	}
	s->p = p + 1;
	return 0;
}

static bool
is_digit(const struct scan *s)
{
	return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static bool
digits(struct scan *s)
{
	if (!is_digit(s))
		return false;
	while (is_digit(s))
		s->p++;
	return true;
}

static int
number(struct scan *s)
{
	const char *begin = s->p;

	if (*s->p == '-')
		s->p++;
	if (s->p < s->end && *s->p == '0')
		s->p++;
	else if (!digits(s))
		return fail(s, "invalid number");
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		if (!digits(s))
			return fail(s, "invalid number");
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (!digits(s))
			return fail(s, "invalid number");
		s->zeros += (size_t)labs(kith_json_number_exponent(begin, (size_t)(s->p - begin)));
		if (s->zeros > KITH_JSON_ZEROS)
			return fail_at(s, begin, "numbers too long when written out");
	}
	if (is_digit(s)) /* behind a leading zero */
		return fail(s, "invalid number");
	return 0;
}

static int
word(struct scan *s, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, text, n) != 0)
		return fail(s, "expected a value");
	s->p += n;
	return 0;
}

size_t
kith_json_unescape(const char *p, size_t n, char *out)
{
	const char *end = p + n;
	const char *error;
	char *to = out;

	while (p < end) {
		if (*p == '\\')
			to += kith_utf8_encode((unsigned)escape(&p, end, &error), to);
		else
			*to++ = *p++;
	}
	return (size_t)(to - out);
}

/* Keys are compared by what they mean: "\u0061" is "a". */
static void
note_key(struct scan *s, const char *p, size_t n, bool escaped)
{
	struct kith_buf *plain = &s->unescaped;

	if (!escaped) {
		kith_json_keys_note(&s->keys, p, n);
		return;
	}
	if (!plain->s)
		kith_buf_init(plain, s->arena, n);
	plain->len = 0;
	kith_buf_reserve(plain, n);
	plain->len = kith_json_unescape(p, n, plain->s);
	kith_json_keys_note(&s->keys, plain->s, plain->len);
}

/* The member name at p and the colon behind it. */
static int
name(struct scan *s)
{
	const char *begin = s->p + 1;
	bool escaped;

	if (*s->p != '"')
		return fail(s, "expected a member name");
	if (string(s, &escaped))
		return -1;
	if (s->depth == s->row_depth)
		note_key(s, begin, (size_t)(s->p - 1 - begin), escaped);
	skip_blanks(s);
	if (s->p == s->end || *s->p != ':')
		return fail(s, "expected ':'");
	s->p++;
	s->want = WANT_VALUE;
	return 0;
}

static int
enter(struct scan *s, char closer, enum want want)
{
	if (s->depth == KITH_JSON_DEPTH)
		return fail(s, "nested too deeply");
	s->closers[s->depth++] = closer;
	s->p++;
	s->want = want;
	return 0;
}

static void
leave(struct scan *s)
{
	if (s->depth == s->row_depth && *s->p == '}')
		kith_json_keys_end_row(&s->keys);
	s->p++;
	s->depth--;
	s->want = s->depth ? WANT_COMMA_OR_END : WANT_NOTHING;
}

static enum kith_json_type
type_of(char c)
{
	switch (c) {
	case '{':
		return KITH_JSON_OBJECT;
	case '[':
		return KITH_JSON_ARRAY;
	case '"':
		return KITH_JSON_STRING;
	case 't':
		return KITH_JSON_TRUE;
	case 'f':
		return KITH_JSON_FALSE;
	case 'n':
		return KITH_JSON_NULL;
	default:
		return KITH_JSON_NUMBER;
	}
}

/* Before each value: is it the document, or a row of it? */
static void
note_value(struct scan *s, enum kith_json_type type)
{
	struct kith_json_scan *out = s->out;

	if (!s->depth) {
		out->type = type;
		out->rows = type != KITH_JSON_ARRAY;
		out->all_objects = type == KITH_JSON_OBJECT || type == KITH_JSON_ARRAY;
		s->row_depth = type == KITH_JSON_OBJECT ? 1 : type == KITH_JSON_ARRAY ? 2 : 0;
	} else if (s->depth == 1 && s->row_depth == 2) {
		out->rows++;
		if (type != KITH_JSON_OBJECT)
			out->all_objects = false;
	}
	if (s->depth + 1 == s->row_depth)
		kith_json_keys_begin_row(&s->keys);
}

static int
value(struct scan *s)
{
	enum kith_json_type type = type_of(*s->p);
	bool escaped;
	int bad;

	note_value(s, type);
	switch (type) {
	case KITH_JSON_OBJECT:
		return enter(s, '}', WANT_NAME_OR_END);
	case KITH_JSON_ARRAY:
		return enter(s, ']', WANT_VALUE_OR_END);
	case KITH_JSON_STRING:
		bad = string(s, &escaped);
		break;
	case KITH_JSON_TRUE:
		bad = word(s, "true");
		break;
	case KITH_JSON_FALSE:
		bad = word(s, "false");
		break;
	case KITH_JSON_NULL:
		bad = word(s, "null");
		break;
	default:
		if (*s->p != '-' && !is_digit(s))
			return fail(s, "expected a value");
		bad = number(s);
	}
	s->want = s->depth ? WANT_COMMA_OR_END : WANT_NOTHING;
	return bad;
}

static int
comma_or_end(struct scan *s)
{
	char closer = s->closers[s->depth - 1];

	if (*s->p == closer) {
		leave(s);
		return 0;
	}
	if (*s->p != ',')
		return fail(s, closer == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
	s->p++;
	s->want = closer == '}' ? WANT_NAME : WANT_VALUE;
	return 0;
}

static int
document(struct scan *s)
{
	int bad = 0;

	while (s->want != WANT_NOTHING) {
		skip_blanks(s);
		if (s->p == s->end)
			return fail(s, CUT_SHORT);
		switch (s->want) {
		case WANT_VALUE_OR_END:
		case WANT_NAME_OR_END:
			if (*s->p == s->closers[s->depth - 1])
				leave(s);
			else
				bad = s->want == WANT_NAME_OR_END ? name(s) : value(s);
			break;
		case WANT_NAME:
			bad = name(s);
			break;
		case WANT_COMMA_OR_END:
			bad = comma_or_end(s);
			break;
		default:
			bad = value(s);
		}
		if (bad)
			return -1;
	}
	skip_blanks(s);
	return s->p == s->end ? 0 : fail(s, "unexpected text behind the document");
}

int
kith_json_scan(struct kith_arena *a, const char *p, size_t n, struct kith_json_scan *out)
{
	struct scan s = { .arena = a, .out = out, .start = p, .p = p, .end = p + n, .want = WANT_VALUE };
	int bad;

	*out = (struct kith_json_scan){ .type = KITH_JSON_NULL };
	s.keys.arena = a;
	skip_blanks(&s);
	out->blank = s.p == s.end;
	bad = document(&s);
	out->uniform = !s.keys.differ;
	out->keys = kith_json_keys_list(&s.keys);
	out->nkeys = s.keys.n;
	return bad;
}
