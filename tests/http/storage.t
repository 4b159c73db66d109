#!/usr/bin/perl
# Files go in and come out: whole, to whom they belong, under a name that is
# never a path, and as nothing that a browser would run.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users(qw(ana ben));
my ($anon, $service) = ($k->anon, $k->service);
my $anyone = $anon->with(token => $k->env('KITH_ANON_KEY'));
my $nobody = $anon->with(apikey => undef);
my $root = $service->with(token => $k->env('KITH_SERVICE_KEY'));
my ($docs, $open, $small, $sounds) = map { $k->unique($_) } qw(docs open small sounds);

$k->later(sub {
	$k->sql(qq{begin; set local storage.allow_delete_query = 'true';
		delete from storage.objects where bucket_id in ('$docs', '$open', '$small', '$sounds');
		delete from storage.buckets where id in ('$docs', '$open', '$small', '$sounds'); commit});
});
$k->sql(qq{insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types) values
	('$docs', '$docs', false, null, null), ('$open', '$open', true, null, null),
	('$small', '$small', false, 1000, null), ('$sounds', '$sounds', false, null, '{audio/*,image/png,Text/Plain}')});

my $object = '/storage/v1/object';
my ($mine, $others) = map { $_->id } $ana, $ben;

sub is_error ($reply, $code, $error, $status_code, $message, $name, $status = 400) {
	return is_json $reply, $status,
	  { statusCode => "$status_code", error => $error, message => $message, code => $code }, $name;
}

sub denied ($reply, $name) {
	return is_error $reply, AccessDenied => 'Unauthorized', 403, 'new row violates row-level security policy', $name;
}

sub missing ($reply, $name) { is_error $reply, NoSuchKey => 'not_found', 404, 'Object not found', $name }
sub no_bucket ($reply, $name) { is_error $reply, NoSuchBucket => 'Bucket not found', 404, 'Bucket not found', $name }
sub duplicate ($reply, $name) { is_error $reply, KeyAlreadyExists => 'Duplicate', 409, 'The resource already exists', $name }

sub too_large ($reply, $name) {
	return is_error $reply, EntityTooLarge => 'Payload too large', 413, 'The object exceeded the maximum allowed size', $name;
}

sub stored ($reply, $bucket, $key, $name) {
	return is_json $reply, 200, { Key => "$bucket/$key", Id => qr/^[0-9a-f-]{36}$/ }, $name;
}

# What PostgreSQL knows of a file.
sub row ($bucket, $key) {
	my $text = $k->sql("select row_to_json(o) from storage.objects o where bucket_id = '$bucket' and name = '$key'");
	return $text eq '' ? undef : JSON::PP->new->utf8->decode($text);
}

# A form as supabase-js sends it: fields, then the file with the empty name.
sub form ($content, $type, %fields) {
	my $text = join '', map { qq(--XyZ\r\nContent-Disposition: form-data; name="$_"\r\n\r\n$fields{$_}\r\n) } sort keys %fields;
	return $text . qq(--XyZ\r\nContent-Disposition: form-data; name=""; filename="blob"\r\nContent-Type: $type\r\n\r\n$content\r\n--XyZ--\r\n);
}

my @form = ('Content-Type' => 'multipart/form-data; boundary=XyZ');

# --- in ------------------------------------------------------------------

stored $ana->post("$object/$docs/$mine/a.webm", "\0\xff\r\n" x 1000, 'Content-Type' => 'audio/webm;codecs=opus',
	'Cache-Control' => 'max-age=60', 'X-Metadata' => encode_base64('{"take":1,"word":"ja"}', '')), $docs, "$mine/a.webm",
  'a file is stored from a raw body';
my $first = row($docs, "$mine/a.webm");
is_deeply $first->{user_metadata}, { take => 1, word => 'ja' }, 'with what the app says of it';
is $first->{owner_id}, $mine, 'it belongs to who stored it';
my $etag = delete $first->{metadata}{eTag};
like $etag, qr/^"[0-9a-f]{32}"$/, 'its tag is quoted';
like delete $first->{metadata}{lastModified}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'the time is ISO 8601';
is_deeply $first->{metadata}, { size => 4000, mimetype => 'audio/webm;codecs=opus', cacheControl => 'max-age=60',
	contentLength => 4000, httpStatusCode => 200 }, 'metadata has the keys that apps read, and no other';
is $ana->get("$object/$docs/$mine/a.webm")->body, "\0\xff\r\n" x 1000, 'and it comes out as it went in';

