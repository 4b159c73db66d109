#!/usr/bin/perl
# Filters: every operator, every place where quoting differs, trees of and / or.

use v5.36;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana) = $k->users('ana');
my $table = $k->unique('things');
$k->later(sub { $k->sql("drop table if exists public.$table; drop type if exists public.${table}_mood") });
$k->sql(<<"SQL");
create type public.${table}_mood as enum ('sad', 'ok', 'happy');
create table public.$table (
    id int primary key, name text, n numeric, ok boolean, tags text[], doc jsonb, span int4range, at timestamptz,
    words tsvector, mood public.${table}_mood, u uuid, "odd name" text, "select" text
);
grant select on public.$table to authenticated;
insert into public.$table values
 (1, 'Garden',           1.5,  true,  '{family,work}', '{"people": ["Ann"], "usage": {"model": "small"}, "rank": 1}', '[1,5)',   '2026-01-01', to_tsvector('english', 'the quick brown foxes'), 'sad',   '00000000-0000-0000-0000-000000000001', 'x', 'a'),
 (2, 'a,b',              2,    false, '{work}',        '{"people": ["Bob"], "rank": 3}',                              '[5,9)',   '2026-01-02', to_tsvector('english', 'slow dogs jump'),        'ok',    '00000000-0000-0000-0000-000000000002', null, 'b'),
 (3, 'say "hi"',         3.25, null,  '{}',            '[]',                                                          '[20,30)', '2026-01-03', to_tsvector('english', 'quick dogs'),            'happy', null, null, null),
 (4, 'back\\slash',      null, true,  null,            null,                                                          null,      null,         null,                                           null,    null, null, null),
 (5, '(paren).dot:colon', -1,  false, '{"a b","c,d"}', '{"rank": 2, "k.e,y": "v"}',                                   'empty',   '2026-02-01', to_tsvector('simple', 'the'),                    'ok',    null, null, null),
 (6, '100% héllo + 1',    0,   true,  '{NULL}',        '{"rank": "x"}',                                               '[,3)',    'infinity',   null,                                           'happy', null, null, null),
 (7, '',                  7,   null,  '{null}',        '"text"',                                                      '[9,20)',  null,         null,                                           null,    null, null, null);
SQL

sub ids ($query, %headers) { $ana->get("/rest/v1/$table?select=id&order=id&$query", %headers) }

