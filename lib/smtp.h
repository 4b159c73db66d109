/*
 * Handing one mail to a mail server (RFC 5321).
 *
 * smtps:// is TLS from the first byte.  smtp:// must be raised to TLS by
 * STARTTLS before anything else is said, except on loopback, where a mail
 * server of this machine listens; KITH_ALLOW_HTTP_PROVIDERS=1 makes TLS
 * optional elsewhere too, for a server in a network of containers.
 */
#ifndef KITH_SMTP_H
#define KITH_SMTP_H

#include <stddef.h>
#include <stdint.h>

#include "outgoing.h"

struct kith_arena;

struct kith_smtp {
	const char *url;
	const char *user;	/* NULL: no authentication */
	const char *password;
	const char *from;	/* addresses without names */
	const char *to;
	const char *text;	/* headers and body, lines ending in CR LF */
	size_t len;
	int attempt;		/* for the log; counted from 1 */

	/* Afterwards. */
	long status;		/* the server's last reply; 0: it said nothing */
	int64_t retry_ms;	/* how long to wait; -1: as usual */
	const char *error;	/* "smtp 450"; NULL when done */
};

/*
 * KITH_DONE: the server has taken it over.  A connection that ends after the
 * last byte and before the server's reply is KITH_FAILED: the mail may be on
 * its way, and the next attempt then doubles it, under the same Message-ID.
 */
enum kith_outcome kith_smtp_send(struct kith_arena *a, struct kith_smtp *mail);

/* What the server's last reply means, when the mail was not taken over. */
enum kith_outcome kith_smtp_outcome(long status);

#endif
