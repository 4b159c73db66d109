#include "keys_load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena.h"
#include "json.h"
#include "jwk.h"
#include "keys.h"
#include "log.h"

#define FILE_MAX (64 * 1024)
#define SET_KEYS_MAX 16
#define ALL_ROLES (1u << KITH_ANON | 1u << KITH_AUTHENTICATED | 1u << KITH_SERVICE)

struct load {
	struct kith_arena *arena;
	const char *path;
	bool open_to_all;	/* everybody may read the file */
	const struct kith_keys *old;
	struct kith_keys *keys;
	char *error;
	size_t error_size;
};

__attribute__((format(printf, 2, 3))) static int
refuse(struct load *l, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(l->error, l->error_size, format, args);
	va_end(args);
	return -1;
}

/* The text of a small file, and its stamp, taken before reading so that no later change is missed; NULL with errno. */
static char *
read_file(struct kith_arena *a, const char *path, size_t *n, struct stat *st, struct kith_stamp *stamp)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;
	char *text = NULL;

	*n = 0;
	if (fd < 0)
		return NULL;
	if (!fstat(fd, st)) {
		kith_stamp_take(st, stamp);
		errno = EFBIG;
		if (st->st_size <= FILE_MAX) {
			text = kith_alloc(a, (size_t)st->st_size + 1);
			got = read(fd, text, (size_t)st->st_size);
		}
	}
	if (got < 0)
		text = NULL;
	else
		*n = (size_t)got;
	close(fd);
	return text;
}

/*
 * A member that is a string, or absent and then NULL.  Anything else would be
 * read as absent by mistake, so it is refused.
 */
static int
text_member(struct load *l, const struct kith_json *record, const char *name, const char **text)
{
	const struct kith_json *member = kith_json_get(record, name);

	*text = member ? member->text : NULL;
	return member && member->type != KITH_JSON_STRING ? refuse(l, "%s is not a string", name) : 0;
}

/* The elements of an array member, counted; none when it is absent. */
static int
list_member(struct load *l, const struct kith_json *record, const char *name, const struct kith_json **first, size_t *n)
{
	const struct kith_json *member = kith_json_get(record, name);

	*n = 0;
	*first = NULL;
	if (member && member->type != KITH_JSON_ARRAY)
		return refuse(l, "%s is not an array", name);
	if (member)
		*first = member->first;
	for (const struct kith_json *e = *first; e; e = e->next) {
		if (e->type != KITH_JSON_OBJECT)
			return refuse(l, "%s holds something that is no object", name);
		++*n;
	}
	return 0;
}

static int
roles_member(struct load *l, const struct kith_json *record, unsigned *roles)
{
	const struct kith_json *member = kith_json_get(record, "roles");
	enum kith_role role;

	*roles = ALL_ROLES;
	if (!member)
		return 0;
	if (member->type != KITH_JSON_ARRAY)
		return refuse(l, "roles is not an array");
	*roles = 0;
	for (const struct kith_json *e = member->first; e; e = e->next) {
		if (e->type != KITH_JSON_STRING || !kith_role_parse(e->text, &role))
			return refuse(l, "roles holds something that is no role");
		*roles |= 1u << role;
	}
	return 0;
}

static int
read_key(struct load *l, const struct kith_json *record, struct kith_key *key)
{
	const char *wrong = kith_jwk_read(l->arena, record, true, key);

	if (wrong)
		return refuse(l, "it %s", wrong);
	/* Whoever reads the secret can make service tokens. */
	if (key->algorithm == KITH_HS256 && l->open_to_all)
		return refuse(l, "everybody may read the file, and it holds a secret: chmod 640");
	if (text_member(l, record, "issuer", &key->issuer) || text_member(l, record, "audience", &key->audience) ||
	    roles_member(l, record, &key->roles) || text_member(l, record, "sessions", &key->sessions))
		return -1;
	for (size_t i = 0; i < l->keys->nkeys; i++) {
		const struct kith_key *other = &l->keys->keys[i];

		if (!key->kid || !other->kid || strcmp(key->kid, other->kid))
			continue;
		if (!key->issuer || !other->issuer || !strcmp(key->issuer, other->issuer))
			return refuse(l, "kid %s is there twice", key->kid);
	}
	return 0;
}

