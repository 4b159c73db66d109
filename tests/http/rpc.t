#!/usr/bin/perl
# Functions: how one is chosen, how arguments arrive, what the answer looks like.

use v5.36;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users(qw(ana ben));
my $object = 'application/vnd.pgrst.object+json';

my $x = $k->unique('fn');
$k->later(sub {
	$k->sql(<<"SQL");
do \$\$ declare f regprocedure; begin
    for f in select oid from pg_proc where proname like '${x}\\_%' loop execute format('drop function %s', f); end loop;
end \$\$;
drop table if exists public.${x}_items; drop type if exists public.${x}_pair;
SQL
});
$k->sql(<<"SQL");
create table public.${x}_items (id int primary key, name text, parent int references public.${x}_items);
insert into public.${x}_items values (1, 'one', null), (2, 'two', 1), (3, 'three', 1);
grant select, insert on public.${x}_items to authenticated;
create type public.${x}_pair as (a int, b text);
create function public.${x}_add(a int, b int default 10) returns int language sql immutable as 'select a + b';
create function public.${x}_hello() returns text language sql stable as \$\$ select 'hello "you"' \$\$;
create function public.${x}_nothing() returns void language sql as '';
create function public.${x}_write(name text) returns void language sql as 'insert into public.${x}_items values ((select max(id) from public.${x}_items) + 1, \$1)';
create function public.${x}_write_stable(name text) returns void language plpgsql stable as \$\$ begin perform public.${x}_write(name); end \$\$;
create function public.${x}_all() returns setof public.${x}_items language sql stable as 'select * from public.${x}_items';
create function public.${x}_one(id int) returns public.${x}_items language sql stable as 'select * from public.${x}_items i where i.id = \$1';
create function public.${x}_table(n int) returns table (i int, square int) language sql stable as 'select g, g * g from generate_series(1, n) g';
create function public.${x}_pair(a int, out x int, out y text) language sql stable as 'select a, a::text';
create function public.${x}_composite() returns public.${x}_pair language sql stable as \$\$ select 1, 'b' \$\$;
create function public.${x}_numbers(n int) returns setof int language sql stable as 'select generate_series(1, n)';
create function public.${x}_json(j json) returns json language sql immutable as 'select j';
create function public.${x}_jsonb(j jsonb) returns jsonb language sql immutable as 'select j';
create function public.${x}_body(jsonb) returns jsonb language sql immutable as 'select \$1';
create function public.${x}_ints(list int[]) returns int language sql immutable as 'select sum(e)::int from unnest(list) e';
create function public.${x}_texts(variadic words text[]) returns text language sql immutable as \$\$ select array_to_string(words, '-') \$\$;
create function public.${x}_day(d date, flag boolean default false) returns text language sql immutable as \$\$ select d::text || ':' || flag \$\$;
create function public.${x}_over(a int) returns text language sql immutable as \$\$ select 'int' \$\$;
create function public.${x}_over(a int, b int) returns text language sql immutable as \$\$ select 'two' \$\$;
create function public.${x}_same(a int) returns text language sql immutable as \$\$ select 'int' \$\$;
create function public.${x}_same(a text) returns text language sql immutable as \$\$ select 'text' \$\$;
create function public.${x}_raise(state text, message text, detail text default null, hint text default null) returns void language plpgsql as
    \$\$ begin raise exception using errcode = state, message = message, detail = coalesce(detail, ''), hint = coalesce(hint, ''); end \$\$;
create function public.${x}_who() returns json language sql stable as
    \$\$ select json_build_object('user', current_user, 'uid', auth.uid(),
        'method', current_setting('request.method', true), 'path', current_setting('request.path', true),
        'agent', current_setting('request.headers', true)::json->>'user-agent',
        'cookie', current_setting('request.cookies', true)::json->>'a') \$\$;
