/* Goal: a browser with a session in its address goes to the app, and to nobody else. */
#include "unit.h"

#include "redirect_url.h"

#define SITE "https://app.example.org"

static const char *const patterns[] = { "https://*.preview.example.net/**", "https://app.example.org:8443/cb", "myapp://callback",
	"com.example.app:/oauth", "https://one.example.com/*/cb?", "https://10.0.0.1/**", "https://**.wide.example/x", NULL };

static void
check(const char *const *urls, const char *site, bool allowed)
{
	for (; *urls; urls++)
		if (kith_redirect_url_allowed(*urls, site, patterns) != allowed)
			fail_msg("%s: %s", allowed ? "refused" : "allowed", *urls);
}

static void
site(void **state)
{
	static const char *const good[] = { SITE, SITE "/", SITE "/a/b?c=d#e", SITE ":443/x", "HTTPS://APP.example.ORG/x", NULL };
	static const char *const bad[] = { "", "/path", "//app.example.org", "http://app.example.org/", SITE ":444/", SITE ".evil.com/",
		"https://evil.com/" SITE, "https://evil.com?" SITE, "https://evil.com#" SITE, "https://app.example.org@evil.com/",
		"https://app.example.org:443@evil.com/", "https:\\\\app.example.org", "https://evil.com\\@app.example.org",
		"https://evil.com\\.app.example.org", " " SITE, SITE "/\n", SITE "/\tx", SITE "/\xc3\xa9", "https:app.example.org",
		"https:///app.example.org", "https://", "https://app.example.org:", "https://app.example.org:x", "https://sub.app.example.org/",
		"https://xapp.example.org/", SITE "/../x", SITE "/a/%2e%2e/x", SITE "/a%2Fb", NULL };

	(void)state;
	check(good, SITE, true);
	check(bad, SITE, false);
}

static void
loopback(void **state)
{
	static const char *const any_port[] = { "http://localhost:3000/", "http://localhost/", "http://localhost:49152/cb", NULL };
	static const char *const other[] = { "https://localhost:3000/", "http://127.0.0.1:3000/", "http://localhost.evil.com/", NULL };
	static const char *const number[] = { "http://127.0.0.1:9999/x", NULL }, *const six[] = { "http://[::1]:9999/x", NULL };

	(void)state;
	check(any_port, "http://localhost:3000", true);
	check(other, "http://localhost:3000", false);
	check(number, "http://127.0.0.1:3000", true);
	check(six, "http://[::1]:3000", true);
}

static void
listed(void **state)
{
	static const char *const good[] = { "https://a.preview.example.net/", "https://a-b.preview.example.net/x/y.html?z=1#f",
		"https://app.example.org:8443/cb", "https://app.example.org:8443/cb#x", "myapp://callback", "com.example.app:/oauth",
		"https://one.example.com/en/cb1", "https://a.b.wide.example/x", NULL };
	static const char *const bad[] = { "https://a.b.preview.example.net/", "https://preview.example.net/", "https://.preview.example.net.evil.com/",
		"https://evil.com/.preview.example.net/", "https://a.preview.example.net", "https://app.example.org:8443/cb/x",
		"https://app.example.org:8443/cb?x", "myapp://callback/x", "myapp://other", "com.example.app:/oauth2", "https://one.example.com/en/x/cb1",
		"https://one.example.com/en/cb", "https://one.example.com/en/cb/", "https://a.preview.example.net@evil.com/x",
		"https://evil.com/x#https://a.preview.example.net/", NULL };

	(void)state;
	check(good, SITE, true);
	check(bad, SITE, false);
}

static void
never(void **state)
{
	static const char *const everything[] = { "**", NULL };
	static const char *const bad[] = { "javascript:alert(1)", "JavaScript://x/%0aalert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd",
		"https://10.0.0.1/x", "https://2130706433/", "https://0x7f.1/", "https://127.1/", "https://1.2.3.4./", "https://[::ffff:10.0.0.1]/",
		"https://user@x.org/", "https://user:secret@x.org/", "https://x.org/a b", "x.org", ":", "1x://y", NULL };

	(void)state;
	for (const char *const *url = bad; *url; url++)
		if (kith_redirect_url_allowed(*url, SITE, everything))
			fail_msg("allowed: %s", *url);
	assert_true(kith_redirect_url_allowed("https://x.org/", SITE, everything));
	assert_true(kith_redirect_url_allowed("https://3com.com/", SITE, everything));
	assert_false(kith_redirect_url_allowed("https://x.org/", SITE, NULL));
	assert_false(kith_redirect_url_allowed("https://x.org/", NULL, NULL));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("the site is allowed by scheme, host and port, however it is disguised", site),
		unit_that("on the machine itself any port is", loopback),
		unit_that("patterns stop where they should", listed),
		unit_that("numbers, user names and active schemes are never allowed", never),
	};

	return unit_run(tests);
}
