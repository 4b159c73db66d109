#!/usr/bin/perl
# Nothing secret gets into a log, wherever a client puts it: whatever is secret
# here begins with the same word, which no log may hold.  E9

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use MIME::Base64 qw(encode_base64url);

my $k = Kith::Test->new(own => 1, env => { KITH_ANONYMOUS_SIGN_INS => 1 });
my $anon = $k->anon;
my $service = $k->service;
my $word = 'Canary' . join '', map { ('A' .. 'Z')[ rand 26 ] } 1 .. 12;
my $number = 0;
$k->may_answer(500, 503);
$k->watch->secret($word, lc $word, uc $word);
$k->watch->secret(map { $k->env($_), (split /\./, $k->env($_))[2] } qw(KITH_ANON_KEY KITH_SERVICE_KEY));
for my $file (qw(auth-secret signing-key.pem)) {
	open my $f, '<', $k->instance->home . "/secrets/$file" or die "$file: $!\n";
	$k->watch->secret(grep { length > 30 } map { chomp; $_ } <$f>);
}

# A new secret each time.
sub secret { $word . ++$number }
sub email { lc(secret()) . '@' . lc(secret()) . '.example.org' }

# Every place that a client can fill.
my %headers = (
	'User-Agent' => secret(), 'X-Client-Info' => secret(), Cookie => 'session=' . secret(), Origin => 'https://' . secret() . '.example.org',
	Referer => 'https://example.org/?' . secret(), 'X-Forwarded-For' => secret(), 'X-Forwarded-Host' => secret(), Prefer => secret(),
	'X-Supabase-Api-Version' => secret(), 'Accept-Language' => secret(), 'X-Anything' => secret(),
);
my $query = 'token=' . secret() . '&token_hash=' . secret() . '&apikey=' . secret() . '&redirect_to=https://' . secret() . '&' . secret() . '=1';
my %body = map { $_ => secret() } qw(
    password current_password refresh_token token token_hash nonce auth_code code code_verifier code_challenge code_challenge_method
    phone data type provider id_token captcha_token ban_duration role redirect_to new_email scope password_hash
);
my @calls = (
	[ POST => '/signup' ], [ POST => '/token?grant_type=password' ], [ POST => '/token?grant_type=refresh_token' ], [ POST => '/token?grant_type=pkce' ],
	[ POST => '/token?grant_type=id_token' ], [ POST => '/token?grant_type=' . secret() ], [ POST => '/logout?scope=' . secret() ], [ GET => '/user' ],
	[ PUT => '/user' ], [ POST => '/recover' ], [ POST => '/otp' ], [ POST => '/magiclink' ], [ POST => '/verify' ], [ GET => '/verify' ],
	[ POST => '/resend' ], [ POST => '/invite' ], [ GET => '/reauthenticate' ], [ POST => '/admin/users' ], [ GET => '/admin/users' ],
	[ PUT => '/admin/users/' . secret() ], [ DELETE => '/admin/users/' . secret() ], [ POST => '/admin/generate_link' ], [ GET => '/authorize' ],
	[ GET => '/settings' ], [ GET => '/health' ], [ GET => '/' . secret() ], [ POST => '/verify/' . secret() ], [ GET => '/' . lc secret() ],
	[ GET => '/.well-known/' . secret() ], [ DELETE => '/' . secret() . '/' . secret() ],
);

my ($ana) = $k->users('ana');
my %known = (email => email(), password => secret(), data => { note => secret() });
is_status $anon->post('/auth/v1/signup', \%known, %headers), 200, 'somebody signs up';
my $session = $anon->post('/auth/v1/token?grant_type=password', { %known{qw(email password)} }, %headers)->json;
$k->watch->secret($session->{refresh_token}, (split /\./, $session->{access_token})[ 1, 2 ]);
my $refreshed = $anon->post('/auth/v1/token?grant_type=refresh_token', { refresh_token => $session->{refresh_token} }, %headers)->json;
$k->watch->secret($refreshed->{refresh_token}, (split /\./, $refreshed->{access_token})[2]);
my $user = $anon->with(token => $refreshed->{access_token});
is_status $user->send(PUT => '/auth/v1/user', { password => secret(), data => { note => secret() } }, %headers), 200, 'and changes the password';
is_status $user->get('/auth/v1/user?' . $query, %headers), 200, 'and reads who they are';