create function public.${x}_hidden() returns int language sql as 'select 1';
do \$\$ declare f regprocedure; begin
    for f in select oid from pg_proc where proname like '${x}\\_%' loop
        execute format('grant execute on function %s to authenticated', f);
    end loop;
end \$\$;
revoke execute on function public.${x}_hidden from public, authenticated;
SQL
my $rpc = "/rest/v1/rpc/$x";
sub post ($name, $body = undef, %headers) { $ana->post("${rpc}_$name", $body, %headers) }
sub get ($name, %headers) { $ana->get("${rpc}_$name", %headers) }

# Example 25.
my %ana_daily = (user_id => $ana->id, scope => 'daily');
my $session = post_session();
sub post_session { $ana->post('/rest/v1/rpc/get_or_create_chat_session', \%ana_daily) }
is $session->status, 200, 'a composite result is 200';
is_header $session, 'Content-Range', '0-0/*', 'it counts as one row';
is ref $session->json, 'HASH', 'and is an object';
is post_session()->json->{id}, $session->json->{id}, 'the same day gives the same session';
is_status $ana->post('/rest/v1/rpc/get_or_create_chat_session', { user_id => $ben->id }), 403, '42501',
    'another user\'s session is refused';
my $appended = $ana->post('/rest/v1/rpc/append_session_message?select=sequence_number,content',
	{ session_id => $session->json->{id}, role => 'user', content => 'hi', metadata => {} });
is_json $appended, 200, { sequence_number => 1, content => 'hi' }, 'a composite result is shaped by select';
is_text post('nothing', {}), 204, '', 'void answers 204';

# Results.
is_text post('add', { a => 1, b => 2 }), 200, '3', 'a scalar is a JSON value';
is_text post('hello', {}), 200, '"hello \"you\""', 'a text is a JSON string';
is_json post('all', {}), 200,
    [ { id => 1, name => 'one', parent => undef }, { id => 2, name => 'two', parent => 1 },
	{ id => 3, name => 'three', parent => 1 } ], 'setof a table is an array of objects';
is_json post('one', { id => 2 }), 200, { id => 2, name => 'two', parent => 1 }, 'one row is an object';
is_json post('table', { n => 2 }), 200, [ { i => 1, square => 1 }, { i => 2, square => 4 } ], 'a table result';
is_json post('pair', { a => 5 }), 200, { x => 5, y => '5' }, 'out parameters make an object';
is_json post('composite', {}), 200, { a => 1, b => 'b' }, 'a composite type';
is_json post('numbers', { n => 3 }), 200, [ 1, 2, 3 ], 'a set of scalars is an array of values';
is_text post('json', '{"j":{"b" : 1}}'), 200, '{"b" : 1}', 'json comes back as it was sent';
is_json post('numbers', { n => 0 }), 200, [], 'an empty set is an empty array';

# Arguments.
is_text post('add', { a => 1 }), 200, '11', 'an optional argument may be left out';
is_text post('hello'), 200, '"hello \"you\""', 'no body means no arguments';
is_text post('hello', 'null'), 200, '"hello \"you\""', 'null means no arguments';
is_text post('hello', ' '), 200, '"hello \"you\""', 'blanks mean no arguments';
is_text post('ints', { list => [ 1, 2, 3 ] }), 200, '6', 'a JSON array for an array argument';
is_text post('ints', { list => '{4,5}' }), 200, '9', 'an array literal in a string';
is_text post('texts', { words => [ 'a', 'b' ] }), 200, '"a-b"', 'a variadic argument';
is_text post('day', { d => '2026-02-28', flag => true }), 200, '"2026-02-28:true"', 'a date and a boolean';
is_json post('jsonb', { j => [ 1, { a => undef } ] }), 200, [ 1, { a => undef } ], 'JSON for a jsonb argument';
is_json post('body', { any => ['thing'] }), 200, { any => ['thing'] },
    'one unnamed JSON parameter takes the whole body';
