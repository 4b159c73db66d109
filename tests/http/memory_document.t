#!/usr/bin/perl
# The document of a user's memory: every version comes back as it was saved,
# whoever saves at the same time.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben, $cleo, $dora) = $k->users(qw(ana ben cleo dora));
my $rpc = '/rest/v1/rpc';

sub save ($who, $document, %more) { $who->post("$rpc/save_memory", { document => $document, %more }) }
sub save_text ($who, $text) { $who->post("$rpc/save_memory", qq({"document":$text})) }
sub document ($who, $version = undef) { $who->post("$rpc/reconstruct_memory", defined $version ? { version => $version } : {}) }
sub versions ($who, $columns = 'version,is_checkpoint') {
	return $who->get("/rest/v1/memory_snapshots?select=$columns&order=version")->json;
}

is_text document($ana), 200, 'null', 'there is no memory yet';
is_json document($ana, 1), 404,
    { code => 'PT404', message => 'there is no version 1 of the memory', details => undef, hint => 'Nothing was saved yet.' },
    'and no version of it';

# Versions.
my $first = '{"name":"Ana","ids":[12345678901234567890123,0.10,1e2],"parts":{"critic":{"role":"protector"}},"a/b~c":"\u00e9\ud83d\ude00\n"}';
is_json save_text($ana, $first), 200,
    {
	id => qr/^[0-9a-f-]{36}$/, user_id => $ana->id, version => 1, is_checkpoint => true, metadata => {}, created_at => qr/^2/,
	operations => sub { $_[0][0]{op} eq 'add' && $_[0][0]{path} eq '' && @{ $_[0] } == 1 },
    },
    'the first version is a checkpoint';
my $reply = $ana->post("$rpc/save_memory?select=version,is_checkpoint,operations,metadata",
	'{"document":' . $first =~ s/0\.10,1e2/0.1,100,12345678901234567890124/r =~ s/"protector"/"ally"/r . ',"metadata":{"by":"test"}}');
is_text $reply, 200,
    '{"version":2,"is_checkpoint":false,"operations":[{"op": "add", "path": "/ids/3", "value": 12345678901234567890124}, '
    . '{"op": "replace", "path": "/parts/critic/role", "value": "ally"}],"metadata":{"by": "test"}}',
    'the second is the difference, by what numbers are worth';
is_text document($ana, 1), 200,
    qq({"ids":[12345678901234567890123,0.10,100],"name":"Ana","a/b~c":"\xc3\xa9\xf0\x9f\x98\x80\\n","parts":{"critic":{"role":"protector"}}}),
    'the first comes back, with every digit';
like document($ana)->body, qr/"ids":\[12345678901234567890123,0\.10,100,12345678901234567890124\]/, 'and the newest';
is_text $ana->get("$rpc/reconstruct_memory?version=2"), 200, document($ana)->body, 'also by GET';
is_json $ana->post("$rpc/save_memory?select=version,operations", '{"document":' . document($ana)->body . '}'), 200,
    { version => 3, operations => [] }, 'what did not change is a version without operations';
is_json document($ana, 4), 404,
    { code => 'PT404', message => 'there is no version 4 of the memory', details => undef, hint => 'There are versions 1 to 3.' },
    'a version that is not there says which are';
is_status document($ana, $_), 404, 'PT404', "nor is $_" for 0, -1, 2147483647;
is_status document($ana, $_), 400, "$_ is no version" for 'two', 2147483648, 1.5;
is_json save($ana, [ 1, 2 ]), 200, sub { $_[0]{version} == 4 }, 'an array is a document too';
is_text document($ana), 200, '[1,2]', 'and comes back';

# Whose it is.
is_text document($ben), 200, 'null', 'stranger sees nothing of it';
is_json $ben->get('/rest/v1/memory_snapshots'), 200, [], 'no snapshot either';
is_json save($ben, { b => 1 }), 200, sub { $_[0]{version} == 1 }, 'and counts from 1';
is_status save($k->anon, {}), 401, '42501', 'anon saves nothing';
is_status document($k->anon), 401, '42501', 'and reads nothing';
is_status save($k->service, {}), 403, '42501', 'the service key is no user';
is_status $ana->post('/rest/v1/memory_snapshots', { version => 5, operations => [] }), 403, '42501', 'no snapshot is written directly';
is_status $ana->patch('/rest/v1/memory_snapshots?version=eq.1', { operations => [] }), 403, '42501', 'or changed';
is_status $ana->del('/rest/v1/memory_snapshots?version=eq.4'), 403, '42501', 'or deleted';

# What cannot be kept.
is_status $ana->post("$rpc/save_memory", qq({"document":$_->[0]})), 400, $_->[1], "refused: " . substr $_->[0], 0, 40
    for map { ref ? $_ : [ $_, '22023' ] } 'null', '1', '"{}"', 'true', [ '{"a":', 'PGRST102' ], [ '{"a":"\u0000"}', 'PGRST102' ],
    '[' x 499 . ']' x 499, '[' . '0,' x 100000 . '0]', '[1e16384]', [ '[' . '1e16000,' x 100 . '0]', 'PGRST102' ];
