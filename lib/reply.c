#include "reply.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <fastcgi.h>

#include "request.h"

/* A peer that takes nothing for this long is given up. */
#define SEND_TIMEOUT_MS 5000

/*
 * Content of one record.  Below the protocol's 65535 so that records begin at
 * multiples of 8.
 */
#define RECORD_MAX ((size_t)65528)

/* Pieces of one sendmsg: the head, 31 records of body, the end. */
#define PIECES 64

#define METHODS "GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS"

/* clang-format off */
/*
 * On every answer to a page, errors included: without the exposed names a browser shows
 * supabase-js no counts.  nginx adds what its own errors need too: request id,
 * no-store, nosniff.
 */
#define COMMON \
	"Access-Control-Allow-Origin: *\r\n" \
	"Access-Control-Expose-Headers: Content-Range, Content-Location, Content-Profile, Location, " \
	"Preference-Applied, Proxy-Status, Retry-After, WWW-Authenticate, X-Request-Id, Kith-Row-Limit, " \
	"X-Total-Count, Link, X-Supabase-Api-Version\r\n" \
	"Vary: Accept, Prefer, Range\r\n"

static const struct {
	int status;
	const char *phrase;
} reasons[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 300, "Multiple Choices" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 409, "Conflict" },
	{ 413, "Content Too Large" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 422, "Unprocessable Content" },
	{ 429, "Too Many Requests" },
	{ 500, "Internal Server Error" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
};
/* clang-format on */

struct wire {
	int fd;
	int id;
	struct iovec pieces[PIECES];
	int npieces;
	FCGI_Header headers[PIECES];
	int nheaders;
	int status;
};

void
kith_reply_header(struct kith_request *req, const char *name, const char *format, ...)
{
	struct kith_buf *b = &req->reply.headers;
	size_t room = 128;
	va_list args;
	int n;

	kith_buf_puts(b, name);
	kith_buf_lit(b, ": ");
	for (;;) {
		kith_buf_reserve(b, room);
		va_start(args, format);
		n = vsnprintf(b->s + b->len, room, format, args);
		va_end(args);
		if (n < (int)room)
			break;
		room = (size_t)n + 1;
	}
	for (; n > 0; n--, b->len++) {
		unsigned char c = (unsigned char)b->s[b->len];

		if (c < 0x20 || c == 0x7f)
			b->s[b->len] = ' ';
	}
	kith_buf_lit(b, "\r\n");
}

/* Takes every line of that name out of the headers. */
static void
drop_header(struct kith_buf *headers, const char *name)
{
	size_t n = strlen(name);
	char *line = headers->s, *stop = line + headers->len;

	while (line < stop) {
		char *next = memchr(line, '\n', (size_t)(stop - line));

		next = next ? next + 1 : stop;
		if (!strncasecmp(line, name, n) && line[n] == ':') {
			memmove(line, next, (size_t)(stop - next) + 1);
			stop -= next - line;
		} else {
			line = next;
		}
	}
	headers->len = (size_t)(stop - headers->s);
}

/*
 * The wished-for header names, as "apikey, authorization": only characters of
 * a token (RFC 9110, section 5.6.2) pass.
 */
static void
allow_headers(struct kith_request *req)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const char *p = kith_request_header_list(req, "access-control-request-headers");
	struct kith_buf *b = &req->reply.headers;
	const char *separator = "Access-Control-Allow-Headers: ";
	size_t n, blanks;

	if (!p)
		p = "apikey, authorization, content-type, prefer, accept-profile, content-profile, x-client-info";
	for (; *p; p += n + strcspn(p + n, ",")) {
		p += strspn(p, ", \t");
		n = strspn(p, token);
		blanks = strspn(p + n, " \t");
		if (!n || !strchr(",", p[n + blanks]))
			continue;
		kith_buf_puts(b, separator);
		kith_buf_add(b, p, n);
		separator = ", ";
	}
	if (*separator == ',')
		kith_buf_lit(b, "\r\n");
}

void
kith_reply_preflight(struct kith_request *req)
{
	req->reply.status = 200;
	kith_buf_lit(&req->reply.headers, "Allow: " METHODS "\r\nAccess-Control-Allow-Methods: " METHODS
					  "\r\nAccess-Control-Max-Age: 86400\r\n");
	allow_headers(req);
}

static void
error_body(struct kith_request *req)
{
	struct kith_reply *r = &req->reply;

	/* What a handler had begun before it failed does not describe this body. */
	drop_header(&r->headers, "Content-Type");
	r->body.len = 0;
	r->body.full = r->elsewhere = false;
	kith_buf_lit(&r->headers, "Content-Type: application/json; charset=utf-8\r\n");
	if (req->write_error)
		req->write_error(req);
	else
		kith_error_json(&r->body, &req->error);
	r->status = req->error.status;
	r->no_body = req->method == KITH_HEAD;
	kith_reply_header(req, "Proxy-Status", "Kith; error=%s", req->error.code ? req->error.code : "unknown");
	if ((r->status == 503 || r->status == 504) && !strstr(r->headers.s, "Retry-After: "))
		kith_buf_lit(&r->headers, "Retry-After: 1\r\n");
}

