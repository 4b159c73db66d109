/*
 * The Prefer header (RFC 7240; contract REST, section 2).
 */
#ifndef KITH_PREFER_H
#define KITH_PREFER_H

#include <stdbool.h>

struct kith_request;

enum kith_return { KITH_RETURN_NONE, KITH_RETURN_MINIMAL, KITH_RETURN_REPRESENTATION };

/* What was asked.  Texts are the tokens themselves, for Preference-Applied; NULL when not asked. */
struct kith_prefer {
	enum kith_return returning;
	bool merge_duplicates;
	bool ignore_duplicates;
	bool missing_default;
	bool count;
	bool strict;
	const char *timezone;	/* NULL: the server's */
	long max_affected;	/* -1: no bound; heeded only with handling=strict */
	const char *applied[8];	/* in the order of Preference-Applied */
};

/*
 * Reads every Prefer header of the request; the first token of a kind wins,
 * unknown ones are ignored unless handling=strict: then -1 with 400 PGRST122.
 */
int kith_prefer_parse(struct kith_request *req, struct kith_prefer *prefer);

/* Kinds of tokens, as places in applied. */
enum kith_prefer_kind {
	KITH_PREFER_RESOLUTION,
	KITH_PREFER_MISSING,
	KITH_PREFER_RETURN,
	KITH_PREFER_COUNT,
	KITH_PREFER_TX,
	KITH_PREFER_HANDLING,
	KITH_PREFER_TIMEZONE,
	KITH_PREFER_MAX_AFFECTED,
};

/* Adds Preference-Applied with those tokens whose kinds are in the set (1 << kind). */
void kith_prefer_applied(struct kith_request *req, const struct kith_prefer *prefer, unsigned kinds);

#endif
