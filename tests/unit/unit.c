#include "unit.h"

#include "arena.h"

#define MAX_HEADERS 64

static struct kith_header headers[MAX_HEADERS + 1];
static struct kith_request request;
static struct kith_arena *arena;

void
unit_start(void)
{
	cmocka_set_message_output(CM_OUTPUT_TAP);
}

int
unit_end(void **state)
{
	(void)state;
	kith_arena_free(arena);
	arena = NULL;
	return 0;
}

struct kith_request *
unit_request(void)
{
	kith_arena_free(arena);
	arena = kith_arena_new(0);
	headers[0] = (struct kith_header){ NULL, NULL };
	request = (struct kith_request){
		.arena = arena,
		.id = "unit-test",
		.method = KITH_GET,
		.method_name = "GET",
		.path = "/rest/v1/things",
		.query = "",
		.headers = headers,
		.remote_addr = "127.0.0.1",
		.body = "",
		.tail = "",
		.fd = -1,
		.rows = -1,
	};
	kith_buf_init(&request.reply.headers, arena, 0);
	kith_buf_init(&request.reply.body, arena, 0);
	return &request;
}

void
unit_header(struct kith_request *req, const char *name, const char *value)
{
	size_t n = 0;

	assert_ptr_equal(req, &request);
	while (headers[n].name)
		n++;
	if (n == MAX_HEADERS)
		fail_msg("more than %d headers", MAX_HEADERS);
	headers[n] = (struct kith_header){ name, value };
	headers[n + 1] = (struct kith_header){ NULL, NULL };
}
