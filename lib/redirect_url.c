#include "redirect_url.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define ALPHA "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGIT "0123456789"
#define LENGTH_MAX 2048

/* Pieces of a URL, which they point into. */
struct parts {
	const char *scheme, *host, *port;
	size_t scheme_len, host_len, port_len;
	bool authority;		/* has a "//" */
};

/* [v6] or a name; then a port, or none.  False for anything else, user names among it. */
static bool
split_authority(struct parts *p, const char *s, size_t n)
{
	const char *colon;

	p->host = s;
	if (n && *s == '[') {
		const char *bracket = memchr(s, ']', n);

		p->host_len = bracket ? (size_t)(bracket - s) + 1 : 0;
		if (!p->host_len || strspn(s + 1, DIGIT "abcdefABCDEF:.") < p->host_len - 2)
			return false;
	} else {
		colon = memchr(s, ':', n);
		p->host_len = colon ? (size_t)(colon - s) : n;
		if (strspn(s, ALPHA DIGIT "-._") < p->host_len)
			return false;
	}
	p->port = s + p->host_len;
	p->port_len = n - p->host_len;
	if (!p->port_len)
		return true;
	p->port++;
	p->port_len--;
	return p->port[-1] == ':' && p->port_len && strspn(p->port, DIGIT) >= p->port_len;
}

static bool
split(struct parts *p, const char *url)
{
	memset(p, 0, sizeof(*p));
	p->scheme = url;
	p->scheme_len = strspn(url, ALPHA DIGIT "+.-");
	if (!strchr(ALPHA, *url) || !p->scheme_len || url[p->scheme_len] != ':')
		return false;
	url += p->scheme_len + 1;
	p->authority = !strncmp(url, "//", 2);
	return !p->authority || split_authority(p, url + 2, strcspn(url + 2, "/?#"));
}

/* Printable ASCII, and nothing that browsers correct in silence. */
static bool
is_plain(const char *url)
{
	const char *path = url + strcspn(url, ":");
	size_t n = strlen(url);

	if (!n || n > LENGTH_MAX)
		return false;
	for (const char *p = url; *p; p++)
		if (*p <= ' ' || *p > '~' || strchr("\\\"<>^`{|}", *p))
			return false;
	for (const char *p = path; *p && *p != '?' && *p != '#'; p++)
		if (!strncmp(p, "/..", 3) || !strncasecmp(p, "%2e", 3) || !strncasecmp(p, "%2f", 3) ||
		    !strncasecmp(p, "%5c", 3))
			return false;
	return true;
}

static bool
is(const char *s, size_t n, const char *text)
{
	return n == strlen(text) && !strncasecmp(s, text, n);
}

static bool
same(const char *a, size_t na, const char *b, size_t nb)
{
	return na == nb && !strncasecmp(a, b, na);
}

static bool
is_http(const struct parts *p)
{
	return is(p->scheme, p->scheme_len, "http") || is(p->scheme, p->scheme_len, "https");
}

/* Runs or shows what is in the URL itself. */
static bool
is_active(const struct parts *p)
{
	static const char *const schemes[] = {
		"javascript", "data", "vbscript", "file", "blob", "about", "view-source",
	};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (is(p->scheme, p->scheme_len, schemes[i]))
			return true;
	return false;
}

static bool
is_loopback(const struct parts *p)
{
	return is(p->host, p->host_len, "localhost") || is(p->host, p->host_len, "127.0.0.1") ||
	    is(p->host, p->host_len, "[::1]");
}

/* 10.0.0.1, [::1], 2130706433 and 0x7f.1 alike: the last label of a name is never a number. */
static bool
is_number(const struct parts *p)
{
	const char *label = p->host + p->host_len;

	if (p->host_len && *p->host == '[')
		return true;
	if (label > p->host && label[-1] == '.')
		label--;
	while (label > p->host && label[-1] != '.')
		label--;
	return p->host_len && strchr(DIGIT, *label);
}

static const char *
port(const struct parts *p, size_t *n)
{
	const char *text = p->port_len ? p->port : is(p->scheme, p->scheme_len, "https") ? "443" : "80";

	*n = p->port_len ? p->port_len : strlen(text);
	return text;
}

static bool
is_site(const struct parts *url, const char *site)
{
	struct parts own;
	const char *a, *b;
	size_t na, nb;

	if (!site || !split(&own, site) || !own.authority || !url->authority)
		return false;
	if (!same(url->scheme, url->scheme_len, own.scheme, own.scheme_len) ||
	    !same(url->host, url->host_len, own.host, own.host_len))
		return false;
	if (is_loopback(&own))
		return true;
	a = port(url, &na);
	b = port(&own, &nb);
	return same(a, na, b, nb);
}

static bool
ends_label(char c)
{
	return c == '/' || c == '.';
}

/*
 * Iterative: goes back to the last star only, which is enough, except that a
 * "*" that cannot go on leaves it to the "**" before it.
 */
static bool
fits(const char *pattern, const char *s, const char *end)
{
	const char *star = NULL, *star_at = NULL, *all = NULL, *all_at = NULL;

	for (;;) {
		if (!strncmp(pattern, "**", 2)) {
			all = pattern += 2;
			all_at = s;
			star = NULL;
		} else if (*pattern == '*') {
			star = ++pattern;
			star_at = s;
		} else if (s == end && !*pattern) {
			return true;
		} else if (s < end && *pattern && (*pattern == '?' ? !ends_label(*s) : *pattern == *s)) {
			pattern++;
			s++;
		} else if (star && star_at < end && !ends_label(*star_at)) {
			pattern = star;
			s = ++star_at;
		} else if (all && all_at < end) {
			star = NULL;
			pattern = all;
			s = ++all_at;
		} else {
			return false;
		}
	}
}

bool
kith_redirect_url_allowed(const char *url, const char *site, const char *const *patterns)
{
	struct parts p;

	if (!is_plain(url) || !split(&p, url) || is_active(&p))
		return false;
	if (is_http(&p) && !p.host_len)
		return false;
	if (is_site(&p, site))
		return true;
	if (is_number(&p))
		return false;
	for (; patterns && *patterns; patterns++)
		if (fits(*patterns, url, url + strcspn(url, "#")))
			return true;
	return false;
}