is_json post('body', [ 1, 2 ]), 200, [ 1, 2 ], 'whatever it is';
is_text post('over', { a => 1 }), 200, '"int"', 'names choose among functions';
is_text post('over', { a => 1, b => 2 }), 200, '"two"', 'all of them';
is_text post('add', '{"a":1,"a":5,"b":0}'), 200, '5', 'of two equal keys the last wins'; # C7

# GET.
is_text get('add?a=3&b=4'), 200, '7', 'arguments in the query';
is_text get('add?a=3'), 200, '13', 'optional ones left out';
is_text get('hello'), 200, '"hello \"you\""', 'none at all';
is_text get('ints?list={1,2}'), 200, '3', 'an array literal';
is_text get('texts?words=a&words=b'), 200, '"a-b"', 'a variadic argument repeated';
is_json get('jsonb?j={"a":1}'), 200, { a => 1 }, 'JSON';
is_text get('day?d=2026-02-28&flag=true'), 200, '"2026-02-28:true"', 'a date and a boolean';
is_json get('all?name=eq.two'), 200, [ { id => 2, name => 'two', parent => 1 } ],
    'a value with an operator is a filter';
is_json get('table?n=5&square=gt.9&select=i&order=i.desc'), 200, [ { i => 5 }, { i => 4 } ],
    'arguments and filters together';
is_text $ana->head("${rpc}_hello"), 200, '', 'HEAD has no body';
is_status get('write?name=x'), 405, '25006', 'a write by GET is refused';
is_status get('nothing'), 204, 'void by GET is 204';

# Writing.
is_text post('write', { name => 'four' }), 204, '', 'a volatile function writes by POST';
is $k->sql("select name from public.${x}_items where id = 4"), 'four', 'and it is written';
$k->sql("delete from public.${x}_items where id > 3");
my $stable = post('write_stable', { name => 'x' });
is_status $stable, 405, '25006', 'a write inside a stable function is refused';
is $k->sql("select count(*) from public.${x}_items"), '3', 'and writes nothing';

# Shaping.  Example 24, by a function of our own.
is_json post('all?select=name&order=name.desc&limit=2', {}), 200, [ { name => 'two' }, { name => 'three' } ],
    'select, order and limit';
is_json post('all?select=name&id=gt.1&order=id&offset=1', {}), 200, [ { name => 'three' } ], 'filter and offset';
is_json post('all?select=name,up:parent(name)&id=eq.2', {}), 200, [ { name => 'two', up => { name => 'one' } } ],
    'an embed';
is_json post('all?id=eq.2', {}, Accept => $object), 200, { id => 2, name => 'two', parent => 1 },
    'a single object of a set';
is_status post('all', {}, Accept => $object), 406, 'PGRST116', 'three rows are no single object';
my $reply = post('all?order=id&limit=2', {}, Prefer => 'count=exact');
is_json $reply, 206, sub ($rows) { @$rows == 2 }, 'a counted page';
is_header $reply, 'Content-Range', '0-1/3', 'with its total';
$reply = $ana->head("${rpc}_all?limit=1", Prefer => 'count=exact');
is_header $reply, 'Content-Range', '0-0/3', 'a total by HEAD';
is_json post('all?select=id&id=eq.1', {}, Prefer => 'return=representation'), 200, [ { id => 1 } ],
    'return=representation means nothing here';
is_text post('all?select=id,name&order=id', {}, Accept => 'text/csv'), 200, "id,name\n1,one\n2,two\n3,three",
    'a set as CSV';

