#!/usr/bin/perl
# Tokens and keys: who is believed, and that everybody else is told nothing more than 401.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Token qw(token b64 ec_key rsa_key jwk_of public_pem);
use IO::Select;
use IO::Socket::INET;
use Digest::SHA ();
use JSON::PP ();

# HS256 beside ES256, as after a move from elsewhere.
my $secret = 'a shared secret of more than thirty-two bytes';
my $k = Kith::Test->new(own => 1, env => { KITH_JWT_SECRET => $secret });
my ($ana) = $k->users('ana');
my $home = $k->instance->home;
my $ec = { pem => "$home/secrets/signing-key.pem" };
my $hs = { secret => $secret };
chomp(my $kid = slurp("$home/secrets/kid"));
my $issuer = $k->url . '/auth/v1';
my $path = '/rest/v1/conversations?select=title';
$ana->make(conversations => { title => 'mine' });
my $mine = [ { title => 'mine' } ];

sub slurp ($file) { open my $f, '<', $file or die "$file: $!"; local $/; <$f> }
sub now : prototype() () { time }

# A good token of ana's, each test spoils one thing: undef removes a claim.
my ($session) = map { Kith::Test::claims($ana->token)->{session_id} } 1;
sub claims (%change) {
	my %claims =
	    (iss => $issuer, sub => $ana->id, aud => 'authenticated', role => 'authenticated', exp => now + 600,
		iat => now, session_id => $session, %change);
	delete @claims{ grep { !defined $claims{$_} } keys %claims };
	return \%claims;
}
sub header (%change) {
	my %header = (alg => 'ES256', typ => 'JWT', kid => $kid, %change);
	delete @header{ grep { !defined $header{$_} } keys %header };
	return \%header;
}
sub es ($header, $claims) { token(header(%$header), ref $claims eq 'HASH' ? claims(%$claims) : $claims, $ec) }
sub ask ($token, %headers) { $ana->with(token => $token)->get($path, %headers) }

sub accepted ($token, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_json ask($token), 200, $mine, "$name is accepted";
}

sub rejected ($token, $code, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $reply = ask($token);
	is_status $reply, 401, $code, "$name is refused";
	is_header $reply, 'WWW-Authenticate', qr/^Bearer error="invalid_token"/, "$name: with a challenge";
	return $reply;
}

# What is good.
accepted $ana->token, 'a token of kith token';
accepted es({}, {}), 'a token of our own key';
accepted es({ kid => undef }, {}), 'a token without kid, when there is one key of its algorithm';
accepted es({ typ => undef }, {}), 'a token without typ';
accepted es({ typ => 'jwt' }, {}), 'typ in small letters';
accepted token({ alg => 'HS256', typ => 'JWT' }, claims(), $hs), 'a token of the shared secret';
accepted token({ alg => 'HS256', kid => 'from-elsewhere' }, claims(), $hs), 'the shared secret under an unknown kid';
accepted es({}, { aud => [ 'other', 'authenticated' ] }), 'one audience out of several';
accepted es({}, { exp => now - 10 }), 'a token that expired within the leeway';
accepted es({}, { nbf => now + 10 }), 'a token that begins within the leeway';
accepted es({}, { iat => now + 3600 }), 'a token issued by a clock ahead';
accepted es({}, { extra => { deep => [ 1, 'x' ] }, email => 'a@example.org' }), 'a token with more claims';
accepted es({ jku => 'https://example.org/jwks', x5u => 'https://example.org/x', jwk => { kty => 'oct' } }, {}),
    'a header that names places, which are ignored';

