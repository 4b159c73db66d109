#!/usr/bin/perl
# Embeds: related rows inside a row, by every kind of relationship.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users(qw(ana ben));
my $object = 'application/vnd.pgrst.object+json';

# One library in every test run: all kinds of relationship that a schema can have.
my $x = $k->unique('lib');
my @tables = map { "${x}_$_" } qw(loans passports tags_of tags books people places);
$k->later(
	sub {
		$k->sql(
"drop view if exists public.${x}_shelf; drop function if exists public.${x}_books_of(text); drop table if exists "
			    . join ', ', map { "public.$_" } @tables);
	}
);
$k->sql(<<"SQL");
create table public.${x}_places (id int primary key, name text, inside int references public.${x}_places);
create table public.${x}_people (id int primary key, name text, home int references public.${x}_places);
create table public.${x}_books (
    id int primary key, title text, pages int, author int references public.${x}_people,
    translator int constraint ${x}_translated_by references public.${x}_people, data jsonb
);
create table public.${x}_tags (id int primary key, word text);
create table public.${x}_tags_of (book int references public.${x}_books, tag int references public.${x}_tags, since int, primary key (book, tag));
create table public.${x}_passports (person int primary key references public.${x}_people, number text);
create table public.${x}_loans (id int primary key, book int references public.${x}_books, person int references public.${x}_people);
create view public.${x}_shelf with (security_invoker = true) as select id, title, author from public.${x}_books;
create function public.${x}_books_of(who text) returns setof public.${x}_books language sql stable set search_path = ''
    as 'select b.* from public.${x}_books b join public.${x}_people p on p.id = b.author where p.name = who';
grant select on @{[ join ', ', map { "public.$_" } @tables, "${x}_shelf" ]} to authenticated;
grant execute on function public.${x}_books_of to authenticated;
insert into public.${x}_places values (1, 'World', null), (2, 'Town', 1), (3, 'Village', 1), (4, 'Street', 2);
insert into public.${x}_people values (1, 'Ida', 2), (2, 'Jon', 4), (3, 'Kim', null);
insert into public.${x}_books values (1, 'Alpha', 100, 1, 2, '{"a": 1}'), (2, 'Beta', 200, 1, null, null), (3, 'Gamma', 300, 2, 1, null), (4, 'Delta', 50, null, null, null);
insert into public.${x}_tags values (1, 'red'), (2, 'blue'), (3, 'none');
insert into public.${x}_tags_of values (1, 1, 2001), (1, 2, 2002), (2, 2, 2003);
insert into public.${x}_passports values (1, 'P1'), (2, 'P2');
insert into public.${x}_loans values (1, 1, 3), (2, 1, 2), (3, 3, 3);
SQL

# Table names are written short, '@' stands for the prefix.
sub at ($text) { $text =~ s/\@/${x}_/gr }
sub get ($query, %headers) { $ana->get(at("/rest/v1/$query"), %headers) }

# Keys of embeds come back long; make them short again.
sub shorten ($data) {
	return [ map { shorten($_) } @$data ] if ref $data eq 'ARRAY';
	return { map { s/^${x}_/\@/r => shorten($data->{$_}) } keys %$data } if ref $data eq 'HASH';
	return $data;
}

sub gives ($query, $want, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $reply = get($query);
	my $problem =
	    $reply->status == 200 ? Kith::Test::difference(shorten($reply->json), $want) : 'status ' . $reply->status;
	ok(!$problem, $name) or diag("$problem\n", $reply->story);
	return $reply;
}

gives '@books?select=title,@people!author(name)&id=eq.1', [ { title => 'Alpha', '@people' => { name => 'Ida' } } ],
    'to-one, hinted by column';
gives '@books?select=title,@people!@translated_by(name)&id=eq.1',
    [ { title => 'Alpha', '@people' => { name => 'Jon' } } ], 'to-one, hinted by constraint';
gives '@books?select=title,author(name)&id=eq.1', [ { title => 'Alpha', author => { name => 'Ida' } } ],
    'to-one, addressed by its column';
gives '@books?select=title,@translated_by(name)&id=eq.1',
    [ { title => 'Alpha', '@translated_by' => { name => 'Jon' } } ], 'to-one, addressed by its constraint';
gives '@books?select=title,writer:author(name),by:translator(name)&id=eq.2',
    [ { title => 'Beta', writer => { name => 'Ida' }, by => undef } ], 'aliases name the keys, no row is null';
gives '@people?select=name,@places(name)&order=id',
    [ { name => 'Ida', '@places' => { name => 'Town' } }, { name => 'Jon', '@places' => { name => 'Street' } },
	{ name => 'Kim', '@places' => undef } ], 'to-one without a hint when there is one way';
