#include "request.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "arena.h"
#include "clock.h"
#include "settings.h"
#include "utf8.h"

/* Most answer headers are longer than a small buffer, few longer than this. */
#define HEADER_ROOM 512

/* Who was there so long ago is. */
#define FRESH_US 1000

/* clang-format off */
static const struct {
	const char *name;
	enum kith_method method;
} methods[] = {
	{ "GET",     KITH_GET },
	{ "POST",    KITH_POST },
	{ "PATCH",   KITH_PATCH },
	{ "DELETE",  KITH_DELETE },
	{ "HEAD",    KITH_HEAD },
	{ "OPTIONS", KITH_OPTIONS },
	{ "PUT",     KITH_PUT },
};
/* clang-format on */

/* Methods are case-sensitive (RFC 9110, section 9.1). */
static enum kith_method
method_of(const char *name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (!strcmp(name, methods[i].name))
			return methods[i].method;
	return KITH_OTHER;
}

/* An id that nginx did not vouch for must not reach the log or a header. */
static bool
id_is_good(const char *id)
{
	static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-";
	size_t n = strspn(id, allowed);

	return n >= 8 && n <= 64 && !id[n];
}

static const char *
make_id(struct kith_arena *arena)
{
	uint64_t r[2] = { 0, 0 };

	/* Not a secret: should the kernel have no bytes yet, zeros will do. */
	if (getrandom(r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		r[0] = 0;
	return kith_format(arena, "%016llx%016llx", (unsigned long long)r[0], (unsigned long long)r[1]);
}

/* HTTP_ACCEPT_PROFILE becomes accept-profile.  nginx passes no header with an underscore of its own. */
static const char *
header_name(char *name)
{
	for (char *p = name; *p; p++) {
		if (*p == '_')
			*p = '-';
		else if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + ('a' - 'A'));
	}
	return name;
}

static void
split_uri(struct kith_request *req, char *uri)
{
	char *mark = strchr(uri, '?');

	req->path = uri;
	if (mark) {
		*mark = '\0';
		req->query = mark + 1;
	}
}

/*
 * Headers of the client that are not its own to set: HTTP_PROXY is taken for a
 * proxy by HTTP libraries, and nginx gives the length and type of the body that
 * it really sends in variables of their own.
 */
static bool
is_hidden(const char *name)
{
	return !strcmp(name, "PROXY") || !strcmp(name, "CONTENT_TYPE") || !strcmp(name, "CONTENT_LENGTH");
}

long
kith_request_init(struct kith_request *req, struct kith_arena *arena, char **params)
{
	struct kith_header *headers, *h;
	const char *id = "";
	long length = 0;
	size_t n = 0;

	memset(req, 0, sizeof(*req));
	req->arena = arena;
	req->method = KITH_OTHER;
	req->method_name = req->path = req->query = req->remote_addr = req->body = req->tail = "";
	req->fd = -1;
	req->rows = -1;
	kith_buf_init(&req->reply.headers, arena, HEADER_ROOM);
	kith_buf_init(&req->reply.body, arena, 0);
	req->reply.body.limit = KITH_ANSWER_MAX;

	while (params[n])
		n++;
	headers = h = kith_new_array(arena, struct kith_header, n + 1);
	for (; *params; params++) {
		char *name = *params, *value = strchr(name, '=');

		if (!value)
			continue;
		*value++ = '\0';
		if (!strncmp(name, "HTTP_", 5)) {
			if (!is_hidden(name + 5))
				*h++ = (struct kith_header){ header_name(name + 5), value };
		} else if (!strcmp(name, "REQUEST_METHOD")) {
			req->method = method_of(value);
			req->method_name = value;
		} else if (!strcmp(name, "REQUEST_URI")) {
			split_uri(req, value);
		} else if (!strcmp(name, "REMOTE_ADDR")) {
			req->remote_addr = value;
		} else if (!strcmp(name, "KITH_REQUEST_ID")) {
			id = value;
		} else if (!strcmp(name, "KITH_SENT")) {
			req->sent_us = (int64_t)(strtod(value, NULL) * 1e6);
		} else if (!strcmp(name, "CONTENT_TYPE") && *value) {
			*h++ = (struct kith_header){ "content-type", value };
		} else if (!strcmp(name, "CONTENT_LENGTH") && *value) {
			*h++ = (struct kith_header){ "content-length", value };
			if (!kith_parse_long(value, 0, LONG_MAX, &length))
				length = -1;
		}
	}
	req->headers = headers;
	req->id = id_is_good(id) ? id : make_id(arena);
	return length;
}

ssize_t
kith_request_read(struct kith_request *req, void *p, size_t n)
{
	size_t wanted = n < req->unread ? n : req->unread;

	if (!wanted)
		return 0;
	if (req->receive(p, wanted) != wanted)
		return kith_fail(req, 499, "KITH01", "client closed the request");
	req->unread -= wanted;
	return (ssize_t)wanted;
}

int
kith_request_read_all(struct kith_request *req)
{
	size_t length = req->unread;
	struct kith_buf body;

	if (length > (size_t)kith_settings.body_limit) {
		kith_fail(req, 413, "KITH413", "the request body is too large");
		kith_fail_details(req, "%zu bytes were sent, %ld are allowed.", length, kith_settings.body_limit);
		return kith_fail_hint(req, "Send fewer rows at a time.");
	}
	kith_buf_init(&body, req->arena, length);
	if (kith_request_read(req, body.s, length) < 0)
		return -1;
	body.s[length] = '\0';
	req->body = body.s;
	req->body_len = length;
	return 0;
}

const char *
kith_request_header(const struct kith_request *req, const char *name)
{
	for (const struct kith_header *h = req->headers; h->name; h++)
		if (!strcmp(h->name, name))
			return h->value;
	return NULL;
}

int
kith_request_header_count(const struct kith_request *req, const char *name)
{
	int n = 0;

	for (const struct kith_header *h = req->headers; h->name; h++)
		n += !strcmp(h->name, name);
	return n;
}

const char *
kith_request_header_list(struct kith_request *req, const char *name)
{
	const char *list = NULL;

	for (const struct kith_header *h = req->headers; h->name; h++)
		if (!strcmp(h->name, name))
			list = list ? kith_format(req->arena, "%s, %s", list, h->value) : h->value;
	return list;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static const char *
undecodable(struct kith_request *req, const char *what, const char *details)
{
	kith_fail(req, 400, "PGRST100", "cannot decode %s", what);
	kith_fail_details(req, "%s", details);
	return NULL;
}

const char *
kith_request_decode(struct kith_request *req, const char *s, size_t n, bool plus, const char *what)
{
	char *text = kith_strndup(req->arena, s, n), *to = text;

	for (size_t i = 0; i < n; i++) {
		int high, low;

		if (text[i] == '+' && plus) {
			*to++ = ' ';
			continue;
		}
		if (text[i] != '%') {
			*to++ = text[i];
			continue;
		}
		/* The terminator is no digit, so nothing is read behind it. */
		high = hex_digit(text[i + 1]);
		low = high < 0 ? -1 : hex_digit(text[i + 2]);
		if (low < 0)
			return undecodable(req, what, "A percent sign must be followed by two hexadecimal digits.");
		*to++ = (char)(high * 16 + low);
		i += 2;
	}
	*to = '\0';
	if (memchr(text, '\0', (size_t)(to - text)))
		return undecodable(req, what, "PostgreSQL's text cannot hold the character %00.");
	if (!kith_utf8_valid(text, (size_t)(to - text)))
		return undecodable(req, what, "It is not valid UTF-8.");
	return text;
}

bool
kith_request_abandoned(const struct kith_request *req)
{
	struct pollfd peer = { .fd = req->fd, .events = POLLRDHUP };

	if (kith_now_us() - req->looked_us < FRESH_US)
		return req->left;
	return req->fd >= 0 && poll(&peer, 1, 0) > 0 && peer.revents & (POLLRDHUP | POLLHUP | POLLERR);
}