duplicate $ana->post("$object/$docs/$mine/a.webm", 'other'), 'a name is given once';
duplicate $ana->post("$object/$docs/$mine/a.webm", 'other', 'X-Upsert' => 'false'), 'unless the caller says otherwise';
is_deeply row($docs, "$mine/a.webm")->{version}, $first->{version}, 'the stored file stays untouched';
stored $ana->post("$object/$docs/$mine/a.webm", 'other', 'X-Upsert' => 'true', 'Content-Type' => 'text/plain'), $docs, "$mine/a.webm",
  'x-upsert overwrites';
my $second = row($docs, "$mine/a.webm");
is $second->{id}, $first->{id}, 'the object stays the same';
isnt $second->{version}, $first->{version}, 'its file is another one';
is $ana->get("$object/$docs/$mine/a.webm")->body, 'other', 'with the new content';
is $k->sql("select count(*) from kith.released_files where version = '$first->{version}'"), 1, 'the old file waits to be removed';

stored $ana->send(PUT => "$object/$docs/$mine/b.txt", 'b', 'Content-Type' => undef), $docs, "$mine/b.txt", 'PUT creates what is not there';
stored $ana->send(PUT => "$object/$docs/$mine/b.txt", '', 'Content-Type' => undef), $docs, "$mine/b.txt", 'and overwrites what is';
is_deeply [ @{ row($docs, "$mine/b.txt")->{metadata} }{qw(size mimetype cacheControl)} ], [ 0, 'application/octet-stream', 'no-cache' ],
  'an empty file of no type has the defaults';
is $ana->get("$object/$docs/$mine/b.txt")->body, '', 'and comes out empty';

stored $ana->post("$object/$docs/$mine/form.webm", form("\x1aE\xdf\xa3\r\n--XyQ", 'audio/webm;codecs=opus', cacheControl => 3600,
	metadata => '{"a":{"b":[1]}}'), @form), $docs, "$mine/form.webm", 'a file is stored from a form';
my $formed = row($docs, "$mine/form.webm");
is_deeply [ @{ $formed->{metadata} }{qw(size mimetype cacheControl)}, $formed->{user_metadata} ],
  [ 11, 'audio/webm;codecs=opus', 'max-age=3600', { a => { b => [1] } } ], 'with its fields';
is $ana->get("$object/$docs/$mine/form.webm")->body, "\x1aE\xdf\xa3\r\n--XyQ", 'and nothing of the form';
stored $ana->send(PUT => "$object/$docs/$mine/form.webm", form('x', 'audio/webm', contentType => 'audio/ogg', metadata => 'no {json'), @form),
  $docs, "$mine/form.webm", 'a field contentType says more than the file does';
is_deeply [ row($docs, "$mine/form.webm")->{metadata}{mimetype}, row($docs, "$mine/form.webm")->{user_metadata} ],
  [ 'audio/ogg', {} ], 'and metadata that is no JSON object is none';
stored $ana->send(PUT => "$object/$docs/$mine/b.txt", 'b', 'X-Metadata' => $_), $docs, "$mine/b.txt", "nor is $_"
  for 'no base64!', encode_base64('[1]', ''), encode_base64('{"a":"\u0000"}', ''), encode_base64("{\"a\":\"\xff\"}", '');
is_deeply row($docs, "$mine/b.txt")->{user_metadata}, {}, 'whichever way it comes';

