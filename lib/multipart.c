#include "multipart.h"

#include <string.h>
#include <strings.h>

#include "arena.h"
#include "request.h"
#include "utf8.h"

/* What is read at once.  A part's header has to fit as well. */
#define ROOM ((size_t)64 << 10)

/* RFC 2046, section 5.1.1. */
#define BOUNDARY_MAX 70
#define BOUNDARY_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'()+_,-./:=? "

#define TOKEN_CHARACTERS "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

#define HEADER_MAX ((size_t)16 << 10)

struct kith_multipart {
	struct kith_request *req;
	char delimiter[BOUNDARY_MAX + 5];	/* CR LF, two hyphens, the boundary */
	size_t length;				/* of the delimiter */
	char *buffer;
	size_t start, end;			/* of what is in there and was not given out yet */
	bool in_part;
};

static int
refuse(struct kith_request *req, const char *why)
{
	kith_fail(req, 400, "KITH400", "the form cannot be read: %s", why);
	return kith_fail_hint(req, "Send a FormData object, and leave its Content-Type to the browser.");
}

/*
 * A parameter of a header, as in form-data; name="value".  Inside of quotes a
 * backslash stands before a quote or another one; anywhere else it is a
 * backslash, as browsers have it.  NULL when it is not there.
 */
static const char *
parameter(struct kith_request *req, const char *header, const char *name)
{
	size_t n = strlen(name);

	for (const char *s = strchr(header, ';'); s && *s; ) {
		char *value, *to;
		bool found, quoted;

		s += strspn(s, "; \t");
		found = !strncasecmp(s, name, n) && s[n] == '=';
		s += strspn(s, TOKEN_CHARACTERS);
		if (*s != '=')
			return NULL;
		quoted = *++s == '"';
		s += quoted;
		value = to = found ? kith_strdup(req->arena, s) : NULL;
		for (; *s && (quoted ? *s != '"' : !strchr("; \t", *s)); s++) {
			if (quoted && *s == '\\' && (s[1] == '"' || s[1] == '\\'))
				s++;
			if (found)
				*to++ = *s;
		}
		if (quoted && *s++ != '"')
			return NULL;
		if (found) {
			*to = '\0';
			return value;
		}
		s += strspn(s, " \t");
	}
	return NULL;
}

bool
kith_multipart_declared(const struct kith_request *req)
{
	static const char type[] = "multipart/form-data";
	const char *declared = kith_request_header(req, "content-type");

	return declared && !strncasecmp(declared, type, sizeof(type) - 1) &&
	    strchr("; \t", declared[sizeof(type) - 1]);
}

struct kith_multipart *
kith_multipart_new(struct kith_request *req)
{
	const char *declared = kith_request_header(req, "content-type");
	const char *boundary = declared ? parameter(req, declared, "boundary") : NULL;
	size_t n = boundary ? strlen(boundary) : 0;
	struct kith_multipart *m;

	if (!n || n > BOUNDARY_MAX || boundary[strspn(boundary, BOUNDARY_CHARACTERS)] || boundary[n - 1] == ' ') {
		refuse(req, "its Content-Type names no boundary");
		return NULL;
	}
	m = kith_new(req->arena, struct kith_multipart);
	m->req = req;
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary, n);
	m->length = n + 4;
	m->buffer = kith_alloc(req->arena, ROOM);
	/* The first delimiter begins the body, without a line before it: as if there had been one. */
	memcpy(m->buffer, "\r\n", 2);
	m->end = 2;
	/* What comes before it is a part that nobody reads. */
	m->in_part = true;
	return m;
}

/* Reads more behind what is there.  1, 0 at the body's end, or -1. */
static int
fill(struct kith_multipart *m)
{
	ssize_t got;

	if (m->start) {
		memmove(m->buffer, m->buffer + m->start, m->end - m->start);
		m->end -= m->start;
		m->start = 0;
	}
	got = kith_request_read(m->req, m->buffer + m->end, ROOM - m->end);
	if (got <= 0)
		return (int)got;
	m->end += (size_t)got;
	return 1;
}