# C11: what is spoilt.
my ($h, $p, $s) = split /\./, es({}, {});
my $public = public_pem($ec);
for my $case (
	[ 'alg none', token({ alg => 'none' }, claims(), undef) ],
	[ 'alg None', token({ alg => 'None' }, claims(), undef) ],
	[ 'alg nOnE with a signature', token({ alg => 'nOnE' }, claims(), $hs) ],
	[ 'no alg', token({ typ => 'JWT' }, claims(), $hs) ],
	[ 'alg that is no string', token({ alg => 256 }, claims(), $hs) ],
	[ 'alg es256', es({ alg => 'es256' }, {}) ],
	[ 'HS256 signed with the public key', token(header(alg => 'HS256'), claims(), { secret => $public }) ],
	[ 'HS256 signed with the public key, no kid', token({ alg => 'HS256' }, claims(), { secret => $public }) ],
	[ 'HS256 signed with nothing', token({ alg => 'HS256' }, claims(), { secret => '' }) ],
	[ 'HS512 of the shared secret', token({ alg => 'HS512' }, claims(), { secret => $secret, bits => 512 }) ],
	[ 'RS256 under our kid', token(header(alg => 'RS256'), claims(), rsa_key()) ],
	[ 'ES256 of another key', token(header(), claims(), ec_key()) ],
	[ 'ES256 of another curve', token(header(), claims(), ec_key('secp384r1')) ],
	[ 'an unknown kid', es({ kid => 'nobody' }, {}) ],
	[ 'a kid that is no string', es({ kid => 1 }, {}) ],
	[ 'a kid of another key\'s algorithm', token(header(alg => 'HS256'), claims(), $hs) ],
	[ 'crit', es({ crit => ['exp'] }, {}) ],
	[ 'typ of something else', es({ typ => 'JWE' }, {}) ],
	[ 'claims of another token', join('.', $h, b64(JSON::PP::encode_json(claims(role => 'service_role'))), $s) ],
	[ 'one letter changed in the claims', join('.', $h, ($p =~ s/(.)$/$1 eq 'A' ? 'B' : 'A'/er), $s) ],
	[ 'a signature cut short', "$h.$p." . substr($s, 0, -2) ],
	[ 'a signature too long', "$h.$p.${s}AAAA" ],
	[ 'a signature of another token', "$h.$p." . (split /\./, es({}, { iat => 1 }))[2] ],
	[ 'a signature of zeros', "$h.$p." . b64("\0" x 64) ],
	[ 'a signature with junk at its end', "$h.$p.$s!!!!" ],
	[ 'a signature with padding', "$h.$p.$s==" ],
	[ 'a signature with junk in its middle', "$h.$p." . substr($s, 0, 10) . '!' . substr($s, 10) ],
	[ 'the other base64 alphabet', "$h.$p." . ($s =~ tr{-_}{+/}r) . '+' ],
	[ 'an empty signature', "$h.$p." ],
	[ 'an empty payload', "$h..$s" ],
	[ 'an empty header', ".$p.$s" ],
	[ 'two parts', "$h.$p" ],
	[ 'four parts', "$h.$p.$s.x" ],
	[ 'one part', $p ],
	[ 'only dots', '..' ],
	[ 'a header that is no JSON', token('no json', claims(), $ec) ],
	[ 'a header that is an array', token('["alg","ES256"]', claims(), $ec) ],
	[ 'a header with a key twice', token(qq({"alg":"ES256","alg":"none","kid":"$kid"}), claims(), $ec) ],
	[ '9000 bytes', es({}, { pad => 'x' x 6600 }) ],
) {
	my ($name, $token) = @$case;
	is rejected($token, 'PGRST301', $name)->message, 'JWT could not be verified', "$name: without a reason";
}
is_refused ask('x' x 12_000), 'a token of 12 kB is refused';