static int
read_keys(struct load *l, const struct kith_json *file)
{
	const struct kith_json *record;
	const char *state;
	size_t n;
	int number = 0;

	if (list_member(l, file, "keys", &record, &n))
		return -1;
	l->keys->keys = kith_new_array(l->arena, struct kith_key, n);
	for (; record; record = record->next) {
		char why[160];

		number++;
		if (text_member(l, record, "state", &state))
			return -1;
		if (state && !strcmp(state, "retired"))
			continue;
		if (state && strcmp(state, "sign") && strcmp(state, "verify"))
			return refuse(l, "key %d: state is none of sign, verify, retired", number);
		if (read_key(l, record, &l->keys->keys[l->keys->nkeys])) {
			snprintf(why, sizeof(why), "%s", l->error);
			return refuse(l, "key %d: %s", number, why);
		}
		l->keys->nkeys++;
	}
	return 0;
}

static int
hex_digest(const char *text, unsigned char *digest)
{
	static const char digits[] = "0123456789abcdef";

	if (!text || strlen(text) != 2 * KITH_SHA256_SIZE || strspn(text, digits) != 2 * KITH_SHA256_SIZE)
		return -1;
	for (size_t i = 0; i < KITH_SHA256_SIZE; i++)
		digest[i] = (unsigned char)((strchr(digits, text[2 * i]) - digits) << 4 |
		    (strchr(digits, text[2 * i + 1]) - digits));
	return 0;
}

static int
read_api_keys(struct load *l, const struct kith_json *file)
{
	const struct kith_json *record;
	size_t n;

	if (list_member(l, file, "api_keys", &record, &n))
		return -1;
	l->keys->api_keys = kith_new_array(l->arena, struct kith_api_key, n);
	for (; record; record = record->next) {
		struct kith_api_key *key = &l->keys->api_keys[l->keys->napi_keys++];
		const char *role = kith_json_string(record, "role");

		if (hex_digest(kith_json_string(record, "sha256"), key->sha256))
			return refuse(l, "an API key's sha256 is not 64 lower-case hex digits");
		if (!role || !kith_role_parse(role, &key->identity.role) || key->identity.role == KITH_AUTHENTICATED)
			return refuse(l, "an API key's role is neither anon nor service_role");
		key->identity.role_name = kith_role_name(key->identity.role);
	}
	return 0;
}

/* Adds the usable keys of a set, which came from outside: what cannot be used is left out.  NULL, or why all is. */
static const char *
add_set(struct load *l, const char *text, size_t n, const struct kith_key *pattern)
{
	const struct kith_json *all, *record;
	struct kith_key *keys;
	const char *error;
	size_t count = 0;

	all = kith_json_get(kith_json_parse(l->arena, text, n, &error), "keys");
	if (!all || all->type != KITH_JSON_ARRAY)
		return "is not a JWK set";
	for (record = all->first; record; record = record->next)
		count++;
	if (count > SET_KEYS_MAX)
		return "has more than 16 keys";
	keys = kith_new_array(l->arena, struct kith_key, l->keys->nkeys + count);
	if (l->keys->nkeys)
		memcpy(keys, l->keys->keys, l->keys->nkeys * sizeof(*keys));
	l->keys->keys = keys;
	for (record = all->first; record; record = record->next) {
		struct kith_key *key = &keys[l->keys->nkeys];

		*key = *pattern;
		error = kith_jwk_read(l->arena, record, false, key);
		if (error)
			kith_log(KITH_LOG_INFO, "a key of %s is left out: it %s", pattern->issuer, error);
		else
			l->keys->nkeys++;
	}
	return NULL;
}

