#include "json_patch.h"

#include <string.h>

#include "arena.h"
#include "json_value.h"

struct patch {
	struct kith_arena *arena;
	struct kith_json_value *document;
	size_t copied;		/* values made by copy */
	const char *error;
};

/* Where a pointer leads: into parent, by the name or the number of its last token. */
struct place {
	struct kith_json_value *parent;	/* NULL: the document itself */
	const char *key;
	size_t key_len;
	size_t at;		/* number of the member or element, or where it would be */
	bool there;
	int depth;		/* levels above it */
};

static int
refuse(struct patch *p, const char *error)
{
	p->error = error;
	return -1;
}

/* Reads the token behind the slash at *pointer, of which end is the end; unescapes ~0 and ~1. */
static int
read_token(struct patch *p, const char **pointer, const char *end, struct place *place)
{
	const char *s = *pointer + 1;
	const char *slash = memchr(s, '/', (size_t)(end - s));
	size_t n = (size_t)((slash ? slash : end) - s);
	char *token;

	*pointer = s + n;
	place->key = s;
	place->key_len = n;
	if (!memchr(s, '~', n))
		return 0;
	place->key = token = kith_alloc(p->arena, n);
	place->key_len = 0;
	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		if (c == '~') {
			i++;
			if (i == n || (s[i] != '0' && s[i] != '1'))
				return refuse(p, "a ~ in a pointer is neither ~0 nor ~1");
			c = s[i] == '0' ? '~' : '/';
		}
		token[place->key_len++] = c;
	}
	return 0;
}

/* An index as RFC 6901, section 4, has it: digits without leading zeros, or - for the one behind the last. */
static int
read_index(struct patch *p, struct place *place)
{
	const char *s = place->key;
	size_t n = place->key_len, index = 0;

	if (n == 1 && *s == '-') {
		place->at = place->parent->n;
		return 0;
	}
	/* Nine digits are more than any array has. */
	if (!n || n > 9 || (n > 1 && *s == '0'))
		return refuse(p, "an element is named by something that is no index");
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return refuse(p, "an element is named by something that is no index");
		index = index * 10 + (size_t)(s[i] - '0');
	}
	place->at = index;
	return 0;
}

static struct kith_json_value *
value_at(const struct patch *p, const struct place *place)
{
	return place->parent ? kith_json_value_at(place->parent, place->at) : p->document;
}

/* Follows a pointer.  What it leads to need not be there, what lies on the way must. */
static int
find(struct patch *p, const struct kith_json_value *pointer, struct place *place)
{
	const char *s = pointer->text, *end = s + pointer->n;

	*place = (struct place){ .there = p->document != NULL };
	if (s < end && *s != '/')
		return refuse(p, "a pointer does not begin with /");
	while (s < end) {
		if (!place->there)
			return refuse(p, "something on the way of a pointer does not exist");
		place->parent = value_at(p, place);
		place->depth++;
		if (read_token(p, &s, end, place))
			return -1;
		if (place->parent->type == KITH_JSON_OBJECT) {
			place->there = kith_json_value_find(place->parent, place->key, place->key_len, &place->at);
		} else if (place->parent->type == KITH_JSON_ARRAY) {
			if (read_index(p, place))
				return -1;
			place->there = place->at < place->parent->n;
		} else {
			return refuse(p, "a pointer leads into what is neither object nor array");
		}
	}
	return 0;
}

static int
find_existing(struct patch *p, const struct kith_json_value *pointer, struct place *place)
{
	if (find(p, pointer, place))
		return -1;
	return place->there ? 0 : refuse(p, "what a pointer leads to does not exist");
}

static void
put(struct patch *p, const struct place *place, struct kith_json_value *value)
{
	value->key = place->key;
	value->key_len = (uint32_t)place->key_len;
	if (place->parent)
		kith_json_value_insert(p->arena, place->parent, place->at, value);
	else
		p->document = value;
}

static int
add(struct patch *p, const struct kith_json_value *path, struct kith_json_value *value)
{
	struct place place;

	if (find(p, path, &place))
		return -1;
	if (place.depth + kith_json_value_depth(value) > KITH_JSON_DEPTH)
		return refuse(p, "nested too deeply");
	if (place.parent && place.parent->type == KITH_JSON_ARRAY && place.at > place.parent->n)
		return refuse(p, "an index is greater than the number of elements");
	if (place.parent && place.parent->type == KITH_JSON_OBJECT && place.there)
		kith_json_value_remove(place.parent, place.at);
	put(p, &place, value);
	return 0;
}

