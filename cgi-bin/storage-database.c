#include "storage-program.h"

#include "arena.h"

/* Policies may ask for these; the names of single claims are the older way. */
static const char *const *
settings(struct kith_request *req, const char *operation)
{
	const char **list = kith_new_array(req->arena, const char *, 9);
	size_t n = 0;

	list[n++] = "storage.operation";
	list[n++] = operation;
	list[n++] = "storage.allow_delete_query";
	list[n++] = "true";
	list[n++] = "request.jwt.claim.sub";
	list[n++] = req->identity->subject ? req->identity->subject : "";
	list[n++] = "request.jwt.claim.role";
	list[n++] = req->identity->role_name;
	return list;
}

int
storage_as_caller(struct kith_request *req, const char *operation, enum storage_how how, struct kith_sql *sql,
    const PGresult **result)
{
	const struct kith_transaction t = {
		.read_only = how == STORAGE_READ,
		.rehearsal = how == STORAGE_REHEARSE,
		.search_path = "\"storage\", \"public\", \"extensions\"",
		.settings = settings(req, operation),
	};

	return kith_db_run(req, &t, &sql, 1, result, NULL, NULL);
}

const PGresult *
storage_call_function(struct kith_request *req, const char *begin, const char *const *arguments, size_t n)
{
	struct kith_sql *sql = kith_sql_new(req->arena);

	kith_buf_puts(&sql->text, begin);
	for (size_t i = 0; i < n; i++) {
		if (i)
			kith_sql_text(sql, ", ");
		kith_sql_param(sql, arguments[i]);
	}
	kith_sql_text(sql, ")");
	return kith_db_call(req, sql);
}

void
storage_begin_json(struct kith_request *req)
{
	req->reply.status = 200;
	kith_reply_header(req, "Content-Type", "application/json; charset=utf-8");
}

int
storage_answer_json(struct kith_request *req, const PGresult *result)
{
	if (!result)
		return -1;
	storage_begin_json(req);
	kith_buf_puts(&req->reply.body, PQgetvalue(result, 0, PQnfields(result) - 1));
	return 0;
}

int
storage_answer_message(struct kith_request *req, const char *text)
{
	storage_begin_json(req);
	kith_buf_lit(&req->reply.body, "{\"message\":");
	kith_json_write_string(&req->reply.body, text, strlen(text));
	kith_buf_putc(&req->reply.body, '}');
	return 0;
}
