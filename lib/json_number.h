/*
 * Numbers of JSON as decimals of any length: what they are worth, whatever way
 * they are written.
 */
#ifndef KITH_JSON_NUMBER_H
#define KITH_JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is written behind the e, or 0; held to a thousand million. */
long kith_json_number_exponent(const char *text, size_t n);

/* True for 1, 1.0 and 10e-1, and for 0 and -0.  Exact, but for exponents beyond a thousand million. */
bool kith_json_number_equal(const char *a, size_t a_len, const char *b, size_t b_len);

/* Equal for equal numbers. */
uint64_t kith_json_number_hash(const char *text, size_t n);

#endif
