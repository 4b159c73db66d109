#!/usr/bin/perl
# Prefer: every token, every way to write them, and what is confirmed.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana) = $k->users('ana');
my $table = $k->unique('list');
$k->later(
	sub {
		$k->sql(
"drop function if exists public.${table}_rows(), public.${table}_one(); drop table if exists public.$table"
		);
	}
);
$k->sql(<<"SQL");
create table public.$table (id int primary key, name text, at timestamptz default '2026-01-02T00:00:00Z');
grant select, insert, update, delete on public.$table to authenticated;
create function public.${table}_rows() returns setof public.$table language sql volatile as 'select * from public.$table';
create function public.${table}_one() returns int language sql volatile as 'select 1';
grant execute on function public.${table}_rows, public.${table}_one to authenticated;
insert into public.$table select n, 'row ' || n from generate_series(1, 6) n;
SQL
my $path = "/rest/v1/$table";
sub count { $k->sql("select count(*) from public.$table") }
my $id = 100;

# Forms of the header.
for my $case (
	[ 'return=representation,count=exact', 'no blank behind the comma' ],
	[ 'return=representation, count=exact', 'a blank' ],
	[ [ 'return=representation', 'count=exact' ], 'two headers' ],
	[ ',return=representation,,count=exact,', 'empty elements' ],
	[ '  return=representation ,  count=exact  ', 'blanks everywhere' ],
	[ 'return=representation, return=minimal, count=exact, count=planned', 'the first of a kind wins' ],
	[ 'return=representation, nonsense, return=stripped-nulls, count=exact', 'unknown tokens are ignored' ],
) {
	my ($prefer, $name) = @$case;
	my $reply = $ana->post("$path?select=name", { id => ++$id, name => 'x' }, Prefer => $prefer);
	is_json $reply, 201, [ { name => 'x' } ], "representation: $name";
	is_header $reply, 'Content-Range', '*/1', "count: $name";
	is_header $reply, 'Preference-Applied', 'return=representation, count=exact', "confirmed: $name";
}
my $reply = $ana->post($path, { id => ++$id }, Prefer => '');
is_text $reply, 201, '', 'an empty value asks for nothing';
is_header $reply, 'Preference-Applied', undef, 'and nothing is confirmed';
$reply = $ana->post($path, { id => ++$id }, Prefer => 'return=minimal');
is_text $reply, 201, '', 'return=minimal is what happens anyway';
is_header $reply, 'Preference-Applied', 'return=minimal', 'but is confirmed';
$reply = $ana->post($path, { id => ++$id }, Prefer => 'return=headers-only');
is_text $reply, 201, '', 'return=headers-only has no body';
is_header $ana->get($path, Prefer => 'return=representation'), 'Preference-Applied', undef,
    'return means nothing on a read';

# handling=strict and max-affected.
is_status $ana->get($path, Prefer => 'handling=strict, nonsense'), 400, 'PGRST122', 'strict refuses an unknown token';
is_status $ana->get($path, Prefer => 'handling=strict, count=many'), 400, 'PGRST122', 'and an unknown value';
is_status $ana->get("$path?limit=1", Prefer => 'handling=lenient, nonsense'), 200, 'lenient ignores it';
is_header $ana->get("$path?limit=1", Prefer => 'count=exact, handling=strict'), 'Preference-Applied',
    'count=exact, handling=strict', 'handling is confirmed, behind count';
my $before = count;
is_status $ana->del("$path?id=lt.4", Prefer => 'handling=strict, max-affected=2'), 400, 'PGRST124',
    'more rows than max-affected is refused';
is count, $before, 'and rolled back';
is_status $ana->patch("$path?id=lt.4", { name => 'x' }, Prefer => 'handling=strict, max-affected=2'), 400, 'PGRST124',
    'for updates as well';
$reply = $ana->patch("$path?id=lt.4&select=id&order=id", { name => 'y' },
	Prefer => 'handling=strict, max-affected=3, return=representation');
is_json $reply, 200, [ map { { id => $_ } } 1 .. 3 ], 'as many rows as max-affected are fine';
is_header $reply, 'Preference-Applied', 'return=representation, handling=strict, max-affected=3',
    'and it is confirmed last';
is_status $ana->patch("$path?id=lt.4", { name => 'z' }, Prefer => 'max-affected=2'), 204,
    'without strict it is ignored';
is_status $ana->post("/rest/v1/rpc/${table}_rows", {}, Prefer => 'handling=strict, max-affected=2'), 400, 'PGRST124',
    'for a set-returning function as well';
is_status $ana->post("/rest/v1/rpc/${table}_one", {}, Prefer => 'handling=strict, max-affected=2'), 400, 'PGRST128',
    'a single-row function cannot be bounded';

# timezone and tx.
my $zoned = $ana->get("$path?select=at&id=eq.1", Prefer => 'timezone=America/New_York');
if (defined $zoned->header('preference-applied')) {
	is_json $zoned, 200, [ { at => '2026-01-01T19:00:00-05:00' } ], 'timezone changes how times are printed';
	is_status $ana->get("$path?id=eq.1", Prefer => 'handling=strict, timezone=Nowhere/Land'), 400,
	    'a time zone that does not exist is refused';
	is_json $ana->get("$path?select=at&id=eq.1"), 200, [ { at => '2026-01-02T00:00:00+00:00' } ],
	    'the next request does not see it'; # A9
} else {
	is_json $zoned, 200, [ { at => '2026-01-02T00:00:00+00:00' } ], 'timezone is ignored';
}
is_status $ana->post($path, { id => ++$id }, Prefer => 'tx=rollback'), 201, 'tx=rollback is ignored unless configured';
is $k->sql("select count(*) from public.$table where id = $id"), '1', 'the row stays';

done_testing;
