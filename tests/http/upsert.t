#!/usr/bin/perl
# Upsert: what merges, what is ignored, which index decides, and whose row stays whose.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users(qw(ana ben));
my $merge = 'resolution=merge-duplicates';
my $ignore = 'resolution=ignore-duplicates';
my $return = 'return=representation';

my $table = $k->unique('pairs');
$k->later(sub { $k->sql("drop table if exists public.$table, public.${table}_free") });
$k->sql(<<"SQL");
create table public.$table (a int, b int, word text unique, n int default 5, note text, primary key (a, b));
create table public.${table}_free (a int, word text);
grant select, insert, update, delete on public.$table, public.${table}_free to authenticated;
SQL
my $path = "/rest/v1/$table";

# Example 18.
my @job = ('/rest/v1/memories?on_conflict=user_id,category,key&select=category,key,content',
	{ category => 'work', key => 'job', content => 'gardener' }, Prefer => "$merge, $return");
my $reply = $ana->post(@job);
is_json $reply, 201, [ { category => 'work', key => 'job', content => 'gardener' } ], 'the first upsert inserts: 201';
is_header $reply, 'Preference-Applied', "$merge, $return", 'both preferences are confirmed, in order';
$job[1]{content} = 'baker';
is_json $ana->post(@job), 200, [ { category => 'work', key => 'job', content => 'baker' } ],
    'the second one merges: 200';
is_json $ana->get('/rest/v1/memories?select=content'), 200, [ { content => 'baker' } ], 'and there is one row';
is_status $ben->post(@job), 201, 'another user\'s same key is another row'; # D8
is_json $ben->get('/rest/v1/memories?select=content'), 200, [ { content => 'baker' } ], 'which only they see';

# By the primary key when on_conflict is absent.
is_text $ana->post($path, { a => 1, b => 1, word => 'one' }, Prefer => $merge), 201, '',
    'an upsert without representation has no body: 201 when new';
is_text $ana->post($path, { a => 1, b => 1, note => 'x' }, Prefer => $merge), 200, '', '200 when nothing was new';
is_json $ana->get("$path?select=*"), 200, [ { a => 1, b => 1, word => 'one', n => 5, note => 'x' } ],
    'only what was sent is set';
$reply = $ana->post("$path?select=a,n", [ { a => 1, b => 1, n => 6 }, { a => 2, b => 2, n => 7 } ],
	Prefer => "$merge,$return,count=exact");
is_json $reply, 201, [ { a => 1, n => 6 }, { a => 2, n => 7 } ], 'one new row among merged ones makes 201';
is_header $reply, 'Content-Range', '*/2', 'count=exact counts both';
is_json $ana->post($path, [ { a => 1, b => 1 } ], Prefer => "$merge,$return"), 200,
    [ { a => 1, b => 1, word => 'one', n => 6, note => 'x' } ], 'only keys sent: the row comes back as it is';

# By another unique index.
is_json $ana->post("$path?on_conflict=word&select=a,b,note", { a => 9, b => 9, word => 'one', note => 'y' },
	Prefer => "$merge,$return"), 200, [ { a => 9, b => 9, note => 'y' } ], 'on_conflict names another unique index';
is_status $ana->post("$path?on_conflict=note", { a => 3, b => 3, note => 'z' }, Prefer => $merge), 400, '42P10',
    'columns without a unique index are refused';
is_status $ana->post("$path?on_conflict=nope", { a => 3, b => 3 }, Prefer => $merge), 400,
    'an unknown column in on_conflict is refused';
is_status $ana->post("$path?on_conflict=a,b", { a => 4, b => 4, word => 'one' }, Prefer => $merge), 409, '23505',
    'a conflict with another index is a conflict';

# Ignore.
is_text $ana->post($path, { a => 2, b => 2, n => 99 }, Prefer => $ignore), 201, '', 'an ignored row still answers 201';
is_json $ana->post("$path?select=a,n&columns=a,b,n", [ { a => 2, b => 2, n => 99 }, { a => 5, b => 5, n => 1 } ],
	Prefer => "$ignore,$return"), 201, [ { a => 5, n => 1 } ], 'only inserted rows come back';
is_json $ana->get("$path?select=n&a=eq.2"), 200, [ { n => 7 } ], 'the ignored one changed nothing';
is_json $ana->post($path, { a => 2, b => 2 }, Prefer => "$ignore,$return"), 201, [],
    'nothing inserted is an empty array';

# Without resolution, without a key.
is_status $ana->post($path, { a => 2, b => 2 }), 409, '23505', 'without resolution a duplicate is a conflict';
is_status $ana->post("$path?on_conflict=a,b", { a => 2, b => 2 }), 409, '23505', 'on_conflict alone resolves nothing';
is_status $ana->post("/rest/v1/${table}_free", { a => 1, word => 'x' }, Prefer => $merge), 201,
    'a table without a key just inserts';
is_status $ana->post("/rest/v1/${table}_free", { a => 1, word => 'x' }, Prefer => $merge), 201, 'and again';

# Twice in one body, missing=default, columns.
is_status $ana->post($path, [ { a => 7, b => 7 }, { a => 7, b => 7 } ], Prefer => $merge), 400, '21000',
    'the same key twice in one body is refused'; # A6
is_json $ana->get("$path?a=eq.7"), 200, [], 'and writes nothing';
is_json $ana->post("$path?columns=a,b,n,note&select=a,n,note",
	[ { a => 2, b => 2, note => 'new' }, { a => 8, b => 8, n => 1 } ], Prefer => "$merge,missing=default,$return"),
    201, [ { a => 2, n => 5, note => 'new' }, { a => 8, n => 1, note => undef } ],
    'missing=default resets what a row leaves out';
is_header $ana->post($path, [], Prefer => "$merge,missing=default,$return,count=exact"), 'Preference-Applied',
    "$merge, missing=default, $return, count=exact", 'the order of confirmed preferences is fixed';
is_json $ana->post($path, { a => 8, b => 8, note => 'solo' }, Prefer => "$merge,$return",
	Accept => 'application/vnd.pgrst.object+json'), 200, { a => 8, b => 8, word => undef, n => 1, note => 'solo' },
    'an upsert may be asked for as one object';

# An upsert moves nothing between users.  D10
my $mine = $ana->make(conversations => { title => 'Mine' });
is_status $ben->post('/rest/v1/conversations', { id => $mine->{id}, title => 'Taken' }, Prefer => $merge), 403,
    '42501', 'merging into another user\'s row is refused';
is_json $ben->post('/rest/v1/conversations', { id => $mine->{id}, title => 'Taken' }, Prefer => "$ignore,$return"),
    201, [], 'ignoring another user\'s row tells nothing about it';
is_json $ana->get('/rest/v1/conversations?select=title'), 200, [ { title => 'Mine' } ], 'and it is unchanged';
is_status $ana->post('/rest/v1/conversations', { id => $mine->{id}, user_id => $ben->id }, Prefer => $merge), 403,
    '42501', 'nor is a row given away by a merge';
is_status $ana->post('/rest/v1/conversations', { id => $mine->{id}, message_count => 9 }, Prefer => $merge), 403,
    '42501', 'nor a server\'s column set'; # D9
is_json $ana->post('/rest/v1/conversations?select=title', { id => $mine->{id}, title => 'Renamed' },
	Prefer => "$merge,$return"), 200, [ { title => 'Renamed' } ],
    'the owner merges into it, although id is not updatable';

done_testing;