ssize_t
kith_multipart_read(struct kith_multipart *m, const char **p)
{
	while (m->in_part) {
		const char *begin = m->buffer + m->start;
		size_t n = m->end - m->start;
		const char *delimiter = memmem(begin, n, m->delimiter, m->length);
		int more;

		if (delimiter == begin) {
			m->start += m->length;
			m->in_part = false;
			break;
		}
		/* The last bytes may be the beginning of one. */
		n = delimiter ? (size_t)(delimiter - begin) : n < m->length ? 0 : n - m->length + 1;
		if (n) {
			*p = begin;
			m->start += n;
			return (ssize_t)n;
		}
		more = fill(m);
		if (!more)
			return refuse(m->req, "it ends before its last boundary");
		if (more < 0)
			return -1;
	}
	return 0;
}

/* Text that is safe to be shown, compared and stored. */
static bool
is_text(const char *s, size_t n)
{
	return !memchr(s, '\0', n) && kith_utf8_valid(s, n);
}

/* Takes a line of a part's header; NULL with the error set when it is longer than max. */
static const char *
take_line(struct kith_multipart *m, size_t max)
{
	for (;;) {
		const char *begin = m->buffer + m->start;
		const char *stop = memmem(begin, m->end - m->start, "\r\n", 2);
		size_t n = stop ? (size_t)(stop - begin) : m->end - m->start;
		int more;

		if (n > max) {
			refuse(m->req, "the header of a part is too long");
			return NULL;
		}
		if (stop) {
			m->start += n + 2;
			if (is_text(begin, n))
				return kith_strndup(m->req->arena, begin, n);
			refuse(m->req, "the header of a part is not UTF-8");
			return NULL;
		}
		more = fill(m);
		if (!more)
			refuse(m->req, "it ends before its last boundary");
		if (more <= 0)
			return NULL;
	}
}

/* The header's value when the line is one of that name. */
static const char *
value_of(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) || line[n] != ':')
		return NULL;
	line += n + 1;
	return line + strspn(line, " \t");
}

static int
read_header(struct kith_multipart *m, struct kith_part *part)
{
	size_t room = HEADER_MAX;

	memset(part, 0, sizeof(*part));
	for (;;) {
		const char *line = take_line(m, room), *value;

		if (!line)
			return -1;
		if (!*line)
			break;
		room -= strlen(line);
		if ((value = value_of(line, "content-type")))
			part->type = value;
		if ((value = value_of(line, "content-disposition")) && !strncasecmp(value, "form-data", 9)) {
			const char *name = parameter(m->req, value, "name");

			/* supabase-js gives a file the empty name, and some clients leave that out. */
			part->name = name ? name : "";
			part->filename = parameter(m->req, value, "filename");
		}
	}
	return part->name ? 0 : refuse(m->req, "a part has no name");
}

/* Reads what nobody wants to its end. */
static int
drain(struct kith_multipart *m)
{
	int more;

	do {
		m->start = m->end = 0;
		more = fill(m);
	} while (more > 0);
	return more;
}

int
kith_multipart_next(struct kith_multipart *m, struct kith_part *part)
{
	const char *rest;
	ssize_t n;

	while ((n = kith_multipart_read(m, &rest)) > 0)
		;
	if (n < 0)
		return -1;
	/* Behind the boundary: a new line, after blanks perhaps, or two hyphens at the end of all. */
	while (m->end - m->start < 2) {
		int more = fill(m);

		if (!more)
			return refuse(m->req, "it ends before its last boundary");
		if (more < 0)
			return -1;
	}
	if (!strncmp(m->buffer + m->start, "--", 2))
		return drain(m);
	rest = take_line(m, BOUNDARY_MAX);
	if (!rest)
		return -1;
	if (rest[strspn(rest, " \t")])
		return refuse(m->req, "there is something behind a boundary");
	if (read_header(m, part))
		return -1;
	m->in_part = true;
	return 1;
}

const char *
kith_multipart_text(struct kith_multipart *m, size_t max)
{
	struct kith_buf text;
	const char *p;
	ssize_t n;

	kith_buf_init(&text, m->req->arena, 0);
	while ((n = kith_multipart_read(m, &p)) > 0) {
		if ((size_t)n > max - text.len) {
			refuse(m->req, "a field is too long");
			return NULL;
		}
		kith_buf_add(&text, p, (size_t)n);
	}
	if (n < 0)
		return NULL;
	if (is_text(text.s, text.len))
		return text.s;
	refuse(m->req, "a field is not UTF-8");
	return NULL;
}
