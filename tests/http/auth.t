#!/usr/bin/perl
# The auth program on the wire: every refusal of signing up, in and out, in the
# form that SDKs read, and what must not be told or done.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Token qw(token b64 ec_key rsa_key public_pem);
use JSON::PP ();
use List::Util qw(min);
use Time::HiRes qw(time);

my $k = Kith::Test->new;
my $anon = $k->anon;
my $password = 'a walk by the river';
my %dated = ('X-Supabase-Api-Version' => '2024-01-01');
my $number = 0;

sub address ($name) { join('.', $name, $k->unique('auth'), ++$number) . '@example.org' }
sub ask ($client, $method, $path, $body = undef, %headers) { $client->send($method, "/auth/v1$path", $body, %dated, %headers) }
sub sign_up ($body, %headers) { ask($anon, POST => '/signup', $body, %headers) }
sub sign_in ($email, $word, %headers) { ask($anon, POST => '/token?grant_type=password', { email => $email, password => $word }, %headers) }
sub refresh ($token, %headers) { ask($anon, POST => '/token?grant_type=refresh_token', { refresh_token => $token }, %headers) }

# Somebody who signed up: their client, and the session.
sub signed_up ($name, %more) {
	my $email = address($name);
	my $reply = sign_up({ email => $email, password => $password, %more });
	die 'could not sign up: ' . $reply->story unless $reply->status == 200;
	my $session = $reply->json;
	$k->watch->secret($email, (split /\./, $session->{access_token})[2], $session->{refresh_token});
	return ($k->client(name => $name, email => $email, token => $session->{access_token}, id => $session->{user}{id}), $session);
}

