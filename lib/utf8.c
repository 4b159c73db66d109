#include "utf8.h"

#include <stdint.h>
#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

static bool
is_tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

size_t
kith_utf8_sequence(const char *p, size_t n)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t length;

	if (!n)
		return 0;
	if (u[0] < 0x80)
		return 1;
	/* Tails, c0 and c1 (overlong), f5 and up (above U+10FFFF) begin nothing. */
	if (u[0] < 0xc2 || u[0] > 0xf4)
		return 0;
	length = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
	if (n < length || !is_tail(u[1]))
		return 0;
	if (length == 2)
		return 2;
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xf0 && u[1] < 0x90))
		return 0; /* overlong */
	if (u[0] == 0xed && u[1] > 0x9f)
		return 0; /* a surrogate */
	if (u[0] == 0xf4 && u[1] > 0x8f)
		return 0; /* above U+10FFFF */
	if (!is_tail(u[2]) || (length == 4 && !is_tail(u[3])))
		return 0;
	return length;
}

bool
kith_utf8_valid(const char *p, size_t n)
{
	const char *end = p + n;

	while (p < end) {
		uint64_t word;
		size_t length;

		if (end - p >= 8) {
			memcpy(&word, p, 8);
			if (!(word & HIGH_BITS)) {
				p += 8;
				continue;
			}
		}
		length = kith_utf8_sequence(p, (size_t)(end - p));
		if (!length)
			return false;
		p += length;
	}
	return true;
}

size_t
kith_utf8_encode(unsigned code_point, char *p)
{
	if (code_point < 0x80) {
		p[0] = (char)code_point;
		return 1;
	}
	if (code_point < 0x800) {
		p[0] = (char)(0xc0 | code_point >> 6);
		p[1] = (char)(0x80 | (code_point & 0x3f));
		return 2;
	}
	if (code_point < 0x10000) {
		p[0] = (char)(0xe0 | code_point >> 12);
		p[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
		p[2] = (char)(0x80 | (code_point & 0x3f));
		return 3;
	}
	p[0] = (char)(0xf0 | code_point >> 18);
	p[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
	p[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
	p[3] = (char)(0x80 | (code_point & 0x3f));
	return 4;
}