my @cases = (
	# Operators.
	[ 'id=eq.2', [2], 'eq' ],
	[ 'id=neq.2&id=lt.4', [ 1, 3 ], 'neq; repeated keys are joined by and' ],
	[ 'n=gt.2', [ 3, 7 ], 'gt' ],
	[ 'n=gte.2', [ 2, 3, 7 ], 'gte' ],
	[ 'n=lt.1.5', [ 5, 6 ], 'lt' ],
	[ 'n=lte.1.5', [ 1, 5, 6 ], 'lte' ],
	[ 'at=gte.2026-01-02T00:00:00Z&at=lt.2026-02-01', [ 2, 3 ], 'times compare as times' ], # Example 3.
	[ 'at=gte.2026-01-02T00:00:00%2B00:00&at=lt.2026-02-01', [ 2, 3 ], 'an encoded plus in an offset' ],
	[ 'mood=gt.sad', [ 2, 3, 5, 6 ], 'enums compare in their order' ],
	[ 'u=eq.00000000-0000-0000-0000-000000000002', [2], 'a uuid' ],
	[ 'n=is.null', [4], 'is null' ],
	[ 'n=is.NULL', [4], 'is takes any letter case' ],
	[ 'n=not.is.null&id=lt.3', [ 1, 2 ], 'not is null' ],
	[ 'n=is.not_null&id=lt.3', [ 1, 2 ], 'is not_null' ],
	[ 'ok=is.true', [ 1, 4, 6 ], 'is true' ],
	[ 'ok=is.False', [ 2, 5 ], 'is false' ],
	[ 'ok=is.unknown', [ 3, 7 ], 'is unknown' ],
	[ 'ok=not.is.true', [ 2, 3, 5, 7 ], 'not is true takes nulls too' ],
	[ 'id=in.(1,3,99)', [ 1, 3 ], 'in' ],
	[ 'id=in.()', [], 'an empty in matches nothing' ],
	[ 'id=not.in.(1,2,3)', [ 4, 5, 6, 7 ], 'not in' ],
	[ 'id=not.in.()', [ 1 .. 7 ], 'not in nothing matches everything' ],
	[ 'name=like.*ard*', [1], 'like, star for percent' ],
	[ 'name=like.%25ard%25', [1], 'like, percent' ],
	[ 'name=like.garden', [], 'like minds case' ],
	[ 'name=ilike.%25GARD%25', [1], 'ilike does not' ], # Example 6.
	[ 'name=not.ilike.*A*', [ 6, 7 ], 'not ilike' ],
	[ 'name=match.^G.*n$', [1], 'match' ],
	[ 'name=imatch.^g', [1], 'imatch' ],
	[ 'name=not.match.^G&id=lt.3', [2], 'not match' ],
	[ 'tags=cs.{family,work}', [1], 'an array contains' ], # Example 7.
	[ 'tags=cs.{}', [ 1, 2, 3, 5, 6, 7 ], 'everything contains nothing' ],
	[ 'tags=cs.{"c,d"}', [5], 'an array literal has its own quotes' ],
	[ 'doc=cs.{"people":["Ann"]}', [1], 'JSON contains' ],
	[ 'span=cs.[2,3]', [1], 'a range contains a range' ],
	[ 'tags=cd.{work,family,x}', [ 1, 2, 3 ], 'contained by' ],
	[ 'tags=ov.{work,zzz}', [ 1, 2 ], 'overlaps' ],
	[ 'span=ov.[4,6)', [ 1, 2 ], 'ranges overlap' ],
	[ 'span=sl.[5,9)', [ 1, 6 ], 'strictly left' ],
	[ 'span=sr.[1,9)', [ 3, 7 ], 'strictly right' ],
	[ 'span=nxl.[5,9)', [ 2, 3, 7 ], 'not left of' ],
	[ 'span=nxr.[1,9)', [ 1, 2, 6 ], 'not right of' ],
	[ 'span=adj.[5,9)', [ 1, 7 ], 'adjacent' ],
	[ 'words=fts.quick', [ 1, 3 ], 'full text' ],
	[ 'words=fts(english).fox', [1], 'full text by a configuration' ],
	[ 'words=fts(english).quick%26!dog', [1], 'full text query syntax' ],
	[ 'words=plfts(english).the quick dogs', [3], 'plain full text' ],
	[ 'words=phfts(english).brown foxes', [1], 'phrase full text' ],
	[ 'words=wfts(english).quick -fox', [3], 'web full text' ],
	[ 'name=fts(simple).garden', [1], 'full text of a plain column' ],
	[ 'words=not.fts.quick', [ 2, 5 ], 'not full text' ],
	[ 'id=eq(any).{1,5}', [ 1, 5 ], 'eq any' ],
	[ 'name=like(any).{G*,*b}', [ 1, 2 ], 'like any' ],
	[ 'name=like(all).{G*,*n}', [1], 'like all' ],
	[ 'name=ilike(any).{g*,*B}', [ 1, 2 ], 'ilike any' ],
	[ 'n=gt(all).{1,2}', [ 3, 7 ], 'gt all' ],
	[ 'name=match(any).{^G,b$}', [ 1, 2 ], 'match any' ],
	[ 'id=not.eq(any).{1,2,3,4,5}', [ 6, 7 ], 'not eq any' ],
	[ 'n=isdistinct.2&id=lt.5', [ 1, 3, 4 ], 'is distinct from counts null as different' ],
	[ 'n=not.isdistinct.2', [2], 'not is distinct from' ],

	# Values as they are.
	[ 'name=eq.a,b', [2], 'a comma in a plain value is data' ],
	[ 'name=eq.say "hi"', [3], 'a quote in a plain value is data' ],
	[ 'name=eq."Garden"', [], 'a plain value is never unquoted' ],
	[ 'name=eq.back\\slash', [4], 'a backslash is data' ],
	[ 'name=eq.(paren).dot:colon', [5], 'everything behind the first dot is the value' ],
	[ 'name=eq.100%25 héllo %2B 1', [6], 'an encoded plus is a plus' ],
	[ 'name=eq.100%25+héllo+%2B+1', [6], 'blanks may be sent as plus' ],
	[ 'name=eq.', [7], 'an empty value is the empty string' ],
	[ 'name=eq.null', [], 'null is a word' ],

	# Elements of in, as the SDKs write them.
	[ 'name=in.("a,b","Garden")', [ 1, 2 ], 'quoted elements' ], # Example 4.
	[ 'name=in.(Garden,"a,b")', [ 1, 2 ], 'quoted and bare elements' ],
	[ 'name=in.("say \\"hi\\"")', [3], 'an escaped quote' ],
	[ 'name=in.("back\\\\slash")', [4], 'an escaped backslash' ],
	[ 'name=in.(back\\slash)', [4], 'a bare backslash is data' ],
	[ 'name=in.(say "hi")', [3], 'a quote inside a bare element is data' ],
	[ 'name=in.("(paren).dot:colon")', [5], 'parentheses in quotes' ],
	[ 'name=in.("",Garden)', [ 1, 7 ], 'an empty quoted element' ],
	[ 'mood=in.(sad,ok)', [ 1, 2, 5 ], 'in over an enum' ],

	# Paths into JSON.
	[ 'doc->usage->>model=eq.small', [1], 'a path ending in text' ], # Example 8.
	[ 'doc->rank=eq.3', [2], 'a path ending in JSON compares JSON' ],
	[ 'doc->>rank=eq.2', [5], 'a text path compares text' ],
	[ 'doc->people->>0=eq.Bob', [2], 'a path through an array' ],
	[ 'doc->>k.e,y=eq.v', [], 'a bare key ends at a dot', 400 ],
	[ 'doc->>"k.e,y"=eq.v', [5], 'a quoted key' ],
	[ 'doc->>rank=in.(1,3)', [ 1, 2 ], 'in over a path' ],
	[ 'doc->usage=is.null&id=eq.2', [2], 'an absent path is null' ],
	[ 'span->>x=is.null&id=eq.1', [1], 'a path into something else sees its JSON' ],

	# Trees.
	[ 'or=(id.eq.1,id.eq.3)', [ 1, 3 ], 'or' ],
	[ 'and=(id.gt.1,id.lt.3)', [2], 'and' ],
	[ 'or=(id.eq.1,and(id.gt.4,ok.is.true))', [ 1, 6 ], 'and inside or' ], # Example 5.
	[ 'not.or=(id.eq.1,id.eq.2)', [ 3 .. 7 ], 'not or' ],
	[ 'not.and=(id.gt.1,id.lt.7)', [ 1, 7 ], 'not and' ],
	[ 'or=(id.eq.1,not.and(id.lt.6,id.gt.0))', [ 1, 6, 7 ], 'not and inside or' ],
	[ 'or=(id.not.in.(1,2,3),name.eq.Garden)', [ 1, 4 .. 7 ], 'not and in inside or' ],
	[ 'or=(id.eq.1,id.eq.2)&or=(id.eq.2,id.eq.3)', [2], 'two trees are joined by and' ],
	[ 'or=(name.eq."a,b",name.eq."say \\"hi\\"")', [ 2, 3 ], 'quoted values in a tree' ],
	[ 'or=(name.ilike."*a,*",id.eq.7)', [ 2, 7 ], 'a pattern in quotes' ],
	[ 'or=(name.in.("a,b",Garden),id.eq.7)', [ 1, 2, 7 ], 'a list in a tree' ],
	[ 'or=(tags.cs.{family,work},id.eq.7)', [ 1, 7 ], 'an array literal in a tree runs to its brace' ],
	[ 'or=(tags.cs.{"c,d"},id.eq.7)', [ 5, 7 ], 'quotes in an array literal in a tree' ],
	[ 'or=(doc->>rank.eq.2,doc->usage->>model.eq.small)', [ 1, 5 ], 'paths in a tree' ],
	[ 'or=( id.eq.1 , and( id.gt.4 , ok.is.true ) )', [ 1, 6 ], 'blanks in a tree do not count' ],
	[ 'or=(id.eq.1)', [1], 'a tree of one' ],
	[ 'or=(name.eq.,id.eq.1)', [ 1, 7 ], 'an empty value in a tree' ],
	[ 'or=(words.fts(english).fox,words.wfts(english).slow)', [ 1, 2 ], 'full text in a tree' ],
	[ 'or=(ok.is.null,n.is.null)', [ 3, 4, 7 ], 'nulls in a tree' ],
	[ 'or=(id.eq(any).{1,2},id.eq.3)', [ 1, 2, 3 ], 'a quantifier in a tree' ],

	# Names.
	[ 'odd name=eq.x', [1], 'a column with a blank' ],
	[ '"odd name"=eq.x', [1], 'a quoted column' ],
	[ '"select"=eq.a', [1], 'a column named like a reserved key, quoted' ],
	[ 'or=("odd name".eq.x,id.eq.2)', [ 1, 2 ], 'a quoted column in a tree' ],
);
for my $case (@cases) {
	my ($query, $want, $name, $status) = @$case;
	if ($status) {
		is_status ids($query), $status, $name;
		next;
	}
	is_json ids($query), 200, [ map { { id => $_ } } @$want ], "$name: $query";
}

