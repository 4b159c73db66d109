#!/usr/bin/perl
# A signed URL opens the one file that it names, for what it was made, until it
# expires; its token signs nobody in, and nobody's token opens a file.  Here
# access tokens are signed with a shared secret, so that both are HS256.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Token qw(token b64);

my $shared = 'a shared secret of this test, 32 bytes and more';
my $k = Kith::Test->new(own => 1, env => { KITH_JWT_SECRET => $shared });
my ($ana, $ben) = $k->users(qw(ana ben));
my $nobody = $k->anon->with(apikey => undef);
my $object = '/storage/v1/object';
my $name = $ana->id . '/a b.txt';
my $path = "documents/$name";
my $now = time;

sub body_of ($reply) { $reply->status . ' ' . $reply->body }
sub is_signature_error ($reply, $code, $name) {
	return is_json $reply, 400, { statusCode => '400', error => $code, code => $code, message => qr/./ }, $name;
}

is_status $ana->post("$object/$path", 'for you', 'Content-Type' => 'text/plain'), 200, undef, 'a file';
is_status $ana->post("$object/documents/" . $ana->id . '/other', 'not this', 'Content-Type' => 'text/plain'), 200, undef, 'and another';
my $signed = $ana->post("$object/sign/$path", { expiresIn => 60 })->json->{signedURL};
like $signed, qr{^/object/sign/\Q$path\E\?token=[\w.-]+$}, 'the key is as it was';
is body_of($nobody->get("/storage/v1$signed")), '200 for you', 'whoever has the URL reads the file, without any key';
is $nobody->head("/storage/v1$signed")->status, 200, 'or asks for its head';
my ($token) = $signed =~ /token=(.*)/;