is_status $ana->post("$rpc/save_memory", {}), 404, 'PGRST202', 'nor is nothing a document';
is_status $ana->get("$rpc/save_memory?document={}"), 405, '25006', 'nor does GET save';
is_json save_text($ben, '[' x 498 . ']' x 498), 200, sub { $_[0]{version} == 2 }, 'as deep as may be';
is_text document($ben), 200, '[' x 498 . ']' x 498, 'comes back';
is scalar @{ versions($ana) }, 4, 'of what was refused nothing was written';

# A life of 120 versions.
srand 6902;
my %life = (mood => 'calm', parts => { map { ("part $_" => { since => $_, about => 'x' x 100 }) } 1 .. 60 }, notes => []);
my @saved;
my $failed = 0;
for my $n (1 .. 120) {
	$life{mood} = "mood $n" if rand > 0.5;
	$life{parts}{ 'part ' . int rand 80 } = { since => $n, about => rand };
	delete $life{parts}{ 'part ' . int rand 80 };
	splice @{ $life{notes} }, rand @{ $life{notes} } + 1, rand 2, map { { note => $_, at => $n } } 1 .. rand 4;
	push @saved, json(\%life);
	$failed++ if save($cleo, \%life)->status != 200;
}
is $failed, 0, '120 versions are saved';
my $history = versions($cleo, 'version,is_checkpoint,operations');
is_deeply [ map { $_->{version} } @$history ], [ 1 .. 120 ], 'numbered without gaps';
is_deeply [ map { $_->{version} } grep { $_->{is_checkpoint} } @$history ], [ 1, 50, 100 ], 'checkpoints are 1, 50 and 100';
is_deeply [ grep { json(document($cleo, $_)->json) ne $saved[ $_ - 1 ] } 1 .. 120 ], [], 'each comes back as it was saved';
cmp_ok length json($history->[48]{operations}), '<', 2000, 'and its difference is small';

# Twenty at once.
my @replies = map { $_->() } map { my $n = $_; aside(sub { save($dora, { n => $n }) }) } 1 .. 20;
is_deeply [ sort { $a <=> $b } map { $_->json->{version} } @replies ], [ 1 .. 20 ], 'twenty at once get consecutive versions';
is_deeply [ sort { $a <=> $b } map { document($dora, $_)->json->{n} } 1 .. 20 ], [ 1 .. 20 ], 'and none is lost';

# Large documents that have nothing in common: the history stays readable.
my @large = map { my $n = $_; json({ map { ("$_.$n" => 'x' x 1000) } 100 .. 999 }) } 1 .. 8;
is_deeply [ grep { save_text($dora, $_)->status != 200 } @large ], [], 'large ones are saved';
is_deeply [ map { $_->{version} } grep { $_->{is_checkpoint} } @{ versions($dora) } ], [ 1, 22, 24, 26, 28 ], 'a checkpoint comes before there is too much to apply';
is_deeply [ grep { document($dora, $_ + 20)->body ne $large[ $_ - 1 ] } 1 .. 8 ], [], 'each comes back';

# As many values as may be take more memory than their text.
my @many = map { '[' . join(',', $_ .. $_ + 99990) . ']' } 1, 50000;
is_deeply [ grep { save_text($dora, $_)->status != 200 } @many ], [], 'the most values are saved';
is_deeply [ grep { document($dora, $_ + 28)->body ne $many[ $_ - 1 ] } 1, 2 ], [], 'and come back';

# A history that does not fit together says so, and is not made worse.
$k->may_answer(500);
$k->sql("insert into public.memory_snapshots (user_id, version, operations) values ('@{[ $ben->id ]}', 3, '[{\"op\":\"remove\",\"path\":\"/none\"}]')");
is_json $_, 500, { code => 'XX001', message => 'the history of the memory is damaged', details => undef, hint => undef }, 'damage is told'
    for document($ben), document($ben, 3), save($ben, {});
is_text document($ben, 1), 200, '{"b":1}', 'what was before it can be read';
my $eve = $k->users('eve');
$k->sql("insert into public.memory_snapshots (user_id, version, is_checkpoint, operations) values ('@{[ $eve->id ]}', 1, true, '[]')");
is_status $_, 500, 'XX001', 'so does a checkpoint without a document' for document($eve), save($eve, {});

# The queue of what a memory has yet to take in.
my $ref = uuid;
is_json $ana->post('/rest/v1/memory_updates?select=kind,ref_id,processed', { kind => 'session', ref_id => $ref }, Prefer => 'return=representation'),
    201, [ { kind => 'session', ref_id => $ref, processed => false } ], 'a session is queued';
is_status $ana->post('/rest/v1/memory_updates', { kind => 'session', ref_id => $ref }), 409, '23505', 'once';
is_status $ana->post('/rest/v1/memory_updates?on_conflict=user_id,kind,ref_id', { user_id => $ana->id, kind => 'session', ref_id => $ref },
	Prefer => 'resolution=merge-duplicates'), 200, 'or by an upsert';
is_status $ana->post('/rest/v1/memory_updates?on_conflict=user_id,kind,ref_id', { kind => 'session', ref_id => $ref },
	Prefer => 'resolution=ignore-duplicates'), 201, 'or one that ignores it';
is_status $ana->patch('/rest/v1/memory_updates?kind=eq.session', { processed => true }), 403, '42501', 'that it was taken in is for the server to say';

done_testing;
