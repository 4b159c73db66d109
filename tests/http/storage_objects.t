#!/usr/bin/perl
# Lists, moves, copies, removal, signing, buckets: whatever is sent to them is
# answered in storage's words, moves nobody else's file, and nothing is half done.
# What supabase-js sends is in tests/sdk/storage.mjs.  C14

use v5.36;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users(qw(ana ben));
my $root = $k->service->with(token => $k->env('KITH_SERVICE_KEY'));
my $anyone = $k->anon->with(token => $k->env('KITH_ANON_KEY'));
my ($files, $other, $strict) = map { $k->unique($_) } qw(files other strict);
my $quoted = join ', ', map { "'$_'" } $files, $other, $strict;

$k->later(sub {
	$k->sql(qq{drop policy if exists "$files all" on storage.objects; drop policy if exists "$files insert" on storage.objects;
		set storage.allow_delete_query = 'true'; delete from storage.objects where bucket_id in ($quoted); delete from storage.buckets where id in ($quoted)});
});
$k->sql(qq{insert into storage.buckets (id, name, file_size_limit, allowed_mime_types) values
	('$files', '$files', null, null), ('$other', '$other', null, null), ('$strict', '$strict', 4, '{image/*}')});

my $storage = '/storage/v1';
my ($mine, $others) = map { $_->id } $ana, $ben;
my %message = (NoSuchKey => 'Object not found', NoSuchBucket => 'Bucket not found', KeyAlreadyExists => 'The resource already exists',
	AccessDenied => 'new row violates row-level security policy');

