#!/usr/bin/perl
# Errors: paths, verbs, names, profiles, and what every refusal looks like.

use v5.36;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana) = $k->users('ana');

# Examples 28, 29 and 31, whole.
is_json $ana->get('/rest/v1/messages?id=eq.nope'), 400,
    { code => '22P02', details => undef, hint => undef, message => 'invalid input syntax for type uuid: "nope"' },
    'a bad literal is named';
my $unknown = $ana->get('/rest/v1/nope');
is_json $unknown, 404,
    { code => 'PGRST205', details => undef, hint => sub ($hint) { !defined $hint || !ref $hint },
	message => "Could not find the table 'public.nope' in the schema cache" }, 'an unknown table is named';
like $ana->get('/rest/v1/message')->json->{hint} // '', qr/messages/, 'a near miss gets a hint';
is_json $ana->get('/rest/v1/messages', 'Accept-Profile' => 'secret'), 406,
    { code => 'PGRST106', details => undef, message => 'Invalid schema: secret',
	hint => 'Only the following schemas are exposed: '
	    . 'public, justin, companion, trailhead, thinking_partner, essence' }, 'a schema that is not exposed';
for my $schema (qw(auth kith extensions pg_catalog information_schema PUBLIC), 'public,auth') {
	is_status $ana->get('/rest/v1/users', 'Accept-Profile' => $schema), 406, 'PGRST106',
	    "schema $schema cannot be read";
	is_status $ana->post('/rest/v1/conversations', {}, 'Content-Profile' => $schema), 406, 'PGRST106',
	    "schema $schema cannot be written";
}
is_status $ana->get('/rest/v1/conversations', 'Accept-Profile' => 'public', 'Content-Profile' => 'secret'), 200,
    'only the profile for the method is read';
is_status $ana->post('/rest/v1/conversations', {}, 'Accept-Profile' => 'secret', 'Content-Profile' => 'public'), 201,
    'also on a write';
is_status $ana->post('/rest/v1/rpc/get_or_create_chat_session', {}, 'Content-Profile' => 'secret'), 406, 'PGRST106',
    'also on a function';

