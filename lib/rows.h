/*
 * Results as text: JSON to the same bytes as row_to_json, and CSV.
 */
#ifndef KITH_ROWS_H
#define KITH_ROWS_H

#include <libpq-fe.h>
#include <stdbool.h>

struct kith_buf;

/* Which part of a result is written. */
struct kith_rows {
	const PGresult *result;
	int first;	/* first row */
	int nrows;
	int ncolumns;	/* leading columns: what the planner added behind them is left out */
	bool strip_nulls;	/* no members that are null, at any depth of JSON */
};

/* [{"id":1,"name":"a"},...] */
void kith_rows_array(struct kith_buf *out, const struct kith_rows *rows);

/* The first row alone: {"id":1,"name":"a"} */
void kith_rows_object(struct kith_buf *out, const struct kith_rows *rows);

/* The first column of every row: [1,2,3]; with one, of the first row alone. */
void kith_rows_values(struct kith_buf *out, const struct kith_rows *rows, bool one);

/* Header line and rows; NULL is an empty field, an empty text is "" (RFC 4180; LF; none at the end). */
void kith_rows_csv(struct kith_buf *out, const struct kith_rows *rows);

#endif
