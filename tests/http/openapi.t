#!/usr/bin/perl
# The root describes what the caller's role may use, in the shape that generators read.

use v5.36;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana) = $k->users('ana');
my $x = $k->unique('api');

$k->later(sub {
	$k->sql(qq(drop view if exists public.${x}_open, public.${x}_outer;
drop function if exists public.${x}_find, public.${x}_closed, public.${x}_touch() cascade;
drop table if exists public."${x} ödd", public.${x}_notes, public.${x}_books, public.${x}_hidden cascade;
drop type if exists public.${x}_mood; drop domain if exists public.${x}_stars;));
});
$k->sql(<<"SQL");
create type public.${x}_mood as enum ('calm', 'it''s');
create domain public.${x}_stars as int check (value > 0);
create table public.${x}_books (id bigint primary key, title varchar(40) not null default 'it''s');
create table public.${x}_notes (
    id uuid primary key default gen_random_uuid(),
    book_id bigint not null references public.${x}_books,
    state text not null default 'open' constraint state_known check (state in ('open', 'closed', 'it''s (a) "word", yes')),
    mood public.${x}_mood,
    stars public.${x}_stars default 3,
    share numeric(5, 2) default 0.5,
    done boolean not null default false,
    tags text[] not null default '{}',
    more jsonb,
    length int generated always as (cardinality(tags)) stored,
    made_at timestamptz not null default now()
);
comment on table public.${x}_notes is E'Notes.\n\nOf a book.';
comment on column public.${x}_notes.state is 'Where it stands.';
create table public.${x}_hidden (id int primary key);
create table public."${x} ödd" ("a b/c" int primary key);
create view public.${x}_open with (security_invoker = true) as
    select n.id as note, n.book_id as book, n.state, upper(n.state) as loud from public.${x}_notes n;
create view public.${x}_outer with (security_invoker = true) as
    select b.id, n.state from public.${x}_books b left join public.${x}_notes n on n.book_id = b.id;
grant select, insert (book_id, state), update (state) on public.${x}_notes to authenticated;
grant select on public.${x}_books, public."${x} ödd", public.${x}_open, public.${x}_outer to authenticated;
grant select on public.${x}_books to anon;
create function public.${x}_find(words text[], at_most int default 10, variadic marks int[] default '{}')
    returns setof public.${x}_notes language sql stable as 'select * from public.${x}_notes';
comment on function public.${x}_find is 'Finds notes.';
create function public.${x}_closed(what jsonb) returns void language sql volatile as '';
create function public.${x}_touch() returns trigger language plpgsql as 'begin return new; end';
grant execute on function public.${x}_find to authenticated;
grant execute on function public.${x}_closed to service_role;
SQL

sub names ($of) { [ map { s/^$x/x/r } sort grep { /$x/ } keys %$of ] }

my $reply = $ana->get('/rest/v1/');
is_status $reply, 200, undef, 'the root is there';
is_header $reply, 'Content-Type', 'application/openapi+json; charset=utf-8', 'and says what it is';
my $api = $reply->json;
is $api->{swagger}, '2.0', 'Swagger 2.0';
is_deeply [ map { ref $api->{$_} } qw(info paths definitions parameters) ], [ ('HASH') x 4 ], 'with all its parts';
is $ana->get('/rest/v1/')->body, $reply->body, 'the same schema gives the same text';
for my $accept ('application/openapi+json', 'application/json', '*/*', 'text/html, application/json;q=0.9') {
	is $ana->get('/rest/v1/', Accept => $accept)->body, $reply->body, "Accept: $accept";
}

# Tables
is_deeply names($api->{definitions}), [ map { "x$_" } ' ödd', '_books', '_notes', '_open', '_outer' ],
    'a table without rights is not there';
my %notes = (
	description => "Notes.\n\nOf a book.",
	type => 'object',
	required => [qw(id book_id state done tags made_at)],
	properties => {
		id => { type => 'string', format => 'uuid', default => 'gen_random_uuid()',
			description => "Note:\nThis is a Primary Key.<pk/>" },
		book_id => { type => 'integer', format => 'bigint', description =>
			    "Note:\nThis is a Foreign Key to `${x}_books.id`.<fk table='${x}_books' column='id'/>" },
		state => { type => 'string', format => 'text', default => 'open', description => 'Where it stands.',
			enum => [ 'open', 'closed', 'it\'s (a) "word", yes' ] },
		mood => { type => 'string', format => "public.${x}_mood", enum => [ 'calm', 'it\'s' ] },
		stars => { type => 'integer', format => 'integer', default => 3 },
		share => { type => 'number', format => 'numeric', default => 0.5 },
		done => { type => 'boolean', format => 'boolean', default => false },
		tags => { type => 'array', format => 'text[]', items => { type => 'string' } },
		more => { format => 'jsonb' },
		length => { type => 'integer', format => 'integer' },
		made_at => { type => 'string', format => 'timestamp with time zone', default => 'now()' },
	},
);
is_deeply $api->{definitions}{"${x}_notes"}, \%notes, 'columns: types, words, defaults, keys, comments';
is_deeply $api->{definitions}{"${x}_books"}{properties}{title},
    { type => 'string', format => 'character varying', maxLength => 40, default => 'it\'s' }, 'a length';
