/*
 * Goal: whatever a form's Content-Type and bytes, the reader ends, gives out
 * nothing but bytes of the input in their order, and names that are UTF-8; or
 * refuses with 400.  The first byte is the length of the Content-Type's rest.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "multipart.h"
#include "request.h"
#include "utf8.h"

#define BODY_MAX 200000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *body;
static size_t taken;

static void
must(bool true_by_contract)
{
	if (!true_by_contract)
		abort();
}

static size_t
receive(void *p, size_t n)
{
	memcpy(p, body + taken, n);
	taken += n;
	return n;
}

static void
check_text(const char *s)
{
	must(!s || kith_utf8_valid(s, strlen(s)));
}

/* The bytes of a part stand in the body, behind those of the part before. */
static ssize_t
check_part(struct kith_multipart *m, size_t *at, size_t size)
{
	const char *p;
	ssize_t n;

	while ((n = kith_multipart_read(m, &p)) > 0) {
		const char *found = memmem(body + *at, size - *at, p, (size_t)n);

		must(found != NULL);
		*at = (size_t)(found - body) + (size_t)n;
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kith_arena *a = kith_arena_new(0);
	struct kith_request req = { .arena = a, .receive = receive };
	struct kith_header headers[2] = { { "content-type", NULL }, { NULL, NULL } };
	struct kith_multipart *m;
	struct kith_part part;
	size_t n = size ? data[0] : 0, at = 0;
	int more = -1;

	if (!size || n > size - 1 || size > BODY_MAX) {
		kith_arena_free(a);
		return 0;
	}
	headers[0].value = kith_format(a, "multipart/form-data%.*s", (int)n, (const char *)data + 1);
	req.headers = headers;
	body = (const char *)data + 1 + n;
	taken = 0;
	size -= 1 + n;
	req.unread = size;
	if ((m = kith_multipart_new(&req))) {
		while ((more = kith_multipart_next(m, &part)) > 0) {
			check_text(part.name);
			check_text(part.filename);
			check_text(part.type);
			must(part.name != NULL);
			if (check_part(m, &at, size) < 0)
				break;
		}
	}
	if (more == 0)
		must(!req.error.status && !req.unread);
	else
		must(req.error.status == 400);
	kith_arena_free(a);
	return 0;
}
