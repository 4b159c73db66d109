#include "media.h"

#include <string.h>
#include <strings.h>

#include "arena.h"
#include "request.h"

#define OBJECT "application/vnd.pgrst.object"
#define ARRAY "application/vnd.pgrst.array"
#define OPENAPI "application/openapi+json"

struct offer {
	const char *type;	/* NULL ends a list */
	struct kith_media media;
};

static const struct offer of_rows[] = {
	/* clang-format off */
	{ "*/*",			{ KITH_MEDIA_ARRAY, false, "application/json; charset=utf-8" } },
	{ "application/*",		{ KITH_MEDIA_ARRAY, false, "application/json; charset=utf-8" } },
	{ "application/json",		{ KITH_MEDIA_ARRAY, false, "application/json; charset=utf-8" } },
	{ ARRAY,			{ KITH_MEDIA_ARRAY, false, ARRAY "+json; charset=utf-8" } },
	{ ARRAY "+json",		{ KITH_MEDIA_ARRAY, false, ARRAY "+json; charset=utf-8" } },
	{ OBJECT,			{ KITH_MEDIA_OBJECT, false, OBJECT "+json; charset=utf-8" } },
	{ OBJECT "+json",		{ KITH_MEDIA_OBJECT, false, OBJECT "+json; charset=utf-8" } },
	{ "text/csv",			{ KITH_MEDIA_CSV, false, "text/csv; charset=utf-8" } },
	{ "text/*",			{ KITH_MEDIA_CSV, false, "text/csv; charset=utf-8" } },
	{ NULL,				{ KITH_MEDIA_ARRAY, false, NULL } },
	/* clang-format on */
};

static const struct offer of_openapi[] = {
	/* clang-format off */
	{ "*/*",			{ KITH_MEDIA_OPENAPI, false, OPENAPI "; charset=utf-8" } },
	{ "application/*",		{ KITH_MEDIA_OPENAPI, false, OPENAPI "; charset=utf-8" } },
	{ "application/json",		{ KITH_MEDIA_OPENAPI, false, OPENAPI "; charset=utf-8" } },
	{ OPENAPI,			{ KITH_MEDIA_OPENAPI, false, OPENAPI "; charset=utf-8" } },
	{ NULL,				{ KITH_MEDIA_OPENAPI, false, NULL } },
	/* clang-format on */
};

static bool
same(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && !strncasecmp(s, word, n);
}

static size_t
trim(const char **s, size_t n)
{
	while (n && (**s == ' ' || **s == '\t'))
		(*s)++, n--;
	while (n && ((*s)[n - 1] == ' ' || (*s)[n - 1] == '\t'))
		n--;
	return n;
}

/* True when one of the parameters behind the type is name=value. */
static bool
has_parameter(const char *s, size_t n, const char *parameter)
{
	while (n) {
		const char *start = s;
		size_t len = strcspn(s, ";,");

		if (len > n)
			len = n;
		if (same(start, trim(&start, len), parameter))
			return true;
		if (len == n)
			break;
		s += len + 1;
		n -= len + 1;
	}
	return false;
}

static bool
accept_one(const struct offer *offers, const char *s, size_t n, struct kith_media *media)
{
	const char *end = s + n;
	const char *semicolon = memchr(s, ';', n);
	const char *type = s;
	size_t type_len = trim(&type, semicolon ? (size_t)(semicolon - s) : n);

	for (const struct offer *o = offers; o->type; o++) {
		if (!same(type, type_len, o->type))
			continue;
		*media = o->media;
		/* Only the vendor types promise it: Dart sends the parameter with plain JSON and copes with nulls. */
		if (semicolon && strstr(o->type, "vnd.") &&
		    has_parameter(semicolon + 1, (size_t)(end - semicolon - 1), "nulls=stripped")) {
			media->strip_nulls = true;
			media->content_type = media->form == KITH_MEDIA_OBJECT
			    ? OBJECT "+json; nulls=stripped; charset=utf-8"
			    : ARRAY "+json; nulls=stripped; charset=utf-8";
		}
		return true;
	}
	return false;
}

static int
accept(struct kith_request *req, const struct offer *offers, const char *hint, struct kith_media *media)
{
	const char *s = kith_request_header_list(req, "accept");

	if (!s || !*s) {
		*media = offers[0].media;
		return 0;
	}
	for (const char *p = s;; p++) {
		size_t n = strcspn(p, ",");

		if (accept_one(offers, p, n, media))
			return 0;
		p += n;
		if (!*p)
			break;
	}
	kith_fail(req, 406, "PGRST107", "None of these media types are available: %.200s", s);
	return kith_fail_hint(req, "%s", hint);
}

int
kith_media_accept(struct kith_request *req, struct kith_media *media)
{
	return accept(req, of_rows, "Ask for application/json, " OBJECT "+json or text/csv.", media);
}

int
kith_media_accept_openapi(struct kith_request *req, struct kith_media *media)
{
	return accept(req, of_openapi, "Ask for " OPENAPI " or application/json.", media);
}

int
kith_media_json_body(struct kith_request *req)
{
	const char *s = kith_request_header(req, "content-type");
	const char *type = s;
	size_t n;

	if (!s || !*s)
		return 0;
	n = trim(&type, strcspn(s, ";"));
	if (same(type, n, "application/json") || same(type, n, OBJECT "+json") || same(type, n, ARRAY "+json"))
		return 0;
	kith_fail(req, 415, "PGRST102", "Content-Type not acceptable: %.200s", s);
	return kith_fail_hint(req, "Send the body as application/json.");
}