for my $case (
	[ 'no exp', { exp => undef } ], [ 'exp as text', { exp => '' . (now + 600) } ],
	[ 'a negative exp', { exp => -1 } ], [ 'an exp beyond 2^53', { exp => 9007199254740994 } ],
	[ 'exp null', { exp => \'null' } ], [ 'exp true', { exp => true } ],
	[ 'nbf ahead', { nbf => now + 120 } ], [ 'nbf as text', { nbf => 'now' } ],
	[ 'another audience', { aud => 'other' } ], [ 'no audience', { aud => undef } ],
	[ 'an audience that is a number', { aud => 1 } ], [ 'an empty list of audiences', { aud => [] } ],
	[ 'another issuer', { iss => 'https://example.org/auth/v1' } ], [ 'no issuer', { iss => undef } ],
	[ 'an issuer that begins like ours', { iss => "$issuer/x" } ],
	[ 'no role', { role => undef } ], [ 'a role that is a number', { role => 1 } ],
	[ 'a role that is a list', { role => ['authenticated'] } ],
	[ 'no sub', { sub => undef } ], [ 'a sub that is no uuid', { sub => 'ana' } ],
	[ 'an empty sub', { sub => '' } ], [ 'a sub that is a number', { sub => 1 } ],
	[ 'a session that is no uuid', { session_id => 'x' } ],
	[ 'a session that does not exist', { session_id => uuid } ],
) {
	my ($name, $change) = @$case;
	my $claims = JSON::PP->new->canonical->encode(
		{ %{ claims(%$change) }, map { ref $change->{$_} eq 'SCALAR' ? ($_ => undef) : () } keys %$change });
	my $reply = ask(es({}, $claims));
	ok $reply->status == 401 && $reply->code =~ /^PGRST30[13]$/, "$name is refused" or diag $reply->story;
	is_header $reply, 'WWW-Authenticate', qr/^Bearer/, "$name: with a challenge";
}
for my $claims ('[]', '"x"', '1', 'null', '{', '', '{"exp":1e12}', '{"sub":"\u0000"}') {
	my $reply = ask(es({}, $claims));
	ok $reply->status == 401 && $reply->code =~ /^PGRST30[13]$/, "claims of '$claims' are refused"
	    or diag $reply->story;
}
my $real = JSON::PP->new->canonical->encode(claims());
$real =~ s/"exp":(\d+)/"exp":$1.5/;
is ask(es({}, $real))->status, 401, 'exp with a fraction is refused';
is rejected(es({}, { nbf => now + 120 }), 'PGRST303', 'a token from the future')->message, 'JWT not yet valid',
    'in these words';
is rejected(es({}, { aud => 'other' }), 'PGRST303', 'a token for somebody else')->message, 'JWT not in audience',
    'in these words';

# Example 30.
my $expired = ask(es({}, { exp => now - 31 }));
is_json $expired, 401, { code => 'PGRST303', details => undef, hint => undef, message => 'JWT expired' },
    'an expired token says so: apps look for these words';
is_header $expired, 'WWW-Authenticate', 'Bearer error="invalid_token", error_description="JWT expired"',
    'also in the challenge';
is ask((split /\n/, $k->instance->kith('token', '--expires', '-60', $ana->email))[0])->message, 'JWT expired',
    'a token made expired is expired';

# A role that is not one of the three is forbidden, whoever signed it.
for my $role (qw(postgres kith_owner kith_api supabase_admin), 'Authenticated', 'authenticated ', '') {
	my $reply = ask(es({}, { role => $role }));
	is_status $reply, 403, '42501', "role '$role' is forbidden";
}

# A verified token is believed from memory, but not past its end, nor after its session.
my $short = es({}, { exp => now - 28 });
accepted $short, 'a token about to end';
my $ended = poll 5, sub { my $reply = ask($short); $reply->status == 401 && $reply };
is $ended && $ended->message, 'JWT expired', 'it ends when it ends';
my ($leaver) = $k->users('leaver');
my ($one, $two) = split /\n/, join '', map { $k->instance->kith('token', $leaver->email) } 1 .. 2;
my $third = es({}, Kith::Test::claims($one));
is $leaver->with(token => $_)->get($path)->status, 200, 'a session that lives' for $one, $two, $one, $two;
$k->sql("delete from auth.sessions where id = '" . Kith::Test::claims($one)->{session_id} . "'");
is_status $leaver->with(token => $one)->get($path), 401, 'a session that was ended, at once';
is_status $leaver->with(token => $third)->get($path), 401, 'whatever signed its token';
is_status $leaver->with(token => $one)->post('/rest/v1/conversations', {}), 401, 'also for writes';
is $leaver->with(token => $two)->get($path)->status, 200, 'the other one lives on';
$k->sql("update auth.users set banned_until = now() + interval '1 hour' where id = '@{[ $leaver->id ]}'");
is_status $leaver->with(token => $two)->get($path), 401, 'a banned user';
is $k->sql("select count(*) from public.conversations where user_id = '@{[ $leaver->id ]}'"), '0',
    'nothing was written meanwhile';

