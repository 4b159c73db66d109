#!/usr/bin/perl
# Writing rows: insert, bulk insert, update, delete, and what a body may look like.

use v5.36;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users(qw(ana ben));
my $object = 'application/vnd.pgrst.object+json';
my @return = (Prefer => 'return=representation');

my $table = $k->unique('box');
$k->later(sub { $k->sql("drop table if exists public.$table") });
$k->sql(<<"SQL");
create table public.$table (
    id int primary key, name text default 'unnamed', n numeric default 7, doc jsonb, raw json, tags text[] default '{new}',
    grid int[], at timestamptz, made int generated always as (id * 2) stored, "odd ""name" text, positive int check (positive > 0)
);
grant select, insert, update, delete on public.$table to authenticated;
SQL
my $path = "/rest/v1/$table";
sub value ($id, $column) { $k->sql("select $column from public.$table where id = $id") }

# Example 15.
my $morning = $ana->make(conversations => { title => 'Morning' });
my $reply = $ana->post('/rest/v1/messages', { conversation_id => $morning->{id}, role => 'user', content => 'héllo' },
	'Content-Profile' => 'public');
is_text $reply, 201, '', 'an insert answers 201 without a body';
is_header $reply, 'Content-Range', '*/*', 'its range is unknown';
is_header $reply, 'Content-Length', '0', 'its length is 0';
is_json $ana->get('/rest/v1/messages?select=content'), 200, [ { content => 'héllo' } ],
    'the text is stored as it was sent';

# Example 16.
$reply = $ana->post('/rest/v1/conversations?select=id,title', { title => 'New' }, @return, Accept => $object);
is_json $reply, 201, { id => qr/^[0-9a-f-]{36}$/, title => 'New' }, 'an insert returns what select shapes';
is_header $reply, 'Preference-Applied', 'return=representation', 'and confirms it';
is_header $reply, 'Content-Type', "$object; charset=utf-8", 'in the form that was asked for';

# Example 17.
$reply = $ana->post(
	'/rest/v1/messages?columns="conversation_id","content","role"&select=content,role,sequence_number',
	[
		{ conversation_id => $morning->{id}, content => 'a', role => 'assistant' },
		{ conversation_id => $morning->{id}, content => 'b', role => 'user' }
	],
	Prefer => 'missing=default, return=representation'
);
is_json $reply, 201,
    [ { content => 'a', role => 'assistant', sequence_number => 2 },
	{ content => 'b', role => 'user', sequence_number => 3 } ], 'a bulk insert numbers its rows';
is_header $reply, 'Preference-Applied', 'missing=default, return=representation', 'both preferences are confirmed';
is_header $reply, 'Content-Range', '*/*', 'a bulk insert has no total unless asked';

# Which columns a body names.
is_json $ana->post("$path?select=name,n,tags", { id => 1 }, @return), 201,
    [ { name => 'unnamed', n => 7, tags => ['new'] } ], 'defaults apply to what one object leaves out';
is_json $ana->post("$path?columns=id,name,n&select=id,name,n,tags&order=id",
	[ { id => 2, name => 'x' }, { id => 3, n => 1 } ], @return),
    201, [ { id => 2, name => 'x', n => undef, tags => ['new'] }, { id => 3, name => undef, n => 1, tags => ['new'] } ],
    'a listed column that a row leaves out is null, an unlisted one takes its default';
is_json $ana->post("$path?columns=id,name,n&select=id,name,n&order=id",
	[ { id => 4, name => 'x' }, { id => 5, n => undef } ], Prefer => 'missing=default,return=representation'),
    201, [ { id => 4, name => 'x', n => 7 }, { id => 5, name => 'unnamed', n => undef } ],
    'missing=default takes the default; null stays null';
is_json $ana->post("$path?columns=id,name&select=id,name,n", { id => 6, name => 'x', n => 99, junk => 1 }, @return),
    201, [ { id => 6, name => 'x', n => 7 } ], 'keys outside of columns are ignored';