/* Takes out what is there, into *value. */
static int
take(struct patch *p, const struct kith_json_value *path, struct place *place, struct kith_json_value **value)
{
	if (find_existing(p, path, place))
		return -1;
	*value = value_at(p, place);
	if (place->parent)
		kith_json_value_remove(place->parent, place->at);
	return 0;
}

static int
replace(struct patch *p, const struct kith_json_value *path, struct kith_json_value *value)
{
	struct kith_json_value *old;
	struct place place;

	/* Into an empty place too: there the whole document is set, as by add. */
	if (!path->n)
		return add(p, path, value);
	if (take(p, path, &place, &old))
		return -1;
	if (place.depth + kith_json_value_depth(value) > KITH_JSON_DEPTH)
		return refuse(p, "nested too deeply");
	put(p, &place, value);
	return 0;
}

static int
move(struct patch *p, const struct kith_json_value *from, const struct kith_json_value *path)
{
	struct kith_json_value *value;
	struct place place;
	bool inside = path->n >= from->n && !memcmp(from->text, path->text, from->n);

	if (inside && path->n == from->n)
		return find_existing(p, from, &place);
	if (inside && path->text[from->n] == '/')
		return refuse(p, "a value cannot move into itself");
	return take(p, from, &place, &value) || add(p, path, value) ? -1 : 0;
}

static int
copy(struct patch *p, const struct kith_json_value *from, const struct kith_json_value *path)
{
	struct place place;

	if (find_existing(p, from, &place))
		return -1;
	/* Each copy is at most what was there: doubling is stopped soon enough. */
	if (p->copied > KITH_JSON_VALUES)
		return refuse(p, "too many values");
	return add(p, path, kith_json_value_copy(p->arena, value_at(p, &place), &p->copied));
}

static int
test(struct patch *p, const struct kith_json_value *path, const struct kith_json_value *value)
{
	struct place place;

	if (find_existing(p, path, &place))
		return -1;
	return kith_json_value_equal(value_at(p, &place), value) ? 0 : refuse(p, "a test failed");
}

static bool
is_text(const struct kith_json_value *v, const char *text)
{
	return v->n == strlen(text) && !memcmp(v->text, text, v->n);
}

static int
missing(struct patch *p, const char *member)
{
	return refuse(p, kith_format(p->arena, "\"%s\" is missing, or not what it must be", member));
}

/* Members that the operation does not know are ignored (section 4). */
static int
apply(struct patch *p, struct kith_json_value *operation)
{
	struct kith_json_value *op = kith_json_value_get(operation, "op");
	struct kith_json_value *path = kith_json_value_get(operation, "path");
	struct kith_json_value *from = kith_json_value_get(operation, "from");
	struct kith_json_value *value = kith_json_value_get(operation, "value");
	struct kith_json_value *old;
	struct place place;

	if (!op || op->type != KITH_JSON_STRING)
		return missing(p, "op");
	if (!path || path->type != KITH_JSON_STRING)
		return missing(p, "path");
	if (is_text(op, "remove"))
		return path->n ? take(p, path, &place, &old) : refuse(p, "the whole document cannot be removed");
	if (is_text(op, "move") || is_text(op, "copy")) {
		if (!from || from->type != KITH_JSON_STRING)
			return missing(p, "from");
		return is_text(op, "move") ? move(p, from, path) : copy(p, from, path);
	}
	if (!is_text(op, "add") && !is_text(op, "replace") && !is_text(op, "test"))
		return refuse(p, "\"op\" is unknown");
	if (!value)
		return missing(p, "value");
	if (is_text(op, "test"))
		return test(p, path, value);
	return is_text(op, "add") ? add(p, path, value) : replace(p, path, value);
}

int
kith_json_patch_apply(struct kith_arena *a, struct kith_json_value **document, struct kith_json_value *patch,
    const char **error)
{
	struct patch p = { .arena = a, .document = *document };

	*error = NULL;
	if (patch->type != KITH_JSON_ARRAY) {
		*error = "a patch is an array of operations";
		return -1;
	}
	for (size_t i = 0; i < patch->n; i++) {
		if (apply(&p, kith_json_value_at(patch, i))) {
			*error = kith_format(a, "operation %zu: %s", i, p.error);
			return -1;
		}
	}
	*document = p.document;
	return 0;
}
