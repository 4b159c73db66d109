#!/usr/bin/perl
# Search by meaning: the most relevant of the caller's own live memories, all of them weighed.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users(qw(ana ben));
my $search = '/rest/v1/rpc/search_memories';
my @object = (Accept => 'application/vnd.pgrst.object+json');

# An embedding that begins with these numbers; all else is 0.
sub vector (@first) { [@first, (0) x (1536 - @first)] }
sub text (@first) { '[' . join(',', @{ vector(@first) }) . ']' }
sub about ($want) { sub ($got) { abs($got - $want) < 1e-6 } }
sub memory ($content, $x, $y, %more) { { content => $content, embedding => text($x, $y), importance => 0.5, tags => [], %more } }
sub found ($reply) { $reply->status == 200 ? join ' ', rows($reply, 'content') : $reply->story }
my %query = (query_embedding => vector(1));

# The document's formula: 0.7 similarity + 0.3 importance.
my ($tea) = $ana->make(memories => [
	memory('tea', 1, 0, importance => 0, tags => ['drink']), memory('coffee', 4, 3, importance => 1),
	memory('rain', 0, 2), memory('north', -5, 0, importance => 0.9),
]);
is_json $ana->post("$search?select=content,importance,similarity,relevance", \%query), 200, [
	{ content => 'coffee', importance => 1, similarity => about(0.8), relevance => about(0.86) },
	{ content => 'tea', importance => 0, similarity => about(1), relevance => about(0.7) },
	{ content => 'rain', importance => 0.5, similarity => about(0), relevance => about(0.15) },
	{ content => 'north', importance => 0.9, similarity => about(-1), relevance => about(-0.43) },
], 'similarity counts for 0.7, importance for 0.3';
is_json $ana->post("$search?content=eq.tea", \%query, @object), 200, { %$tea, similarity => 1, relevance => about(0.7) },
    'a match has every column of the memory';
is found($ana->post($search, { query_embedding => text(0, 1) })), 'rain coffee north tea', 'a vector may be text';
is found($ana->get("$search?query_embedding=" . text(1) . '&match_count=2')), 'coffee tea', 'or stand in the query of a GET';
is $ana->head("$search?query_embedding=" . text(1))->status, 200, 'or of a HEAD';

# As any other function.
is found($ana->post($search, { %query, match_count => 1 })), 'coffee', 'the best one';
is found($ana->post($search, { %query, match_count => 1000 })), 'coffee tea rain north', 'no more than there are';
is found($ana->post($search, { %query, match_count => undef })), 'coffee tea rain north', 'null is not given';
is found($ana->post("$search?limit=2&offset=1", \%query)), 'tea rain', 'in pages';
is found($ana->post("$search?order=content&importance=gt.0.5", \%query)), 'coffee north', 'ordered and filtered';
my $counted = $ana->post("$search?limit=1", \%query, Prefer => 'count=exact');
is_header $counted, 'Content-Range', '0-0/4', 'counted';
is_text $ana->post("$search?select=content&tags=cs.{drink}", \%query, Accept => 'text/csv'), 200, "content\ntea", 'as CSV';
is_status $ana->post($search, \%query, @object), 406, 'PGRST116', 'four are not one';
is $ana->post("$search?select=embedding&limit=1&content=eq.coffee", \%query)->json->[0]{embedding}, text(4, 3),
    'an embedding comes back as text';

# Scope.
my ($workspace) = $ana->make(workspaces => { name => 'work' });
my ($garden, $house) = $ana->make(projects => [map { { name => $_, workspace_id => $workspace->{id} } } qw(garden house)]);
$ana->make(memories => memory('roses', 1, 0, project_id => $garden->{id}));
$ana->make(memories => memory('roof', 1, 0, project_id => $house->{id}));
is found($ana->post($search, \%query)), 'coffee tea rain north', 'without a project only what goes everywhere';
is found($ana->post($search, { %query, project_id => $garden->{id} })), 'coffee roses tea rain north', 'with one also what is in it';
is found($ana->post($search, { %query, project_id => uuid })), 'coffee tea rain north', 'no project has nothing of its own';
is_status $ana->post($search, { %query, project_id => 'garden' }), 400, '22P02', 'what is no id is refused';