# Scheme and header.
for my $case ([ 'bearer %s', 200 ], [ 'BEARER %s', 200 ], [ 'Bearer  %s', 200 ], [ 'Bearer %s x', 401 ],
	[ 'Bearer %s,', 401 ], [ 'Bearer', 401 ], [ 'Bearer ', 401 ], [ '%s', 401 ], [ 'Basic %s', 401 ],
	[ 'Token %s', 401 ], [ "Bearer\t%s", 401 ], [ 'Bearer "%s"', 401 ]) {
	my ($form, $status) = @$case;
	is $ana->get($path, Authorization => $form =~ s/%s/es({}, {})/er)->status, $status,
	    "Authorization: $form gives $status";
}

# apikey.  C12
my $anon = $k->env('KITH_ANON_KEY');
my $service = $k->env('KITH_SERVICE_KEY');
my %none = (Authorization => undef);
my $missing = $ana->get($path, apikey => undef, %none);
is_status $missing, 401, 'PGRST302', 'without any key: 401';
is $missing->message, 'No API key found in request', 'in these words';
is_header $missing, 'WWW-Authenticate', qr/^Bearer\b(?!.*error)/, 'with a bare challenge';
is $ana->get($path, apikey => undef)->status, 401, 'a token alone is not enough';
for my $case ([ 'wrong', 'nonsense' ], [ 'cut', substr $anon, 0, -1 ],
	[ 'the first half', substr $anon, 0, length($anon) / 2 ], [ 'longer', "${anon}x" ],
	[ 'a user\'s token', $ana->token ], [ 'empty', '' ], [ 'blank', '  ' ],
	[ 'with the other letter case', lc $anon ]) {
	my ($name, $key) = @$case;
	is_status $ana->get($path, apikey => $key), 401, "an apikey that is $name is refused";
}
is $ana->get($path, apikey => 'nonsense')->message, 'Invalid API key', 'in these words';
is_status $ana->get("$path&apikey=$anon", apikey => undef, %none), 401, 'a key in the query string is none';
my $as_anon = $ana->get($path, %none);
is_status $as_anon, 401, '42501', 'the anon key alone reads nothing that belongs to somebody'; # D13
is_header $as_anon, 'WWW-Authenticate', qr/^Bearer\b(?!.*error)/, 'and is asked for a token';
is_json $ana->get('/rest/v1/plans?select=id&id=eq.free', %none), 200, [ { id => 'free' } ], 'but what is public';
is_json $ana->get('/rest/v1/plans?select=id&id=eq.free', Authorization => "Bearer $anon"), 200, [ { id => 'free' } ],
    'the key again as a token means nobody is signed in';
is_json $ana->get($path . '&user_id=eq.' . $ana->id, apikey => $service, %none), 200, $mine,
    'the service key reads everything';
is_json $ana->get("$path&user_id=eq." . uuid, apikey => $service, Authorization => "Bearer $service"), 200, [],
    'also as a token';
is_json $ana->get($path . '&user_id=eq.' . $ana->id, apikey => $anon, Authorization => "Bearer $service"), 200, $mine,
    'or only as a token';
my ($ben) = $k->users('ben');
is_json $ben->get($path, apikey => $service), 200, [], 'a user\'s token beats the service key';
is_status $ana->get($path, apikey => $service, Authorization => 'Bearer nonsense'), 401, 'PGRST301',
    'a bad token never falls back to the service key';
