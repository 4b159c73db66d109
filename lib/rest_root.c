/*
 * The root: what there is, as the database describes it (sql/220_openapi.sql).
 */
#include "rest_internal.h"

#include "auth.h"
#include "sql.h"

int
kith_rest_root(struct kith_rest *rest)
{
	struct kith_request *req = rest->req;
	const struct kith_identity *who = req->identity;
	struct kith_sql *q = kith_sql_new(req->arena);
	const PGresult *result;

	/* The login asks, since no role of a client may enter kith; the role says what is told. */
	kith_sql_text(q, "select kith.openapi(");
	kith_sql_param(q, rest->schema);
	kith_sql_text(q, ", ");
	kith_sql_param(q, who->role_name);
	kith_sql_text(q, ")");
	if (who->session) {
		kith_sql_text(q, ", kith.check_session(");
		kith_sql_param(q, who->session);
		kith_sql_text(q, ", ");
		kith_sql_param(q, who->subject);
		kith_sql_text(q, ")");
	}
	result = kith_db_catalog(req, q);
	if (!result)
		return -1;
	kith_reply_header(req, "Content-Type", "%s", rest->media.content_type);
	kith_buf_add(&req->reply.body, PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0));
	req->reply.status = 200;
	return 0;
}
