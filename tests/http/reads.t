#!/usr/bin/perl
# Reading rows: what select shapes, how order and paging cut, which form the answer takes.

use v5.36;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users(qw(ana ben));
my $object = 'application/vnd.pgrst.object+json';

my ($morning, $empty) = $ana->make(
	conversations => [
		{
			title => 'Morning', created_at => '2026-01-02T03:04:05.678901Z',
			metadata => { tags => [ 'a', 'b' ], n => { deep => 1 } }
		},
		{ title => 'Empty', created_at => '2026-01-03T00:00:00Z', metadata => {} },
	]
);
my @messages = $ana->make(
	messages => [
		map { {
			conversation_id => $morning->{id}, role => $_ % 2 ? 'user' : 'assistant',
			content => "message $_",
			created_at => sprintf('2026-01-02T00:%02d:00Z', $_),
			metadata => $_ == 1 ? { mood => 'calm' } : {},
		} } 1 .. 13
	]
);
# As PostgreSQL has them by now: the messages are counted.
my $as_json =
    $k->sql("select json_agg(c order by created_at) from public.conversations c where user_id = '@{[ $ana->id ]}'");
($morning, $empty) = @{ JSON::PP::decode_json($as_json) };
my $all = "/rest/v1/messages?select=sequence_number&conversation_id=eq.$morning->{id}";
my @numbers = (1 .. 13);
sub numbers (@list) { [ map { { sequence_number => $_ } } @list ] }

# Example 1.
my $reply = $ana->get('/rest/v1/conversations?select=*&order=created_at', 'Accept-Profile' => 'public');
is_json $reply, 200, [ $morning, $empty ], 'every column comes without select=';
is_header $reply, 'Content-Range', '0-1/*', 'the range of a plain read has no total';
is $reply->json->[0]{created_at}, '2026-01-02T03:04:05.678901+00:00', 'timestamps look as row_to_json prints them';
is_json $ana->get('/rest/v1/conversations?order=created_at'), 200, [ $morning, $empty ],
    'absent select means all columns';
is_json $ana->get("/rest/v1/conversations?select=*,id&id=eq.$empty->{id}"), 200, [$empty],
    'a column named beside * comes once in JSON';

# Example 2.
is_text $ana->get(
"/rest/v1/messages?select=id,text:content,mood:metadata->>mood,at:created_at::date&conversation_id=eq.$morning->{id}&order=sequence_number&limit=1"
    ),
    200, qq([{"id":"$messages[0]{id}","text":"message 1","mood":"calm","at":"2026-01-02"}]),
    'alias, JSON path and cast shape a row, keys in the order of select';

for my $case (
	[ 'title,metadata->tags', '{"title":"Morning","tags":["a", "b"]}', 'an arrow path is named by its last key' ],
	[ 'metadata->tags->0', '{"tags":"a"}', 'a trailing index takes the name of the nearest key' ],
	[ 'metadata->tags->>-1', '{"tags":"b"}', 'a negative index counts from the end' ],
	[ 'metadata->n->>deep', '{"deep":"1"}', '->> gives text' ],
	[ 'metadata->n->deep', '{"deep":1}', '-> gives JSON' ],
	[ 'metadata->nothing->here', '{"here":null}', 'an absent path is null' ],
	[ 'x:summary_count::text', '{"x":"0"}', 'a number cast to text is a string' ],
	[ '"title"', '{"title":"Morning"}', 'a quoted name is a name' ],
	[ 'my title:title', '{"my title":"Morning"}', 'an alias may hold a blank' ],
	[ '"a,b":title', '{"a,b":"Morning"}', 'a quoted alias may hold a comma' ],
	[ ' title , summary_count ', '{"title":"Morning","summary_count":0}', 'blanks around items do not count' ],
	[ 'über:title', '{"über":"Morning"}', 'an alias may hold letters beyond ASCII' ],
	[ 'user_id->x', '{"x":null}', 'a path into a column that is no JSON looks into its to_jsonb' ],
) {
	my ($select, $want, $name) = @$case;
	my $got = $ana->get("/rest/v1/conversations?select=$select&id=eq.$morning->{id}");
	utf8::encode($want);
	is $got->status . $got->body, "200[$want]", $name;
}
is_text $ana->get("/rest/v1/conversations?select=&id=eq.$morning->{id}"), 200, '[{}]',
    'an empty select gives rows without columns';

# Examples 9 and 10.
$reply = $ana->get("$all&order=created_at.desc,id.asc&offset=10&limit=10");
is_json $reply, 200, numbers(3, 2, 1), 'the last page holds what is left';
is_header $reply, 'Content-Range', '10-12/*', 'its range says where it lies';
$reply = $ana->get("$all&order=sequence_number&offset=0&limit=10", Prefer => 'count=exact');
is_json $reply, 206, numbers(1 .. 10), 'a page of a counted read is 206';
is_header $reply, 'Content-Range', '0-9/13', 'its range has the total';
is_header $reply, 'Preference-Applied', 'count=exact', 'the preference is confirmed';
$reply = $ana->get("$all&order=sequence_number", Prefer => 'count=exact');
is_json $reply, 200, numbers(@numbers), 'a counted read of everything is 200';
is_header $reply, 'Content-Range', '0-12/13', 'and its range is whole';