/* nginx passes the phrase on; without one it would send a line that ends behind the number. */
static const char *
reason(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].phrase;
	return status < 300 ? "OK" : status < 500 ? "Refused" : "Failed";
}

static void
head(struct kith_buf *out, struct kith_request *req)
{
	struct kith_reply *r = &req->reply;

	kith_buf_printf(out, "Status: %d %s\r\n", r->status, reason(r->status));
	kith_buf_add(out, r->headers.s, r->headers.len);
	if (!req->no_cors)
		kith_buf_lit(out, COMMON);
	if (r->no_body)
		kith_buf_lit(out, "\r\n");
	else
		kith_buf_printf(out, "Content-Length: %zu\r\n\r\n", r->body.len);
}

/* Sends all pieces, waiting for the peer where it is slow. */
static void
flush(struct wire *w)
{
	struct msghdr message = { .msg_iov = w->pieces, .msg_iovlen = (size_t)w->npieces };
	struct pollfd peer = { .fd = w->fd, .events = POLLOUT };

	while (!w->status && message.msg_iovlen) {
		ssize_t n = sendmsg(w->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == -1 && errno == EAGAIN)
			n = poll(&peer, 1, SEND_TIMEOUT_MS) == 1 ? 0 : -1;
		else if (n == -1 && errno == EINTR)
			n = 0;
		if (n == -1)
			w->status = -1;
		for (; n > 0 && (size_t)n >= message.msg_iov->iov_len; message.msg_iovlen--)
			n -= (ssize_t)(message.msg_iov++)->iov_len;
		if (n > 0) {
			message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + n;
			message.msg_iov->iov_len -= (size_t)n;
		}
	}
	w->npieces = w->nheaders = 0;
}

static void
record(struct wire *w, int type, const void *content, size_t n)
{
	FCGI_Header *h;

	if (w->npieces > PIECES - 2)
		flush(w);
	h = &w->headers[w->nheaders++];
	*h = (FCGI_Header){
		.version = FCGI_VERSION_1,
		.type = (unsigned char)type,
		.requestIdB1 = (unsigned char)(w->id >> 8),
		.requestIdB0 = (unsigned char)w->id,
		.contentLengthB1 = (unsigned char)(n >> 8),
		.contentLengthB0 = (unsigned char)n,
	};
	w->pieces[w->npieces++] = (struct iovec){ h, sizeof(*h) };
	if (n)
		w->pieces[w->npieces++] = (struct iovec){ (void *)(uintptr_t)content, n };
}

static void
stream(struct wire *w, const char *p, size_t n)
{
	for (size_t piece; n; p += piece, n -= piece) {
		piece = n < RECORD_MAX ? n : RECORD_MAX;
		record(w, FCGI_STDOUT, p, piece);
	}
}

static int
end_stream(struct wire *w)
{
	static const FCGI_EndRequestBody complete = { .protocolStatus = FCGI_REQUEST_COMPLETE };

	record(w, FCGI_STDOUT, NULL, 0);
	record(w, FCGI_END_REQUEST, &complete, sizeof(complete));
	flush(w);
	return w->status;
}

int
kith_reply_send(struct kith_request *req, int id)
{
	struct wire w = { .fd = req->fd, .id = id };
	struct kith_reply *r = &req->reply;
	struct kith_buf out;

	if (r->body.full && req->committed)
		r->no_body = true;
	else if (r->body.full)
		kith_fail_answer_too_large(req);
	if (req->error.status)
		error_body(req);
	/* nginx would take another number for a broken program. */
	if (r->status < 200 || r->status > 599)
		r->status = 500;
	if (req->method == KITH_HEAD || r->status == 204 || r->status == 304)
		r->no_body = true;
	if (r->no_body && !r->elsewhere)
		drop_header(&r->headers, "Content-Type");
	kith_buf_init(&out, req->arena, r->headers.len + sizeof(COMMON) + 256);
	head(&out, req);
	stream(&w, out.s, out.len);
	if (!r->no_body)
		stream(&w, r->body.s, r->body.len);
	return end_stream(&w);
}

void
kith_reply_exhausted(const struct kith_request *req, int id)
{
	static const char answer[] =
	    "Status: 503 Service Unavailable\r\n" COMMON "Retry-After: 1\r\nProxy-Status: Kith; error=KITH503\r\n"
	    "Content-Type: application/json; charset=utf-8\r\n\r\n"
	    "{\"code\":\"KITH503\",\"details\":null,\"hint\":\"Ask for fewer rows or columns at once.\","
	    "\"message\":\"out of memory for this request\"}";
	struct wire w = { .fd = req->fd, .id = id };

	stream(&w, answer, sizeof(answer) - 1);
	end_stream(&w);
}
