/*
 * Where a browser may be sent with a session in its address: the app, and what
 * the settings list.  Contract: authentication, B7.
 */
#ifndef KITH_REDIRECT_URL_H
#define KITH_REDIRECT_URL_H

#include <stdbool.h>

/*
 * Whether url may be redirected to: it has scheme, host and port of site (any
 * port when that is the machine itself), or fits one of the patterns, which end
 * with NULL and may be NULL.  In a pattern "*" stands for anything up to the
 * next "/" or ".", "**" for anything at all, "?" for one character but these
 * two; the fragment is not looked at.
 *
 * Never allowed are URLs that two readers could understand in different ways
 * (user names, backslashes, blanks, "..", encoded dots), numbers as hosts
 * unless they are the site's, and schemes that a browser runs or shows itself
 * (javascript:, data:).
 */
bool kith_redirect_url_allowed(const char *url, const char *site, const char *const *patterns);

#endif