# Example 11.
$reply =
    $ana->head("/rest/v1/messages?select=*&conversation_id=eq.$morning->{id}&role=eq.user", Prefer => 'count=exact');
is_text $reply, 200, '', 'HEAD has no body';
is_header $reply, 'Content-Range', '0-6/7', 'HEAD has the headers of GET';

# Examples 12 to 14.
$reply = $ana->get("/rest/v1/conversations?select=id,title&id=eq.$morning->{id}", Accept => $object);
is_json $reply, 200, { id => $morning->{id}, title => 'Morning' }, 'the singular form is an object';
is_header $reply, 'Content-Type', "$object; charset=utf-8", 'the singular form says so';
is_json $ana->get('/rest/v1/conversations?select=*&id=eq.' . uuid, Accept => $object), 406, {
	code => 'PGRST116', message => 'Cannot coerce the result to a single JSON object', hint => undef,
	details =>
	    'The result contains 0 rows. Results contain 0 rows, application/vnd.pgrst.object+json requires 1 row',
    },
    'the singular form of no row is PGRST116 in the words that every SDK knows';
is_json $ana->get('/rest/v1/conversations', Accept => $object), 406, {
	code => 'PGRST116', message => 'Cannot coerce the result to a single JSON object', hint => undef,
	details => qr/^The result contains 2 rows\b.*Results contain 2 rows/,
    },
    'the singular form of two rows counts them';
$reply = $ana->get('/rest/v1/conversations?id=eq.' . uuid);
is_json $reply, 200, [], 'no row is an empty array';
is_header $reply, 'Content-Range', '*/*', 'no row has no range';

# Order.
for my $case (
	[ 'sequence_number.desc', [ 13, 12 ], 'descending' ],
	[ 'sequence_number.asc', [ 1, 2 ], 'ascending' ],
	[ 'sequence_number', [ 1, 2 ], 'ascending by default' ],
	[ 'role.asc,sequence_number.desc', [ 12, 10 ], 'by two columns' ],
	[ 'metadata->>mood.desc.nullslast,sequence_number', [ 1, 2 ], 'by a JSON path, nulls last' ],
	[ 'metadata->>mood.asc.nullsfirst,sequence_number', [ 2, 3 ], 'nulls first' ],
	[ 'metadata->>mood.nullslast,sequence_number', [ 1, 2 ], 'nulls without direction' ],
	[ '"sequence_number".desc', [ 13, 12 ], 'by a quoted name' ],
	[ ' sequence_number.desc , id ', [ 13, 12 ], 'blanks around terms' ],
) {
	my ($order, $want, $name) = @$case;
	is_json $ana->get("$all&limit=2&order=$order"), 200, numbers(@$want), "order: $name";
}

# Paging at its edges.
$reply = $ana->get("$all&limit=0");
is_json $reply, 200, [], 'limit=0 gives no row';
is_header $reply, 'Content-Range', '*/*', 'and no range';
is_json $ana->get("$all&offset=100"), 200, [], 'an offset behind the end gives no row';
$reply = $ana->get("$all&offset=100", Prefer => 'count=exact');
is_status $reply, 416, 'PGRST103', 'a counted read behind the end is 416';
is_header $reply, 'Content-Range', '*/13', 'which still says the total';
is_status $ana->get("$all&limit=-1"), 416, 'PGRST103', 'a negative limit is 416';
is_status $ana->get("$all&offset=13", Prefer => 'count=exact'), 206,
    'an offset equal to the total is not behind the end';
is_status $ana->get("$all&limit=abc"), 400, 'PGRST100', 'a limit that is no number is refused';
is_status $ana->get("$all&offset=1.5"), 400, 'PGRST100', 'an offset that is no integer is refused';
is_status $ana->get("$all&limit=99999999999999999999999"), 400, 'a limit beyond 64 bits is refused';
is_json $ana->get("$all&limit=9223372036854775807&order=sequence_number"), 200, numbers(@numbers),
    'the largest limit is no limit';

# Range, as very old clients send it.
$reply = $ana->get("$all&order=sequence_number", Range => '2-4', 'Range-Unit' => 'items');
is_json $reply, 200, numbers(3, 4, 5), 'a Range header pages';
is_header $reply, 'Content-Range', '2-4/*', 'and is answered in kind';
is_json $ana->get("$all&order=sequence_number&offset=1&limit=5", Range => '2-20'), 200, numbers(3 .. 6),
    'Range and limit intersect';