is_json $ana->post("$path?columns=" . '"id","odd \\"name"' . '&select=' . '"odd \\"name"',
	{ id => 7, 'odd "name' => 'y' }, @return), 201, [ { 'odd "name' => 'y' } ], 'a column name with a quote';
is_status $ana->post($path, [ { id => 8 }, { id => 9, name => 'x' } ]), 400, 'PGRST102',
    'rows with different keys need columns=';
is $ana->post($path, [ { id => 8 }, { id => 9, name => 'x' } ])->message, 'All object keys must match',
    'in these words';
is_json $ana->post($path, [ { id => 8, name => 'a' }, { name => 'b', id => 9 } ], @return), 201, [ row(8), row(9) ],
    'the order of keys does not matter';
sub row ($id) {
	return sub ($row) { $row->{id} == $id }
}
is_text $ana->post($path, []), 201, '', 'an empty array inserts nothing';
is_json $ana->post($path, [], @return), 201, [], 'and returns nothing';
is_json $ana->post("$path?columns=id,name", [], @return), 201, [], 'also with columns';
is_json $ana->post('/rest/v1/conversations?select=title,summary_count', {}, @return), 201,
    [ { title => undef, summary_count => 0 } ], 'an empty object is a row of defaults';
for my $case (
	[ { id => 20, nope => 1 }, '' ],
	[ { id => 20 }, '?columns=id,nope' ],
	[ [ { id => 20, nope => 1 } ], '' ],
) {
	my ($body, $query) = @$case;
	my $refused = $ana->post("$path$query", $body);
	is_status $refused, 400, 'PGRST204', 'an unknown column is refused';
	is $refused->message, "Could not find the 'nope' column of '$table' in the schema cache", 'and named';
}
is_status $ana->post($path, { id => 20, made => 3 }), 400, '428C9', 'a generated column is refused';

# Types.
for my $case (
	[ 'doc', '{"a":[1,{"b":null}]}', '{"a": [1, {"b": null}]}', 'an object into jsonb' ],
	[ 'doc', '"text"', '"text"', 'a string into jsonb' ],
	[ 'doc', '[1,2]', '[1, 2]', 'an array into jsonb' ],
	[
		'doc', '12345678901234567890.123456789', '12345678901234567890.123456789',
		'a number into jsonb keeps its digits'
	],
	[ 'raw', '{"b" : 1,"a":1,"a":2}', '{"b" : 1,"a":1,"a":2}', 'json is stored as it was written' ],
	[ 'tags', '["a","b c",null]', '{a,"b c",NULL}', 'a JSON array into a text array' ],
	[ 'tags', '"{a,b}"', '{a,b}', 'an array literal into a text array' ],
	[ 'tags', '[]', '{}', 'an empty array' ],
	[ 'grid', '[[1,2],[3,4]]', '{{1,2},{3,4}}', 'nested arrays' ],
	[ 'n', '1.10', '1.10', 'a number keeps its zeros' ],
	[ 'n', '"1.10"', '1.10', 'a number sent as a string' ],
	[ 'n', '123456789012345678901234567890', '123456789012345678901234567890', 'a number beyond any double' ],
	[ 'n', '1e30', '1000000000000000000000000000000', 'an exponent' ], # C5
	[ 'n', '-0', '0', 'negative zero' ], # C5
	[ 'name', '12', '12', 'a number into text' ],
	[ 'name', 'true', 'true', 'true into text' ],
	[ 'name', '{"a":1}', '{"a":1}', 'an object into text' ],
	[ 'name', '""', '', 'the empty string' ],
	[ 'at', '"2026-01-02T03:04:05+02:00"', '2026-01-02 01:04:05+00', 'a time with its offset' ],
) {
	my ($column, $json, $want, $name) = @$case;
	$k->sql("delete from public.$table where id = 50");
	my $answer = $ana->post($path, qq({"id":50,"$column":$json}));
	is $answer->status . ' ' . $k->sql("set timezone = 'UTC'; select $column from public.$table where id = 50"),
	    "201 $want", $name;
}
for my $case (
	[ 'id', '1.5', '22P02', 'a fraction into an integer' ], # C5
	[ 'id', '9223372036854775808', '22003', '2^63 into an integer' ], # C5
	[ 'id', '"x"', '22P02', 'text into an integer' ],
	[ 'n', '"abc"', '22P02', 'text into a number' ],
	[ 'n', '1e400000', '22003', 'an exponent beyond all bounds' ], # C5
	[ 'tags', '"a"', '22P02', 'text into an array' ],
	[ 'tags', '{"a":1}', '22P02', 'an object into an array' ],
	[ 'grid', '[[1],[2,3]]', '22P02', 'a ragged array' ],
	[ 'at', '"soon"', '22007', 'a time that is none' ],
	[ 'positive', '-1', '23514', 'a value that a check forbids' ],
	[ 'id', 'null', '23502', 'null where none may be' ],
) {
	my ($column, $json, $code, $name) = @$case;
	my $fields = $column eq 'id' ? qq("id":$json) : qq("id":60,"$column":$json);
	is_status $ana->post($path, "{$fields}"), 400, $code, "$name is refused";
}
is $k->sql("select count(*) from public.$table where id = 60"), '0', 'and nothing of it is written';

