#!/usr/bin/perl
# CSV: quoting, nulls, and where it may be asked for.

use v5.36;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana) = $k->users('ana');
my $table = $k->unique('sheet');
$k->later(sub { $k->sql("drop table if exists public.$table") });
$k->sql(<<"SQL");
create table public.$table (id int primary key, t text, b boolean, at timestamptz, doc jsonb, tags text[], parent int references public.$table);
grant select, insert on public.$table to authenticated;
insert into public.$table values
 (1, 'plain', true, '2026-01-02T03:04:05Z', '{"a": 1}', '{x,"y z"}', null),
 (2, 'a,b', false, null, null, '{}', 1),
 (3, 'say "hi"', null, null, '"s"', null, null),
 (4, E'two\\nlines', null, null, null, null, null),
 (5, '', null, null, null, null, null),
 (6, 'héllo', null, null, null, null, null);
SQL
my @csv = (Accept => 'text/csv');
sub csv ($query) { $ana->get("/rest/v1/$table?order=id&$query", @csv) }
sub bytes ($text) { utf8::encode($text); $text }

my $reply = csv('select=id,t,b&id=lt.3');
is_text $reply, 200, qq(id,t,b\n1,plain,t\n2,"a,b",f),
    'header line, rows as PostgreSQL writes records, no line feed at the end';
is_header $reply, 'Content-Type', 'text/csv; charset=utf-8', 'its type';
is_header $reply, 'Content-Range', '0-1/*', 'its range';
is_text csv('select=t&id=eq.3'), 200, qq(t\n"say ""hi"""), 'quotes are doubled';
is_text csv('select=t&id=eq.4'), 200, qq(t\n"two\nlines"), 'a line feed is quoted';
is_text csv('select=t,b&id=eq.5'), 200, qq(t,b\n"",), 'the empty string is quoted, null is nothing';
is_text csv('select=t&id=eq.6'), 200, bytes("t\nhéllo"), 'letters beyond ASCII stay as they are';
like csv('select=doc&id=eq.1')->body, qr/^doc\n"\{""a"": 1\}"$/, 'JSON is quoted';
like csv('select=at&id=eq.1')->body, qr/^at\n"?2026-01-02[ T]03:04:05\+00(?::00)?"?$/, 'a time';
is_text csv('select=id&id=eq.99'), 200, 'id', 'no rows: the header line alone';
is_text csv('select=n:id,"a,b":t&id=eq.1'), 200, qq(n,"a,b"\n1,plain),
    'aliases in the header line, quoted where they must be';
is_status csv('select=nope'), 400, '42703', 'an error is JSON all the same';
is_text $ana->post("/rest/v1/$table?select=id,t", [ { id => 10, t => 'new' } ], @csv,
	Prefer => 'return=representation'), 201, "id,t\n10,new", 'what a write returns may be CSV';
is_text $ana->post("/rest/v1/$table", { id => 11 }, @csv), 201, '', 'a write that returns nothing sends none';
is_header $ana->get("/rest/v1/$table?limit=1", Accept => 'text/html, text/csv, application/json'), 'Content-Type',
    'text/csv; charset=utf-8', 'the first acceptable form wins';
my $embedded = csv('select=id,parent(t)&id=eq.2');
ok $embedded->status == 200 && $embedded->body =~ /^id,parent\n2,"\{""t"": ?""plain""\}"$/,
    'an embed is JSON in a field'
    or diag $embedded->story;

done_testing;
