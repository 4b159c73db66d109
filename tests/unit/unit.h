/*
 * What every unit test includes: cmocka, TAP on stdout, and a request to try
 * things on.
 */
#ifndef KITH_UNIT_H
#define KITH_UNIT_H

/* cmocka.h wants these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "request.h"

/*
 * Runs the array of tests as the program's only group, and is main's value:
 *
 *	return unit_run(tests);
 */
#define unit_run(tests) (unit_start(), cmocka_run_group_tests(tests, NULL, unit_end))

/* One test: a sentence that is true when it passes, and the function that tries it. */
#define unit_that(sentence, function) { (sentence), (function), NULL, NULL, NULL }

/*
 * A fresh GET request without headers or body, its reply empty and ready to be
 * filled.  It lives until the next call or the end of the group.
 */
struct kith_request *unit_request(void);

/* Adds a request header, name in lower case; a repeated one is kept twice.  Nothing is copied. */
void unit_header(struct kith_request *req, const char *name, const char *value);

/* Used by unit_run. */
void unit_start(void);
int unit_end(void **state);

#endif
