#!/usr/bin/perl
# C before a function runs: in the transaction of the call, as the caller, and again when that is tried again.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

# A function of the hook's name in a schema of its own, so that it may do what the real one does not.
my $k = Kith::Test->new(own => 1, env => { KITH_SCHEMAS => 'public,app' });
my ($ana) = $k->users('ana');
my $vector = '[1' . ',0' x 1535 . ']';
my %app = ('Content-Profile' => 'app');
sub call ($failures) { $ana->post('/rest/v1/rpc/search_memories', { query_embedding => $vector, failures => $failures }, %app) }
sub count { $k->sql('select count(*) from app.calls') }

$k->sql(<<'SQL');
create schema app;
grant usage on schema app to authenticated;
create table app.calls (who text, computed text);
create sequence app.failures;
grant insert on app.calls to authenticated;
grant usage on sequence app.failures to authenticated;
create function app.search_memories(query_embedding text, failures int) returns text language plpgsql as $$
begin
    insert into app.calls values (current_user, current_setting('kith.computed'));
    if nextval('app.failures') <= failures then
        raise exception using errcode = '40001', message = 'once more';
    end if;
    return current_setting('kith.computed');
end $$;
create function app.anything() returns json language sql stable as $$
    select json_build_object('computed', nullif(current_setting('kith.computed', true), ''), 'user', current_user)
$$;
grant execute on all functions in schema app to authenticated;
SQL

is_json $ana->post('/rest/v1/rpc/anything', {}, %app), 200, { computed => undef, user => 'authenticated' }, 'without hook nothing is computed';
is_json call(0), 200, '[]', 'the function has what was computed';
is $k->sql('select * from app.calls'), 'authenticated|[]', 'and is the caller\'s';
is_json $ana->post('/rest/v1/rpc/anything', {}, %app), 200, { computed => undef, user => 'authenticated' }, 'the next call has nothing of it';

my $memory = $ana->make(memories => { content => 'tea', embedding => $vector, importance => 0 });
$k->sql('alter sequence app.failures restart; truncate app.calls');
is_json call(2), 200, qr/"id":"$memory->{id}"/, 'a conflict is tried again, with what is read again';
is count(), '1', 'and done once';
$k->sql('alter sequence app.failures restart; truncate app.calls');
$k->may_answer(503);
is_status call(9), 503, '40001', 'but not for ever';
is count(), '0', 'and then not at all';
is_status $ana->post('/rest/v1/rpc/search_memories', { query_embedding => '[1]', failures => 0 }, %app), 400, '22000', 'what the hook refuses';
is_status $ana->post('/rest/v1/rpc/search_memories', { query_embedding => $vector, failures => 'x' }, %app), 400, '22P02', 'or the call';
is count(), '0', 'is not done';

$k->sql('revoke select on public.memories from authenticated');
is_status call(0), 403, '42501', 'what the caller may not read, the hook does not read';
is count(), '0', 'and nothing is done';
$k->sql('grant select on public.memories to authenticated');
is_json call(0), 200, qr/"id":"$memory->{id}"/, 'the same process goes on';

# An embedding is no reason to do without a connection that is warm.
my $backends = "select string_agg(pid::text, ' ' order by pid) from pg_stat_activity where usename = 'kith_api'";
my $many = '[' . join(',', map { sprintf '%.17f', $_ / 3000 } 1 .. 1536) . ']';
my $before = $k->sql($backends);
is_status $ana->post('/rest/v1/rpc/search_memories', { query_embedding => $many }), 200, 'a large embedding' for 1 .. 40;
like $k->sql($backends), qr/\b\Q$_\E\b/, 'wears no connection out' for split ' ', $before;

done_testing;
