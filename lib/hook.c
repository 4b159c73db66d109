#include "hook.h"

#include <stdbool.h>
#include <string.h>

#include "arena.h"
#include "json.h"
#include "query.h"
#include "request.h"

/* A piece of a body that the scanner has accepted. */
struct piece {
	const char *s;
	size_t n;
};

const struct kith_hook *
kith_hook_find(const struct kith_hook *hooks, const char *function)
{
	for (; hooks && hooks->function; hooks++)
		if (!strcmp(hooks->function, function))
			return hooks;
	return NULL;
}

static const char *
skip_blanks(const char *s)
{
	return s + strspn(s, " \t\r\n");
}

/* Behind the string at s. */
static const char *
skip_string(const char *s)
{
	for (s++; *s != '"'; s++)
		if (*s == '\\')
			s++;
	return s + 1;
}

/* Behind the value at s. */
static const char *
skip_value(const char *s)
{
	int depth = 0;

	if (*s != '"' && *s != '[' && *s != '{')
		return s + strcspn(s, ",]} \t\r\n");
	do {
		if (*s == '"') {
			s = skip_string(s);
			continue;
		}
		depth += (*s == '[' || *s == '{') - (*s == ']' || *s == '}');
		s++;
	} while (depth);
	return s;
}

static struct piece
next(const char **s)
{
	struct piece piece = { .s = skip_blanks(*s) };

	*s = skip_value(piece.s);
	piece.n = (size_t)(*s - piece.s);
	*s = skip_blanks(*s);
	return piece;
}

/* A string as it is meant, anything else as it is written. */
static const char *
text(struct kith_arena *a, const struct piece *piece)
{
	if (*piece->s != '"')
		return kith_strndup(a, piece->s, piece->n);
	if (!memchr(piece->s, '\\', piece->n))
		return kith_strndup(a, piece->s + 1, piece->n - 2);
	return kith_json_parse(a, piece->s, piece->n, NULL)->text;
}

static bool
is_null(const struct piece *piece)
{
	return !piece->s || *piece->s == 'n';
}

/* As json_to_record() finds it: the last one of that name. */
static const char *
member(struct kith_arena *a, const char *body, const char *name)
{
	const char *s = skip_blanks(body);
	struct piece key, value, found = { 0 };

	if (*s != '{')
		return NULL;
	for (s = skip_blanks(s + 1); *s != '}'; s = skip_blanks(s + (*s == ','))) {
		key = next(&s);
		s++;	/* the colon */
		value = next(&s);
		if (!strcmp(text(a, &key), name))
			found = value;
	}
	return is_null(&found) ? NULL : text(a, &found);
}

const char *
kith_hook_argument(const struct kith_hook_call *call, const char *name)
{
	const char *value = NULL;

	if (call->body)
		return member(call->req->arena, call->body, name);
	for (const struct kith_argument *a = call->query; a; a = a->next)
		if (!strcmp(a->name, name))
			value = a->value;
	return value;
}