# What cannot be parsed or compared is the client's mistake and says which.
for my $case (
	[ 'id=2', 'PGRST100', 'a value without operator' ],
	[ 'id=foo.2', 'PGRST100', 'an unknown operator' ],
	[ 'id=eq', 'PGRST100', 'an operator without dot' ],
	[ 'id=not.2', 'PGRST100', 'not without operator' ],
	[ 'id=is.maybe', 'PGRST100', 'is something unknown' ],
	[ 'id=in.1,2', 'PGRST100', 'in without brackets' ],
	[ 'id=in.(1,2', 'PGRST100', 'in without its end' ],
	[ 'id=cs(any).{1}', 'PGRST100', 'a quantifier on an operator without one' ],
	[ 'or=id.eq.1', 'PGRST100', 'a tree without brackets' ],
	[ 'or=(id.eq.1', 'PGRST100', 'a tree without its end' ],
	[ 'or=(id.eq.1,)', 'PGRST100', 'a tree with an empty condition' ],
	[ 'or=()', 'PGRST100', 'an empty tree' ],
	[ 'or=(id.eq."1)', undef, 'a quoted value without its end' ],
	[ 'or=(id)', 'PGRST100', 'a condition without operator' ],
	[ 'id->=eq.1', 'PGRST100', 'an arrow without key' ],
	[ 'nope=eq.1', '42703', 'an unknown column' ],
	[ 'or=(nope.eq.1,id.eq.2)', '42703', 'an unknown column in a tree' ],
	[ 'nope.id=eq.1', 'PGRST108', 'a filter on something that is not embedded' ],
	[ 'id=eq.x', '22P02', 'text where an integer is wanted' ], # Example 28.
	[ 'id=eq.', '22P02', 'nothing where an integer is wanted' ],
	[ 'id=eq.99999999999', '22003', 'an integer out of range' ],
	[ 'u=eq.nope', '22P02', 'no uuid' ],
	[ 'at=gt.yesterdayish', '22007', 'no time' ],
	[ 'tags=cs.family', '22P02', 'no array literal' ],
	[ 'doc=cs.{people', '22P02', 'no JSON' ],
	[ 'span=cs.[9,1]', '22000', 'a range from above to below' ],
	[ 'mood=eq.angry', '22P02', 'a value that the enum has not' ],
	[ 'name=match.(', '2201B', 'no regular expression' ], # C9
	[ 'words=fts.a b', '42601', 'no full text query' ], # C9
	[ 'words=fts(klingon).a', '42704', 'no such configuration' ], # C9
	[ 'id=like.1*', '42883', 'an operator that the type has not' ],
	[ 'id=is.true', '42804', 'is true of a number' ],
) {
	my ($query, $code, $name) = @$case;
	my $reply = ids($query);
	is_status $reply, ($code // '') eq '42883' ? 404 : 400, $code // (), "$name is refused: $query";
}
my $reply = ids('id=foo.2');
like $reply->json->{details} // '', qr/expecting|expected/, 'a parse error says what was expected';
like $reply->message, qr/foo|id/, 'a parse error names where';

done_testing;
