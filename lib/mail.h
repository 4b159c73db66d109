/*
 * A mail as RFC 5322 and MIME write it.
 *
 * Nothing that a mail is made of can become a header or a line of its own:
 * control characters in names and subjects are blanks, addresses that hold any
 * are none, and bodies are encoded.  The same mail is written the same way each
 * time, its Message-ID too, so that a second copy can be told for one.
 */
#ifndef KITH_MAIL_H
#define KITH_MAIL_H

#include <stdbool.h>
#include <stdint.h>

struct kith_arena;
struct kith_buf;

struct kith_mail {
	const char *key;	/* of its job: the Message-ID is made of it */
	const char *from;	/* "Name <address>", or an address */
	const char *to;		/* an address */
	const char *subject;
	const char *text;	/* NULL: only html */
	const char *html;	/* NULL: only text */
	int64_t date;		/* seconds since 1970 */
};

/* Is this an address that mail can go to, and nothing else?  Its local part is not quoted. */
bool kith_mail_is_address(const char *s);

/* The address in "Name <address>", or the whole text if it is one; NULL when there is none. */
const char *kith_mail_address(struct kith_arena *a, const char *from);

/* The text on one line, without blanks around it: a subject.  What is not UTF-8 is lost. */
const char *kith_mail_line(struct kith_arena *a, const char *s);

/* Appends headers and body, lines ending in CR LF.  The addresses must be some. */
void kith_mail_write(struct kith_buf *out, const struct kith_mail *mail);

#endif
