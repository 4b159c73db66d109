/*
 * Which function a call means: the one that takes arguments of these names.
 */
#include <string.h>

#include "arena.h"
#include "buf.h"
#include "error.h"
#include "plan_internal.h"
#include "request.h"

static bool
has_argument(const struct kith_function *f, const char *name)
{
	for (size_t i = 0; i < f->narguments; i++)
		if (!strcmp(f->arguments[i].name, name))
			return true;
	return false;
}

static bool
takes(const struct kith_function *f, const char *const *names)
{
	for (size_t i = 0; i < f->narguments; i++) {
		const struct kith_function_argument *argument = &f->arguments[i];

		if (!*argument->name || (argument->required && !kith_plan_is_among(argument->name, names)))
			return false;
	}
	for (; names && *names; names++)
		if (!has_argument(f, *names))
			return false;
	return true;
}

bool
kith_plan_takes_body(const struct kith_function *f)
{
	return f->narguments == 1 && !*f->arguments[0].name && f->arguments[0].type.json;
}

static void
write_names(struct kith_buf *b, const char *const *names)
{
	for (size_t i = 0; names && names[i]; i++)
		kith_buf_printf(b, "%s%.100s", i ? ", " : "", names[i]);
}

static void
write_signature(struct kith_buf *b, const struct kith_function *f, bool types)
{
	kith_buf_printf(b, "%s.%s(", f->schema, f->name);
	for (size_t i = 0; i < f->narguments; i++) {
		kith_buf_printf(b, "%s%s", i ? ", " : "", f->arguments[i].name);
		if (types)
			kith_buf_printf(b, " => %s", f->arguments[i].type.name);
	}
	kith_buf_putc(b, ')');
}

static void
refuse_several(struct kith_request *req, const struct kith_function *const *found, size_t n)
{
	struct kith_buf list;

	kith_buf_init(&list, req->arena, 200);
	for (size_t i = 0; i < n; i++) {
		if (i)
			kith_buf_lit(&list, ", ");
		write_signature(&list, found[i], true);
	}
	kith_fail(req, 300, "PGRST203", "Could not choose the best candidate function between: %s", list.s);
	kith_fail_hint(req, "Try renaming the parameters or the function itself in the database so function "
	    "overloading can be resolved");
}

/* The one of them that shares most names with the call. */
static const struct kith_function *
closest(const struct kith_function *functions, size_t n, const char *const *names)
{
	const struct kith_function *best = functions;
	size_t most = 0;

	for (size_t i = 0; i < n; i++) {
		size_t shared = 0;

		for (const char *const *name = names; name && *name; name++)
			shared += has_argument(&functions[i], *name);
		if (shared > most) {
			most = shared;
			best = &functions[i];
		}
	}
	return best;
}

static void
refuse_none(struct kith_request *req, const struct kith_catalog *c, const char *schema, const char *name,
    const char *const *names, bool get)
{
	const struct kith_function *functions;
	size_t n = kith_catalog_functions(c, schema, name, &functions);
	const char *near = n ? NULL : kith_catalog_nearest_function(c, schema, name);
	bool none = !names || !names[0];
	struct kith_buf list;

	kith_buf_init(&list, req->arena, 200);
	write_names(&list, names);
	if (none)
		kith_fail(req, 404, "PGRST202",
		    "Could not find the function %s.%.200s without parameters in the schema cache", schema, name);
	else
		kith_fail(req, 404, "PGRST202", "Could not find the function %s.%.200s(%s) in the schema cache", schema,
		    name, list.s);
	kith_fail_details(req,
	    "Searched for the function %s.%.200s with%s%s%s, but no matches were found in the schema cache.",
	    schema, name, none ? "out parameters" : names[1] ? " parameters " : " parameter ", list.s,
	    get ? "" : " or with a single unnamed json/jsonb parameter");
	if (n) {
		struct kith_buf hint;

		kith_buf_init(&hint, req->arena, 200);
		write_signature(&hint, closest(functions, n, names), false);
		kith_fail_hint(req, "Perhaps you meant to call the function %s", hint.s);
	} else if (near) {
		kith_fail_hint(req, "Perhaps you meant to call the function %s.%s", schema, near);
	}
}

const struct kith_function *
kith_plan_choose_function(struct kith_request *req, const struct kith_catalog *c, const char *schema, const char *name,
    const char *const *argument_names, bool get)
{
	const struct kith_function *functions;
	size_t n = kith_catalog_functions(c, schema, name, &functions), nfound = 0;
	const struct kith_function **found = kith_new_array(req->arena, const struct kith_function *, n);

	for (size_t i = 0; argument_names && i < n; i++)
		if (takes(&functions[i], argument_names))
			found[nfound++] = &functions[i];
	for (size_t i = 0; !nfound && !get && i < n; i++)
		if (kith_plan_takes_body(&functions[i]))
			found[nfound++] = &functions[i];
	if (nfound == 1)
		return found[0];
	if (nfound)
		refuse_several(req, found, nfound);
	else if (n && !argument_names)
		kith_fail(req, 400, "PGRST102", "Arguments are the members of one JSON object");
	else
		refuse_none(req, c, schema, name, argument_names, get);
	return NULL;
}