gives '@people?select=name,@books!author(title)&order=id&@books.order=title.desc',
    [ { name => 'Ida', '@books' => [ { title => 'Beta' }, { title => 'Alpha' } ] },
	{ name => 'Jon', '@books' => [ { title => 'Gamma' } ] }, { name => 'Kim', '@books' => [] } ],
    'to-many, ordered inside, empty for none';
gives '@people?select=name,@passports(number)&order=id',
    [ { name => 'Ida', '@passports' => { number => 'P1' } }, { name => 'Jon', '@passports' => { number => 'P2' } },
	{ name => 'Kim', '@passports' => undef } ], 'one-to-one is an object on the far side too';
gives '@passports?select=number,@people(name)&person=eq.1', [ { number => 'P1', '@people' => { name => 'Ida' } } ],
    'and on the near side';
gives '@books?select=title,@tags(word)&order=id&@tags.order=word&id=lt.4',
    [ { title => 'Alpha', '@tags' => [ { word => 'blue' }, { word => 'red' } ] },
	{ title => 'Beta', '@tags' => [ { word => 'blue' } ] }, { title => 'Gamma', '@tags' => [] } ],
    'many-to-many through the junction';
gives '@books?select=title,@tags!@tags_of(word)&id=eq.2', [ { title => 'Beta', '@tags' => [ { word => 'blue' } ] } ],
    'many-to-many, hinted by the junction';
gives '@tags?select=word,@books(title)&order=id&@books.order=id',
    [ { word => 'red', '@books' => [ { title => 'Alpha' } ] },
	{ word => 'blue', '@books' => [ { title => 'Alpha' }, { title => 'Beta' } ] },
	{ word => 'none', '@books' => [] } ], 'many-to-many from the other side';
gives '@books?select=title,@tags_of(since,@tags(word))&id=eq.1&@tags_of.order=since',
    [ {
	title => 'Alpha',
	'@tags_of' =>
	    [ { since => 2001, '@tags' => { word => 'red' } }, { since => 2002, '@tags' => { word => 'blue' } } ]
    } ],
    'the junction itself';
gives '@places?select=name,inside(name)&id=eq.4', [ { name => 'Street', inside => { name => 'Town' } } ],
    'self reference: the column is the parent';
gives '@places?select=name,@places(name)&id=eq.1&@places.order=name',
    [ { name => 'World', '@places' => [ { name => 'Town' }, { name => 'Village' } ] } ],
    'self reference: the table is the children';
gives '@places?select=name,parts:@places(name,parts:@places(name))&id=eq.1&parts.order=id',
    [ {
	name => 'World',
	parts => [ { name => 'Town', parts => [ { name => 'Street' } ] }, { name => 'Village', parts => [] } ]
    } ],
    'self reference, nested';
gives '@books?select=title,author(name,@places(name,inside(name)))&id=eq.3',
    [ {
	title => 'Gamma', author => { name => 'Jon', '@places' => { name => 'Street', inside => { name => 'Town' } } }
    } ],
    'three levels deep';
gives '@books?select=title,author(*)&id=eq.3',
    [ { title => 'Gamma', author => { id => 2, name => 'Jon', home => 4 } } ], 'every column of an embed';
gives '@shelf?select=title,@people(name)&id=eq.1', [ { title => 'Alpha', '@people' => { name => 'Ida' } } ],
    'from a view';
gives '@people?select=name,@shelf(title)&id=eq.2', [ { name => 'Jon', '@shelf' => [ { title => 'Gamma' } ] } ],
    'to a view';
gives 'rpc/@books_of?who=Ida&select=title,author(name)&order=title',
    [ { title => 'Alpha', author => { name => 'Ida' } }, { title => 'Beta', author => { name => 'Ida' } } ],
    'from the rows of a function';

# Filters, order and limits inside.
gives '@people?select=name,@books!author(title)&@books.title=eq.Beta&order=id',
    [ { name => 'Ida', '@books' => [ { title => 'Beta' } ] }, { name => 'Jon', '@books' => [] },
	{ name => 'Kim', '@books' => [] } ], 'a filter acts inside the embed, parents stay';
gives '@people?select=name,@books!author!inner(title)&@books.title=eq.Beta',
    [ { name => 'Ida', '@books' => [ { title => 'Beta' } ] } ], 'inner drops parents without a match';
gives '@people?select=name,@books!inner!author(title)&@books.title=eq.Beta',
    [ { name => 'Ida', '@books' => [ { title => 'Beta' } ] } ], 'modifiers stand in either order';
gives '@people?select=name,b:@books!author(title)&b.title=eq.Beta&id=eq.1',
    [ { name => 'Ida', b => [ { title => 'Beta' } ] } ], 'addressed by alias';
