#include "prefer.h"

#include <limits.h>
#include <string.h>

#include "arena.h"
#include "request.h"
#include "settings.h"

static const struct {
	const char *token;	/* whole, or up to '=' when a value follows */
	enum kith_prefer_kind kind;
} tokens[] = {
	/* clang-format off */
	{ "resolution=merge-duplicates",	KITH_PREFER_RESOLUTION },
	{ "resolution=ignore-duplicates",	KITH_PREFER_RESOLUTION },
	{ "missing=default",			KITH_PREFER_MISSING },
	{ "missing=null",			KITH_PREFER_MISSING },
	{ "return=minimal",			KITH_PREFER_RETURN },
	{ "return=representation",		KITH_PREFER_RETURN },
	{ "count=exact",			KITH_PREFER_COUNT },
	{ "count=planned",			KITH_PREFER_COUNT },
	{ "count=estimated",			KITH_PREFER_COUNT },
	{ "tx=commit",				KITH_PREFER_TX },
	{ "handling=strict",			KITH_PREFER_HANDLING },
	{ "handling=lenient",			KITH_PREFER_HANDLING },
	{ "timezone=",				KITH_PREFER_TIMEZONE },
	{ "max-affected=",			KITH_PREFER_MAX_AFFECTED },
	/* clang-format on */
};

/* Place of a token in the table; -1 when it is unknown. */
static int
find(const char *token)
{
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		const char *known = tokens[i].token;
		size_t n = strlen(known);
		bool takes_value = known[n - 1] == '=';

		if (takes_value ? !strncmp(token, known, n) && token[n] : !strcmp(token, known))
			return (int)i;
	}
	return -1;
}

static const char *
trimmed(struct kith_arena *a, const char *s, size_t n)
{
	while (n && (*s == ' ' || *s == '\t'))
		s++, n--;
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	return kith_strndup(a, s, n);
}

static bool
is(const struct kith_prefer *p, enum kith_prefer_kind kind, const char *token)
{
	return p->applied[kind] && !strcmp(p->applied[kind], token);
}

int
kith_prefer_parse(struct kith_request *req, struct kith_prefer *p)
{
	const char *s = kith_request_header_list(req, "prefer");
	struct kith_buf unknown;

	*p = (struct kith_prefer){ .max_affected = -1 };
	if (!s)
		return 0;
	kith_buf_init(&unknown, req->arena, 0);
	for (const char *end;; s = end + 1) {
		const char *token;
		int i;

		end = s + strcspn(s, ",");
		token = trimmed(req->arena, s, (size_t)(end - s));
		i = find(token);
		/* max-affected must be a count: anything else is as good as unknown. */
		if (i >= 0 && tokens[i].kind == KITH_PREFER_MAX_AFFECTED &&
		    !kith_parse_long(token + strlen(tokens[i].token), 0, LONG_MAX, &p->max_affected))
			i = -1;
		if (i >= 0 && !p->applied[tokens[i].kind])
			p->applied[tokens[i].kind] = token;
		if (i < 0 && *token)
			kith_buf_printf(&unknown, "%s%s", unknown.len ? ", " : "", token);
		if (!*end)
			break;
	}
	p->merge_duplicates = is(p, KITH_PREFER_RESOLUTION, "resolution=merge-duplicates");
	p->ignore_duplicates = is(p, KITH_PREFER_RESOLUTION, "resolution=ignore-duplicates");
	p->missing_default = is(p, KITH_PREFER_MISSING, "missing=default");
	if (p->applied[KITH_PREFER_RETURN])
		p->returning = is(p, KITH_PREFER_RETURN, "return=minimal") ? KITH_RETURN_MINIMAL
									   : KITH_RETURN_REPRESENTATION;
	p->count = p->applied[KITH_PREFER_COUNT] != NULL;
	p->strict = is(p, KITH_PREFER_HANDLING, "handling=strict");
	if (p->applied[KITH_PREFER_TIMEZONE])
		p->timezone = strchr(p->applied[KITH_PREFER_TIMEZONE], '=') + 1;
	if (!p->strict) {
		p->max_affected = -1;
		p->applied[KITH_PREFER_MAX_AFFECTED] = NULL;
	} else if (unknown.len) {
		kith_fail(req, 400, "PGRST122", "Invalid preferences given with handling=strict");
		return kith_fail_details(req, "Invalid preferences: %.200s", unknown.s);
	}
	return 0;
}

void
kith_prefer_applied(struct kith_request *req, const struct kith_prefer *p, unsigned kinds)
{
	struct kith_buf list;

	kith_buf_init(&list, req->arena, 0);
	for (unsigned i = 0; i < sizeof(p->applied) / sizeof(p->applied[0]); i++)
		if (kinds & 1u << i && p->applied[i])
			kith_buf_printf(&list, "%s%s", list.len ? ", " : "", p->applied[i]);
	if (list.len)
		kith_reply_header(req, "Preference-Applied", "%s", list.s);
}
