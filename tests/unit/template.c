/* Goal: values are filled in, escaped in html, and nothing else is understood. */
#include "unit.h"

#include <string.h>

#include "arena.h"
#include "buf.h"
#include "json.h"
#include "template.h"

static const char json[] =
    "{\"Email\":\"a<b>&\\\"'@x\",\"Token\":\"012345\",\"Data\":{\"name\":\"Ana\",\"age\":7,\"is\":true,\"not\":false,"
    "\"no\":null,\"list\":[1],\"deep\":{\"er\":\"x\"}},\"Loop\":\"{{ .Token }}\"}";

/* The template filled in, or what is wrong with it. */
static const char *
fill(const char *template, bool html)
{
	struct kith_arena *a = unit_request()->arena;
	const struct kith_json *data = kith_json_parse(a, json, strlen(json), NULL);
	struct kith_buf out;
	const char *wrong;

	kith_buf_init(&out, a, 0);
	wrong = kith_template_fill(&out, template, strlen(template), data, html);
	return wrong ? wrong : out.s;
}

static void
filled(void **state)
{
	static const char *const table[][2] = {
		{ "", "" },
		{ "no value", "no value" },
		{ "{{ .Token }}", "012345" },
		{ "{{.Token}}{{ .Token}}{{\t.Token\t}}", "012345012345012345" },
		{ "a {{ .Data.name }} b", "a Ana b" },
		{ "{{ .Data.deep.er }}{{ .Data.age }}{{ .Data.is }}{{ .Data.not }}", "x7truefalse" },
		{ "<{{ .Missing }}{{ .Data.no }}{{ .Data.list }}{{ .Data }}{{ .Data.name.x }}{{ .Token.x.y }}>", "<>" },
		{ "{ {.Token} } }}", "{ {.Token} } }}" },
		/* A value is no template. */
		{ "{{ .Loop }}", "{{ .Token }}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		assert_string_equal(fill(table[i][0], false), table[i][1]);
}

static void
escaped(void **state)
{
	(void)state;
	assert_string_equal(fill("<p title=\"{{ .Email }}\">", true), "<p title=\"a&lt;b&gt;&amp;&#34;&#39;@x\">");
	assert_string_equal(fill("{{ .Email }}", false), "a<b>&\"'@x");
}

static void
refused(void **state)
{
	static const char *const table[][2] = {
		{ "{{", "line 1: {{ is not closed" },
		{ "a\nb {{ .Token", "line 2: {{ is not closed" },
		{ "{{ .Token }}\n\n{{ if .Token }}", "line 3: only values like {{ .Email }} can be filled in" },
		{ "{{ Token }}", "line 1: only values like {{ .Email }} can be filled in" },
		{ "{{ }}", "line 1: only values like {{ .Email }} can be filled in" },
		{ "{{ . }}", "line 1: only values like {{ .Email }} can be filled in" },
		{ "{{ .Token. }}", "line 1: only values like {{ .Email }} can be filled in" },
		{ "{{ ..Token }}", "line 1: only values like {{ .Email }} can be filled in" },
		{ "{{ .Token | html }}", "line 1: only values like {{ .Email }} can be filled in" },
		{ "{{ .To\nken }}", "line 1: only values like {{ .Email }} can be filled in" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		assert_string_equal(fill(table[i][0], false), table[i][1]);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("names become values, and what has none becomes nothing", filled),
		unit_that("values cannot become html", escaped),
		unit_that("what is no value is refused, with its line", refused),
	};

	return unit_run(tests);
}
