/*
 * What could help whoever was refused by PostgreSQL.
 */
#ifndef KITH_HINT_H
#define KITH_HINT_H

#include <libpq-fe.h>

struct kith_request;

/*
 * Which constraint refused, or which column that must not be null, in the
 * request's arena; all NULL when it was neither.
 */
struct kith_refusal {
	const char *schema;
	const char *table;
	const char *constraint;
	const char *column;
};

struct kith_refusal kith_hint_refusal(struct kith_request *req, const PGresult *result);

/*
 * Adds a hint to req->error where PostgreSQL gave none: the comment of the
 * constraint (COMMENT ON CONSTRAINT), which says in the words of the app what
 * holds, followed by what its columns are called in the client's schema if that
 * has other names for them; or for a right that is missing what it takes.
 */
void kith_hint(struct kith_request *req, const struct kith_refusal *refusal);

#endif
