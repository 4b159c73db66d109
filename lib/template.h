/*
 * Templates: text in which {{ .Name }} stands for a value.
 *
 * The notation is the one that templates for Supabase use, of which only the
 * values are known here: no conditions and no loops.  {{ .Data.color }} is a
 * member of a member.
 */
#ifndef KITH_TEMPLATE_H
#define KITH_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

struct kith_buf;
struct kith_json;

/*
 * Appends the template (p, n) with the values of data, an object, filled in; in
 * html they are escaped.  Text, numbers, true and false have a value; what is
 * absent, or anything else, is empty.  Returns NULL, or what is wrong with the
 * template.
 */
const char *kith_template_fill(struct kith_buf *out, const char *p, size_t n, const struct kith_json *data, bool html);

#endif
