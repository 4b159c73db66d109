#include "json_number.h"

#include <string.h>

#define LARGEST_EXPONENT 1000000000L

/* 0.ddd times ten to the power of exponent, the first and the last digit not 0.  Zero has no digits. */
struct decimal {
	bool negative;
	const char *p;		/* the first digit; a point may lie between them */
	size_t digits;
	long exponent;
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t
mantissa_length(const char *text, size_t n)
{
	size_t i = 0;

	while (i < n && text[i] != 'e' && text[i] != 'E')
		i++;
	return i;
}

long
kith_json_number_exponent(const char *text, size_t n)
{
	size_t i = mantissa_length(text, n) + 1;
	bool negative = false;
	long exponent = 0;

	if (i < n && !is_digit(text[i]))
		negative = text[i++] == '-';
	for (; i < n; i++) {
		exponent = exponent * 10 + (text[i] - '0');
		if (exponent > LARGEST_EXPONENT)
			exponent = LARGEST_EXPONENT;
	}
	return negative ? -exponent : exponent;
}

static struct decimal
read_decimal(const char *text, size_t n)
{
	struct decimal d = { .negative = *text == '-', .exponent = kith_json_number_exponent(text, n) };
	bool fraction = false;
	size_t zeros = 0;	/* that end the digits so far */

	n = mantissa_length(text, n);
	for (size_t i = d.negative; i < n; i++) {
		if (text[i] == '.') {
			fraction = true;
			continue;
		}
		if (!d.p && text[i] != '0')
			d.p = text + i;
		if (d.p) {
			zeros = text[i] == '0' ? zeros + 1 : 0;
			d.digits++;
			d.exponent += !fraction;
		} else {
			d.exponent -= fraction;
		}
	}
	d.digits -= zeros;
	return d;
}

/* The digit at *p, which goes on to the next. */
static char
next_digit(const char **p)
{
	if (**p == '.')
		++*p;
	return *(*p)++;
}

bool
kith_json_number_equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
	struct decimal x, y;

	if (a_len == b_len && !memcmp(a, b, a_len))
		return true;
	x = read_decimal(a, a_len);
	y = read_decimal(b, b_len);
	if (!x.digits && !y.digits)
		return true;
	if (x.negative != y.negative || x.digits != y.digits || x.exponent != y.exponent)
		return false;
	for (size_t i = 0; i < x.digits; i++)
		if (next_digit(&x.p) != next_digit(&y.p))
			return false;
	return true;
}

uint64_t
kith_json_number_hash(const char *text, size_t n)
{
	const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
	struct decimal d = read_decimal(text, n);
	uint64_t hash = factor;

	if (!d.digits)
		return hash;
	hash = (hash ^ (uint64_t)d.exponent) * factor + d.negative;
	for (size_t i = 0; i < d.digits; i++)
		hash = (hash ^ (unsigned char)next_digit(&d.p)) * factor;
	return hash;
}
