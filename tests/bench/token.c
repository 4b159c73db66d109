/*
 * How long it takes to know who is calling, when both credentials have been
 * seen before.  Reads an API key and a user's token, a line each; the
 * environment names the key file.  Prints microseconds per request.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "auth.h"
#include "clock.h"
#include "request.h"
#include "settings.h"

#define ROUNDS 9
#define CHECKS 100000

static char *
read_line(const char *before)
{
	char *line = NULL, *whole;
	size_t room = 0;

	if (getline(&line, &room, stdin) < 2)
		exit(2);
	line[strcspn(line, "\n")] = '\0';
	if (asprintf(&whole, "%s%s", before, line) == -1)
		exit(2);
	return whole;
}

int
main(void)
{
	struct kith_arena *arena = kith_arena_new(0);
	struct kith_header headers[] = { { "apikey", read_line("") }, { "authorization", read_line("Bearer ") }, { 0 } };
	double best = 0;

	if (kith_settings_load() || kith_auth_init())
		return 2;
	for (int round = 0; round < ROUNDS; round++) {
		int64_t began = kith_now_us();
		double each;

		for (int i = 0; i < CHECKS; i++) {
			struct kith_request req = { .arena = arena, .headers = headers };

			if (kith_auth_identify(&req) || req.identity->role != KITH_AUTHENTICATED)
				return 2;
		}
		each = (double)(kith_now_us() - began) / CHECKS;
		if (!round || each < best)
			best = each;
		kith_arena_reset(arena);
	}
	printf("%.2f\n", best);
	kith_arena_free(arena);
	return 0;
}