sub is_error ($reply, $code, $status_code, $name) {
	return is_json $reply, 400, { statusCode => "$status_code", error => qr/./, message => $message{$code} // qr/./, code => $code }, $name;
}
sub put ($who, $key, $content = 'x', $bucket = $files, $type = 'text/plain') {
	my $reply = $who->send(PUT => "$storage/object/$bucket/$key", $content, 'Content-Type' => $type);
	return is_status $reply, 200, undef, "there is $key";
}
sub content ($who, $key, $bucket = $files) { my $reply = $who->get("$storage/object/$bucket/$key"); $reply->status == 200 ? $reply->body : $reply->code }
sub way ($who, $verb, $from, $to, %more) {
	return $who->post("$storage/object/$verb", { bucketId => $files, sourceKey => $from, destinationKey => $to, %more });
}

put $ana, "$mine/a";
put $ben, "$others/b";

# Bodies.  Each route, with what is no body for it; who asks comes first.
my %routes = (
	'list' => "object/list/$files", 'list-v2' => "object/list-v2/$files", 'sign one' => "object/sign/$files/$mine/a", 'sign many' => "object/sign/$files",
	'move' => 'object/move', 'copy' => 'object/copy', 'bucket' => 'bucket',
);
for my $route (sort keys %routes) {
	my $path = "$storage/$routes{$route}";
	is_status $k->anon->post($path, {}), 400, 'InvalidRequest', "$route: no Authorization";
	is_status $ana->with(token => 'a.b.c')->post($path, {}), 400, 'AccessDenied', "$route: a bad token";
	for my $body ('[]', '"x"', 'null', '{', '{}x', "{\"a\":\"\xff\"}", '{"a":"\u0000"}', '{"a":1,"a":2}', '[' x 1000, '{"a":' x 40 . '1' . '}' x 40) {
		is_status $ana->post($path, $body), 400, 'InvalidRequest', "$route: " . substr $body, 0, 20;
	}
}
is_error $ana->send(DELETE => "$storage/object/$files", $_), InvalidRequest => 400, "remove: $_"
    for '', '{}', '{"prefixes":"a"}', '{"prefixes":[1]}', '{"prefixes":[null]}', '{"prefixes":{"a":1}}';
is_status $ana->post("$storage/object/list/$files", 'x' x 1_100_000), 400, 'EntityTooLarge', 'a body that is too large';

# Members that are something else.
is_error $ana->post("$storage/object/list/$files", $_->[0]), InvalidRequest => 400, "list: $_->[1]" for
    [ { prefix => 1 }, 'a number as prefix' ], [ { prefix => [] }, 'a list as prefix' ], [ { search => {} }, 'an object as search' ],
    [ { limit => 0 }, 'no entries' ], [ { limit => -1 }, 'fewer' ], [ { limit => 1.5 }, 'one and a half' ], [ { limit => '10' }, 'a word as limit' ],
    [ '{"limit":1e3}', 'an exponent' ], [ { offset => -1 }, 'a negative offset' ], [ '{"offset":99999999999999999999}', 'a huge offset' ],
    [ { sortBy => 'name' }, 'a word as sortBy' ], [ { sortBy => { column => 'version' } }, 'a column of ours' ], [ { sortBy => { column => 'name; drop' } }, 'SQL' ],
    [ { sortBy => { order => 'up' } }, 'an order that is none' ];
is_error $ana->post("$storage/object/list-v2/$files", $_->[0]), InvalidRequest => 400, "list-v2: $_->[1]" for
    [ { with_delimiter => 'yes' }, 'a word as flag' ], [ { limit => 0 }, 'no entries' ], [ { cursor => '?' }, 'a cursor that is no base64' ],
    [ { cursor => '/w==' }, 'no text' ], [ { cursor => 'YQpi', sortBy => { column => 'created_at' } }, 'no time' ], [ { sortBy => { column => 'last_accessed_at' } }, 'a column that it does not know' ];
is_error $ana->post("$storage/object/sign/$files/$mine/a", $_), InvalidRequest => 400, 'sign: ' . (ref $_ ? $_->{expiresIn} // 'nothing' : $_)
    for {}, { expiresIn => 0 }, { expiresIn => -5 }, { expiresIn => 'soon' }, '{"expiresIn":1.5}', '{"expiresIn":1e9}', '{"expiresIn":99999999999999999999}';
is_error $ana->post("$storage/object/sign/$files", { expiresIn => 5, %$_ }), InvalidRequest => 400, 'sign many: ' . join ',', keys %$_
    for {}, { paths => 'a' }, { paths => [] }, { paths => [1] }, { paths => [ ('a') x 1001 ] };
is_error way($ana, $_, 'a', 'b', %{ { bucketId => 5 } }), InvalidRequest => 400, "$_: a number as bucket" for qw(move copy);
is_error way($ana, 'copy', "$mine/a", "$mine/b", copyMetadata => 'no'), InvalidRequest => 400, 'copy: a word as flag';
is scalar @{ $ana->post("$storage/object/sign/$files", { expiresIn => 5, paths => [ ("$mine/a") x 1000 ] })->json }, 1000, 'a thousand are signed';
is_json $ana->send(DELETE => "$storage/object/$files", { prefixes => [ map { "$mine/none$_" } 1 .. 1000 ] }), 200, [], 'a thousand are removed, if they are there';
is_error $ana->send(DELETE => "$storage/object/$files", { prefixes => [ map { "$mine/none$_" } 1 .. 1001 ] }), InvalidRequest => 400, 'not more';
is_json $ana->send(DELETE => "$storage/object/$files", { prefixes => [] }), 200, [], 'none are no error';
is_json $ana->post("$storage/object/list/$files", $_), 200, [], 'nothing is found by ' . (values %$_)[0]
    for { prefix => 'x' x 5000 }, { prefix => "' or 1=1 --" }, { prefix => '../' }, { search => '%' }, { search => "ü\x{1F600}" }, { prefix => "$others/" }, { prefix => $others, search => 'b' };
is_json $ana->post("$storage/object/list-v2/$files", { prefix => $_ }), 200, { hasNext => false, folders => [], objects => [] }, "nor of the second kind by $_" for '%', "$others/", 'ü';

# A cursor says where to go on, not what may be seen.
my $cursor = $ben->post("$storage/object/list-v2/$files", { limit => 1, prefix => '' })->json;
is_deeply [ $cursor->{hasNext}, scalar @{ $cursor->{objects} } ], [ false, 1 ], 'one file, one page';
put $ben, "$others/$_" for qw(c d);
$cursor = $ben->post("$storage/object/list-v2/$files", { limit => 1 })->json->{nextCursor};
is_json $ana->post("$storage/object/list-v2/$files", { cursor => $cursor }), 200,
    { hasNext => false, folders => [], objects => sub ($o) { !grep { $_->{name} !~ /^\Q$mine/ } @$o } }, 'the cursor of another shows nothing of theirs';

# Names, wherever they stand.
for my $bad ("$mine/../$others/b", "../$mine/a", "$mine//a", "/$mine/a", "$mine/a/", "$mine/.", "$mine\\a", "$mine/%2e%2e/a", "$mine/ü", "$mine/a\tb", "$mine/" . 'x' x 1000, '', "$mine/\x{FEFF}") {
	is_error way($ana, $_, "$mine/a", $bad), InvalidKey => 400, "$_ to " . ($bad =~ s/\Q$mine\E/mine/r) for qw(move copy);
	is_error way($ana, $_, $bad, "$mine/z"), InvalidKey => 400, "$_ from " . ($bad =~ s/\Q$mine\E/mine/r) for qw(move copy);
	is_json $ana->send(DELETE => "$storage/object/$files", { prefixes => [$bad] }), 200, [], 'remove finds none';
	is_json $ana->post("$storage/object/sign/$files", { expiresIn => 5, paths => [$bad] }), 200, [ { path => $bad, signedURL => undef, error => qr/^Either the object does not exist/ } ], 'nor signs one';
}
is_error way($ana, $_, "$mine/a", "$mine/b", destinationBucket => $_ x 101), InvalidBucketName => 400, "$_ into a bucket without a name" for qw(move copy);
is_error $ana->post("$storage/object/sign/$files/$mine/..%2fa", { expiresIn => 5 }), InvalidKey => 400, 'a name that climbs is not signed';
is_error $ana->send(DELETE => "$storage/object/$files/$mine/%2e%2e/a", undef), InvalidKey => 400, 'nor deleted';
is content($ana, "$mine/a"), 'x', 'the file is where it was';

# What is another's is not there, in each way to reach it.
for my $verb (qw(move copy)) {
	is_error way($ana, $verb, "$others/b", "$mine/stolen"), NoSuchKey => 404, "no $verb of another's file";
	is_error way($ana, $verb, "$others/none", "$mine/stolen"), NoSuchKey => 404, 'as of one that is not there';
	is_error way($ana, $verb, "$mine/a", "$others/b"), AccessDenied => 403, "no $verb over it";
	is_error way($ana, $verb, "$mine/a", "$others/new"), AccessDenied => 403, 'as beside it';
	is_error way($anyone, $verb, "$mine/a", "$mine/b"), NoSuchKey => 404, 'whoever is not signed in has nothing';
}
is_error $ana->send(DELETE => "$storage/object/$files/$others/b", undef), NoSuchKey => 404, 'nor is it deleted';
is_json $ana->send(DELETE => "$storage/object/$files", { prefixes => [ "$others/b", "$mine/none" ] }), 200, [], 'or removed';
is_error $ana->post("$storage/object/sign/$files/$others/b", { expiresIn => 5 }), NoSuchKey => 404, 'or signed';
is_error $ana->post("$storage/object/upload/sign/$files/$others/b", {}), AccessDenied => 403, 'or signed for an upload';
is_error $ana->post("$storage/object/upload/sign/$files/$others/new", {}), AccessDenied => 403, 'as one that is not there';
is content($ben, "$others/b"), 'x', 'it is as it was';

# Copies and moves within one's own, and back.
is_json way($ana, copy => "$mine/a", "$mine/copy"), 200, { Key => "$files/$mine/copy", Id => qr/^[0-9a-f-]{36}$/, id => qr/./, name => "$mine/copy", bucket_id => $files,
	owner => $mine, owner_id => $mine, version => qr/./, created_at => qr/Z$/, updated_at => qr/Z$/, last_accessed_at => qr/Z$/, user_metadata => {},
	metadata => sub ($m) { $m->{size} == 1 && $m->{mimetype} eq 'text/plain' } }, 'a copy tells of itself';
is_error way($ana, copy => "$mine/a", "$mine/copy"), KeyAlreadyExists => 409, 'there is one already';
put $ana, "$mine/a", 'y';
my $id = $k->sql("select id from storage.objects where bucket_id = '$files' and name = '$mine/copy'");
is $ana->post("$storage/object/copy", { bucketId => $files, sourceKey => "$mine/a", destinationKey => "$mine/copy" }, 'x-upsert' => 'true')->json->{Id}, $id, 'which may be overwritten, and stays the same object';
is content($ana, "$mine/copy"), 'y', 'with the new content';
is_error way($ana, copy => "$mine/a", "$mine/a"), KeyAlreadyExists => 409, 'a copy of itself is there already';
is_json way($ana, move => "$mine/a", "$mine/a"), 200, { message => 'Successfully moved' }, 'a move to itself changes nothing';
is_error way($ana, move => "$mine/a", "$mine/copy"), KeyAlreadyExists => 409, 'none over another file';
is content($ana, "$mine/a") . content($ana, "$mine/copy"), 'yy', 'both are there';
is_error way($ana, move => "$mine/a", "$mine/a", destinationBucket => "$files-none"), NoSuchBucket => 404, 'into a bucket that is not there';
is_error way($ana, $_, "$mine/a", "$mine/a", destinationBucket => $strict), InvalidMimeType => 415, "$_ into a bucket that takes pictures only" for qw(move copy);
put $ana, "$mine/large.png", '12345', $files, 'image/png';
is_error way($ana, $_, "$mine/large.png", "$mine/a", destinationBucket => $strict), EntityTooLarge => 413, "$_ into one that takes small files only" for qw(move copy);
is_json way($ana, move => "$mine/large.png", "$mine/there", destinationBucket => $other), 200, { message => 'Successfully moved' }, 'into one that takes everything';
is content($ana, "$mine/there", $other) . ' ' . content($ana, "$mine/large.png"), '12345 NoSuchKey', 'where it is now';
$k->sql("insert into storage.objects (bucket_id, name, metadata) values ('$files', '$mine/rowonly', '{}')");
is_error way($ana, copy => "$mine/rowonly", "$mine/z"), NoSuchKey => 404, 'a row without a file is nothing to copy';
$k->sql("update storage.objects set version = '" . uuid . "' where name = '$mine/rowonly' and bucket_id = '$files'");
is_error way($ana, copy => "$mine/rowonly", "$mine/z"), NoSuchKey => 404, 'nor is one whose file is lost';

# One at a time.
is_json $ana->send(DELETE => "$storage/object/$files/$mine/copy", undef), 200, { message => 'Successfully deleted' }, 'a file is deleted';
is_error $ana->send(DELETE => "$storage/object/$files/$mine/copy", undef), NoSuchKey => 404, 'once';
is_error $ana->send(DELETE => "$storage/object/nowhere/$mine/copy", undef), NoSuchKey => 404, 'in a bucket that is there';

# An app that lets others read and store, and not delete or overwrite.
$k->sql(qq{create policy "$files all" on storage.objects for select to authenticated using (bucket_id = '$files' and name like 'shared/%' and (select auth.uid()) is not null);
	create policy "$files insert" on storage.objects for insert to authenticated with check (bucket_id = '$files' and name like 'shared/%' and (select auth.uid()) is not null)});
put $root, 'shared/a', 'of the service';
is content($ana, 'shared/a'), 'of the service', 'what an app shares is read';
is_error $ana->send(DELETE => "$storage/object/$files/shared/a", undef), AccessDenied => 403, 'and who sees it is told that it is not theirs to delete';
is_json $ana->send(DELETE => "$storage/object/$files", { prefixes => ['shared/a'] }), 200, [], 'of many it is left out';
is_error way($ana, move => 'shared/a', "$mine/moved"), NoSuchKey => 404, 'it is not theirs to move';
is_error $ana->post("$storage/object/copy", { bucketId => $files, sourceKey => "$mine/a", destinationKey => 'shared/a' }, 'x-upsert' => 'true'), AccessDenied => 403, 'nor to copy over';
is_status way($ana, copy => 'shared/a', "$mine/own"), 200, undef, 'but to copy';
is_error $ana->post("$storage/object/upload/sign/$files/shared/a", {}, 'x-upsert' => 'true'), AccessDenied => 403, 'no URL lets it be overwritten';
is content($root, 'shared/a'), 'of the service', 'it is as it was';
$k->sql(qq{drop policy "$files all" on storage.objects; drop policy "$files insert" on storage.objects});

# Buckets.
for my $who ($ana, $anyone) {
	is_error $who->post("$storage/bucket", { name => 'x' }), AccessDenied => 403, 'users make no buckets';
	is_json $who->get("$storage/bucket"), 200, [], 'see none';
	is_error $who->get("$storage/bucket/$files"), NoSuchBucket => 404, 'not this one';
	is_error $who->send(PUT => "$storage/bucket/$files", { public => true }), NoSuchBucket => 404, 'do not open it';
	is_error $who->send(DELETE => "$storage/bucket/$other", undef), NoSuchBucket => 404, 'do not delete it';
	is_json $who->post("$storage/bucket/$files/empty", {}), 403, { statusCode => '403', error => 'Unauthorized', code => 'InvalidRole', message => 'Access denied: Invalid role' }, 'and empty none';
}
is_status $root->post("$storage/bucket", $_), 400, undef, 'no bucket: ' . (ref $_ ? json($_) : $_)
    for {}, { name => 5 }, { name => 'a/b' }, { name => ' a' }, { name => 'a', id => 'b' }, { name => 'a', public => 'yes' }, { name => 'a', file_size_limit => '5 MB' }, { name => 'a', file_size_limit => {} },
    { name => 'a', file_size_limit => -1 }, '{"name":"a","file_size_limit":1.5}', { name => 'a', file_size_limit => '99999999999999999GB' }, { name => 'a', allowed_mime_types => 'image/*' }, { name => 'a', allowed_mime_types => [5] },
    { name => 'a', allowed_mime_types => ['image/**'] }, { name => 'a', type => 'ANALYTICS' }, { name => 'a', type => 5 };
is_status $root->get("$storage/bucket?$_"), 400, 'InvalidRequest', "no list: $_" for 'limit=x', 'limit=-1', 'offset=-1', 'sortColumn=public', 'sortOrder=up', 'limit=9999999999999999999';
is_status $root->get("$storage/bucket?search=%25%27&limit=0"), 200, undef, 'nothing like that is there';
is_status $_->[0]->($root), 404, 'NoSuchRoute', 'no route: ' . $_->[1] for map { my $p = $_; [ sub ($c) { $c->post("$storage/$p", {}) }, $p ] } "bucket/$files", "bucket/$files/fill", "bucket/$files/empty/x", 'object';

# C14: the quota holds for many at once, and gives nothing away.
my ($cleo) = $k->users('cleo');
my $room = 50_000;
$k->sql("insert into kith.storage_usage (user_id, bytes) values ('" . $cleo->id . "', 104857600 - $room)");
my @replies = map { $_->() } map { my $n = $_; aside(sub { $cleo->post("$storage/object/$files/" . $cleo->id . "/$n", 'x' x 10_000, 'Content-Type' => 'text/plain') }) } 1 .. 20;
is scalar(grep { $_->status == 200 } @replies), 5, 'of twenty uploads at once those are taken that have room';
is scalar(grep { $_->status == 400 && $_->code eq 'QuotaExceeded' } @replies), 15, 'the others are told';
is $k->sql("select count(*) || ' ' || sum((metadata ->> 'size')::int) from storage.objects where owner_id = '" . $cleo->id . "'"), '5 50000', 'and have left no row';
is_json $cleo->post('/rest/v1/rpc/storage_usage', {}), 200, [ { bytes => 104_857_600, allowed => 104_857_600 } ], 'usage says so';
my ($full) = grep { $_->status == 200 } @replies;
my $key = $full->json->{Key} =~ s{^[^/]+/}{}r;
is_status way($cleo, copy => $key, $cleo->id . '/copy'), 400, 'QuotaExceeded', 'a copy needs room too';
is_status way($cleo, move => $key, $cleo->id . '/moved'), 200, undef, 'a move does not';
is_status $cleo->send(PUT => "$storage/object/$files/" . $cleo->id . '/moved', 'y' x 10_000, 'Content-Type' => 'text/plain'), 200, undef, 'nor does a file of the same size in its place';
is_status $cleo->send(DELETE => "$storage/object/$files/" . $cleo->id . '/moved', undef), 200, undef, 'what is deleted';
is_status $cleo->post("$storage/object/$files/" . $cleo->id . '/again', 'x' x 10_000, 'Content-Type' => 'text/plain'), 200, undef, 'makes room';

# At once: of eight moves of one file one succeeds, of eight copies to one name too.
put $ana, "$mine/race";
@replies = map { $_->() } map { my $n = $_; aside(sub { way($ana, move => "$mine/race", "$mine/race$n") }) } 1 .. 8;
is join(' ', sort map { $_->status == 200 ? 'moved' : $_->code } @replies), join(' ', ('NoSuchKey') x 7, 'moved'), 'one of eight moves a file';
is scalar @{ $ana->post("$storage/object/list/$files", { prefix => $mine, search => 'race' })->json }, 1, 'which is in one place';
@replies = map { $_->() } map { aside(sub { way($ana, copy => "$mine/a", "$mine/copies") }) } 1 .. 8;
is join(' ', sort map { $_->status == 200 ? 'copied' : $_->code } @replies), join(' ', ('KeyAlreadyExists') x 7, 'copied'), 'one of eight copies to a name';
@replies = map { $_->() } map { my $n = $_; aside(sub { $ana->send(DELETE => "$storage/object/$files", { prefixes => [ $n % 2 ? ("$mine/a", "$mine/copies") : ("$mine/copies", "$mine/a") ] }) }) } 1 .. 8;
is join(' ', map { $_->status } @replies), join(' ', (200) x 8), 'eight remove the same two files';
is scalar(map { @{ $_->json } } @replies), 2, 'each is removed by one';

done_testing;