# Everything with everything.
my $asked = 0;
for my $client ($anon, $user, $service, $anon->with(apikey => secret()), $anon->with(token => secret()),
	$anon->with(token => join '.', map { encode_base64url(qq({"a":"$word$_"})) } 1 .. 3)) {
	for my $call (@calls) {
		my ($method, $path) = @$call;
		my $sign = $path =~ /\?/ ? '&' : '?';
		for my $sent ({ %body, email => email() }, { %body, email => email(), data => { secret() => secret() }, phone => undef }, secret(), '{"' . secret() . '":') {
			my $reply = $client->send($method, "/auth/v1$path$sign$query", $method =~ /GET|DELETE/ ? undef : $sent, %headers);
			$asked++;
			last if $method =~ /GET|DELETE/;
		}
	}
}
cmp_ok $asked, '>', 400, 'every call was made in every way';

# Links and codes that are real ones.
for my $type (qw(signup magiclink recovery invite)) {
	my $link = $service->post('/auth/v1/admin/generate_link', { type => $type, email => $type eq 'signup' || $type eq 'invite' ? email() : $known{email}, password => secret() }, %headers);
	is_status $link, 200, "a link for $type";
	my $made = $link->json;
	$k->watch->secret($made->{hashed_token});
	my ($token) = $made->{action_link} =~ /token=([^&]+)/;
	$k->watch->secret($token);
	$anon->get("/auth/v1/verify?token=$token&type=$made->{verification_type}&redirect_to=" . secret(), %headers);
	my $verified = $anon->post('/auth/v1/verify', { type => $made->{verification_type}, token_hash => $made->{hashed_token} }, %headers);
	is_status $verified, 200, 'it is good' or next;
	$k->watch->secret($verified->json->{refresh_token}, (split /\./, $verified->json->{access_token})[2]);
}

# Faults of the server, whose log lines say most.
my $constraint = $k->unique('canary');
$k->later(sub { $k->sql("alter table auth.users drop constraint if exists $constraint") });
$k->sql("alter table auth.users add constraint $constraint check (raw_user_meta_data ->> 'fails' is null)");
is_status $anon->post('/auth/v1/signup', { email => email(), password => secret(), data => { fails => secret() } }, %headers), 500, 'a constraint of an app';
is_status $user->send(PUT => '/auth/v1/user', { data => { fails => secret() } }, %headers), 500, 'also when changing';
$anon->post('/auth/v1/signup', '{"email":"' . email() . '","password":"' . secret() . '","data":{"n":1e999999,"x":"' . secret() . '"}}', %headers);
$k->sql("update auth.users set encrypted_password = '$word' where email = '$known{email}'");
$anon->post('/auth/v1/token?grant_type=password', { %known{qw(email password)} }, %headers);
# Over plain sockets: what is not even HTTP.
for my $bytes ("GET /auth/v1/$word?$word HTTP/9.9\r\n\r\n", "POST /auth/v1/token HTTP/1.1\r\nHost: $word\r\n\r\n", "$word\r\n\r\n",
	"POST /auth/v1/token HTTP/1.1\r\nHost: localhost\r\nAuthorization: $word\r\nAuthorization: $word\r\n\r\n",
	"POST /auth/v1/signup?$word HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\napikey: $word\r\n\r\n",
	"GET /auth/v1/user?$word=" . 'x' x 20_000 . " HTTP/1.1\r\nHost: localhost\r\n\r\n") {
	my $raw = $k->raw;
	$raw->send($bytes);
	$raw->answer('GET');
}

done_testing;
