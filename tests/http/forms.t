#!/usr/bin/perl
# Forms of an answer: nulls=stripped at every depth, and CSV as PostgreSQL writes text.

use v5.36;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana) = $k->users('ana');
my $x = $k->unique('form');
$k->later(sub {
	$k->sql("drop table if exists public.${x}_kids, public.$x");
	$k->sql("drop type if exists public.${x}_pair, public.${x}_mood");
});
$k->sql(<<"SQL");
create type public.${x}_pair as (a int, b text);
create type public.${x}_mood as enum ('sad', 'very happy');
create table public.$x (id int primary key, doc jsonb, raw json, pair public.${x}_pair, tags text[],
    moods public.${x}_mood[], pairs public.${x}_pair[], name text);
create table public.${x}_kids (id int primary key, parent int references public.$x, doc jsonb, name text);
insert into public.$x values
 (1, '{"a": 1, "b": null, "c": {"d": null}, "e": [null, {"f": null, "g": [{}]}], "h": "null", "i\\"": "x\\"\\\\",
  "j": {"k": null, "l": 0}}', '{ "a" : null , "b" : [ ] ,
      "c" : -1.50e3 }', '(1,)', '{a,"b c",NULL}', '{sad,"very happy"}', '{"(1,x)"}', null),
 (2, 'null', 'null', null, null, '{}', null, 'two');
insert into public.${x}_kids values (1, 1, '{"x": null}', null), (2, 1, null, 'kid');
grant select, insert on public.$x, public.${x}_kids to authenticated;
SQL
my @stripped = (Accept => 'application/vnd.pgrst.array+json;nulls=stripped');
my @csv = (Accept => 'text/csv');
my $path = "/rest/v1/$x";

is_text $ana->get("$path?select=id,doc,raw,name&id=eq.1", @stripped), 200,
  '[{"id":1,"doc":{"a":1,"c":{},"e":[null,{"g":[{}]}],"h":"null","j":{"l":0},"i\"":"x\"\\\\"},'
  . '"raw":{"b":[],"c":-1.50e3}}]',
  'members that are null are left out at every depth, elements stay';
is_text $ana->get("$path?select=id,pair,tags,moods,pairs&id=eq.1", @stripped), 200,
  '[{"id":1,"pair":{"a":1},"tags":["a","b c",null],"moods":["sad","very happy"],"pairs":[{"a":1,"b":"x"}]}]',
  'also in composite values';
is_text $ana->get("$path?select=*&id=eq.2", @stripped), 200, '[{"id":2,"moods":[],"name":"two"}]',
    'JSON\'s own null is a null';
is_json $ana->get("$path?select=id,name,${x}_kids(id,doc,name)&${x}_kids.order=id&order=id", @stripped), 200,
  [ { id => 1, "${x}_kids" => [ { id => 1, doc => {} }, { id => 2, name => 'kid' } ] }, { id => 2, name => 'two',
  "${x}_kids" => [] } ],
  'and in embedded rows';
is_json $ana->get("/rest/v1/${x}_kids?select=id,parent:$x(id,name)&order=id", @stripped), 200,
    [ map { { id => $_, parent => { id => 1 } } } 1, 2 ],
    'of either kind';
is_json $ana->post("${path}_kids?select=id,name,parent:$x(name)", { id => 3, parent => 1 },
    Accept => 'application/vnd.pgrst.object+json;nulls=stripped', Prefer => 'return=representation'), 201,
  { id => 3, parent => {} }, 'after a write as well';
is_text $ana->get("$path?select=doc->b&id=eq.1"), 200, '[{"b":null}]', 'unasked nothing is stripped';

is_text $ana->get("$path?select=id,tags,moods,pair,pairs&order=id", @csv), 200,
  qq(id,tags,moods,pair,pairs\n1,"{a,""b c"",NULL}","{sad,""very happy""}","(1,)","{""(1,x)""}"\n2,,{},,),
  'arrays and composites in CSV are PostgreSQL\'s text';
is_text $ana->get("$path?select=t:tags&id=eq.1", @csv), 200, qq(t\n"{a,""b c"",NULL}"), 'renamed as well';
is_text $ana->get("$path?select=tags->0,doc->a&id=eq.1", @csv), 200, qq(tags,a\n"""a""",1),
    'a path into one gives JSON';
is_text $ana->get("/rest/v1/${x}_kids?select=id,...$x(tags,moods)&id=eq.1", @csv), 200,
    qq(id,tags,moods\n1,"{a,""b c"",NULL}","{sad,""very happy""}"),
    'what is hoisted is text too';
is_text $ana->get("/rest/v1/${x}_kids?select=id,$x(tags)&id=eq.1", @csv), 200,
    qq(id,$x\n1,"{""tags"":[""a"",""b c"",null]}"),
    'an embed stays JSON';
is_text $ana->post("$path?select=id,tags", { id => 3, tags => ['n'] }, @csv, Prefer => 'return=representation'), 201,
    "id,tags\n3,{n}",
    'what a write returns';

done_testing;
