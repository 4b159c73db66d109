/*
 * Plans a request against the sample catalog and tells the result as one line:
 * the statement and its parameters, or the refusal.
 */
#ifndef KITH_PLAN_TRY_H
#define KITH_PLAN_TRY_H

#include <stdio.h>

#include "buf.h"
#include "json.h"
#include "plan.h"
#include "query.h"
#include "sample.h"
#include "sql.h"
#include "unit.h"

#define PLAN_CAP 100

/* A request, its body (or NULL), and the line it makes. */
struct plan_case {
	const char *request;	/* "GET chats?select=id", "POST,merge,minimal other.far", "POST rpc/say" */
	const char *body;
	const char *line;
};

static struct kith_catalog *plan_catalog;

static inline bool
plan_has_flag(const char *flags, size_t n, const char *flag)
{
	const char *found = strstr(flags, flag);

	return found && found + strlen(flag) <= flags + n;
}

static inline struct kith_sql *
plan_call(struct kith_request *req, const char *schema, const char *name, const char *body,
    const struct kith_json_scan *scan, bool count)
{
	bool get = req->method != KITH_POST;
	const struct kith_query_string *qs = kith_query_parse(req, get);
	const struct kith_function *f;
	const char *names[20] = { NULL };
	size_t n = 0;

	if (!qs)
		return NULL;
	for (const struct kith_argument *a = qs->arguments; get && a; a = a->next)
		names[n++] = a->name;
	f = kith_plan_choose_function(req, plan_catalog, schema, name,
	    !body || scan->type == KITH_JSON_NULL    ? names
		: scan->type == KITH_JSON_OBJECT ? scan->keys
						 : NULL,
	    get);
	if (!f)
		return NULL;
	return kith_plan_call(req, plan_catalog, f, qs, body, scan, PLAN_CAP, count);
}

static inline struct kith_sql *
plan_table(struct kith_request *req, const struct kith_relation *r, const struct kith_write *w, bool count)
{
	const struct kith_query_string *qs = kith_query_parse(req, false);

	if (!qs)
		return NULL;
	switch (req->method) {
	case KITH_POST:
		return kith_plan_insert(req, plan_catalog, r, qs, w);
	case KITH_PATCH:
		return kith_plan_update(req, plan_catalog, r, qs, w);
	case KITH_DELETE:
		return kith_plan_delete(req, plan_catalog, r, qs, w->returning);
	default:
		return count ? kith_plan_count(req, plan_catalog, r, &qs->query)
			     : kith_plan_read(req, plan_catalog, r, &qs->query, PLAN_CAP);
	}
}

static inline struct kith_sql *
plan_request(struct kith_request *req, const struct plan_case *c)
{
	size_t flags = strcspn(c->request, " ");
	const char *path = c->request + flags + 1, *query = strchr(path, '?');
	const char *name = kith_strndup(req->arena, path, query ? (size_t)(query - path) : strlen(path));
	const char *schema = "public", *dot = strchr(name, '.');
	bool count = plan_has_flag(c->request, flags, "count");
	struct kith_json_scan scan = { .type = KITH_JSON_NULL };
	struct kith_write w = {
		.body = c->body,
		.scan = &scan,
		.resolution = plan_has_flag(c->request, flags, "merge") ? KITH_MERGE_DUPLICATES
		    : plan_has_flag(c->request, flags, "ignore")	? KITH_IGNORE_DUPLICATES
									: KITH_INSERT,
		.missing_default = plan_has_flag(c->request, flags, "default"),
		.returning = !plan_has_flag(c->request, flags, "minimal"),
	};
	const struct kith_relation *r;

	req->query = query ? query + 1 : "";
	req->method = !strncmp(c->request, "POST", 4) ? KITH_POST
	    : !strncmp(c->request, "PATCH", 5)	      ? KITH_PATCH
	    : !strncmp(c->request, "DELETE", 6)	      ? KITH_DELETE
						      : KITH_GET;
	if (dot) {
		schema = kith_strndup(req->arena, name, (size_t)(dot - name));
		name = dot + 1;
	}
	if (c->body)
		assert_int_equal(kith_json_scan(req->arena, c->body, strlen(c->body), &scan), 0);
	if (!strncmp(name, "rpc/", 4))
		return plan_call(req, schema, name + 4, c->body, &scan, count);
	r = kith_catalog_relation(plan_catalog, schema, name);
	assert_non_null(r);
	return plan_table(req, r, &w, count);
}

/*
 * "select ... [first|second]", or "400 PGRST200 message; details; hint".  Double
 * quotes of the SQL become backquotes, which C leaves readable.
 */
static inline const char *
plan_line(const struct plan_case *c)
{
	struct kith_request *req = unit_request();
	struct kith_buf line;
	struct kith_sql *q;

	if (!plan_catalog)
		plan_catalog = sample_catalog();
	q = plan_request(req, c);
	kith_buf_init(&line, req->arena, 500);
	if (!q) {
		kith_buf_printf(&line, "%d %s %s", req->error.status, req->error.code, req->error.message);
		if (req->error.details)
			kith_buf_printf(&line, "; %s", req->error.details);
		if (req->error.hint)
			kith_buf_printf(&line, "; %s", req->error.hint);
		return line.s;
	}
	for (const char *s = q->text.s; *s; s++)
		kith_buf_putc(&line, *s == '"' ? '`' : *s);
	for (int i = 0; i < q->nparams; i++)
		kith_buf_printf(&line, "%s%s", i ? "|" : " [", q->params[i] ? q->params[i] : "null");
	if (q->nparams)
		kith_buf_putc(&line, ']');
	return line.s;
}

/* Every case of the table makes its line. */
#define plan_check(cases) plan_check_all(cases, sizeof(cases) / sizeof((cases)[0]))

static inline void
plan_check_all(const struct plan_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *line = plan_line(&cases[i]);

		if (strcmp(line, cases[i].line) != 0)
			fail_msg("%s\n  made %s\n  not  %s", cases[i].request, line, cases[i].line);
	}
}

#endif