static const char *
old_text(const struct load *l, const char *path)
{
	for (size_t i = 0; l->old && i < l->old->nsets; i++) {
		if (!strcmp(l->old->sets[i].path, path) && l->old->sets[i].text)
			return kith_strdup(l->arena, l->old->sets[i].text);
	}
	return NULL;
}

static void
load_set(struct load *l, struct kith_key_set *set, const struct kith_key *pattern)
{
	const char *wrong = "cannot be read";
	struct stat st;
	size_t n;

	set->text = read_file(l->arena, set->path, &n, &st, &set->stamp);
	if (set->text)
		wrong = add_set(l, set->text, n, pattern);
	if (!wrong)
		return;
	kith_log(KITH_LOG_WARNING, "%s %s: the keys of %s stay as they were", set->path, wrong, set->issuer);
	set->text = old_text(l, set->path);
	if (set->text)
		add_set(l, set->text, strlen(set->text), pattern);
}

static int
read_set(struct load *l, const struct kith_json *record)
{
	struct kith_key_set *set = &l->keys->sets[l->keys->nsets];
	struct kith_key pattern = { .foreign = true };
	const char *file, *subject, *slash = strrchr(l->path, '/');
	enum kith_role role = KITH_AUTHENTICATED;

	if (text_member(l, record, "file", &file) || text_member(l, record, "issuer", &pattern.issuer) ||
	    text_member(l, record, "audience", &pattern.audience) || text_member(l, record, "role", &pattern.role) ||
	    text_member(l, record, "sub", &subject))
		return -1;
	if (!file || !pattern.issuer)
		return refuse(l, "a JWK set has no file or no issuer");
	if (subject && strcmp(subject, "uuid") && strcmp(subject, "any"))
		return refuse(l, "sub of a JWK set is neither uuid nor any");
	if (pattern.role && !kith_role_parse(pattern.role, &role))
		return refuse(l, "role of a JWK set is none of ours");
	if (role == KITH_SERVICE)
		return refuse(l, "a JWK set cannot stand for service_role");
	pattern.role = kith_role_name(role);
	pattern.roles = 1u << role;
	pattern.any_subject = subject && !strcmp(subject, "any");
	set->issuer = pattern.issuer;
	set->path = *file == '/' || !slash ? file :
	    kith_format(l->arena, "%.*s/%s", (int)(slash - l->path), l->path, file);
	load_set(l, set, &pattern);
	l->keys->nsets++;
	return 0;
}

static int
read_sets(struct load *l, const struct kith_json *file)
{
	const struct kith_json *record;
	size_t n;

	if (list_member(l, file, "jwks", &record, &n))
		return -1;
	l->keys->sets = kith_new_array(l->arena, struct kith_key_set, n);
	for (; record; record = record->next) {
		if (read_set(l, record))
			return -1;
	}
	return 0;
}

static int
read_all(struct load *l)
{
	const struct kith_json *file;
	const char *text, *error;
	struct stat st;
	size_t n;

	text = read_file(l->arena, l->path, &n, &st, &l->keys->stamp);
	if (!text)
		return refuse(l, "%s", strerror(errno));
	l->open_to_all = st.st_mode & S_IROTH;
	file = kith_json_parse(l->arena, text, n, &error);
	if (!file || file->type != KITH_JSON_OBJECT)
		return refuse(l, "not a JSON object: %s", file ? "something else" : error);
	if (read_keys(l, file) || read_api_keys(l, file) || read_sets(l, file))
		return -1;
	return l->keys->nkeys || l->keys->nsets || l->keys->napi_keys ? 0 : refuse(l, "holds no key");
}

struct kith_keys *
kith_keys_read(const char *path, const struct kith_keys *old, char *error, size_t size)
{
	struct load l = { .arena = kith_arena_new(0), .path = path, .old = old, .error = error, .error_size = size };

	l.keys = kith_new(l.arena, struct kith_keys);
	l.keys->arena = l.arena;
	if (!read_all(&l))
		return l.keys;
	kith_arena_free(l.arena);
	return NULL;
}
