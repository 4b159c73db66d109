#include <string.h>

#include "arena.h"
#include "query_internal.h"
#include "request.h"

/*
 * Together these stay below the 200 bytes that an error may echo; the rest is
 * one unexpected character.
 */
#define ECHO_TEXT 120
#define ECHO_KEY 60

/*
 * Bytes of an identifier.  Everything outside of ASCII counts as a letter, as
 * in PostgreSQL: whether a name exists is for the catalog to say.
 */
static const bool is_ident[256] = {
	['0' ... '9'] = true,
	['A' ... 'Z'] = true,
	['a' ... 'z'] = true,
	['_'] = true,
	['$'] = true,
	[' '] = true,
	[0x80 ... 0xff] = true,
};

static bool
ident(char c)
{
	return is_ident[(unsigned char)c];
}

static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
continues_character(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

const char *
kith_query_excerpt(struct kith_request *req, const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);

	if (n <= max)
		return s;
	n = max - strlen("...");
	while (n && continues_character(s[n]))
		n--;
	return kith_format(req->arena, "%.*s...", (int)n, s);
}

/* Columns count characters, as PostgREST's do. */
static size_t
column(const struct kith_query_text *t)
{
	size_t n = 1;

	for (const char *s = t->start; s < t->p; s++)
		n += !continues_character(*s);
	return n;
}

static int
refuse(const struct kith_query_text *t)
{
	return kith_fail(t->req, 400, "PGRST100", "\"failed to parse %s (%s)\" (line 1, column %zu)", t->what,
	    kith_query_excerpt(t->req, t->start, ECHO_TEXT), column(t));
}

int
kith_query_refuse(const struct kith_query_text *t, const char *details)
{
	refuse(t);
	return kith_fail_details(t->req, "%s", details);
}

int
kith_query_expected(const struct kith_query_text *t, const char *expected)
{
	struct kith_arena *a = t->req->arena;
	const char *found = "end of input";
	const char *where = "";
	int n = 1;

	if (*t->p) {
		while (continues_character(t->p[n]))
			n++;
		found = kith_format(a, "\"%.*s\"", n, t->p);
	}
	if (t->key)
		where = kith_format(a, " in the value of \"%s\"", kith_query_excerpt(t->req, t->key, ECHO_KEY));
	refuse(t);
	return kith_fail_details(t->req, "unexpected %s expecting %s%s", found, expected, where);
}

void
kith_query_blanks(struct kith_query_text *t)
{
	while (blank(*t->p))
		t->p++;
}

bool
kith_query_eat(struct kith_query_text *t, const char *literal)
{
	size_t n = strlen(literal);

	if (strncmp(t->p, literal, n) != 0)
		return false;
	t->p += n;
	return true;
}

/* Copies what was read since start, without the blanks at its end. */
static const char *
trimmed(const struct kith_query_text *t, const char *start)
{
	const char *end = t->p;

	while (end > start && blank(end[-1]))
		end--;
	return kith_strndup(t->req->arena, start, (size_t)(end - start));
}

/* The closing quote of the quoted string that starts at p; NULL when there is none. */
static const char *
closing_quote(const char *p)
{
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if (!*p)
			return NULL;
	}
	return p;
}

/* The text between the quotes, each backslash standing for the character behind it. */
static const char *
unquote(struct kith_arena *a, const char *open, const char *close)
{
	char *copy = kith_strndup(a, open + 1, (size_t)(close - open - 1));
	char *to = copy;

	for (const char *from = copy; *from; from++) {
		if (*from == '\\')
			from++;
		*to++ = *from;
	}
	*to = '\0';
	return copy;
}

const char *
kith_query_quoted(struct kith_query_text *t, const char *enders)
{
	const char *open = t->p;
	const char *close;

	if (*open != '"')
		return NULL;
	close = closing_quote(open);
	if (!close || (close[1] && !strchr(enders, close[1])))
		return NULL;
	t->p = close + 1;
	return unquote(t->req->arena, open, close);
}

/* A quoted string wherever the grammar allows nothing else. */
static const char *
quoted(struct kith_query_text *t)
{
	const char *open = t->p;
	const char *close = closing_quote(open);

	if (!close) {
		t->p += strlen(t->p);
		kith_query_expected(t, "closing \"");
		return NULL;
	}
	t->p = close + 1;
	return unquote(t->req->arena, open, close);
}

const char *
kith_query_name(struct kith_query_text *t)
{
	const char *name;
	const char *start;

	kith_query_blanks(t);
	start = t->p;
	if (*start == '"') {
		name = quoted(t);
	} else {
		while (ident(*t->p) || (*t->p == '-' && t->p > start && ident(t->p[1])))
			t->p++;
		name = trimmed(t, start);
	}
	/* SQL has no empty names, so an empty quoted one is none either. */
	if (name && !*name) {
		t->p = start;
		kith_query_expected(t, "field name (* or [a..z0..9_$])");
		return NULL;
	}
	kith_query_blanks(t);
	return name;
}

const char *
kith_query_cast(struct kith_query_text *t)
{
	const char *start;

	kith_query_blanks(t);
	start = t->p;
	while (ident(*t->p))
		t->p++;
	if (t->p == start) {
		kith_query_expected(t, "letter or digit");
		return NULL;
	}
	return trimmed(t, start);
}

/* What may follow an array index; anything else makes it a key that starts with digits. */
static bool
index_ends(const char *p)
{
	while (blank(*p))
		p++;
	return !*p || strchr(",).", *p) || !strncmp(p, "->", 2) || !strncmp(p, "::", 2);
}

static bool
in_key(char c)
{
	return c && !strchr("(-:.,>)", c);
}

static int
operand(struct kith_query_text *t, struct kith_arrow *arrow)
{
	const char *start;

	kith_query_blanks(t);
	start = t->p;
	if (*start == '"') {
		arrow->key = quoted(t);
		return arrow->key ? 0 : -1;
	}
	t->p += *t->p == '-';
	while (digit(*t->p))
		t->p++;
	if (t->p > start && digit(t->p[-1]) && index_ends(t->p)) {
		arrow->index = true;
	} else if (*start == '-') {
		return kith_query_expected(t, "digit, \"->\", \"::\", \".\", \",\" or end of input");
	} else {
		while (in_key(*t->p) || (*t->p == '-' && t->p > start && in_key(t->p[1])))
			t->p++;
		if (t->p == start)
			return kith_query_expected(t, "any non reserved character different from: .,>()");
	}
	arrow->key = trimmed(t, start);
	return 0;
}

int
kith_query_path(struct kith_query_text *t, struct kith_arrow **path)
{
	int n = 0;

	while (kith_query_eat(t, "->")) {
		struct kith_arrow *arrow = kith_new(t->req->arena, struct kith_arrow);

		if (++n > KITH_QUERY_MAX_PATH)
			return kith_query_refuse(t, "A JSON path has at most 50 steps.");
		arrow->text = kith_query_eat(t, ">");
		if (operand(t, arrow) < 0)
			return -1;
		*path = arrow;
		path = &arrow->next;
		kith_query_blanks(t);
	}
	return 0;
}

int
kith_query_field(struct kith_query_text *t, struct kith_field *field)
{
	field->name = kith_query_name(t);
	if (!field->name)
		return -1;
	return kith_query_path(t, &field->path);
}