gives '@people?select=name,b:@books!author(title)&@books.title=eq.Beta&id=eq.1',
    [ { name => 'Ida', b => [ { title => 'Beta' } ] } ], 'addressed by table although it has an alias';
gives '@people?select=name,@books!author(title)&@books.or=(title.eq.Beta,pages.eq.300)&order=id',
    [ { name => 'Ida', '@books' => [ { title => 'Beta' } ] }, { name => 'Jon', '@books' => [ { title => 'Gamma' } ] },
	{ name => 'Kim', '@books' => [] } ], 'a tree inside the embed';
gives '@people?select=name,@books!author(title)&@books.not.and=(title.eq.Beta,pages.eq.200)&id=eq.1',
    [ { name => 'Ida', '@books' => [ { title => 'Alpha' } ] } ], 'a negated tree inside the embed';
gives '@people?select=name,@books!author(title)&@books.order=pages.desc&@books.limit=1&id=eq.1',
    [ { name => 'Ida', '@books' => [ { title => 'Beta' } ] } ], 'limit inside the embed';
gives '@people?select=name,@books!author(title)&@books.order=pages.desc&@books.offset=1&id=eq.1',
    [ { name => 'Ida', '@books' => [ { title => 'Alpha' } ] } ], 'offset inside the embed';
gives '@books?select=title,author!inner(name,@places!inner(name))&author.@places.name=eq.Street',
    [ { title => 'Gamma', author => { name => 'Jon', '@places' => { name => 'Street' } } } ], 'a path of two embeds';
gives '@books?select=title,author!left(name)&id=eq.4', [ { title => 'Delta', author => undef } ],
    'left is what goes without saying';
gives '@books?select=title,author!inner(name)&order=id',
    [ map { { title => $_->[0], author => { name => $_->[1] } } } [ Alpha => 'Ida' ], [ Beta => 'Ida' ],
	[ Gamma => 'Jon' ] ], 'inner without a filter drops rows that have none';
my $reply = get '@people?select=name,@books!author!inner(title)&@books.title=eq.Beta&limit=1', Prefer => 'count=exact';
is_header $reply, 'Content-Range', '0-0/1', 'totals leave out what inner drops';
gives '@people?select=name,@books!author()&order=id&limit=1', [ { name => 'Ida' } ], 'an empty embed selects nothing';
gives '@people?select=name,@books!author!inner()&@books.title=eq.Gamma', [ { name => 'Jon' } ],
    'an empty embed filters';
gives '@people?select=name,@books!author(count)&order=id',
    [ { name => 'Ida', '@books' => [ { count => 2 } ] }, { name => 'Jon', '@books' => [ { count => 1 } ] },
	{ name => 'Kim', '@books' => [ { count => 0 } ] } ], 'count of an embed, as every tutorial writes it';
gives '@people?select=name,n:@books!author(count)&id=eq.1&n.title=eq.Beta',
    [ { name => 'Ida', n => [ { count => 1 } ] } ], 'count of filtered rows';
gives '@books?select=title,...author(name,home)&id=eq.3', [ { title => 'Gamma', name => 'Jon', home => 4 } ],
    'a spread hoists columns';
gives '@books?select=title,...author(who:name,...@places(place:name))&id=eq.3',
    [ { title => 'Gamma', who => 'Jon', place => 'Street' } ], 'spreads nest';
gives '@people?select=name,b:@books!author()&b=is.null', [ { name => 'Kim' } ], 'is null of an embed is an anti-join';
gives '@people?select=name,b:@books!author()&b=not.is.null&order=id', [ { name => 'Ida' }, { name => 'Jon' } ],
    'not is null of an embed is a semi-join';
gives '@people?select=name,b:@books!author()&or=(b.is.null,name.eq.Ida)&order=id',
    [ { name => 'Ida' }, { name => 'Kim' } ], 'also inside or';
gives '@books?select=title,author(name)&order=author(name).desc,title&author=not.is.null',
    [ { title => 'Gamma', author => { name => 'Jon' } }, { title => 'Alpha', author => { name => 'Ida' } },
	{ title => 'Beta', author => { name => 'Ida' } } ], 'order by a column of a to-one embed';
gives '@books?select=title,a:author(n:name,up:home::text)&id=eq.1',
    [ { title => 'Alpha', a => { n => 'Ida', up => '2' } } ], 'alias and cast inside an embed';
gives '@people?select=name,@books!author(title,a:data->a)&id=eq.1&@books.id=eq.1',
    [ { name => 'Ida', '@books' => [ { title => 'Alpha', a => 1 } ] } ], 'a JSON path inside an embed';