like $reply->body, qr/"id":\{[^}]*\},"book_id":\{.*?"made_at":/, 'columns keep their order';
my @filters = map { { '$ref' => "#/parameters/rowFilter.${x}_notes.$_" } }
    qw(id book_id state mood stars share done tags more length made_at);
my $item = $api->{paths}{"/${x}_notes"};
is_deeply [ sort keys %$item ], [qw(get patch post)], 'only the methods that the role has a right to';
is_deeply [ sort keys %{ $api->{paths}{"/${x}_books"} } ], ['get'], 'reading only';
is_deeply $item->{patch}, {
	tags => ["${x}_notes"], summary => 'Notes.', description => 'Of a book.',
	parameters => [ @filters, map { { '$ref' => "#/parameters/$_" } } "body.${x}_notes", 'preferReturn' ],
	responses => { 204 => { description => 'No Content' } },
}, 'an operation';
is_deeply $item->{get}{responses}{200}{schema},
    { type => 'array', items => { '$ref' => "#/definitions/${x}_notes" } }, 'what a read returns';
is_deeply $api->{parameters}{"rowFilter.${x}_notes.state"},
    { name => 'state', description => 'Where it stands.', required => false, in => 'query', type => 'string' }, 'a filter';
ok exists $api->{paths}{"/$x%20%C3%B6dd"}{get}, 'an odd name is encoded in the path'
    or diag join "\n", sort keys %{ $api->{paths} };
is $api->{paths}{"/$x%20%C3%B6dd"}{get}{parameters}[0]{'$ref'}, "#/parameters/rowFilter.$x%20%C3%B6dd.a%20b%2Fc",
    'and in references';
ok exists $api->{parameters}{"rowFilter.$x ödd.a b/c"}, 'whose target has the name itself';

# Views
my $open = $api->{definitions}{"${x}_open"};
is_deeply $open->{required}, [qw(note book state)], 'a view\'s column is as its table\'s';
is $open->{properties}{note}{description}, "Note:\nThis is a Primary Key.<pk/>", 'with the key';
is $open->{properties}{book}{description},
    "Note:\nThis is a Foreign Key to `${x}_books.id`.<fk table='${x}_books' column='id'/>", 'the way to the other table';
is_deeply $open->{properties}{state}, $notes{properties}{state}, 'words, default and comment';
is_deeply $open->{properties}{loud}, { type => 'string', format => 'text' }, 'but not what it computes';
is $api->{definitions}{"${x}_outer"}{required}, undef, 'an outer join can make anything null';

# Functions
is_deeply names({ map { m{^/rpc/(.*)} ? ($1 => 1) : () } keys %{ $api->{paths} } }), ['x_find'],
    'only functions that the role may call, and no trigger';
my $find = $api->{paths}{"/rpc/${x}_find"};
is_deeply $find->{post}{parameters}[0]{schema}, {
	description => 'Finds notes.', type => 'object', required => ['words'],
	properties => {
		words => { type => 'array', format => 'text[]', items => { type => 'string' } },
		at_most => { type => 'integer', format => 'integer' },
		marks => { type => 'array', format => 'integer[]', items => { type => 'integer' } },
	},
}, 'arguments of a call';
is_deeply $find->{get}{parameters}, [
	{ name => 'words', required => true, in => 'query', type => 'string', format => 'text[]' },
	{ name => 'at_most', required => false, in => 'query', type => 'integer', format => 'integer' },
	{ name => 'marks', required => false, in => 'query', type => 'array', collectionFormat => 'multi',
		items => { type => 'integer' } },
], 'and in a query';
is_deeply [ grep { m{^/(?:rpc/)?(?:kith|auth|openapi|check_session|uid|migrations)} } keys %{ $api->{paths} } ], [],
    'nothing of a schema that is not exposed';

# Roles
my $anon = $k->anon->get('/rest/v1/')->json;
is_deeply names($anon->{definitions}), ['x_books'], 'anon sees what anon may use';
is_deeply [ sort grep { !/$x/ } keys %{ $anon->{paths} } ], [ '/', '/plans' ], 'which is little';
my $service = $k->service->get('/rest/v1/')->json;
is_deeply names($service->{definitions}), [ map { "x$_" } ' ödd', '_books', '_hidden', '_notes', '_open', '_outer' ],
    'the service sees all';
is_deeply [ sort keys %{ $service->{paths}{"/rpc/${x}_closed"} } ], ['post'], 'a function that writes takes no GET';
is_deeply [ sort keys %{ $service->{paths}{"/${x}_outer"} } ], ['get'], 'nobody writes to a join';

# What holds for every answer of the dialect
is_text $ana->head('/rest/v1/'), 200, '', 'HEAD';
for my $method (qw(POST PATCH PUT DELETE)) {
	my $refused = $ana->send($method => '/rest/v1/', '{}');
	is_status $refused, 405, 'PGRST117', "$method is refused";
	is_header $refused, 'Allow', 'GET, HEAD, OPTIONS', 'saying what is not';
}
is_json $ana->get('/rest/v1/', Accept => 'text/csv'), 406,
    { code => 'PGRST107', message => 'None of these media types are available: text/csv', details => undef,
	hint => 'Ask for application/openapi+json or application/json.' }, 'it comes in one form';
is_status $ana->get('/rest/v1/messages', Accept => 'application/openapi+json'), 406, 'PGRST107', 'which rows do not';
is_status $ana->get('/rest/v1/', 'Accept-Profile' => 'kith'), 406, 'PGRST106', 'a schema that is not exposed';
is $ana->get('/rest/v1/', 'Accept-Profile' => 'public')->body, $reply->body, 'one that is';
is_status $k->client(apikey => undef)->get('/rest/v1/'), 401, undef, 'without a key it is not told';
$k->sql("delete from auth.sessions where user_id = '@{[ $ana->id ]}'");
is_json $ana->get('/rest/v1/'), 401,
    { code => 'PGRST303', message => 'JWT session has ended', details => undef, hint => undef }, 'nor after signing out';

done_testing;
