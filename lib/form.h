/*
 * application/x-www-form-urlencoded: what Stripe takes, and how a text goes
 * into a URL.
 */
#ifndef KITH_FORM_H
#define KITH_FORM_H

struct kith_buf;

/* Appends text with everything encoded but letters, digits and "-._~" (RFC 3986, section 2.3). */
void kith_form_encode(struct kith_buf *out, const char *text);

/*
 * Appends a field, with "&" before it unless it is the first.  A nested one is
 * named as it is found: "line_items[0][price]".  A value that is NULL makes none.
 */
void kith_form_field(struct kith_buf *out, const char *name, const char *value);

#endif