# What cannot be embedded.
for my $case (
	[ '@books?select=title,@places(name)', 400, 'PGRST200', 'tables without a relationship' ],
	[ '@books?select=title,nothing(name)', 400, 'PGRST200', 'a relation that does not exist' ],
	[ '@books?select=title,@people(name)', 300, 'PGRST201', 'two ways to the same table' ],
	[ '@people?select=name,@books(title)', 300, 'PGRST201', 'two ways back' ],
	[ '@books?select=title,@people!nothing(name)', 400, 'PGRST200', 'a hint that fits nothing' ],
	[ '@people?select=name,@books!author(title)&order=@books(title)', 400, 'PGRST118', 'order by a to-many embed' ],
	[ '@books?select=title&order=author(name)', 400, 'PGRST108', 'order by something not embedded' ],
	[
		'@people?select=name,b:@books!author(title)&b=eq.1', 400, 'PGRST120',
		'an operator on an embed other than is null'
	],
	[ '@books?select=title&author.name=eq.Ida', 400, 'PGRST108', 'a filter on something not embedded' ],
	[ '@books?select=pages.sum()', 400, 'PGRST123', 'an aggregate' ],
	[ '@people?select=name,@books!author(pages.max())', 400, 'PGRST123', 'an aggregate in an embed' ],
	[ '@books?select=count()', 400, 'PGRST123', 'a count at the top' ],
	[ '@books?select=title,author(nothing)', 400, '42703', 'an unknown column in an embed' ],
	[ '@books?select=title,author(name', 400, 'PGRST100', 'an embed without its end' ],
	[ '@books?select=title,author(name))', 400, 'PGRST100', 'an embed with two ends' ],
	[ 'users?select=id,auth.users(email)', 400, undef, 'a table of another schema' ],
	[ 'messages?select=id,sessions(id)', 400, 'PGRST200', 'a table that is not exposed' ],
) {
	my ($query, $status, $code, $name) = @$case;
	is_status get($query), $status, $code // (), "$name: refused";
}
my $ambiguous = get '@books?select=title,@people(name)';
like $ambiguous->json->{hint}, qr/\Q${x}_people\E!\w+/, 'an ambiguous embed names the ways in its hint';
like $ambiguous->json->{hint}, qr/\Q${x}_translated_by\E/, 'by their constraints';

# Example 22, 23 and the rules of ownership.
my ($morning, $evening) = $ana->make(conversations =>
	    [ { title => 'Morning', updated_at => '2026-01-02' }, { title => 'Evening', updated_at => '2026-01-01' } ]);
my @said = $ana->make(
	messages => [
		map { { conversation_id => $morning->{id}, role => 'user', content => $_,
			created_at => "2026-01-0$_" } } 1 .. 3
	]
);
is_json $ana->get(
'/rest/v1/messages?select=id,conversation:conversations!inner(id,title)&conversation.title=eq.Morning&order=sequence_number&limit=1'
    ),
    200, [ { id => $said[0]{id}, conversation => { id => $morning->{id}, title => 'Morning' } } ],
    'messages carry their conversation';
is_json $ana->get(
'/rest/v1/conversations?select=id,messages(id,content)&messages.order=created_at.desc&messages.limit=1&order=title.desc'
    ),
    200,
    [ { id => $morning->{id}, messages => [ { id => $said[2]{id}, content => '3' } ] },
	{ id => $evening->{id}, messages => [] } ], 'conversations carry their newest message';
is_json $ana->get('/rest/v1/conversations?select=title,messages(count)&order=title'), 200,
    [ { title => 'Evening', messages => [ { count => 0 } ] }, { title => 'Morning', messages => [ { count => 3 } ] } ],
    'conversations carry the number of their messages';
is_json $ana->get('/rest/v1/users?select=conversations(title)&conversations.order=title'), 200,
    [ { conversations => [ { title => 'Evening' }, { title => 'Morning' } ] } ], 'the user is a parent like any other';
is_json $ben->get('/rest/v1/users?select=conversations(title,messages(content))'), 200, [ { conversations => [] } ],
    'an embed shows no other user\'s rows'; # A5

# After writes.
is_json $ana->post('/rest/v1/messages?select=content,conversations(title)',
	{ conversation_id => $evening->{id}, role => 'user', content => 'late' }, Prefer => 'return=representation'),
    201, [ { content => 'late', conversations => { title => 'Evening' } } ], 'an inserted row carries its parent';
is_json $ana->patch("/rest/v1/conversations?id=eq.$evening->{id}&select=title,messages(content)", { title => 'Night' },
	Prefer => 'return=representation'),
    200, [ { title => 'Night', messages => [ { content => 'late' } ] } ], 'an updated row carries its children';
is_json $ana->del("/rest/v1/messages?conversation_id=eq.$evening->{id}&select=content,conversations(title)",
	Prefer => 'return=representation', Accept => $object),
    200, { content => 'late', conversations => { title => 'Night' } }, 'a deleted row carries its parent';

done_testing;
