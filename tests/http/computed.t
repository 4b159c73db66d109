#!/usr/bin/perl
# Computed fields: a function of one row is selected, filtered and sorted by like a column.

use v5.36;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana) = $k->users('ana');
my $x = $k->unique('books');
my @return = (Prefer => 'return=representation');
$k->later(sub {
	$k->sql(<<"SQL");
drop function if exists public.${x}_all(), public.${x}_shelf_books(int);
drop table if exists public.$x, public.${x}_shelves cascade;
SQL
});
$k->sql(<<"SQL");
create table public.${x}_shelves (id int primary key, name text);
create table public.$x (id int primary key, title text, blurb text, t0 text,
    shelf int references public.${x}_shelves);
create function public.${x}_text(public.$x) returns text language sql immutable
    as \$\$ select \$1.title || ' ' || \$1.blurb \$\$;
create function public.${x}_words(public.$x) returns text[] language sql immutable
    as \$\$ select string_to_array(\$1.title, ' ') \$\$;
create function public.${x}_size(public.${x}_shelves) returns bigint language sql stable as \$\$ select count(*)
    from public.$x where shelf = \$1.id \$\$;
create function public.title(public.$x) returns text language sql immutable as \$\$ select 'never' \$\$;
create function public.${x}_secret(public.$x) returns text language sql immutable as \$\$ select 'secret' \$\$;
create function public.${x}_all() returns setof public.$x language sql stable as 'select * from public.$x';
insert into public.${x}_shelves values (1, 'top'), (2, 'low');
insert into public.$x values (1, 'The Little Prince', 'a fox', 'x', 1), (2, 'Great Tales', 'little ones', 'y', 1), (3,
    'Dune', 'sand', 'z', 2);
grant select, insert, update, delete on public.$x, public.${x}_shelves to authenticated;
grant execute on function public.${x}_text, public.${x}_words, public.${x}_size, public.title(public.$x),
    public.${x}_all to authenticated;
revoke execute on function public.${x}_secret from public, authenticated;
SQL
# '@' stands for the name of the books' table.
sub at ($text) { $text =~ s/\@/$x/gr }
sub get ($query, %headers) { $ana->get(at("/rest/v1/$query"), %headers) }
sub is_rows ($reply, $status, $want, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_text $reply, $status, at($want), $name;
}

is_rows get('@?select=id,@_text&id=eq.3'), 200, '[{"id":3,"@_text":"Dune sand"}]', 'it is selected by its name';
is_rows get('@?select=id,all:@_text,@_words&id=eq.2'), 200,
    '[{"id":2,"all":"Great Tales little ones","@_words":["Great","Tales"]}]',
    'under an alias, and as JSON';
is_json get('@?id=eq.3'), 200, [ { id => 3, title => 'Dune', blurb => 'sand', t0 => 'z', shelf => 2 } ],
    'a star does not bring it';
is_rows get('@?select=id&@_text=wfts(english).little&order=id'), 200, '[{"id":1},{"id":2}]',
    'full-text search over several columns';
is_rows get('@?select=id&@_words=cs.{Tales}'), 200, '[{"id":2}]', 'an operator for its type';
is_rows get('@?select=id&or=(@_text.ilike.*fox*,id.eq.3)&order=@_text.desc'), 200, '[{"id":1},{"id":3}]',
    'in a tree and in order';
is_rows get('@?select=@_words->0&id=eq.3'), 200, '[{"@_words":"Dune"}]', 'a path into it';
is_rows get('@?select=title&id=eq.3'), 200, '[{"title":"Dune"}]', 'a column comes before a function of its name';
is_rows get('@_shelves?select=name,@_size,@(id,@_text)&order=@_size.desc&@.@_text=like.*o*&@.order=id'), 200,
  '[{"name":"top","@_size":2,"@":[{"id":1,"@_text":"The Little Prince a fox"}, ' . "\n"
  . ' {"id":2,"@_text":"Great Tales little ones"}]},{"name":"low","@_size":1,"@":[]}]',
  'of embedded rows as well';
is_rows get('@?select=id,@_shelves(@_size)&order=@_shelves(@_size),id&limit=1'), 200,
    '[{"id":3,"@_shelves":{"@_size":1}}]',
    'and sorted by one of theirs';
is_header get('@?@_text=like.*little*', Prefer => 'count=exact'), 'Content-Range', '0-0/1', 'it is counted by';
is_text get('@?select=id,@_words&id=eq.2', Accept => 'text/csv'), 200, at("id,\@_words\n2,\"{Great,Tales}\""),
    'as CSV';
is_rows get('rpc/@_all?select=id,@_text&@_text=like.Dune*&order=@_text'), 200, '[{"id":3,"@_text":"Dune sand"}]',
    'of the rows of a function';
is_rows get('rpc/@_all?select=@_text&@_text=like.Dune*&order=@_text', Prefer => 'count=exact'), 200,
    '[{"@_text":"Dune sand"}]',
    'counted ones too';
is_rows $ana->post(at('/rest/v1/@?select=id,@_text'), { id => 4, title => 'a', blurb => 'b' }, @return), 201,
    '[{"id":4,"@_text":"a b"}]',
    'after an insert';
is_rows $ana->post(at('/rest/v1/@?select=id,@_text,@_shelves(name)'), { id => 5, title => 'c', blurb => 'd',
    shelf => 1 }, @return), 201,
    '[{"id":5,"@_text":"c d","@_shelves":{"name":"top"}}]',
    'with an embed';
is_rows $ana->post(at('/rest/v1/@?select=@_text'), [], @return), 201, '[]', 'after an insert of nothing';
is_rows $ana->patch(at('/rest/v1/@?@_text=eq.a b&select=id,@_text&order=@_text'), { title => 'z' }, @return), 200,
    '[{"id":4,"@_text":"z b"}]',
    'as a filter of an update, before it, and in its rows, after it';
is_rows $ana->del(at('/rest/v1/@?@_text=in.(z b,c d)&select=id&order=@_text'), @return), 200, '[{"id":5},{"id":4}]',
    'of a delete';
is_status $ana->post(at('/rest/v1/@'), { id => 6, at('@_text') => 'x' }), 400, 'PGRST204', 'it cannot be written';
is_status get('@?select=@_secret'), 403, '42501', 'who may not execute it cannot select it';
is_status get('@?@_secret=eq.secret'), 403, '42501', 'nor filter by it';
is_status get('@_shelves?select=@_text'), 400, '42703', 'it belongs to its table only';

done_testing;