for my $case (
	[ 'no boundary', 'x', 'Content-Type' => 'multipart/form-data' ],
	[ 'no end', substr(form('x', 'text/plain'), 0, -6), @form ],
	[ 'no file', "--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--XyZ--\r\n", @form ],
	[ 'two files', form('x', 'text/plain') =~ s/--XyZ--//r . form('y', 'text/plain'), @form ],
	[ 'many fields', form('x', 'text/plain', map { ("f$_" => 1) } 1 .. 11), @form ],
	[ 'a long field', form('x', 'text/plain', cacheControl => 1 x 2000), @form ],
	[ 'a line feed in a field', form('x', 'text/plain', cacheControl => "1\nX-Evil: 1"), @form ],
	[ 'a long header', 'x', 'Cache-Control' => 'x' x 300 ],
) {
	my ($what, $body, @headers) = @$case;
	is_json $ana->post("$object/$docs/$mine/never", $body, @headers), 400, { statusCode => '400', error => 'Error',
		code => 'InvalidRequest', message => qr/./, $what =~ /boundary|end|long field/ ? (hint => qr/FormData/) : () }, "$what: refused";
}
is row($docs, "$mine/never"), undef, 'and nothing is stored';

# --- who -----------------------------------------------------------------

denied $ana->post("$object/$docs/$others/a.txt", 'x'), 'nobody writes into the folder of another';
denied $ana->post("$object/$docs/$others/a.txt", form('x', 'text/plain'), @form), 'not by a form either';
denied $ana->send(PUT => "$object/$docs/$others/a.txt", 'x'), 'nor by PUT';
denied $anyone->post("$object/$docs/$mine/anon.txt", 'x'), 'nobody writes without signing in';
denied $ben->send(PUT => "$object/$docs/$mine/a.webm", 'x'), 'nobody overwrites the file of another';
is $ana->get("$object/$docs/$mine/a.webm")->body, 'other', 'it is as it was';
stored $root->post("$object/$docs/service/a.txt", 'x'), $docs, 'service/a.txt', 'the service writes anywhere';
is row($docs, 'service/a.txt')->{owner_id}, undef, 'for nobody';
stored $root->send(PUT => "$object/$docs/$mine/b.txt", 'x'), $docs, "$mine/b.txt", 'and over the files of users';
is row($docs, "$mine/b.txt")->{owner_id}, $mine, 'whose they stay';
stored $nobody->with(token => $ana->token)->post("$object/$docs/$mine/bearer.txt", 'x'), $docs, "$mine/bearer.txt", 'Authorization alone is enough';
is_error $anon->post("$object/$docs/$mine/x", 'x'), InvalidRequest => 'Error', 400, "headers must have required property 'authorization'",
  'it is needed';
is_error $ana->with(token => 'a.b.c')->post("$object/$docs/$mine/x", 'x'), AccessDenied => 'Unauthorized', 403, qr/JWT/, 'a bad token is told';
for my $who ([ another => $ben ], [ 'who is not signed in' => $anyone ]) {
	missing $who->[1]->get("$object/$docs/$mine/a.webm"), "$who->[0] sees no file";
	missing $who->[1]->get("$object/authenticated/$docs/$mine/a.webm"), "$who->[0] sees none here either";
	missing $who->[1]->get("$object/info/$docs/$mine/a.webm"), "$who->[0] learns nothing of it";
	missing $who->[1]->get("$object/$docs/$mine/there-is-none"), 'which is all that is said of one that is not there';
	is $who->[1]->head("$object/$docs/$mine/a.webm")->status, 400, 'and of whether it exists';
}
no_bucket $ana->get("$object/nowhere/$mine/a"), 'a bucket that is not there is told';
no_bucket $ana->post("$object/nowhere/$mine/a", 'x'), 'to who writes as well';
no_bucket $nobody->get("$object/public/$docs/$mine/a.webm"), 'by the public route a private bucket is none';
no_bucket $nobody->get("$object/info/public/$docs/$mine/a.webm"), 'for its info too';
is_error $nobody->get("$object/$docs/$mine/a.webm"), InvalidRequest => 'Error', 400, "headers must have required property 'authorization'",
  'a private file wants to know who asks';

# --- what ----------------------------------------------------------------

too_large $ana->post("$object/$small/$mine/a", 'x' x 1001), 'a bucket has a limit';
stored $ana->post("$object/$small/$mine/a", 'x' x 1000), $small, "$mine/a", 'up to it a file is stored';
too_large $ana->post("$object/$small/$mine/b", form('x' x 1001, 'text/plain'), @form), 'of a form the file counts';
stored $ana->post("$object/$small/$mine/b", form('x' x 1000, 'text/plain'), @form), $small, "$mine/b", 'and not the form';
is_error $ana->post("$object/$sounds/$mine/a", 'x', 'Content-Type' => $_), InvalidMimeType => 'invalid_mime_type', 415,
  "mime type $_ is not supported", "$_ is no sound" for 'video/mp4', 'text/html', 'audiox/y', 'image/png2';
stored $ana->send(PUT => "$object/$sounds/$mine/a", 'x', 'Content-Type' => $_), $sounds, "$mine/a", "$_ is one"
  for 'audio/webm;codecs=opus', 'AUDIO/ogg', 'image/png', 'text/plain; charset=utf-8';
is_error $ana->post("$object/$sounds/$mine/b", form('x', 'video/webm'), @form), InvalidMimeType => 'invalid_mime_type', 415,
  'mime type video/webm is not supported', 'in a form as well';
is_error $ana->post("$object/$docs/$mine/b", 'x', 'Content-Type' => $_), InvalidMimeType => 'invalid_mime_type', 415,
  "mime type $_ is not supported", "$_ is no type" for 'text', 'a/', '/b', 'a b/c', 'a/b c', 'a/b/c';
is_json $ana->post("$object/$docs/$mine/b", 'x', 'Content-Type' => "a/b; c\xff"), 400, { statusCode => '415', error => 'invalid_mime_type',
	code => 'InvalidMimeType', message => qr/not supported/ }, 'nor is one of other letters';
stored $ana->post("$object/$sounds/$mine/x/.emptyFolderPlaceholder", '', 'Content-Type' => 'application/octet-stream'), $sounds,
  "$mine/x/.emptyFolderPlaceholder", 'a dashboard makes folders whatever the types';

# Order: who, then the name, the bucket, size, type, and only then the row.
is_error $anon->post("$object/nowhere/..", 'x'), InvalidRequest => 'Error', 400, qr/authorization/, 'who comes first';
is_error $ana->post("$object/nowhere/..", 'x'), InvalidKey => 'InvalidKey', 400, 'Invalid key: ..', 'then the name';
too_large $ana->post("$object/$small/$others/x", 'x' x 2000), 'the size before the rights';
is_error $ana->post("$object/$sounds/$others/x", 'x', 'Content-Type' => 'a/b'), InvalidMimeType => 'invalid_mime_type', 415,
  'mime type a/b is not supported', 'the type before the rights';

# Policies see the type and the length before there is a file.
$k->sql(qq{create policy "$docs" on storage.objects as restrictive for insert to authenticated with check (
	bucket_id <> '$docs' or name !~ '/checked' or (metadata ->> 'mimetype' = 'image/png' and coalesce((metadata ->> 'contentLength')::int < 10, true)))});
$k->later(sub { $k->sql(qq{drop policy "$docs" on storage.objects}) });
denied $ana->post("$object/$docs/$mine/checked", 'x', 'Content-Type' => 'image/gif'), 'a policy reads the type';
denied $ana->post("$object/$docs/$mine/checked", 'x' x 10, 'Content-Type' => 'image/png'), 'and the length';
denied $ana->post("$object/$docs/$mine/checked", form('x', 'image/gif'), @form), 'of a form the type';
stored $ana->post("$object/$docs/$mine/checked", 'x' x 9, 'Content-Type' => 'image/png'), $docs, "$mine/checked", 'what it allows is stored';

# --- names ---------------------------------------------------------------

# Parts of paths, controls, letters beyond ASCII, overlong and broken UTF-8: C14
my @bad = ('', '/', '..', '../x', 'x/..', 'x/../y', './x', 'x/./y', 'x//y', '/x', 'x/', '%2e%2e/x', '..%2fx', 'x%2f..%2f..%2fy', '%2fx', 'x%2f',
	'a%0ab', 'a%0d%0ab', 'a%7fb', '%c3%a4', '%ff', '%c0%ae%c0%ae/x', '%ed%a0%80', 'a%5cb', 'a%22b', 'a%25b', 'a%23b', 'a%3cb', 'a~b', 'a%7bb',
	'a' x 1025, 'x/' x 520 . 'y');
for my $bad (@bad) {
	my $shown = length $bad > 30 ? substr($bad, 0, 10) . '...' : $bad;
	for my $reply ($ana->post("$object/$docs/$bad", 'x'), $ana->get("$object/$docs/$bad"), $ana->get("$object/public/$open/$bad")) {
		is_json $reply, 400, { statusCode => '400', error => qr/^(?:InvalidKey|Error)$/, code => qr/^Invalid(?:Key|Request)$/, message => qr/./ },
		  "no file is called $shown";
	}
}
for my $good ('a', 'a/b/c.d', "!*'() &\$=\@;:+,-_.x", 'a%20b%2Fc', '...', '..x', 'x..', 'a' x 987) {
	my $key = "$mine/$good" =~ s/%([0-9A-F]{2})/chr hex $1/egr;
	stored $ana->send(PUT => "$object/$docs/" . ("$mine/$good" =~ s/ /%20/gr), $good), $docs, $key, 'a file is called ' . substr $good, 0, 30;
	is $ana->get("$object/$docs/" . ("$mine/$good" =~ s/ /%20/gr))->body, $good, 'and found by that name';
}
is_error $ana->get("$object/$_/x"), InvalidBucketName => 'Invalid Input', 400, 'Bucket name invalid', "no bucket is called $_"
  for 'a%2fb', '%20a', 'a%20', '%c3%a4', 'a' x 101, '%ff';
is $ana->get("$object/$docs/$mine%2Fa.webm")->status, 200, 'a slash may be encoded';
# nginx sees another path than the program: what it resolves must lead nowhere.
is_status $ana->get("$object/$docs/a%00b"), 400, 'InvalidRequest', 'nor has a name a NUL';
is_refused $ana->get("/storage/v1/object/../../rest/v1/users"), 'a path that climbs is refused';
is_refused $ana->get("/rest/v1/%2e%2e/%2e%2e/storage/v1/object/$docs/$mine/a.webm"), 'from elsewhere too';
is_refused $ana->get("/storage/v1/object/%2e%2e/%2e%2e/%2e%2e/_obj/"), 'and nobody comes to the files themselves';
is $ana->get('/_obj/' . substr($second->{version}, 0, 2) . '/' . substr($second->{version}, 2, 2) . "/$second->{version}")->status, 404,
  'not even who knows what a file is called on the disk';

# --- out -----------------------------------------------------------------

$ana->send(PUT => "$object/$docs/$mine/d.png", "\x89PNG\r\n\x1a\n" . 'x' x 992, 'Content-Type' => 'image/png', 'Cache-Control' => 'max-age=3600');
$root->send(PUT => "$object/$open/d.txt", 'everybody', 'Content-Type' => 'text/plain', 'Cache-Control' => 'max-age=3600');
my $tag = row($docs, "$mine/d.png")->{metadata}{eTag};

for my $route ($object, "$object/authenticated") {
	my $reply = $ana->get("$route/$docs/$mine/d.png");
	is $reply->status, 200, 'a file is sent';
	is_header $reply, @$_, "with $_->[0]" for [ 'Content-Type' => 'image/png' ], [ 'Content-Length' => '1000' ], [ ETag => $tag ],
	  [ 'Cache-Control' => 'private, max-age=3600' ], [ Vary => 'Authorization' ], [ 'Accept-Ranges' => 'bytes' ], [ 'Last-Modified' => qr/ GMT$/ ], [ 'X-Robots-Tag' => 'none' ],
	  [ 'X-Content-Type-Options' => 'nosniff' ], [ 'Content-Security-Policy' => q(sandbox; default-src 'none') ],
	  [ 'Cross-Origin-Resource-Policy' => 'cross-origin' ], [ 'Access-Control-Allow-Origin' => '*' ], [ 'Content-Disposition' => undef ],
	  [ 'Set-Cookie' => undef ], [ 'X-Accel-Redirect' => undef ], [ 'Access-Control-Expose-Headers' => qr/Content-Range.*ETag/ ];
	my $head = $ana->head("$route/$docs/$mine/d.png");
	is $head->status, 200, 'HEAD says the same';
	is $head->header($_), $reply->header($_), "of $_" for qw(Content-Type Content-Length ETag Cache-Control Last-Modified);
}
for my $said ('public, max-age=9', 's-maxage=9') {
	$ana->send(PUT => "$object/$docs/$mine/shared.txt", 'mine', 'Content-Type' => 'text/plain', 'Cache-Control' => $said);
	is_header $ana->get("$object/$docs/$mine/shared.txt"), 'Cache-Control' => 'private, no-cache', "$said is not for a private file";
}
for my $who ([ nobody => $nobody ], [ 'who has a bad token' => $ana->with(token => 'a.b.c') ], [ 'somebody signed in' => $ben ]) {
	for my $route ($object, "$object/public", "$object/authenticated") {
		my $reply = $who->[1]->get("$route/$open/d.txt");
		is $reply->body, 'everybody', "$who->[0] reads a public file by $route";
		is_header $reply, 'Cache-Control' => 'max-age=3600', 'which caches may share';
		is_header $reply, 'WWW-Authenticate' => undef, 'without a word about who asks';
	}
	is_json $who->[1]->get("$object/info/$open/d.txt"), 200, { id => qr/./, name => 'd.txt', version => qr/./, bucket_id => $open, size => 9,
		content_type => 'text/plain', cache_control => 'max-age=3600', etag => qr/^"/, metadata => {}, last_modified => qr/Z$/, created_at => qr/Z$/ },
	  "$who->[0] learns of it";
	missing $who->[1]->get("$object/public/$open/none"), 'one that is not there is told';
	missing $who->[1]->get("$object/info/public/$open/none"), 'here too';
}
denied $ana->post("$object/$open/mine.txt", 'x'), 'what all may read only those write who may';
is_header $ana->get("$object/public/$open/d.txt"), Vary => undef, "what is everybody's is kept for everybody";
is $ana->get("$object/info/$docs/$mine/d.png")->json->{version}, row($docs, "$mine/d.png")->{version}, 'info of an own file';
is $ana->get("$object/info/authenticated/$docs/$mine/d.png")->status, 200, 'by its other route';

for my $case (
	[ 'its tag', 304, 'If-None-Match' => $tag ],
	[ 'its tag, weak', 304, 'If-None-Match' => "W/$tag" ],
	[ 'its tag among others', 304, 'If-None-Match' => qq("a", $tag) ],
	[ 'any', 304, 'If-None-Match' => '*' ],
	[ 'another', 200, 'If-None-Match' => '"0123456789abcdef0123456789abcdef"' ],
	[ 'a time long ago', 200, 'If-Modified-Since' => 'Thu, 01 Jan 1970 00:00:00 GMT' ],
	[ 'its time', 304, 'If-Modified-Since' => $ana->get("$object/$docs/$mine/d.png")->header('Last-Modified') ],
	[ 'its time, with another tag', 200, 'If-None-Match' => '"a"', 'If-Modified-Since' => $ana->get("$object/$docs/$mine/d.png")->header('Last-Modified') ],
) {
	my ($what, $status, @headers) = @$case;
	my $reply = $ana->get("$object/$docs/$mine/d.png", @headers);
	is $reply->status, $status, "who has $what: $status";
	is_header $reply, ETag => $tag, 'with the tag';
	like join(', ', $reply->header('Vary')), qr/Authorization/, 'and kept for who has asked';
}
missing $ben->get("$object/$docs/$mine/d.png", 'If-None-Match' => $tag), 'whoever knows a tag learns nothing by it';

for my $case (
	[ 'bytes=0-7', 206, "\x89PNG\r\n\x1a\n", 'bytes 0-7/1000' ], [ 'bytes=-5', 206, 'xxxxx', 'bytes 995-999/1000' ],
	[ 'bytes=998-', 206, 'xx', 'bytes 998-999/1000' ], [ 'bytes=998-5000', 206, 'xx', 'bytes 998-999/1000' ],
) {
	my ($range, $status, $body, $content_range) = @$case;
	my $reply = $ana->get("$object/$docs/$mine/d.png", Range => $range);
	is_deeply [ $reply->status, $reply->body, $reply->header('Content-Range') ], [ $status, $body, $content_range ], "$range is sent";
	is_header $reply, 'Content-Length' => length $body, 'with its length';
}
my $beyond = $ana->get("$object/$docs/$mine/d.png", Range => 'bytes=1000-');
is_error $beyond, InvalidRange => 'invalid_range', 416, 'invalid range provided', 'a range beyond the end is told', 416;
is_header $beyond, 'Content-Range' => 'bytes */1000', 'with the length there is';
is $ana->get("$object/$docs/$mine/d.png", Range => $_)->status, 200, "$_ is ignored" for 'bytes=0-1,5-6', 'lines=1-2';
is $ana->get("$object/$docs/$mine/d.png", Range => 'bytes=0-0', 'If-Range' => $tag)->status, 206, 'If-Range with the tag: the range';
is $ana->get("$object/$docs/$mine/d.png", Range => 'bytes=0-0', 'If-Range' => '"a"')->status, 200, 'with another one: all of it';

for my $case ([ '?download', 'attachment;' ], [ '?download=', 'attachment;' ],
	[ '?cacheNonce=1&download=my%20file.png', q(attachment; filename=my%20file.png; filename*=UTF-8''my%20file.png) ],
	[ '?download=a+b%22%0d%0aX:%20y%c3%a4', q(attachment; filename=a%20b%22%0D%0AX%3A%20y%C3%A4; filename*=UTF-8''a%20b%22%0D%0AX%3A%20y%C3%A4) ],
	[ '?download=%ff', undef ], [ '?downloads=x', undef ]) {
	is_header $ana->get("$object/$docs/$mine/d.png$case->[0]"), 'Content-Disposition' => $case->[1], "$case->[0]";
}

# C14: nothing that is stored runs where it is opened.
for my $type ('text/html', 'TEXT/HTML; charset=utf-8', 'application/xhtml+xml', 'image/svg+xml', 'text/xml', 'application/xml', 'application/rss+xml',
	'text/javascript', 'application/javascript', 'application/x-javascript', 'text/ecmascript', 'text/xsl', 'multipart/x-mixed-replace') {
	$ana->send(PUT => "$object/$docs/$mine/active", '<svg onload=alert(1)>', 'Content-Type' => $type);
	my $reply = $ana->get("$object/$docs/$mine/active");
	is_header $reply, 'Content-Type' => 'text/plain', "$type is sent as text";
	is_header $reply, 'Content-Security-Policy' => qr/^sandbox; /, 'in a sandbox';
}
is_error $ana->post("$object/$docs/$mine/disguised", $_->[1], 'Content-Type' => $_->[0]), InvalidMimeType => 'invalid_mime_type', 415,
  "mime type $_->[0] is not supported", "$_->[2] is no $_->[0]"
  for [ 'image/png', '<!DOCTYPE html><html><script>alert(1)</script></html>', 'a page' ],
  [ 'audio/webm', qq(<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script/></svg>), 'a drawing with a script' ],
  [ 'video/mp4', "#!/bin/sh\nrm -rf /\n", 'a script' ], [ 'image/jpeg', "MZ\x90\0" . "\0" x 56 . "\x40\0\0\0" . "PE\0\0\x64\x86" . "\0" x 200, 'a program' ];
is row($docs, "$mine/disguised"), undef, 'nothing of it is stored';
stored $ana->send(PUT => "$object/$docs/$mine/media", $_->[1], 'Content-Type' => $_->[0]), $docs, "$mine/media", "$_->[2] is stored as $_->[0]"
  for [ 'audio/webm', "\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm", 'webm' ],
  [ 'audio/mp4', "\0\0\0\x1cftypisom\0\0\2\0isomiso2mp41", 'mp4' ], [ 'audio/mpeg', "ID3\4\0\0\0\0\0\0", 'a bare tag' ],
  [ 'audio/wav', "RIFF\x24\0\0\0WAVEfmt ", 'wav' ], [ 'image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg"/>', 'a drawing' ],
  [ 'text/html', '<html></html>', 'a page' ];

$k->sql("update storage.objects set version = '" . uuid . "' where bucket_id = '$docs' and name = '$mine/media'");
missing $ana->get("$object/$docs/$mine/media"), 'a file that was lost is not there';
$k->sql("update storage.objects set version = null where bucket_id = '$docs' and name = '$mine/media'");
missing $ana->get("$object/$docs/$mine/media"), 'nor is a row that never had one';

# --- nginx's own ---------------------------------------------------------

for my $case ([ 400, 'what is no URL', '/storage/v1/object/%zz' ], [ 414, 'a URL that is too long', "$object/$docs/" . 'x' x 17000 ]) {
	my ($status, $what, $path) = @$case;
	my $reply = $ana->get($path);
	is_status $reply, $status, 'InvalidRequest', "$what is told in the same form";
	is_deeply [ sort keys %{ $reply->json } ], [qw(code error message statusCode)], 'with its four members';
	is $reply->json->{statusCode}, $status, 'and the status';
}
is_error $ana->get('/storage/v1/nope'), NoSuchRoute => 'Not Found', 404, 'Route GET:/storage/v1/nope not found', 'and a path that is none', 404;
is_error $ana->send(PATCH => "$object/$docs/x", 'x'), NoSuchRoute => 'Not Found', 404, "Route PATCH:/storage/v1/object/$docs/x not found", 'or a verb', 404;
is_error $ana->get("/storage/v1/render/image/public/$open/d.txt"), NoSuchRoute => 'Not Found', 404,
  "Route GET:/storage/v1/render/image/public/$open/d.txt not found", 'pictures are not changed', 404;
my $preflight = $anon->with(apikey => undef)->send(OPTIONS => "$object/$docs/x", undef, Origin => 'https://app.example',
	'Access-Control-Request-Method' => 'POST', 'Access-Control-Request-Headers' => 'authorization,apikey,x-client-info,content-type,cache-control,x-upsert,x-metadata,range');
is_header $preflight, 'Access-Control-Allow-Headers' => qr/x-upsert, x-metadata, range$/, 'a browser may send all of it';
is_header $preflight, 'Access-Control-Allow-Methods' => qr/PUT, DELETE/, 'by every verb';

# A body that is refused is not waited for: only its head is sent.
sub announce ($client, $path, $length, @lines) {
	my $raw = $k->raw;
	$raw->send($raw->head("POST $path HTTP/1.1", $raw->caller_lines($client), $length ? "Content-Length: $length" : 'Transfer-Encoding: chunked', @lines));
	return $raw->reply('POST');
}
too_large announce($ana, "$object/$docs/$mine/big", 100_000_000), 'what is larger than anything may be is refused before it comes';
too_large announce($ana, "$object/$docs/$mine/big", 52_428_801), 'by one byte as well';
too_large announce($ana, "$object/$small/$mine/big", 2_000_000), 'and what is larger than the bucket allows';
too_large announce($ana, "$object/$small/$mine/big", 3_200_000, 'Content-Type: multipart/form-data; boundary=x'), 'in a form too';
denied announce($ana, "$object/$docs/$others/big", 2_000_000), 'and what the caller may not store';
denied announce($ana, "$object/$docs/$others/big", 0), 'however long it is';
duplicate announce($ana, "$object/$docs/$mine/a.webm", 2_000_000), 'and what is there already';
# The plan free has room for 100 MB, of which half is taken.
$k->sql(qq{insert into storage.objects (bucket_id, name, owner_id, version, metadata) values ('$docs', '$mine/half', '$mine', '} . uuid . q{', '{"size": 52428800}')});
my $full = announce($ana, "$object/$docs/$mine/big", 52_428_800);
is_status $full, 400, 'QuotaExceeded', 'and what the plan has no room for';
is $full->json->{statusCode}, '403', 'which is no matter of size';
$k->sql(qq{begin; set local storage.allow_delete_query = 'true'; delete from storage.objects where bucket_id = '$docs' and name = '$mine/half'; commit});
no_bucket announce($ana, "$object/nowhere/$mine/big", 2_000_000), 'wherever it should go';
is_error announce($anon, "$object/$docs/$mine/big", 2_000_000), InvalidRequest => 'Error', 400, qr/authorization/, 'whoever sends it';

# Beyond the limit without having said so: at the byte.
{
	my $raw = $k->raw(timeout => 20);
	my $chunk = sprintf "%x\r\n%s\r\n", 1 << 20, 'x' x (1 << 20);
	$raw->send($raw->head("POST $object/$docs/$mine/big HTTP/1.1", $raw->caller_lines($ana), 'Transfer-Encoding: chunked'), $chunk x 53);
	too_large $raw->reply('POST'), 'an upload without end is refused at its limit';
}
is row($docs, "$mine/big"), undef, 'nothing of these was stored';

# Whoever leaves in the middle leaves nothing.
for my $type ('audio/webm', 'multipart/form-data; boundary=XyZ') {
	my $raw = $k->raw;
	$raw->send($raw->head("POST $object/$docs/$mine/half HTTP/1.1", $raw->caller_lines($ana), 'Content-Length: 500000', "Content-Type: $type"),
		substr form('x' x 500_000, 'audio/webm'), 0, 300_000);
	$raw->close;
	is $ana->get("$object/$docs/$mine/a.webm")->status, 200, 'others go on';
}
is row($docs, "$mine/half"), undef, 'half a file is none';

# --- at once -------------------------------------------------------------

# C14: of many who create one name exactly one succeeds.
my @waiting = map { my $n = $_; aside(sub { $ana->post("$object/$docs/$mine/race", "$n" x 100) }) } 1 .. 8;
my @replies = map { $_->() } @waiting;
is scalar(grep { $_->status == 200 } @replies), 1, 'of eight who create one name one succeeds';
is scalar(grep { ($_->code // '') eq 'KeyAlreadyExists' } @replies), 7, 'the others are told';
is $ana->get("$object/$docs/$mine/race")->body, ((map { $_ x 100 } grep { $replies[ $_ - 1 ]->status == 200 } 1 .. 8)[0]), 'and the file is that of the one';
@replies = map { $_->() } map { my $n = $_; aside(sub { $ana->send(PUT => "$object/$docs/$mine/race2", "$n" x 100) }) } 1 .. 8;
is scalar(grep { $_->status == 200 } @replies), 8, 'of eight who overwrite one name all do';
like $ana->get("$object/$docs/$mine/race2")->body, qr/^([1-8])\1{99}$/, 'and the file is that of one of them';

# A file never is in memory whole.
SKIP: {
	last SKIP if ($k->env('KITH_VARIANT') // 'plain') ne 'plain';
	my $instance = $k->instance;
	my $peak = sub { (sort { $b <=> $a } map { $instance->memory($_->{pid}, 'VmHWM') } grep { $_->{name} eq 'kith-storage' } $instance->programs)[0] };
	my $before = $peak->();
	stored $ana->send(PUT => "$object/$docs/$mine/large", 'x' x 20_000_000), $docs, "$mine/large", '20 MB are stored';
	stored $ana->send(PUT => "$object/$docs/$mine/large", form('y' x 20_000_000, 'audio/webm'), @form), $docs, "$mine/large", 'from a form too';
	is length $ana->get("$object/$docs/$mine/large")->body, 20_000_000, 'and come out';
	cmp_ok $peak->() - $before, '<', 4000, 'in 4 MB of memory';
}

# Nothing of what was refused, or overwritten, is in the way of a new beginning.
my ($storage) = grep { -d } $k->env('KITH_STORAGE') // (), $k->instance->home . '/storage';
is_deeply [ glob "$storage/tmp/*" ], [], 'no unfinished file is left';

done_testing;