# The error's form as well as what it says.
sub is_error ($reply, $status, $code, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $body = eval { $reply->json } // {};
	my @keys = sort keys %$body;
	my $ok =
	       $reply->status == $status
	    && ($body->{code} // '') eq $code
	    && "@keys" =~ /^code message(?: weak_password)?$/
	    && ($reply->header('x-supabase-api-version') // '') eq '2024-01-01'
	    && ($reply->header('x-sb-error-code') // '') eq $code
	    && ($reply->header('cache-control') // '') eq 'no-store';
	ok $ok, "$name: $status $code" or diag $reply->story;
	return $ok;
}

$k->watch->secret($password);
my ($ana, $session) = signed_up('ana', data => { nickname => 'Ana' });

# The form of an error, by the version that the client speaks.
my $wrong = { email => $ana->email, password => 'something else' };
my %form = (code => 'invalid_credentials', message => 'Invalid login credentials');
my %old = (code => 400, error_code => 'invalid_credentials', msg => 'Invalid login credentials');
for (
	[ '2024-01-01', \%form ], [ '2025-06-30', \%form ], [ undef, \%old ], [ '2023-12-31', \%old ], [ '', \%old ],
	[ 'zzzz-zz-zz', \%old ], [ '9', \%old ], [ '2024-01-01; x', \%old ],
    ) {
	my ($version, $body) = @$_;
	my $reply = sign_in($ana->email, 'something else', 'X-Supabase-Api-Version' => $version);
	my $name = 'version ' . ($version // 'none');
	is_json $reply, 400, $body, "$name: the body";
	is_header $reply, 'X-Supabase-Api-Version', $body == \%form ? '2024-01-01' : undef, "$name: the echo";
	is_header $reply, 'X-Sb-Error-Code', 'invalid_credentials', "$name: the code";
}

# Browsers.
my %origin = (Origin => 'https://app.example');
for my $reply (sign_in($ana->email, $password, %origin), sign_in($ana->email, 'x', %origin), ask($anon, GET => '/settings', undef, %origin)) {
	is_header $reply, 'Access-Control-Allow-Origin', '*', 'any origin may read it';
	my $exposed = $reply->header('access-control-expose-headers') // '';
	ok $exposed =~ /\b$_\b/, "and sees $_" for qw(X-Total-Count Link X-Supabase-Api-Version Retry-After);
	is_header $reply, 'Cache-Control', 'no-store', 'nobody keeps it';
}
my $preflight = ask($k->client(apikey => undef), OPTIONS => '/token?grant_type=password', undef, %origin,
	'Access-Control-Request-Method' => 'POST',
	'Access-Control-Request-Headers' => 'authorization,apikey,content-type,x-client-info,x-supabase-api-version');
is_status $preflight, 200, 'a preflight needs no key';
for my $header (qw(authorization apikey content-type x-client-info x-supabase-api-version)) {
	is_header $preflight, 'Access-Control-Allow-Headers', qr/\b$header\b/, "it allows $header";
}
is_header $preflight, 'Access-Control-Expose-Headers', qr/X-Supabase-Api-Version/, 'and exposes the version';

# Keys, paths, methods.
my $keyless = $k->client(apikey => undef);
for (
	[ POST => '/signup', {} ], [ POST => '/token?grant_type=password', {} ], [ POST => '/token?grant_type=refresh_token', {} ],
	[ POST => '/logout', undef ], [ GET => '/user', undef ], [ PUT => '/user', {} ], [ GET => '/settings', undef ],
    ) {
	my ($method, $path, $body) = @$_;
	is_error ask($keyless, $method, $path, $body), 401, 'no_authorization', "$method $path without a key";
	is_error ask($anon->with(apikey => 'x'), $method, $path, $body), $path =~ /user|logout/ ? 403 : 401, 'bad_jwt',
	    "$method $path with a key that is none";
}
is_error ask($anon, GET => '/nothing'), 404, 'KITH404', 'a path that is none';
for ([ GET => '/signup' ], [ DELETE => '/user' ], [ GET => '/token' ], [ GET => '/logout' ], [ PUT => '/settings' ]) {
	my ($method, $path) = @$_;
	my $reply = ask($anon, $method, $path);
	is_error $reply, 405, 'KITH405', "$method $path";
	is_header $reply, 'Allow', qr/OPTIONS/, 'what is allowed is said';
}
is_status ask($anon, POST => '/signup/', {}), 404, 'a path is not almost right';
is_status ask($anon, POST => '/%73ignup', {}), 404, 'nor written in another way';

# Bodies that are no object.
my @calls = (
	[ $anon, POST => '/signup' ], [ $anon, POST => '/token?grant_type=password' ],
	[ $anon, POST => '/token?grant_type=refresh_token' ], [ $ana, PUT => '/user' ]
);
my $deep = '{"data":' . '{"a":' x 100 . '1' . '}' x 101;
for my $call (@calls) {
	my ($client, $method, $path) = @$call;
	for my $body ('[]', '"x"', 'null', '1', '{', '{"email":}', '{"a":1}x', 'not json', "\xef\xbb\xbf{}", "{\"a\":\"\xff\"}",
		'{"a":"\ud800"}', '{"email":"a@example.org","email":"b@example.org"}', '{"password":"a\u0000b"}', "\0", $deep) {
		is_error ask($client, $method, $path, $body), 400, 'bad_json', "$method $path with " . substr($body, 0, 20) =~ s/[^ -~]/?/gr;
	}
	is_status ask($client, $method, $path, '{"data":{"pad":"' . 'x' x 70_000 . '"}}'), 413, "$method $path with more than 64 KiB";
}

# Members of a wrong type, and addresses that are none.
for my $value (1, true, [], {}, ['a@example.org']) {
	my $shown = JSON::PP->new->allow_nonref->encode($value);
	is_error sign_up({ email => $value, password => $password }), 400, 'validation_failed', "sign-up, email $shown";
	is_error sign_up({ email => address('x'), password => $value }), 400, 'validation_failed', "sign-up, password $shown";
	is_error sign_up({ phone => $value }), 400, 'validation_failed', "sign-up, phone $shown";
	is_error sign_in($value, $password), 400, 'validation_failed', "sign-in, email $shown";
	is_error sign_in($ana->email, $value), 400, 'validation_failed', "sign-in, password $shown";
	is_error refresh($value), 400, 'validation_failed', "refresh token $shown";
	is_error ask($ana, PUT => '/user', { email => $value }), 400, 'validation_failed', "change, email $shown";
	is_error ask($ana, PUT => '/user', { password => $value }), 400, 'validation_failed', "change, password $shown";
	next if ref $value eq 'HASH';
	is_error sign_up({ email => address('x'), password => $password, data => $value }), 400, 'validation_failed', "sign-up, data $shown";
	is_error ask($ana, PUT => '/user', { data => $value }), 400, 'validation_failed', "change, data $shown";
}
for my $email ('', 'ana', '@example.org', 'ana@', 'a@b@c', 'a b@example.org', "a\n\@example.org", "a\x7f\@example.org",
	'x' x 250 . '@b.org', ' ana@example.org', "ana\@example.org\t") {
	is_error sign_up({ email => $email, password => $password }), 400, 'validation_failed', 'an address that is none: ' . substr($email =~ s/[^ -~]/?/gr, 0, 20);
}
is_error sign_up({ phone => '+15550100', password => $password }), 400, 'phone_provider_disabled', 'a sign-up by phone';
is_error ask($anon, POST => '/token?grant_type=password', { phone => '+15550100', password => $password }), 400,
    'phone_provider_disabled', 'a sign-in by phone';

# Passwords.
for my $case ([ 'none', undef, 400, 'validation_failed' ], [ 'empty', '', 400, 'validation_failed' ], [ '5 characters', '12345', 422, 'weak_password' ],
	[ '73 bytes', 'x' x 73, 400, 'validation_failed' ], [ '73 bytes in 37 letters', 'é' x 36 . 'x', 400, 'validation_failed' ]) {
	my ($name, $word, $status, $code) = @$case;
	is_error sign_up({ email => address('weak'), password => $word }), $status, $code, "a new password of $name";
	is_error ask($ana, PUT => '/user', { password => $word }), $status, $code, "a change to one of $name" if defined $word;
}
is_json sign_up({ email => address('weak'), password => '12345' }), 422,
    { code => 'weak_password', message => 'Password should be at least 6 characters.', weak_password => { reasons => ['length'] } },
    'a weak password says why';
my $long = 'x' x 72;
my $longest = address('long');
is_status sign_up({ email => $longest, password => $long }), 200, '72 bytes are fine';
is_status sign_in($longest, $long), 200, 'and are compared whole';
is_error sign_in($longest, "${long}x"), 400, 'invalid_credentials', 'one more is another password';
is_error sign_in($longest, substr $long, 1), 400, 'invalid_credentials', 'as is one less';

# Signing in: who is unknown, has no password, or sends a wrong one cannot tell which it was.
my $bare = address('bare');
$k->sql("insert into auth.users (id, email, email_confirmed_at) values (gen_random_uuid(), '$bare', now())");
my $pending = address('pending');
sign_up({ email => $pending, password => $password });
$k->sql("update auth.users set email_confirmed_at = null where email = '$pending'");
my $banned = address('banned');
sign_up({ email => $banned, password => $password });
$k->sql("update auth.users set banned_until = now() + interval '1 hour' where email = '$banned'");
my $gone = address('gone');
sign_up({ email => $gone, password => $password });
$k->sql("update auth.users set deleted_at = now() where email = '$gone'");
my $odd = address('odd');
$k->sql("insert into auth.users (id, email, email_confirmed_at, encrypted_password) values (gen_random_uuid(), '$odd', now(), '*0')");
my $plain = sign_in($ana->email, 'wrong');
for my $case ([ 'nobody', address('nobody') ], [ 'without a password', $bare ], [ 'with a hash of no known kind', $odd ],
	[ 'not confirmed', $pending ], [ 'banned', $banned ], [ 'deleted', $gone ]) {
	my ($name, $email) = @$case;
	my $reply = sign_in($email, 'wrong');
	is $reply->body, $plain->body, "$name: the same answer";
	is $reply->status, 400, 'and status';
}
is_error sign_in($pending, $password), 400, 'email_not_confirmed', 'who has the password is told more: not confirmed';
is_error sign_in($banned, $password), 400, 'user_banned', 'banned';
is_error sign_in($gone, $password), 400, 'invalid_credentials', 'but who is deleted is nobody';
is_error sign_in($odd, $_), 400, 'invalid_credentials', "libcrypt's sign of failure is no hash" for '*0', '*1', 'x';

# The same work for all, as the kernel counts it, and the least of several times:
# what else runs on a machine can make one of them dearer, and none cheaper.
sub worked {
	my $ns = 0;
	for my $process (grep { $_->{name} eq 'kith-passwords' } $k->instance->programs) {
		open my $f, '<', "/proc/$process->{pid}/schedstat" or die "schedstat: $!";
		$ns += (split ' ', <$f>)[0];
	}
	return $ns;
}
my %took;
my ($lea) = signed_up('lea');
for (1 .. 7) {
	for my $case ([ known => $lea->email ], [ unknown => address('unknown') ], [ bare => $bare ]) {
		my $before = worked();
		sign_in($case->[1], 'wrong');
		my $ns = worked() - $before;
		$took{ $case->[0] } = $ns if !$took{ $case->[0] } || $ns < $took{ $case->[0] };
	}
}
for my $who (qw(unknown bare)) {
	my $ratio = $took{$who} / $took{known};
	ok $ratio > 0.5 && $ratio < 2, sprintf '%s: as much work as for somebody known (%.2f)', $who, $ratio;
}

# Grants.
for my $grant ('', '?grant_type=', '?grant_type=magic', '?grant_type=p%61ssword', '?grant_type=Password', '?Grant_Type=password',
	'?grant_type=%00', '?grant_type=%ff', '?grant_type=password%20') {
	is_error ask($anon, POST => "/token$grant", { email => $ana->email, password => $password }), 400, 'unsupported_grant_type', "/token$grant";
}

# Refreshing.
for my $text ('x', 'AAAA', '', 'a' x 10_000, 'é', $session->{access_token}, substr($session->{refresh_token}, 1)) {
	is_error refresh($text), 400, $text eq '' ? 'validation_failed' : 'refresh_token_not_found', 'a token that is none: ' . substr($text =~ s/[^ -~]/?/gr, 0, 12);
}
is_error ask($anon, POST => '/token?grant_type=refresh_token', {}), 400, 'validation_failed', 'no token';
is_error refresh('abcdefghij12'), 400, 'refresh_token_not_found', 'one of the old kind that nobody gave';
my ($eva, $first) = signed_up('eva');
my ($second, $third) = map { refresh($first->{refresh_token})->json } 1 .. 2;
is $third->{refresh_token}, $second->{refresh_token}, 'the same token again: the client never saw the answer';
for (1 .. 3) {
	my $reply = refresh($second->{refresh_token});
	$second = $reply->json;
	is_status $reply, 200, 'the next one';
}
is_json $eva->with(token => $second->{access_token})->get('/auth/v1/user'), 200, $second->{user}, 'the session goes on';
is_status refresh($first->{refresh_token}), 200, 'an old token a moment later: other tabs';
my $id = Kith::Test::claims($first->{access_token})->{session_id};
$k->sql("update auth.sessions set refreshed_at = (now() at time zone 'UTC') - interval '11 s' where id = '$id'");
is_error refresh($first->{refresh_token}), 400, 'refresh_token_already_used', 'an old token later: a thief';
is_error refresh($second->{refresh_token}), 400, 'session_not_found', 'ends the session';
is_error ask($eva->with(token => $second->{access_token}), GET => '/user'), 403, 'session_not_found', 'and its access tokens';
is_status $eva->with(token => $second->{access_token})->get('/rest/v1/users'), 401, 'for every program';
for my $case ([ 'a banned user', "update auth.users set banned_until = now() + interval '1 hour' where id = '%s'", 'user_banned' ],
	[ 'a deleted user', "update auth.users set deleted_at = now() where id = '%s'", 'session_not_found' ],
	[ 'a session with an end', "update auth.sessions set not_after = now() where user_id = '%s'", 'session_expired' ],
	[ 'a user who is gone', "delete from auth.users where id = '%s'", 'session_not_found' ]) {
	my ($name, $sql, $code) = @$case;
	my ($fay, $its) = signed_up('fay');
	$k->sql(sprintf $sql, $fay->id);
	is_error refresh($its->{refresh_token}), 400, $code, $name;
	is_error ask($fay, GET => '/user'), 403, $code eq 'user_banned' ? $code : $name =~ /user/ ? 'user_not_found' : 'session_not_found', "$name on GET /user";
	is_error ask($fay, PUT => '/user', { data => { a => 1 } }), 403, $code eq 'user_banned' ? $code : $name =~ /user/ ? 'user_not_found' : 'session_not_found', "$name on PUT /user";
}

# Twenty tabs at once with one token: all of them stay signed in.
my ($gus, $tabs) = signed_up('gus');
my @tabs = map { aside(sub { refresh($tabs->{refresh_token}) }) } 1 .. 20;
my @refreshed = map { $_->() } @tabs;
is join(' ', map { $_->status } @refreshed), join(' ', (200) x 20), 'twenty refreshes at once';
my %tokens = map { $_->json->{refresh_token} => 1 } @refreshed;
is keys %tokens, 1, 'end with one token';
is_status refresh((keys %tokens)[0]), 200, 'which is good';
# The same with a token that came with a dump.
my $imported = join '', map { ('a' .. 'z', 0 .. 9)[ rand 36 ] } 1 .. 12;
$k->sql("with s as (insert into auth.sessions (id, user_id, created_at, updated_at, aal) values (gen_random_uuid(), '@{[ $gus->id ]}', now(), now(), 'aal1') returning *)
    insert into auth.refresh_tokens (token, user_id, revoked, created_at, updated_at, session_id) select '$imported', user_id, false, now(), now(), id from s");
@refreshed = map { $_->() } map { aside(sub { refresh($imported) }) } 1 .. 20;
is join(' ', map { $_->status } @refreshed), join(' ', (200) x 20), 'twenty exchanges at once of a token that came with a dump';
my %exchanged = map { $_->json->{refresh_token} => 1 } @refreshed;
is keys %exchanged, 1, 'end with one token';
is_status refresh((keys %exchanged)[0]), 200, 'which is good';
# A row that somebody holds: wait, and try again; the session is kept.
my $lock = $k->instance->session;
my $held = Kith::Test::claims($tabs->{access_token})->{session_id};
$k->may_answer(503);
$lock->tell("begin; select from auth.sessions where id = '$held' for update;");
poll 10, sub { $k->sql("select count(*) from pg_stat_activity where state = 'idle in transaction' and query ~ '$held'") };
my $waited = refresh((keys %tokens)[0]);
is_error $waited, 503, 'request_timeout', 'a session that is held';
is_header $waited, 'Retry-After', qr/^\d+$/, 'says when to try again';
$lock->tell('rollback;');
$lock->finish;
is_status refresh((keys %tokens)[0]), 200, 'and goes on afterwards';

# Sign-ups at once for one address, and sign-ins of one user.
my $wanted = address('wanted');
my @ups = map { aside(sub { sign_up({ email => $_ % 2 ? $wanted : uc $wanted, password => $password }) }) } 1 .. 8;
my @answers = map { $_->() } @ups;
is join(' ', sort map { $_->status . ($_->status == 200 ? '' : ' ' . $_->code) } @answers), join(' ', 200, ('422 user_already_exists') x 7), 'eight sign-ups at once make one user';
is $k->sql("select count(*) from auth.users where lower(email) = lower('$wanted')"), 1, 'one row';
my @ins = map { aside(sub { sign_in($wanted, $password) }) } 1 .. 20;
is join(' ', map { $_->()->status } @ins), join(' ', (200) x 20), 'twenty sign-ins at once';

# The user.
is_json ask($ana, GET => '/user'), 200, sub ($user) { $user->{id} eq $ana->id && $user->{email} eq $ana->email && $user->{user_metadata}{nickname} eq 'Ana' }, 'the user';
unlike ask($ana, GET => '/user')->body, qr/encrypted|\$2|token|hmac/, 'without hash or token';
is_error ask($anon, GET => '/user'), 401, 'no_authorization', 'nobody is signed in';
is_error ask($anon->with(token => $k->env('KITH_SERVICE_KEY')), GET => '/user'), 401, 'no_authorization', 'the service is no user';
is_error ask($anon, PUT => '/user', {}), 401, 'no_authorization', 'nobody changes nothing';
is_error ask($ana, PUT => '/user', { app_metadata => { role => 'admin' } }), 403, 'not_admin', 'app_metadata is not theirs';
is_error ask($ana, PUT => '/user', { password => $password }), 422, 'same_password', 'the old password again';
is_error ask($ana, PUT => '/user', { email => uc $wanted }), 422, 'email_exists', 'an address of somebody else';
my $same = ask($ana, PUT => '/user', { email => uc $ana->email, role => 'service_role', aud => 'x', id => uuid, banned_until => undef, data => undef });
is_status $same, 200, 'members that mean nothing are ignored';
is $same->json->{role}, 'authenticated', 'and change nothing';
is $same->json->{id}, $ana->id, 'nor the id';

# Metadata.
my ($hal) = signed_up('hal');
is_status ask($hal, PUT => '/user', { data => { big => 'x' x 3000, small => 1 } }), 200, 'metadata of 3 kB';
my $in = sign_in($hal->email, $password)->json;
is $in->{user}{user_metadata}{small}, 1, 'is there';
is_deeply Kith::Test::claims($in->{access_token})->{user_metadata}, {}, 'but not in the token';
cmp_ok length($in->{access_token}), '<', 4096, 'which fits into a header';
is_error ask($hal, PUT => '/user', { data => { big => 'x' x 17_000 } }), 400, 'validation_failed', 'more than 16 KiB';
is_error ask($hal, PUT => '/user', { data => { other => 'x' x 14_000 } }), 400, 'validation_failed', 'also together with what is there';
is_error sign_up({ email => address('big'), password => $password, data => { big => 'x' x 17_000 } }), 400, 'validation_failed', 'also when signing up';
is_json ask($hal, PUT => '/user', { data => { big => undef, text => "é \x{1f600} \"\\" } }), 200,
    sub ($user) { $user->{user_metadata}{text} eq "é \x{1f600} \"\\" && !exists $user->{user_metadata}{big} }, 'text comes back as it was, null removes';
is_error ask($hal, PUT => '/user', '{"data":{"n":1e999999}}'), 400, 'validation_failed', 'a number beyond all numbers';
is_status ask($hal, PUT => '/user', '{"data":{"n":12345678901234567890.5}}'), 200, 'a long number';
like ask($hal, GET => '/user')->body, qr/12345678901234567890\.5/, 'keeps its digits';

# Signing out.
my ($ida, $ida_first) = signed_up('ida');
my @sessions = map { sign_in($ida->email, $password)->json } 1 .. 3;
is_error ask($ida, POST => '/logout?scope=all'), 400, 'validation_failed', 'a scope that is none';
is_error ask($anon, POST => '/logout'), 401, 'no_authorization', 'nobody signs out';
my $out = ask($ida, POST => '/logout?scope=local');
is_text $out, 204, '', 'this session';
is_error ask($ida, GET => '/user'), 403, 'session_not_found', 'is over';
is_error ask($ida, POST => '/logout?scope=global'), 403, 'session_not_found', 'and cannot end others';
my @clients = map { $ida->with(token => $_->{access_token}) } @sessions;
is_status $_->get('/auth/v1/user'), 200, 'which go on' for @clients;
is_status ask($clients[0], POST => '/logout?scope=others'), 204, 'the others';
is join(' ', map { $_->get('/auth/v1/user')->status } @clients), '200 403 403', 'are over';
is_status ask($clients[0], POST => '/logout', {}), 204, 'all of them';
is_status $clients[0]->get('/auth/v1/user'), 403, 'are over';
is $k->sql("select count(*) from auth.sessions where user_id = '@{[ $ida->id ]}'"), 0, 'none is left';

# C11: hostile tokens are 403 bad_jwt for this program, and never an error of ours.
my $home = $k->env('KITH_HOME');
my $key = { pem => "$home/secrets/signing-key.pem" };
chomp(my $kid = do { open my $f, '<', "$home/secrets/kid" or die; <$f> });
my %claims = %{ Kith::Test::claims($ana->token) };
my %header = (alg => 'ES256', typ => 'JWT', kid => $kid);
sub es ($more, $change) { token({ %header, %$more }, { %claims, %$change }, $key) }
is_status ask($ana->with(token => es({}, {})), GET => '/user'), 200, 'what the test makes is good';
my ($h, $p, $s) = split /\./, es({}, {});
for my $case (
	[ 'alg none', token({ alg => 'none' }, \%claims, undef) ], [ 'HS256 by the public key', token({ %header, alg => 'HS256' }, \%claims, { secret => public_pem($key) }) ],
	[ 'another key', token(\%header, \%claims, ec_key()) ], [ 'RS256', token({ %header, alg => 'RS256' }, \%claims, rsa_key()) ],
	[ 'no signature', "$h.$p." ], [ 'a cut signature', "$h.$p." . substr $s, 0, -2 ], [ 'four parts', "$h.$p.$s.x" ], [ 'one part', $p ], [ 'rubbish', 'x' ],
	[ 'changed claims', join '.', $h, b64(JSON::PP::encode_json({ %claims, role => 'service_role' })), $s ],
	[ 'crit', es({ crit => ['exp'] }, {}) ], [ 'an unknown kid', es({ kid => 'x' }, {}) ],
	[ 'expired', es({}, { exp => time - 60 | 0 }) ], [ 'no exp', es({}, { exp => undef }) ], [ 'exp as text', es({}, { exp => 'x' }) ],
	[ 'from the future', es({}, { nbf => (time + 600) | 0 }) ], [ 'another issuer', es({}, { iss => 'https://example.org' }) ],
	[ 'another audience', es({}, { aud => 'x' }) ], [ 'sub no uuid', es({}, { sub => 'ana' }) ], [ 'a role of the database', es({}, { role => 'postgres' }) ],
	[ 'no role', es({}, { role => undef }) ], [ 'a session that is no uuid', es({}, { session_id => 'x' }) ],
	[ '9 kB', es({}, { pad => 'x' x 6600 }) ],
    ) {
	my ($name, $token) = @$case;
	for my $call ([ GET => '/user' ], [ PUT => '/user', {} ], [ POST => '/logout' ]) {
		is_error ask($ana->with(token => $token), @$call), 403, 'bad_jwt', "$name on $call->[0] $call->[1]";
	}
}
is_error ask($ana->with(token => es({}, { session_id => uuid })), GET => '/user'), 403, 'session_not_found', 'a session that is none';
is_error ask($ana->with(token => es({}, { sub => $hal->id })), GET => '/user'), 403, 'session_not_found', 'a session of somebody else';
is_error ask($ana->with(token => es({}, { sub => uuid })), GET => '/user'), 403, 'user_not_found', 'somebody who is not there';

# What a browser's User-Agent and a proxy's headers may hold.
my ($jon) = signed_up('jon');
is_status sign_in($jon->email, $password, 'User-Agent' => $_), 200, 'a strange User-Agent' for "\xff\xfe", 'x' x 3000, '"\\', "\x{e9}" x 600;
is $k->sql("select max(octet_length(user_agent)) <= 512 from auth.sessions where user_id = '@{[ $jon->id ]}'"), 't', 'is kept, but not all of it';
sign_in($jon->email, $password, 'X-Forwarded-For' => '203.0.113.9');
is $k->sql("select count(*) from auth.sessions where user_id = '@{[ $jon->id ]}' and ip <> '127.0.0.1'"), 0, 'anybody may say X-Forwarded-For';
my $server = sign_in($jon->email, $password, apikey => $k->env('KITH_SERVICE_KEY'), 'X-Forwarded-For' => '203.0.113.9, 10.0.0.1');
is_status $server, 200, 'a server of the app signs somebody in';
is $k->sql("select count(*) from auth.sessions where user_id = '@{[ $jon->id ]}' and ip = '203.0.113.9'"), 1, 'and says for whom';

# Triggers of an app.
my $trigger = $k->unique('refuse');
$k->later(sub { $k->sql("drop trigger if exists $trigger on auth.users; drop function if exists public.$trigger()") });
$k->sql(<<"SQL");
create function public.$trigger() returns trigger language plpgsql as \$\$
begin
    case new.raw_user_meta_data ->> '$trigger'
        when 'P0001' then raise 'members of the choir only';
        when '23505' then raise unique_violation using message = 'secret of the app';
        when 'XX000' then raise internal_error using message = 'secret of the app';
        when 'PT409' then raise sqlstate 'PT409' using message = 'no room', detail = 'All 10 seats are taken.';
        when 'change' then new.raw_user_meta_data := '{"changed": true}';
        else null;
    end case;
    return new;
end \$\$;
create trigger $trigger before insert or update on auth.users for each row execute function public.$trigger();
SQL
sub with_trigger ($what) { sign_up({ email => address('kim'), password => $password, data => { $trigger => $what } }) }
is_json with_trigger('P0001'), 400, { code => 'validation_failed', message => 'members of the choir only' }, 'an app says why it refuses';
is_error ask($hal, PUT => '/user', { data => { $trigger => 'P0001' } }), 400, 'validation_failed', 'also a change';
$k->may_answer(500);
for my $state (qw(23505 XX000)) {
	my $reply = with_trigger($state);
	is_error $reply, 500, 'unexpected_failure', "a trigger that fails ($state)";
	unlike $reply->body, qr/secret/, 'is not told to users';
	is_header $reply, 'X-Request-Id', qr/./, 'but can be found in the log';
}
is_status with_trigger('PT409'), 409, 'a status of the app\'s own';
is_json with_trigger('change'), 200, sub ($body) { $body->{user}{user_metadata}{changed} }, 'what a trigger changed is what is answered';
is $k->sql("select count(*) from auth.users where email like 'kim.%$trigger%'"), 0, 'who was refused is not there';

# Settings, health, keys.
is_json ask($anon, GET => '/settings'), 200,
    sub ($s) { $s->{external}{email} && !$s->{external}{anonymous_users} && !$s->{disable_signup} && $s->{mailer_autoconfirm} }, 'the settings';
is_json ask($keyless, GET => '/health'), 200, sub ($h) { $h->{name} && $h->{version} && $h->{description} }, 'health needs no key';
is_error sign_up({}), 422, 'anonymous_provider_disabled', 'guests are not let in';
my $jwks = ask($keyless, GET => '/.well-known/jwks.json');
is_header $jwks, 'Cache-Control', 'public, max-age=600', 'the keys may be kept';
is_header $jwks, 'Access-Control-Allow-Origin', '*', 'and read by browsers';
my ($jwk) = @{ $jwks->json->{keys} };
is join(' ', map { "$_=" . ($jwk->{$_} // '') } qw(kty crv alg use kid)), "kty=EC crv=P-256 alg=ES256 use=sig kid=$kid", 'the public key';
is join(' ', sort keys %$jwk), 'alg crv key_ops kid kty use x y', 'and nothing of the private one';

done_testing;
