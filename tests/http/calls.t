#!/usr/bin/perl
# What a call answers: sets and single values, counted, paged, as one object, as CSV.

use v5.36;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana) = $k->users('ana');
my $object = 'application/vnd.pgrst.object+json';
my @one = (Accept => $object);
my @count = (Prefer => 'count=exact');

my $x = $k->unique('call');
$k->later(sub {
	$k->sql(<<"SQL");
do \$\$ declare f regprocedure; begin
    for f in select oid from pg_proc where proname like '${x}\\_%' loop execute format('drop function %s', f);
        end loop;
end \$\$;
drop table if exists public.${x}_log, public.${x}_kids, public.${x}_parents; drop type if exists public.${x}_mood;
SQL
});
$k->sql(<<"SQL");
create type public.${x}_mood as enum ('sad', 'very happy');
create table public.${x}_parents (id int primary key, name text);
create table public.${x}_kids (id int primary key, name text, tags text[], parent int references public.${x}_parents);
create table public.${x}_log (id int generated always as identity, what text);
insert into public.${x}_parents values (1, 'A'), (2, 'B');
insert into public.${x}_kids values (1, 'one', '{a,"b c"}', 1), (2, 'two', null, 1), (3, 'three', '{}', 2);
create function public.${x}_stable() returns setof public.${x}_kids
    language sql stable as 'select * from public.${x}_kids order by id';
create function public.${x}_counts() returns setof public.${x}_kids language plpgsql as
    \$\$ begin insert into public.${x}_log (what) values ('called'); return query select *
        from public.${x}_kids order by id; end \$\$;
create function public.${x}_one(i int) returns public.${x}_kids
    language sql stable as 'select * from public.${x}_kids where id = i';
create function public.${x}_words() returns setof text language sql stable as \$\$ values ('a'), ('b'), ('c') \$\$;
create function public.${x}_mood() returns public.${x}_mood language sql stable
    as \$\$ select 'very happy'::public.${x}_mood \$\$;
create function public.${x}_null() returns text language sql stable as 'select null::text';
create function public.${x}_none() returns setof text language sql stable as 'select null::text where false';
create function public.${x}_arrays() returns setof int[] language sql stable
    as \$\$ select '{1,2}'::int[] union all select null \$\$;
create function public.${x}_documents() returns setof json language sql stable
    as \$\$ select '{"a" : 1}'::json union all select null \$\$;
create function public.${x}_bytes() returns bytea language sql stable as \$\$ select '\\x00ff'::bytea \$\$;
create function public.${x}_at() returns timestamptz language sql stable
    as \$\$ select '2026-01-02 03:04:05Z'::timestamptz \$\$;
create function public.${x}_record() returns record language sql stable as \$\$ select 1, 'a'::text \$\$;
create function public.${x}_both(inout a int, inout b text default 'd') language sql stable as 'select a + 1, b';
create function public.${x}_many() returns setof int language sql stable as 'select generate_series(1, 1005)';
create function public."${x}_Odd Name"("Arg One" int, "x.y" text default 'd') returns text language sql stable
    as \$\$ select "Arg One" || "x.y" \$\$;
create function public.${x}_join(sep text, variadic list int[]) returns text language sql stable
    as \$\$ select array_to_string(list, sep) \$\$;
create function public.${x}_typed(pair public.${x}_parents default null, mood public.${x}_mood default null,
    moods public.${x}_mood[] default null, span int4range default null, docs json[] default null)
    returns json language sql stable as \$\$ select json_build_object('pair', pair, 'mood', mood, 'moods', moods,
        'span', span, 'docs', docs) \$\$;
grant select on public.${x}_kids, public.${x}_parents to authenticated;
grant insert on public.${x}_log to authenticated;
do \$\$ declare f regprocedure; begin
    for f in select oid from pg_proc
        where proname like '${x}\\_%' loop execute format('grant execute on function %s to authenticated', f);
        end loop;
