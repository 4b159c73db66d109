#include "auth-program.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "kith.h"
#include "password.h"
#include "settings.h"
#include "token.h"

#define DIGITS "0123456789"
#define PER_PAGE 50
#define PER_PAGE_MAX 1000
#define BAN_MAX_S 1e10	/* three hundred years: what a timestamp holds in any case */

/* What the service sends, with the body as SQL wants it. */
static const struct kith_json *
begin(struct kith_request *req, const char **text)
{
	if (auth_identify(req, AUTH_SERVICE))
		return NULL;
	*text = req->body_len ? req->body : "{}";
	return auth_body(req);
}

/* A page number, or how many: absent and empty mean the default. */
static int
count(struct kith_request *req, const char *name, long usual, long max, long *n)
{
	const char *text = auth_query(req, name);

	*n = usual;
	if (req->error.status)
		return -1;
	if (!text || !*text)
		return 0;
	if (!kith_parse_long(text, 1, 1000000000, n))
		return kith_fail(req, 400, "validation_failed", "Bad Pagination Parameters: %s must be a number", name);
	if (*n > max)
		*n = max;
	return 0;
}

/* supabase-js reads the page behind the first "=". */
static void
link_pages(struct kith_request *req, long page, long per_page, long total)
{
	static const char path[] = "/auth/v1/admin/users";
	long last = total ? (total + per_page - 1) / per_page : 1;
	const char *next = "";

	if (page < last)
		next = kith_format(req->arena, "<%s?page=%ld&per_page=%ld>; rel=\"next\", ", path, page + 1, per_page);
	kith_reply_header(req, "X-Total-Count", "%ld", total);
	kith_reply_header(req, "Link", "%s<%s?page=%ld&per_page=%ld>; rel=\"last\"", next, path, last, per_page);
}

static int
list_users(struct kith_request *req)
{
	long page, per_page, total;
	const PGresult *result;
	const char *filter;

	if (auth_identify(req, AUTH_SERVICE) || count(req, "page", 1, 1000000000, &page) ||
	    count(req, "per_page", PER_PAGE, PER_PAGE_MAX, &per_page))
		return -1;
	filter = auth_query(req, "filter");
	if (req->error.status)
		return -1;
	result = auth_call(req, "admin_list_users", kith_format(req->arena, "%ld", page),
	    kith_format(req->arena, "%ld", per_page), filter);
	if (!result || !kith_parse_long(PQgetvalue(result, 0, 0), 0, INT64_MAX, &total))
		return -1;
	link_pages(req, page, per_page, total);
	kith_buf_lit(&req->reply.body, "{\"users\":");
	if (auth_answer_json(req, result))
		return -1;
	kith_buf_lit(&req->reply.body, ",\"aud\":\"authenticated\"}");
	return 0;
}

/* One number and its unit: "1.5h".  What is behind it, or NULL. */
static const char *
one_duration(const char *s, double *seconds)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = {
		{ "ns", 1e-9 }, { "us", 1e-6 }, { "\xc2\xb5s", 1e-6 }, { "ms", 1e-3 }, { "s", 1 }, { "m", 60 }, { "h", 3600 },
	};
	size_t whole = strspn(s, DIGITS), fraction = s[whole] == '.' ? strspn(s + whole + 1, DIGITS) : 0;
	const char *unit = s + whole + fraction + (s[whole] == '.');

	if (!whole && !fraction)
		return NULL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strncmp(unit, units[i].name, strlen(units[i].name)))
			continue;
		*seconds += strtod(s, NULL) * units[i].seconds;
		return unit + strlen(units[i].name);
	}
	return NULL;
}

/* ban_duration, as Go writes durations ("1h30m"): seconds, "none", or NULL when it is not there. */
static int
read_ban(struct kith_request *req, const struct kith_json *body, const char **ban)
{
	double seconds = 0;
	const char *s;

	if (auth_text(req, body, "ban_duration", ban))
		return -1;
	if (*ban && !**ban)
		*ban = NULL;
	if (!*ban || !strcmp(*ban, "none"))
		return 0;
	for (s = *ban; s && *s; s = one_duration(s, &seconds))
		;
	if (!s || seconds > BAN_MAX_S)
		return kith_fail(req, 400, "validation_failed", "invalid format for ban duration: \"%.40s\"", *ban);
	*ban = kith_format(req->arena, "%.6f", seconds);
	return 0;
}

/* A user's token carries their role: a name that no program knows would lock them out. */
static int
check_role(struct kith_request *req, const struct kith_json *body)
{
	const char *role;

	if (auth_text(req, body, "role", &role))
		return -1;
	if (role && *role && strcmp(role, "authenticated") && strcmp(role, "service_role"))
		return kith_fail(req, 400, "validation_failed", "role must be authenticated or service_role");
	return 0;
}

/* Of a password, or the hash that another server made of one; NULL without either. */
static int
read_hash(struct kith_request *req, const struct kith_json *body, const char **hash)
{
	const char *password;

	if (auth_text(req, body, "password", &password) || auth_text(req, body, "password_hash", hash))
		return -1;
	if (*hash && !**hash)
		*hash = NULL;
	if (password && *hash)
		return kith_fail(req, 400, "validation_failed",
		    "Only a password or a password hash should be provided");
	if (*hash && !kith_password_hash_known(*hash))
		return kith_fail(req, 400, "validation_failed",
		    "password_hash must be of bcrypt ($2a$, $2b$, $2y$, cost 4 to 14) or yescrypt ($y$)");
	if (!password || !*password)
		return 0;
	if (!(password = auth_new_password(req, body)) || auth_may_hash(req))
		return -1;
	*hash = auth_hash(req, password);
	return *hash ? 0 : -1;
}