# One request is one transaction.
is_status $ana->post($path, [ { id => 70 }, { id => 71 }, { id => 1 } ]), 409, '23505',
    'one bad row refuses the request';
is $k->sql("select count(*) from public.$table where id in (70, 71)"), '0', 'and no row of it stays'; # A2

# Example 27.
is_json $ana->post('/rest/v1/conversations', { id => $morning->{id} }), 409,
    { code => '23505', details => undef, hint => undef,
	message => 'duplicate key value violates unique constraint "conversations_pkey"' },
    'the same id twice is a conflict';

# Bodies that are none.  C3
for my $case (
	[ '', 'nothing' ], [ '  ', 'blanks' ], [ '{"id":100', 'cut off' ], [ '{"id":100}}', 'one brace too many' ],
	[ '{"id":100} {"id":101}', 'two documents' ],
	[ '1', 'a number' ], [ '"x"', 'a string' ], [ 'null', 'null' ], [ 'true', 'true' ],
	[ '[1,2]', 'an array of numbers' ], [ '[[{"id":100}]]', 'nested arrays' ],
	[ '[{"id":100},1]', 'a number among rows' ], [ '[null]', 'null among rows' ], [ '{"id":NaN}', 'NaN' ],
	[ '{"id":0100}', 'a leading zero' ], [ '{"id":+1}', 'a plus sign' ],
	[ "{'id':100}", 'single quotes' ], [ '{"id":100,}', 'a trailing comma' ], [ '{"id":100}//', 'a comment' ],
	[ "\xEF\xBB\xBF" . '{"id":100}', 'a byte order mark' ],
	[ "{\0\"\0i\0d\0\"\0:\0" . "1\0}\0", 'UTF-16' ], [ 'id=100', 'a form' ],
	[ '{"id":100,"name":"a' . "\n" . 'b"}', 'a raw line feed in a string' ], [ '{id:100}', 'a bare key' ],
) {
	my ($body, $name) = @$case;
	utf8::downgrade($body);
	is_status $ana->post($path, $body), 400, 'PGRST102', "a body of $name is refused";
	is_status $ana->patch("$path?id=eq.1", $body), 400, 'PGRST102', "also to update: $name" if $body !~ /^\[/;
}
for my $type ('text/plain', 'application/xml', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x') {
	is_status $ana->post($path, '{"id":100}', 'Content-Type' => $type), 415, "a body of $type is refused";
}
for my $type ('application/json; charset=utf-8', 'application/json;charset=UTF-8', 'Application/JSON',
	'application/vnd.pgrst.object+json') {
	is_text $ana->post($path, '{"id":100}', 'Content-Type' => $type), 201, '', "a body of $type is taken";
	$k->sql("delete from public.$table where id = 100");
}
is $k->sql("select count(*) from public.$table where id >= 100"), '0', 'nothing was written by what was refused';

# Duplicate keys: the last wins, as PostgreSQL has it.  C7
is_json $ana->post("$path?select=name", '{"id":110,"name":"first","name":"last"}', @return), 201,
    [ { name => 'last' } ], 'of two equal keys the last wins';

# Example 19 and 20.
my $theirs = $ben->make(conversations => { title => 'Ben' });
$reply = $ana->patch("/rest/v1/conversations?id=eq.$morning->{id}&select=id,title", { title => 'Dawn' }, @return);
is_json $reply, 200, [ { id => $morning->{id}, title => 'Dawn' } ], 'an update returns the row';
is_header $reply, 'Content-Range', '0-0/*', 'its range counts the rows';
$reply = $ana->patch("/rest/v1/conversations?id=eq.$morning->{id}", { title => 'Day' });
is_text $reply, 204, '', 'an update answers 204 without a body';
$reply = $ana->patch("/rest/v1/conversations?id=eq.$theirs->{id}", { title => 'x' });
is_text $reply, 204, '', 'an update of another user\'s row finds nothing';
is_header $reply, 'Content-Range', '*/*', 'and says so';
is_json $ana->patch("/rest/v1/conversations?id=eq.$theirs->{id}", { title => 'x' }, @return), 200, [],
    'with representation it is an empty array';
is_json $ben->get('/rest/v1/conversations?select=title'), 200, [ { title => 'Ben' } ], 'and the row is as it was';
is_status $ana->patch("/rest/v1/conversations?id=eq.$morning->{id}&select=id", { title => 'Noon' }, @return,
	Accept => $object), 200, 'an update may be asked for as one object';
is_status $ana->patch('/rest/v1/conversations?title=neq.x', { title => 'All' }, @return, Accept => $object), 406,
    'PGRST116', 'two rows are no single object';
is_json $ana->get("/rest/v1/conversations?select=title&id=eq.$morning->{id}"), 200, [ { title => 'Noon' } ],
    'and that rolled the update back';
is_status $ana->patch('/rest/v1/conversations?title=neq.x', { title => 'All' }, Prefer => 'return=minimal',
	Accept => $object), 406, 'PGRST116', 'also when no body was wanted';
is_json $ana->get("/rest/v1/conversations?select=title&id=eq.$morning->{id}"), 200, [ { title => 'Noon' } ],
    'which rolls back too';
is_text $ana->patch("/rest/v1/conversations?id=eq.$morning->{id}", {}), 204, '', 'an update of nothing changes nothing';
is_json $ana->patch("/rest/v1/conversations?id=eq.$morning->{id}", {}, @return), 200, [], 'and returns no row';
is_status $ana->patch("$path?id=eq.1", { nope => 1 }), 400, 'PGRST204', 'an update of an unknown column is refused';
is_text $ana->patch("$path?id=eq.1&columns=name", { name => 'only', n => 99 }), 204, '', 'columns limits an update';
is value(1, 'name || n'), 'only7', 'to what it lists';
$reply = $ana->patch("$path?id=in.(2,3)&select=id&order=id.desc", { name => 'both' },
	Prefer => 'return=representation, count=exact');
is_json $reply, 200, [ { id => 3 }, { id => 2 } ], 'order sorts what an update returns';
is_header $reply, 'Content-Range', '0-1/2', 'count=exact counts what was updated';
is_header $ana->patch("$path?id=eq.9999", { name => 'none' }, Prefer => 'count=exact'), 'Content-Range', '*/0',
    'also when it was nothing';
is_status $ana->patch("$path?id=eq.2", { id => 3 }), 409, '23505', 'an update into a conflict is refused';

# Example 21.
$reply = $ana->del("$path?id=in.(2,3)", Prefer => 'count=exact');
is_text $reply, 204, '', 'a delete answers 204';
is_header $reply, 'Content-Range', '*/2', 'and counts what is gone';
is_header $reply, 'Preference-Applied', 'count=exact', 'as was asked';
is_json $ana->del("$path?id=eq.4&select=id,name", @return), 200, [ { id => 4, name => 'x' } ],
    'a delete returns the row';
is_json $ana->del("$path?id=eq.4", @return), 200, [], 'a second one finds nothing';
is_text $ana->send(DELETE => "$path?id=eq.5", '{}'), 204, '', 'a body with a delete is ignored';
is_text $ana->send(DELETE => "$path?id=eq.6", 'not json at all', 'Content-Type' => 'text/plain'), 204, '',
    'whatever it is';
is_text $ana->del("/rest/v1/conversations?id=eq.$theirs->{id}"), 204, '',
    'a delete of another user\'s row finds nothing';
is_json $ben->get('/rest/v1/conversations?select=title'), 200, [ { title => 'Ben' } ], 'and the row is still there';

# Without a filter nothing is touched.
my $before = $k->sql("select count(*) from public.$table");
my $unfiltered = $ana->patch($path, { name => 'all' });
is_status $unfiltered, 400, '21000', 'an update without a filter is refused';
is $unfiltered->message, 'UPDATE requires a WHERE clause', 'in the words of safe-update';
$unfiltered = $ana->del("$path?select=id&order=id");
is_status $unfiltered, 400, '21000', 'a delete without a filter is refused';
is $unfiltered->message, 'DELETE requires a WHERE clause', 'in the words of safe-update';
is_status $ana->patch("$path?id=gt.0&limit=1", { name => 'one' }), 400, 'a limit on an update is refused';
is_status $ana->del("$path?id=gt.0&limit=1&order=id"), 400, 'a limit on a delete is refused';
is_status $ana->del("$path?id=gt.0&offset=1"), 400, 'an offset on a delete is refused';
is $k->sql("select count(*) || ' ' || count(*) filter (where name in ('all', 'one')) from public.$table"), "$before 0",
    'and every row is as it was';

# What the server keeps for itself.  D9
for my $column (qw(message_count)) {
	is_status $ana->patch("/rest/v1/conversations?id=eq.$morning->{id}", { $column => 99 }), 403, '42501',
	    "$column cannot be updated";
	is_status $ana->post('/rest/v1/conversations', { $column => 99 }), 403, '42501', "$column cannot be inserted";
}
is_status $ana->post('/rest/v1/messages',
	{ conversation_id => $morning->{id}, role => 'user', content => 'x', sequence_number => 7 }), 403, '42501',
    'sequence_number cannot be chosen';
is_status $ana->patch("/rest/v1/conversations?id=eq.$morning->{id}", { user_id => $ben->id }), 403, '42501',
    'a conversation cannot be given away'; # D10
is_status $ana->post('/rest/v1/conversations', { user_id => $ben->id, title => 'for ben' }), 403, '42501',
    'nor made for another';

# Example 26.
is_json $ben->post('/rest/v1/messages', { conversation_id => $morning->{id}, role => 'user', content => 'x' }), 403,
    { code => '42501', details => undef, hint => 'The row, and every row that it refers to, must be your own.',
	message => 'new row violates row-level security policy for table "messages"' },
    'nobody writes into another user\'s conversation';
is_json $ana->get("/rest/v1/messages?select=sequence_number&conversation_id=eq.$morning->{id}&order=sequence_number"),
    200, [ map { { sequence_number => $_ } } 1 .. 3 ], 'and the numbers have no gap';

# Views that can be written are.
my $view = $k->unique('pane');
$k->later(sub { $k->sql("drop view if exists public.$view") });
$k->sql(
"create view public.$view with (security_invoker = true) as select id, name as label from public.$table; grant select, insert, update, delete on public.$view to authenticated"
);
is_json $ana->post("/rest/v1/$view", { id => 300, label => 'through' }, @return), 201,
    [ { id => 300, label => 'through' } ], 'a row is inserted through a view';
is_json $ana->patch("/rest/v1/$view?id=eq.300", { label => 'changed' }, @return), 200,
    [ { id => 300, label => 'changed' } ], 'updated through it';
is_json $ana->del("/rest/v1/$view?label=eq.changed", @return), 200, [ { id => 300, label => 'changed' } ],
    'and deleted through it';

done_testing;