# What the token says, and what else it might say.
my $secret = do { open my $f, '<', $k->instance->home . '/storage-secret' or die $!; readline($f) =~ s/\n//r };
my $header = { alg => 'HS256', typ => 'JWT' };
my %claims = (url => $path, scope => 'download', iat => $now, exp => $now + 60);
sub with (%other) {
	my %all = (%claims, %other);
	delete $all{$_} for grep { !defined $all{$_} } keys %all;
	return token($header, \%all, { secret => $secret });
}
sub read_with ($token, $of = $path) { $nobody->get("$object/sign/$of?token=$token") }
is body_of(read_with(with())), '200 for you', 'a token of the same form is as good';
is body_of(read_with(with(scope => undef))), '200 for you', 'one of an older server has no scope';
is body_of(read_with(with(exp => $now + 1e9, extra => { a => [1] }))), '200 for you', 'and may say more';

is_signature_error read_with($_->[0]), $_->[1], "refused: $_->[2]" for
    [ with(url => "documents/" . $ana->id . '/other'), InvalidSignature => 'the token of another file' ],
    [ with(url => "$path/"), InvalidSignature => 'of nearly this one' ],
    [ with(url => $name), InvalidSignature => 'of no bucket' ],
    [ with(url => undef), InvalidSignature => 'of no file' ],
    [ with(url => [$path]), InvalidSignature => 'of a list' ],
    [ with(scope => 'upload'), InvalidSignature => 'that is for an upload' ],
    [ with(scope => ''), InvalidSignature => 'that is for nothing' ],
    [ with(scope => 1), InvalidSignature => 'that is for a number' ],
    [ with(scope => undef, upsert => false), InvalidSignature => 'an older one for an upload' ],
    [ with(exp => $now - 1), InvalidJWT => 'one that has expired' ],
    [ with(exp => undef), InvalidJWT => 'that never expires' ],
    [ with(exp => "9999999999"), InvalidJWT => 'that expires at a word' ],
    [ token($header, \%claims, { secret => $shared }), InvalidJWT => 'one that is signed with the secret of access tokens' ],
    [ token({ alg => 'none' }, \%claims, undef), InvalidJWT => 'one that is not signed' ],
    [ token({ alg => 'HS512' }, \%claims, { secret => $secret, bits => 512 }), InvalidJWT => 'or in another way' ],
    [ token({ alg => 'hs256' }, \%claims, { secret => $secret }), InvalidJWT => 'or in small letters' ],
    [ token({}, \%claims, { secret => $secret }), InvalidJWT => 'or in no way that is said' ],
    [ token($header, "[]", { secret => $secret }), InvalidJWT => 'one without claims' ],
    [ token($header, qq({"url":"$path","url":"$path","scope":"download","exp":9999999999}), { secret => $secret }), InvalidJWT => 'that says something twice' ],
    [ substr(with(), 0, -1), InvalidJWT => 'one that was cut' ],
    [ with() . 'A', InvalidJWT => 'or made longer' ],
    [ with() =~ s/\.(?=[^.]*$)/%2e./r, InvalidJWT => 'or has a dot more' ],
    [ '..', InvalidJWT => 'one of dots' ],
    [ 'x' x 9000, InvalidJWT => 'a very long one' ],
    [ $ana->token, InvalidJWT => 'an access token' ],
    [ $k->env('KITH_SERVICE_KEY'), InvalidJWT => 'the service key' ];
is_status $nobody->get("$object/sign/$path$_"), 400, 'InvalidRequest', "no token at all: '$_'" for '', '?token=', '?Token=x';
is_signature_error read_with(with() =~ s/\w(?=\.)/$& eq 'A' ? 'B' : 'A'/er), InvalidJWT => 'a letter that was changed';
is_signature_error read_with($token, "documents/" . $ana->id . '/other'), InvalidSignature => 'the token opens no other file';
is_signature_error read_with($token, "avatars/$name"), InvalidSignature => 'nor one of that name elsewhere';
is_status $nobody->get("$object/$path?token=$token"), 400, 'InvalidRequest', 'nor by another route';

# The other direction: the token of a file is nobody's.  A claim of a user in it changes nothing.
for my $case ([ 'the token of a URL', $token ], [ 'one that names a user', with(sub => $ana->id, role => 'authenticated', aud => 'authenticated') ],
	[ 'or the service', with(role => 'service_role') ]) {
	my ($what, $bearer) = @$case;
	my $thief = $ben->with(token => $bearer);
	is_status $thief->get('/rest/v1/messages'), 401, 'PGRST301', "$what signs nobody in";
	is_json $thief->get("$object/$path"), 400, { statusCode => '403', error => 'Unauthorized', code => 'AccessDenied', message => qr/./ }, 'nor for storage';
	is_status $ben->with(apikey => $bearer, token => undef)->get('/rest/v1/plans'), 401, undef, 'and is no key';
}
# And an access token that names a file opens none.
is_signature_error read_with(token($header, { %claims, sub => $ana->id, role => 'authenticated', aud => 'authenticated', exp => $now + 600 }, { secret => $shared })),
    InvalidJWT => 'an access token with the name of a file opens none';

# Uploads.
my $made = $ana->post("$object/upload/sign/documents/" . $ana->id . '/up', {})->json;
my ($upload) = $made->{url} =~ /token=(.*)/;
is $made->{token}, $upload, 'the token is told twice';
is_signature_error $nobody->get("$object/sign/documents/" . $ana->id . "/up?token=$upload"), InvalidSignature => 'the token of an upload reads nothing';
my $put = sub ($token, $key = $ana->id . '/up') { $nobody->send(PUT => "$object/upload/sign/documents/$key?token=$token", 'sent', 'Content-Type' => 'text/plain') };
is_signature_error $put->($_->[0]), $_->[1], "refused: $_->[2]" for
    [ $token, InvalidSignature => 'an upload with the token of another file' ], [ with(url => 'documents/' . $ana->id . '/up'), InvalidSignature => 'or with one that reads' ],
    [ $ana->token, InvalidJWT => 'or with an access token' ];
is_signature_error $put->($upload, $ben->id . '/up'), InvalidSignature => 'or into the folder of another';
is_json $put->($upload), 200, { Key => 'documents/' . $ana->id . '/up' }, 'with its own token the file is taken';
is_status $put->($upload), 400, 'KeyAlreadyExists', 'once';
is_status $nobody->send(PUT => "$object/upload/sign/documents/" . $ana->id . "/up?token=$upload", 'x', 'x-upsert' => 'true'), 400, 'KeyAlreadyExists', 'whatever a header says';
is body_of($ana->get("$object/documents/" . $ana->id . '/up')), '200 sent', 'it is as it was sent';

# A token outlives neither its file nor, in the log, its request.
is_status $ana->send(DELETE => "$object/$path", undef), 200, undef, 'the file is deleted';
is_status $nobody->get("/storage/v1$signed"), 400, 'NoSuchKey', 'then its URL leads nowhere';
my $found = 0;
for my $log (glob $k->instance->home . '/log/*.log') {
	open my $f, '<', $log or die $!;
	while (<$f>) { $found++ if index($_, substr $token, -30) >= 0 || index($_, substr $upload, -30) >= 0 }
}
is $found, 0, 'no log has a token';

done_testing;
