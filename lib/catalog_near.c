/*
 * "Perhaps you meant": the name that takes the fewest edits.
 */
#include <string.h>

#include "catalog_internal.h"

#define MAX_NAME 64	/* of PostgreSQL: 63 bytes */

struct nearest {
	const char *wanted;
	const char *name;
	size_t edits;
};

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Letters to insert, take away, replace or swap with their neighbour; of names shorter than MAX_NAME. */
static size_t
distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][MAX_NAME + 1], *last = rows[0], *row = rows[1], *before_last = rows[2];

	for (size_t k = 0; k <= nb; k++)
		row[k] = k;
	for (size_t i = 1; i <= na; i++) {
		size_t *oldest = before_last;

		before_last = last;
		last = row;
		row = oldest;
		row[0] = i;
		for (size_t k = 1; k <= nb; k++) {
			row[k] = least(last[k] + 1, row[k - 1] + 1);
			row[k] = least(row[k], last[k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				row[k] = least(row[k], before_last[k - 2] + 1);
		}
	}
	return row[nb];
}

/* Near is what differs in at most two letters of five: "mesages" is near "messages", "nme" near "name". */
static void
consider(struct nearest *n, const char *name)
{
	size_t na = strlen(n->wanted), nb = strlen(name), edits;

	if (na >= MAX_NAME || nb >= MAX_NAME)
		return;
	edits = distance(n->wanted, na, name, nb);
	if (edits * 5 <= 2 * (na > nb ? na : nb) && (!n->name || edits < n->edits)) {
		n->name = name;
		n->edits = edits;
	}
}

const char *
kith_catalog_nearest_relation(const struct kith_catalog *c, const char *schema, const char *name)
{
	struct nearest n = { .wanted = name };

	for (size_t i = 0; i < c->nrelations; i++)
		if (!strcmp(c->relations[i].schema, schema))
			consider(&n, c->relations[i].name);
	return n.name;
}

const char *
kith_catalog_nearest_function(const struct kith_catalog *c, const char *schema, const char *name)
{
	struct nearest n = { .wanted = name };

	for (size_t i = 0; i < c->nfunctions; i++)
		if (!strcmp(c->functions[i].schema, schema))
			consider(&n, c->functions[i].name);
	return n.name;
}

const char *
kith_catalog_nearest_column(const struct kith_relation *r, const char *name)
{
	struct nearest n = { .wanted = name };

	for (size_t i = 0; i < r->ncolumns; i++)
		consider(&n, r->columns[i].name);
	return n.name;
}

const char *
kith_catalog_nearest_related(const struct kith_catalog *c, const struct kith_relation *from, const char *name)
{
	struct nearest n = { .wanted = name };
	const struct kith_relationship *way;
	size_t nways = kith_catalog_relationships(c, from, &way);

	for (size_t i = 0; i < nways; i++)
		consider(&n, way[i].to->name);
	return n.name;
}