# Names that are none of ours.
for my $name (qw(pg_class pg_user migrations sessions refresh_tokens _pg_foreign_tables), 'auth.users',
	'pg_catalog.pg_class', 'public.messages', 'Messages', 'messages ', '"messages"', 'messages;', 'messäges',
	'%E2%82%AC', 'rpc', 'a' x 200) {
	is_status $ana->get("/rest/v1/$name"), 404, qq("$name" is no table);
}
for my $path ('/rest/v1/messages/x', '/rest/v1/messages/', '/rest/v1//messages', '/rest/v1/rpc/a/b', '/rest/v1/rpc/',
	'/rest/v1', '/rest/v2/messages', '/rest/', '/', '/index.html', '/auth/v1/nothing', '/auth/v2/token',
	'/REST/v1/messages') {
	is_status $ana->get($path), 404, "nothing is at $path";
}
is_status $ana->get('/rest/v1/messages/x'), 404, 'PGRST125', 'extra segments are PGRST125';
ok $ana->get('/rest/v1/')->status =~ /^(?:200|404)$/, 'the root has a description or none';
is_status $ana->get('/rest/v1/%6d%65%73%73%61%67%65%73'), 200, 'a table name may be percent-encoded';
my $odd = $k->unique('ta ble-é"x');
$k->later(sub { $k->sql('drop table if exists public."' . $odd =~ s/"/""/gr . '"') });
$k->sql('create table public."' . $odd =~ s/"/""/gr . '" (id int); grant select on public."' . $odd =~
	    s/"/""/gr . '" to authenticated');
is_json $ana->get("/rest/v1/$odd"), 200, [], 'any name that PostgreSQL takes is a name';

# Verbs.  C17
for my $method (qw(PROPFIND LOCK LINK PURGE FOO get)) {
	my $reply = $ana->send($method, '/rest/v1/messages', undef);
	ok + ($reply->status == 405 || $reply->status == 400), "$method is refused" or diag $reply->story;
}
is_status $ana->send(PROPFIND => '/rest/v1/messages', undef), 405, 'PGRST117', 'an unknown verb is PGRST117';
my $put = $ana->send(PUT => '/rest/v1/messages?id=eq.' . uuid, {});
ok $put->status == 405 || $put->status == 400, 'PUT is refused' or diag $put->story;
for my $header ('X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override') {
	is_status $ana->get('/rest/v1/messages', $header => 'DELETE'), 200, "$header is ignored"; # C17
}
is_status $ana->get('/rest/v1/messages?_method=DELETE'), 400, 'so is _method: a filter that cannot be parsed';

# What every error carries.
my $reply = $ana->get('/rest/v1/messages?id=eq.nope');
is_header $reply, 'Proxy-Status', qr/error=22P02/, 'Proxy-Status names the code';
is_header $ana->head('/rest/v1/messages?id=eq.nope'), 'Proxy-Status', qr/error=22P02/,
    'also on HEAD, where there is no body';
is $ana->head('/rest/v1/messages?id=eq.nope')->body, '', 'HEAD of an error has no body';
is_header $reply, 'X-Content-Type-Options', 'nosniff', 'types are not guessed';
is_header $reply, 'X-Request-Id', qr/^errors-\d+-\d+-\d+$/, 'the request id comes back'; # G1
for my $id ('short', 'with blank in it', 'x' x 65, "semi;colon-12345", '<script>alert(1)</script>') {
	my $own = $ana->get('/rest/v1/conversations?limit=1', 'X-Request-Id' => $id)->header('x-request-id') // '';
	ok $own =~ /^[A-Za-z0-9_-]{8,64}$/ && $own ne $id, "a request id like '" . substr($id, 0, 20) . "' is replaced";
}
is_header $reply, 'Server', qr{^(?:nginx)?$}, 'no version is told';

# SQLSTATEs by the statements that cause them.
my $table = $k->unique('state');
$k->later(sub { $k->sql("drop table if exists public.${table}_child, public.$table, public.${table}_secret") });
$k->sql(<<"SQL");
create table public.$table (id int primary key, name text not null, n int check (n > 0), at date);
create table public.${table}_child (id int primary key, parent int references public.$table deferrable initially deferred);
create table public.${table}_secret (id int);
insert into public.$table values (1, 'one', 1, null);
insert into public.${table}_child values (1, 1);
grant select, insert, update, delete on public.$table, public.${table}_child to authenticated;
SQL
for my $case (
	[ 'POST', $table, { id => 1, name => 'x' }, 409, '23505', 'a duplicate' ],
	[ 'POST', $table, { id => 2 }, 400, '23502', 'a null' ],
	[ 'POST', $table, { id => 2, name => 'x', n => 0 }, 400, '23514', 'a check' ],
	[ 'POST', "${table}_child", { id => 2, parent => 99 }, 409, '23503', 'a missing parent, found at commit' ], # A2
	[ 'DELETE', "$table?id=eq.1", undef, 409, '23503', 'a parent with children, found at commit' ],
	[ 'POST', $table, { id => 2, name => 'x', at => '2026-02-30' }, 400, '22008', 'a day that is none' ],
	[ 'GET', "${table}_secret", undef, 403, '42501', 'a table without a grant' ],
	[ 'GET', "$table?select=nope", undef, 400, '42703', 'an unknown column in select' ],
	[ 'GET', "$table?select=name::int", undef, 400, '22P02', 'a cast that fails' ],
	[ 'GET', "$table?select=name::nonsense", undef, 400, undef, 'a cast to a type that is none' ],
	[ 'GET', "$table?select=name::regclass", undef, 400, undef, 'a cast that is not on the list' ], # C8
	[ 'GET', "$table?order=nope", undef, 400, '42703', 'an unknown column in order' ],
	[ 'GET', "$table?order=id.up", undef, 400, 'PGRST100', 'an unknown direction' ],
) {
	my ($method, $what, $body, $status, $code, $name) = @$case;
	is_status $ana->send($method, "/rest/v1/$what", $body), $status, $code // (), "$name: $status";
}
is $k->sql("select count(*) from public.${table}_child"), '1', 'what failed at commit is not there';
my $deep = $ana->post("/rest/v1/$table", { id => 2 });
like $deep->message, qr/^null value in column "name" of relation "\Q$table\E" violates not-null constraint$/,
    'PostgreSQL\'s words are unchanged';

# A schema that changes is noticed.  B17 without load
is_status $ana->post("/rest/v1/$table?select=id,extra", { id => 5, name => 'x', extra => 1 },
	Prefer => 'return=representation'), 400, 'PGRST204', 'a column that is not there yet';
$k->sql("alter table public.$table add extra int");
is_json $ana->post("/rest/v1/$table?select=id,extra", { id => 5, name => 'x', extra => 1 },
	Prefer => 'return=representation'), 201, [ { id => 5, extra => 1 } ], 'is there at once when it was added';
$k->sql("alter table public.$table rename extra to more");
is_json $ana->get("/rest/v1/$table?select=id,more&id=eq.5"), 200, [ { id => 5, more => 1 } ], 'a renamed column';
is_json $ana->get("/rest/v1/$table?id=eq.5"), 200, [ { id => 5, name => 'x', n => undef, at => undef, more => 1 } ],
    'also in select=*';
is_status $ana->get("/rest/v1/$table?select=extra"), 400, '42703', 'the old name is gone';
$k->sql("revoke select on public.$table from authenticated");
is_status $ana->get("/rest/v1/$table"), 403, '42501', 'a revoked right';
$k->sql("drop table public.${table}_child, public.$table");
is_status $ana->get("/rest/v1/$table"), 404, 'PGRST205', 'a dropped table';

done_testing;