# Never found.
$ana->make(memories => memory('retired', 1, 0, is_active => false));
$ana->make(memories => memory('expired', 1, 0, expires_at => '2020-01-01'));
$ana->make(memories => memory('alive', 1, 0, expires_at => '2999-01-01'));
$ana->make(memories => { content => 'unread', importance => 1 });
is found($ana->post($search, \%query)), 'coffee alive tea rain north',
    'what is retired, expired or without embedding is not found';
is_json $ben->post($search, \%query), 200, [], 'nor is a stranger\'s';
is_json $ben->post($search, { %query, project_id => $garden->{id} }), 200, [], 'also by the stranger\'s project';
is_status $ben->post($search, { %query, user_id => $ana->id }), 403, '42501', 'nor by the stranger\'s id';
$ben->make(memories => memory('ben\'s', 0, 1));
is found($ben->post($search, \%query)), 'ben\'s', 'one\'s own is, however unlike';
is_status $k->anon->post($search, \%query), 401, 'somebody who is not signed in is asked to';
is found($k->service->post($search, { %query, user_id => $ben->id })), 'ben\'s', 'the service searches for a user';
is_status $k->service->post($search, \%query), 400, '22023', 'whom it has to name';

# Ties, and more than the usual number.
my @ids = sort map { uuid } 1 .. 25;
$ben->make(memories => [map { memory($_, 1, 0, id => $_) } reverse @ids]);
is_deeply [rows($ben->post($search, \%query), 'id')], [@ids[0 .. 19]], 'twenty unless asked otherwise, equal ones by id';
is_deeply [rows($ben->post($search, { %query, match_count => 3 }), 'id')], [@ids[0 .. 2]], 'however many are asked for';

# Models do not mix.
$ben->make(memories => memory('new', 1, 0, embedding_model => 'new-1'));
is_json $ben->post($search, \%query), 400,
    { code => '22023', message => 'embeddings of several models cannot be compared', details => qr/^Found: (new-1, none named|none named, new-1)\.$/,
	hint => 'Say which one made query_embedding: embedding_model.' }, 'embeddings of two models are refused';
is found($ben->post($search, { %query, embedding_model => 'new-1' })), 'new', 'but for one that is chosen';
is_json $ben->post($search, { %query, embedding_model => 'other' }), 200, [], 'another has none';
is found($ana->post($search, \%query)), 'coffee alive tea rain north', 'which is nobody else\'s concern';

# Bad arguments.
for my $case (
	['none', {}, '22023', 'query_embedding is missing'],
	['null', { query_embedding => undef }, '22023', 'query_embedding is missing'],
	['a short vector', { query_embedding => [1, 2] }, '22000', 'expected 1536 dimensions, not 2'],
	['a long one', { query_embedding => [(1) x 3072] }, '22000', 'expected 1536 dimensions, not 3072'],
	['an empty one', { query_embedding => [] }, '22000', 'expected 1536 dimensions, not 0'],
	['zeros', { query_embedding => vector() }, '22023', 'a vector of zeros is similar to nothing'],
	['NaN', { query_embedding => text('NaN') }, '22P02', 'invalid input syntax for type vector'],
	['a number beyond float4', { query_embedding => text('1e39') }, '22P02', 'invalid input syntax for type vector'],
	['texts', { query_embedding => ['1', (0) x 1535] }, '22P02', 'invalid input syntax for type vector'],
	['lists', { query_embedding => [[1], (0) x 1535] }, '22P02', 'invalid input syntax for type vector'],
	['a number', { query_embedding => 1 }, '22P02', 'invalid input syntax for type vector'],
	['an object', { query_embedding => { a => 1 } }, '22P02', 'invalid input syntax for type vector'],
	['a word', { query_embedding => 'tea' }, '22P02', 'invalid input syntax for type vector'],
	['a text to search for', { query_text => 'tea' }, '0A000', 'query_text needs a provider of embeddings, and none is configured'],
	(map { ["match_count $_", { %query, match_count => $_ }, '22023', 'match_count must be from 1 to 1000'] } 0, -1, 1001, 'many', 1.5),
) {
	my ($name, $arguments, $code, $message) = @$case;
	my $hint = $message =~ /missing|syntax|zeros|provider/ ? qr/embedding|vector/ : undef;
	is_json $ana->post($search, $arguments), 400, { code => $code, message => $message, details => undef, hint => $hint }, "$name: refused";
}
is_status $ana->post($search, { %query, colour => 'red' }), 404, 'PGRST202', 'an unknown argument is no argument';
is_status $ana->post($search, '{"query_embedding":[1,'), 400, 'PGRST102', 'a body cut short is refused';
is found($ana->post($search, \%query)), 'coffee alive tea rain north', 'and then all is as before';