/* What creating and changing have in common.  email stays NULL when there is none. */
static int
read_user(struct kith_request *req, const struct kith_json *body, const char **email, const char **hash,
    const char **ban)
{
	const char *phone;

	if (auth_text(req, body, "email", email) || auth_text(req, body, "phone", &phone))
		return -1;
	if (phone && *phone)
		return kith_fail(req, 400, "validation_failed", "Phone numbers are not supported");
	if (*email && !**email)
		*email = NULL;
	if (*email && !(*email = auth_email(req, body, "email")))
		return -1;
	return check_role(req, body) || read_ban(req, body, ban) || read_hash(req, body, hash) ? -1 : 0;
}

static int
create_user(struct kith_request *req)
{
	const char *text, *id, *email, *hash, *ban;
	const struct kith_json *body = begin(req, &text);

	if (!body || auth_text(req, body, "id", &id))
		return -1;
	if (id && (!kith_uuid_canonical(id) || !id[strspn(id, "0-")]))
		return kith_fail(req, 400, "validation_failed", "ID must conform to the uuid v4 format");
	if (read_user(req, body, &email, &hash, &ban))
		return -1;
	if (!email)
		return kith_fail(req, 400, "validation_failed", "Cannot create a user without an email");
	return auth_answer_json(req, auth_call(req, "admin_create_user", id, email, hash, text, ban));
}

int
auth_admin_users(struct kith_request *req)
{
	return req->method == KITH_POST ? create_user(req) : list_users(req);
}

static int
update_user(struct kith_request *req, const char *id)
{
	const char *text, *email, *hash, *ban;
	const struct kith_json *body = begin(req, &text);

	if (!body || read_user(req, body, &email, &hash, &ban))
		return -1;
	return auth_answer_json(req, auth_call(req, "admin_update_user", id, email, hash, text, ban));
}

static int
delete_user(struct kith_request *req, const char *id)
{
	const struct kith_json *body;
	const char *text;
	int softly;

	if (!(body = begin(req, &text)) || (softly = auth_flag(req, body, "should_soft_delete", false)) == -1)
		return -1;
	return auth_answer_nothing(req, auth_call(req, "admin_delete_user", id, softly ? "true" : "false"));
}

int
auth_admin_user(struct kith_request *req)
{
	if (auth_identify(req, AUTH_SERVICE))
		return -1;
	if (!kith_uuid_canonical(req->tail))
		return kith_fail(req, 404, "validation_failed", "user_id must be an UUID");
	if (req->method == KITH_PUT)
		return update_user(req, req->tail);
	if (req->method == KITH_DELETE)
		return delete_user(req, req->tail);
	return auth_answer_json(req, auth_call(req, "admin_get_user", req->tail));
}

int
auth_invite(struct kith_request *req)
{
	const char *text, *email, *link;
	const struct kith_json *body = begin(req, &text);

	if (!body || !(email = auth_email(req, body, "email")) || auth_needs_mail(req) ||
	    !(link = auth_link(req, body, "invite", "invite", email)))
		return -1;
	return auth_answer_json(req, auth_call(req, "invite", email, text, link));
}

static int
answer_link(struct kith_request *req, const PGresult *result, const struct auth_link *links)
{
	struct kith_buf *out = &req->reply.body;
	const struct auth_link *link;
	const char *type;

	if (auth_answer_json(req, result))
		return -1;
	type = PQgetvalue(result, 0, 0);
	link = !strcmp(type, "signup") || !strcmp(type, "invite") ? &links[0] : &links[1];
	/* Behind the user's own members. */
	out->len--;
	kith_json_write_member(out, "action_link", link->url);
	kith_json_write_member(out, "email_otp", link->code);
	kith_json_write_member(out, "hashed_token", link->token);
	kith_json_write_member(out, "verification_type", type);
	kith_json_write_member(out, "redirect_to", link->redirect);
	kith_buf_putc(out, '}');
	return 0;
}

int
auth_generate_link(struct kith_request *req)
{
	static const char *const types[] = { "signup", "invite", "magiclink", "recovery", "email_change_current",
		"email_change_new" };
	const char *text, *type, *email, *new_email = NULL, *reader, *hash = NULL, *json;
	const struct kith_json *body = begin(req, &text);
	struct auth_link links[2];
	size_t i = 0;

	if (!body || auth_text(req, body, "type", &type) || !(email = auth_email(req, body, "email")))
		return -1;
	while (i < sizeof(types) / sizeof(types[0]) && (!type || strcmp(types[i], type)))
		i++;
	if (i == sizeof(types) / sizeof(types[0]))
		return kith_fail(req, 400, "validation_failed", "Invalid email action link type requested: %.40s",
		    type ? type : "");
	if (!strncmp(type, "email_change", 12) && !(new_email = auth_email(req, body, "new_email")))
		return -1;
	if (!strcmp(type, "signup") && (!auth_new_password(req, body) || read_hash(req, body, &hash)))
		return -1;
	/* Of these the database takes one: for a new address, or for one that is known. */
	reader = strcmp(type, "email_change_new") ? email : new_email;
	if (auth_make_link(req, &links[0], body, strcmp(type, "invite") ? "signup" : "invite", email) ||
	    auth_make_link(req, &links[1], body, type, reader))
		return -1;
	json = kith_format(req->arena, "{\"signup\":%s,\"other\":%s,\"both\":%s}", auth_link_json(req, &links[0], NULL),
	    auth_link_json(req, &links[1], NULL), kith_settings.secure_email_change ? "true" : "false");
	return answer_link(req, auth_call(req, "generate_link", type, email, new_email, hash, text, json), links);
}