end \$\$;
SQL
sub post ($name, $body = {}, %headers) { $ana->post("/rest/v1/rpc/${x}_$name", $body, %headers) }
sub get ($name, %headers) { $ana->get("/rest/v1/rpc/${x}_$name", %headers) }
sub story ($reply) { join ' ', $reply->status, $reply->header('content-range') // '-', $reply->body }
sub calls { $k->sql("select count(*) from public.${x}_log") }

# Values.
is story(post('mood')), '200 0-0/* "very happy"', 'an enum is a string';
is story(post('null')), '200 0-0/* null', 'a null is null';
is story(post('none')), '200 */* []', 'a set of nothing is an empty array';
is story(post('arrays')), '200 0-1/* [[1,2],null]', 'a set of arrays is an array of arrays';
is story(post('documents')), '200 0-1/* [{"a" : 1},null]', 'a set of documents';
is story(post('bytes')), '200 0-0/* "\\\\x00ff"', 'bytes are hexadecimal';
is story(post('at')), '200 0-0/* "2026-01-02T03:04:05+00:00"', 'a time is written as in rows';
is_json post('record'), 200, { '?column?' => 1, text => 'a' }, 'a record without columns of its own is an object';
is_json post('both', { a => 1 }), 200, { a => 2, b => 'd' }, 'inout arguments go in and come out';
is story(get('words?limit=2&offset=1')), '200 1-2/* ["b","c"]', 'a set of values is paged, its range says where';
is story(get("words?${x}_words=neq.a&order=${x}_words.desc")), '200 0-1/* ["c","b"]',
    'a value is filtered and sorted by its function\'s name';
is_status get('words?nope=eq.a'), 400, '42703', 'and by no other';
is_status get('words?order=nope'), 400, '42703', 'in order neither';
my $many = post('many');
is scalar(rows $many), 1000, 'the cap holds for values as well';
is_header $many, 'Kith-Row-Limit', '1000', 'and is told';

# Counts: a number for every count=, and one call for both the page and its total.
is story(post('mood', {}, @count)), '200 0-0/1 "very happy"', 'a single value counts as one';
is story(get('one?i=1&select=id', @count)), '200 0-0/1 {"id":1}', 'so does a single row';
is story(get('words', @count)), '200 0-2/3 ["a","b","c"]', 'a set of values is counted';
is story(get('words?limit=1&offset=1', @count)), '206 1-1/3 ["b"]', 'a page of it too';
for my $name (qw(stable counts)) {
	my $before = calls;
	is story(post("$name?select=id&limit=2", {}, @count)), '206 0-1/3 [{"id":1},{"id":2}]',
	    "$name: a page and its total";
	is story(post("$name?select=id&id=gt.1&order=id.desc", {}, @count)), '200 0-1/2 [{"id":3},{"id":2}]',
	    "$name: the total is of what the filters leave";
	is story(post("$name?select=id,${x}_parents!inner(name)&${x}_parents.name=eq.B&limit=1", {}, @count)),
	    qq(200 0-0/1 [{"id":3,"${x}_parents":{"name":"B"}}]),
	    "$name: and of what an inner embed leaves";
	is story(post("$name?offset=3", {}, @count)), '206 */3 []', "$name: an empty page has its total";
	is story(post("$name?limit=0", {}, @count)), '206 */3 []', "$name: so has a page of none";
	is story(post("$name?id=eq.99", {}, @count)), '200 */0 []', "$name: nothing is counted as nothing";
	is_status post("$name?offset=9", {}, @count), 416, 'PGRST103', "$name: a page behind the end is 416";
	my $minimal = post("$name?select=id", {}, Prefer => 'count=exact, return=minimal');
	is story($minimal), '200 0-2/3 ', "$name: head: true wants the number only";
	is calls() - $before, $name eq 'counts' ? 8 : 0, "$name: each of these called it once";
}

# One object.
is story(get('one?i=1&id=eq.5')), '200 */* null', 'a single row that a filter drops is null';
is_status get('one?i=1&id=eq.5', @one), 406, 'PGRST116', 'and no object';
is story(get('one?i=9&select=id,name')), '200 0-0/* {"id":null,"name":null}',
    'a null row is a row of nulls, as in PostgREST';
is_status get('words', @one), 406, 'PGRST116', 'three values are no single one';
is story(get('words?limit=1', @one)), '200 0-0/* "a"', 'one of a set is that value';
is story(get('null', @one)), '200 0-0/* null', 'a single value is a single one, even null';
my $before = calls;
is_status post('counts', {}, @one), 406, 'PGRST116', 'three rows of a writing function are refused';
is_status post('counts?id=eq.9', {}, @one, @count), 406, 'PGRST116', 'none as well, counted or not';
is calls(), $before, 'and what it wrote is rolled back';
is story(post('counts?select=id&id=eq.2', {}, @one, @count)), '200 0-0/1 {"id":2}', 'one row is fine';

# CSV.
is_text post('words', {}, Accept => 'text/csv'), 200, "${x}_words\na\nb\nc",
    'values as CSV have the function\'s name above';
is_text post('stable?select=id,tags', {}, Accept => 'text/csv'), 200, qq(id,tags\n1,"{a,""b c""}"\n2,\n3,{}),
    'rows as CSV';
is_text get('one?i=1&select=id,name', Accept => 'text/csv'), 200, "id,name\n1,one", 'a single row as CSV';

# Names and types of arguments.
is story(post('Odd%20Name', { 'Arg One' => 1, 'x.y' => 'w' })), '200 0-0/* "1w"', 'any name is a name';
is story(get('Odd%20Name?Arg%20One=1&%22x.y%22=w')), '200 0-0/* "1w"', 'in a query it is quoted where it must be';
is story(get('join?sep=-&list=1&list=2')), '200 0-0/* "1-2"', 'a variadic argument beside another';
is story(get('join?sep=-&list={1,2}')), '200 0-0/* "1-2"', 'which supabase-js writes as an array literal';
is_json post('typed', { pair => { id => 1, name => 'x' }, mood => 'sad', moods => [ 'sad', 'very happy' ],
    span => '[1,3)', docs => [ { a => 1 }, [2] ] }),
  200, { pair => { id => 1, name => 'x' }, mood => 'sad', moods => [ 'sad', 'very happy' ], span => '[1,3)',
  docs => [ { a => 1 }, [2] ] },
  'objects, enums, arrays of them, ranges and documents as arguments';
is_json get('typed?pair=(1,x)&mood=sad&moods={sad,"very happy"}&span=[1,3)'), 200,
  { pair => { id => 1, name => 'x' }, mood => 'sad', moods => [ 'sad', 'very happy' ], span => '[1,3)',
  docs => undef },
  'the same as text in a query';

done_testing;