is_status $ana->get($all, Range => '4-2'), 416, 'PGRST103', 'a Range that ends before it begins is 416';
is_json $ana->get("$all&order=sequence_number", Range => 'bytes=0-1'), 200, numbers(@numbers),
    'a Range of bytes is not ours and ignored';

# Accept.
for my $case (
	[ undef, 200, 'application/json' ],
	[ '*/*', 200, 'application/json' ],
	[ 'application/json', 200, 'application/json' ],
	[ 'text/html, application/json;q=0.5', 200, 'application/json' ],
	[ 'application/vnd.pgrst.array+json', 200, 'application/vnd.pgrst.array+json' ],
	[ 'Application/JSON', 200, 'application/json' ],
	[ 'application/json;nulls=stripped', 200, qr{^application/json} ],
	[ 'application/*', 200, 'application/json' ],
	[ 'text/html', 406, undef ],
	[ 'application/xml, text/html', 406, undef ],
	[ 'application/vnd.pgrst.plan+text', 406, undef ],
) {
	my ($accept, $status, $type) = @$case;
	my $answer = $ana->get("$all&limit=1", Accept => $accept);
	my $name = 'Accept ' . ($accept // 'absent');
	if ($status == 200) {
		is_status $answer, 200, "$name is served";
		is_header $answer, 'Content-Type', ref $type ? $type : "$type; charset=utf-8", "$name: as its type";
	} else {
		is_status $answer, 406, 'PGRST107', "$name is refused";
	}
}
is_json $ana->get("/rest/v1/conversations?select=title,summary&id=eq.$morning->{id}",
	Accept => 'application/vnd.pgrst.array+json;nulls=stripped'),
    200, [ { title => 'Morning' } ], 'nulls=stripped strips nulls';
is_json $ana->get("/rest/v1/conversations?select=title,summary&id=eq.$morning->{id}",
	Accept => "$object;nulls=stripped"),
    200, { title => 'Morning' }, 'also of a single object';
is_json $ana->get("/rest/v1/conversations?select=title&id=eq.$morning->{id}", Accept => 'application/vnd.pgrst.object'),
    200, { title => 'Morning' }, 'the suffix of the vendor type may be missing';

# Headers and forms that SDKs send without need.
is_json $ana->get("$all&limit=1&order=sequence_number", 'Content-Type' => 'application/json', Prefer => '',
	'Content-Profile' => 'nowhere', 'X-Client-Info' => 'x', 'X-Retry-Count' => 1),
    200, numbers(1), 'headers that mean nothing on a read are ignored';
is_json $ana->get("/rest/v1/messages?"), 200, sub ($got) { @$got == 13 }, 'a trailing question mark is an empty query';
is_status $ana->get('/rest/v1/m%65ssages?limit=1'), 200, 'a percent-encoded table name is decoded';
is_status $ana->get('/rest/v1/messages?select=id,x:content,&limit=1'), 400, 'PGRST100',
    'a trailing comma in select is refused';

# What PostgreSQL prints is what the client gets.
my $table = $k->unique('forms');
$k->later(sub { $k->sql("drop table if exists public.$table") });
$k->sql(<<"SQL");
create table public.$table (
    id int primary key, big bigint, num numeric, r real, d double precision, b boolean, t text, v varchar(9), c char(4),
    day date, at timestamptz, wall timestamp, tod time, iv interval, u uuid, j json, jb jsonb, by bytea,
    texts text[], ints int[], span int4range, addr inet, words tsvector, m money
);
grant select on public.$table to authenticated;
insert into public.$table values
 (1, 9223372036854775807, 1.10, 0.1, 1e300, true, E'q"\\\\ \\t\\n\\u0001 é 𝄞', 'v', 'c', '2026-02-28', '2026-01-02 03:04:05.6+02', '0044-03-15 12:00 BC', '23:59:59.5',
  '1 day 2 hours', '00000000-0000-0000-0000-00000000000A', '{"b" : 1,  "a":[1,2]}', '{"b" : 1,  "a":[1,2]}', '\\x00ff', '{a,NULL,"b c"}', '{1,2}', '[1,5)', '10.0.0.1', 'a:1', '1.5'),
 (2, -1, 'NaN', 'Infinity', '-Infinity', false, '', '', '', 'infinity', '-infinity', 'infinity', '00:00', '-1 mon', null, 'null', '"s"', '', '{}', null, 'empty', null, null, null),
 (3, null, 123456789012345678901234567890.123456789, -0.0, 5e-324, null, null, null, null, '0001-01-01', '9999-12-31 23:59:59.999999+00', null, null, null, null, '[]', '1.50', null, null, null, null, null, null, null);
SQL
my $want = $k->sql(
"set timezone = 'UTC'; select '[' || string_agg(row_to_json(x)::text, ',' order by id) || ']' from public.$table x"
);
$reply = $ana->get("/rest/v1/$table?order=id");
is $reply->status, 200, 'a table of every type is read';
is $reply->body, $want, 'every type is printed byte for byte as row_to_json prints it';

done_testing;