# None, several.
for my $case (
	[ 'nope', {}, 'PGRST202', 'a function that does not exist' ],
	[ 'add', {}, 'PGRST202', 'a required argument missing' ],
	[ 'add', { a => 1, c => 2 }, 'PGRST202', 'an unknown argument' ],
	[ 'hello', { a => 1 }, 'PGRST202', 'an argument to a function without' ],
) {
	my ($name, $body, $code, $text) = @$case;
	my $refused = post($name, $body);
	is_status $refused, 404, $code, "$text: 404";
	like $refused->message, qr/^Could not find the function public\.\Q${x}_$name\E/, 'naming what was looked for';
}
like post('ad', { a => 1 })->json->{hint} // '', qr/\Q${x}_add\E/, 'a near miss gets a hint';
is_status post('same', { a => 1 }), 300, 'PGRST203', 'two functions of the same names are ambiguous';
is_status post('hidden', {}), 403, '42501', 'a function without the right to execute it';
for my $body ('[1]', '1', '"x"', '{"a":1', '{"a":1}}') {
	is_status post('add', $body), 400, 'PGRST102', "a body of $body is refused";
}
is_status post('add', { a => 'x' }), 400, '22P02', 'an argument of the wrong type';
is_status post('add', { a => 1.5 }), 400, '22P02', 'a fraction for an integer';
for my $method (qw(PUT PATCH DELETE)) {
	is_status $ana->send($method, "${rpc}_hello", $method eq 'DELETE' ? undef : '{}'), 405, 'PGRST101',
	    "$method on a function is refused";
}

# Built-ins are not reachable.  C10
for my $name (
	qw(pg_sleep set_config query_to_xml pg_advisory_lock lo_create lo_get pg_read_file current_setting version pg_notify)
) {
	is_status $ana->post("/rest/v1/rpc/$name", {}), 404, 'PGRST202', "$name is no function of ours";
}
is_status $ana->post('/rest/v1/rpc/pg_catalog.pg_sleep', {}), 404, 'a qualified name names nothing';
is_status $ana->post('/rest/v1/rpc/check_session', {}), 404, 'nor does an internal one';

# Errors that functions raise.
for my $case (
	[ 'P0001', 400 ], [ 'P0002', 500 ], [ 'PT418', 418 ], [ 'PT409', 409 ], [ 'PT404', 404 ], [ '23505', 409 ],
	[ '23503', 409 ], [ '42501', 403 ], [ '22012', 400 ],
	[ '0L000', 403 ], [ '0P000', 403 ], [ '28000', 403 ], [ '54000', 400 ], [ '57014', 504 ], [ '53400', 500 ],
	[ '58000', 500 ], [ 'XX000', 500 ], [ 'F0000', 500 ], [ 'HV000', 500 ],
	[ '39000', 500 ], [ '38000', 500 ], [ '2D000', 500 ], [ '3B000', 500 ], [ '55000', 500 ], [ '55P03', 503 ],
	[ '42883', 404 ], [ '42P01', 404 ], [ '42P17', 500 ], [ '25006', 405 ],
	[ '21000', 400 ], [ '40001', 503 ], [ '40P01', 503 ], [ '53100', 503 ], [ '53300', 503 ], [ '57P01', 503 ],
	[ '08006', 503 ], [ 'ZZ999', 400 ],
) {
	my ($state, $status) = @$case;
	$k->may_answer($status) if $status >= 500;
	my $raised = post('raise',
		{ state => $state, message => 'what happened', detail => 'the facts', hint => 'the way out' });
	is_json $raised, $status,
	    { code => $state, message => 'what happened', details => 'the facts', hint => 'the way out' },
	    "SQLSTATE $state is $status, the words unchanged";
	is_header $raised, 'Retry-After', $status == 503 || $status == 504 ? qr/^\d+$/ : undef,
	    "SQLSTATE $state: Retry-After where a retry may help";
}

# What a function is told of the request.
is_json $ana->post("${rpc}_who", {}, Cookie => 'a=b; c=d', 'User-Agent' => 'x"y'), 200,
    { user => 'authenticated', uid => $ana->id, method => 'POST',
	path => sub ($path) { $path =~ m{/rpc/\Q${x}_who\E$} }, agent => 'x"y', cookie => 'b' },
    'role, claims, method, path, headers and cookies are there for SQL';

done_testing;