is_json $ana->get($path,
	apikey => token({ alg => 'HS256' }, { role => 'anon', iss => 'supabase', iat => 1, exp => now + 600 }, $hs)),
    200, $mine, 'a key minted elsewhere with the shared secret is a key';
is_status $ana->get($path,
	apikey => token({ alg => 'HS256' }, { role => 'anon', iss => 'supabase', exp => now - 60 }, $hs)), 401,
    'but not when it has expired';

# Keys change without a restart.
my $keys = "$home/keys.json";
my $before = slurp($keys);
sub rewrite ($file, $text) {
	my ($mode, $uid, $gid) = (stat $keys)[ 2, 4, 5 ];
	open my $f, '>', "$file.new" or die "$file: $!";
	print $f $text;
	close $f;
	chmod $mode & 07777, "$file.new";
	chown $uid, $gid, "$file.new" if $> == 0;
	rename "$file.new", $file or die "$file: $!";
}
my $foreign = rsa_key();
my $opaque = 'sb_publishable_0123456789abcdef';
rewrite("$home/foreign.json",
	JSON::PP::encode_json({ keys => [ jwk_of($foreign, kid => 'f1', alg => 'RS256', use => 'sig') ] }));
my $config = JSON::PP::decode_json($before);
push @{ $config->{jwks} },
    { file => 'foreign.json', issuer => 'https://issuer.example', audience => 'kith', role => 'authenticated',
	sub => 'uuid' };
push @{ $config->{api_keys} }, { sha256 => Digest::SHA::sha256_hex($opaque), role => 'anon' };
rewrite($keys, JSON::PP::encode_json($config));
sub foreign (%change) {
	my %claims = (iss => 'https://issuer.example', aud => 'kith', sub => $ana->id, exp => now + 600, %change);
	return token({ alg => 'RS256', kid => 'f1' }, \%claims, $foreign);
}
ok poll(5, sub { ask(foreign())->status == 200 }), 'a foreign issuer is believed once its keys are named';
accepted foreign(), 'its token';
rejected foreign(iss => $issuer), undef, 'its key under our issuer';
rejected foreign(aud => 'authenticated'), undef, 'its token for another audience';
rejected foreign(sub => 'auth0|1'), undef, 'its token with a sub that is no uuid';
rejected foreign(exp => now - 60), 'PGRST303', 'its expired token';
is_refused ask(foreign(role => 'service_role')), 'a foreign issuer never makes a service_role';
is_json $ana->get('/rest/v1/plans?select=id&id=eq.free', apikey => $opaque, Authorization => "Bearer $opaque"), 200,
    [ { id => 'free' } ], 'an opaque key is a key, also where the token goes';
is_json $ana->get($path, apikey => $opaque), 200, $mine, 'with a user\'s token beside it';

# A broken file changes nothing.
rewrite("$home/foreign.json", '{"keys": [');
is ask(foreign())->status, 200, 'a broken key set leaves the old keys' for 1 .. 4;
rewrite("$home/foreign.json", JSON::PP::encode_json({ keys => [ jwk_of(rsa_key(), kid => 'f1') ] }));
ok poll(5, sub { ask(foreign())->status == 401 }), 'a key that was replaced is not believed any more';
rewrite($keys, '{');
accepted $ana->token, 'a broken key file leaves the old keys';
rewrite($keys, $before);
ok poll(5, sub { $ana->get('/rest/v1/plans', apikey => $opaque, %none)->status == 401 }),
    'a key that was taken away is none';
accepted $ana->token, 'and everything else is as before';

# Nothing named in a token is fetched.
my $trap = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die;
my $place = 'http://127.0.0.1:' . $trap->sockport;
ask(es({ jku => "$place/jwks", x5u => "$place/x", kid => "$place/k" }, { iss => "$place/iss" }));
ask(es({ jku => "$place/jwks", x5u => "$place/x" }, {}));
ok !IO::Select->new($trap)->can_read(0.2), 'nobody called at the places that a token named';

done_testing;