# Chunks: those of one document.
my ($document, $other) = $ana->make(documents => [map { { filename => $_ } } qw(one.txt two.txt)]);
my $n = 0;
$k->service->make(chunks => [
	map { { document_id => $_->[0]{id}, content => $_->[1], embedding => $_->[2], chunk_index => $n++ } }
	    [$document, 'east', text(1)], [$document, 'north-east', text(1, 1)], [$document, 'north', text(0, 1)],
	    [$document, 'unread', undef], [$other, 'elsewhere', text(1)], map { [$document, 'west', text(-1)] } 1 .. 4
]);
my $chunks = '/rest/v1/rpc/search_chunks';
is_json $ana->post("$chunks?select=content,chunk_index,similarity", { %query, document_id => $document->{id}, match_count => 2 }), 200, [
	{ content => 'east', chunk_index => 0, similarity => 1 },
	{ content => 'north-east', chunk_index => 1, similarity => about(sqrt 0.5) },
], 'the most similar chunks of a document';
is found($ana->post($chunks, { %query, document_id => $document->{id} })), 'east north-east north west west', 'five unless asked otherwise';
is found($ana->post($chunks, { %query, document_id => $other->{id} })), 'elsewhere', 'of each document its own';
is_json $ben->post($chunks, { %query, document_id => $document->{id} }), 200, [], 'a stranger finds none';
is_status $ana->post($chunks, \%query), 404, 'PGRST202', 'the document must be named';
is_status $ana->post($chunks, { document_id => $document->{id} }), 400, '22023', 'and the query';

# Whoever calls it without the program that ranks is told so, and is given no earlier caller's ranking.
my $x = $k->unique('search');
$k->later(sub { $k->sql("drop function if exists public.$x()") });
$k->sql(<<"SQL");
create function public.$x() returns setof public.memory_match language sql stable as 'select * from public.search_memories()';
grant execute on function public.$x() to authenticated;
SQL
is_status $ana->post("/rest/v1/rpc/$x"), 400, '0A000', 'a function of an app cannot rank';

# More than a program would hold: 3,000 embeddings are 18 MB.
my $crowd = "from public.memories where embedding_model = 'crowd' and user_id = '@{[ $ana->id ]}'";
$k->later(sub { $k->sql("delete $crowd") });
$k->sql(<<"SQL");
set session_replication_role = replica;
insert into public.memories (user_id, content, embedding, embedding_model)
select '@{[ $ana->id ]}', 'crowd ' || i, v, 'crowd' from (select extensions.vector_in('@{[ text(1, 1) ]}') as v) as v, generate_series(1, 3000) i;
update public.memories set importance = 1 where id in (select id $crowd and content = 'crowd 2345');
SQL
my %crowd = (%query, embedding_model => 'crowd', match_count => 1000);
is scalar(rows($ana->post("$search?select=id", \%crowd))), 1000, 'a thousand of 3,000 are found';
is found($ana->post("$search?limit=1", \%crowd)), 'crowd 2345', 'the best of them first';
SKIP: {
	Test::More::skip('a sanitizer takes memory of its own', 1) if ($ENV{KITH_VARIANT} // '') eq 'san';
	my @processes = grep { $_->{name} eq 'kith-memories' } $k->instance->programs;
	my ($most) = sort { $b <=> $a } map { $k->instance->memory($_->{pid}, 'VmHWM') } @processes;
	cmp_ok $most, '<', 40 << 10, "the program took $most kB";
}

done_testing;
