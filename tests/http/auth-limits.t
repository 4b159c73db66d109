#!/usr/bin/perl
# How often something may be tried, and that whoever tries too often is delayed,
# nobody is locked out, and no session ends by it.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Socket::UNIX;
use Kith::Test;
use Time::HiRes qw(time);

my $k = Kith::Test->new(own => 1, env => { KITH_AUTH_IP_LIMITS => 1, KITH_ANONYMOUS_SIGN_INS => 1 });
my $instance = $k->instance;
my $password = 'a walk by the river';
my $number = 0;
my $address = 0;

# A server of an app tells for whom it asks; so each test has an address of its own.
sub somewhere { sprintf '203.0.113.%d', ++$address }
sub email ($name) { sprintf '%s.%d@example.org', $name, ++$number }
sub ask ($from, $path, $body) { $k->service->post("/auth/v1/$path", $body, 'X-Supabase-Api-Version' => '2024-01-01', 'X-Forwarded-For' => $from) }
sub sign_up ($from, $email) { ask($from, 'signup', { email => $email, password => $password }) }
sub sign_in ($from, $email, $word = $password) { ask($from, 'token?grant_type=password', { email => $email, password => $word }) }
sub refresh ($from, $token) { ask($from, 'token?grant_type=refresh_token', { refresh_token => $token }) }
sub statuses ($n, $code) { join ' ', map { $code->()->status } 1 .. $n }
sub all ($status, $n) { join ' ', ($status) x $n }
sub forget { $k->sql('delete from kith.rate_limits') }

sub limited ($reply, $status, $window, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_status $reply, $status, 'over_request_rate_limit', "$name: $status";
	my $wait = $reply->header('retry-after') // '';
	ok $wait =~ /^\d+$/ && $wait >= 1 && $wait <= $window, "$name: until $wait s later";
}

# Signing up.
my $here = somewhere;
is statuses(30, sub { sign_up($here, email('ana')) }), all(200, 30), 'thirty sign-ups from an address';
limited sign_up($here, email('ana')), 429, 300, 'one more';
is_status sign_up(somewhere, email('ana')), 200, 'another address has its own limit';
is_status $k->anon->post('/auth/v1/signup', { email => email('ana'), password => $password }, 'X-Forwarded-For' => $here), 200,
    'only a server of the app may say where from';
$k->sql("update kith.rate_limits set ends_at = now() - interval '1 second'");
is_status sign_up($here, email('ana')), 200, 'when the window is over it begins anew';
is statuses(30, sub { sign_up($here, email('ana')) }), all(200, 29) . ' 429', 'with thirty';

# Of IPv6 the network counts.
forget();
is statuses(30, sub { sign_up(sprintf('2001:db8:1:2::%x', ++$number), email('eve')) }), all(200, 30), 'thirty from a network';
is_status sign_up('2001:db8:1:2:ffff::1', email('eve')), 429, 'are the limit of that network';
is_status sign_up('2001:db8:1:3::1', email('eve')), 200, 'not of the one beside it';

# Guests.
forget();
$here = somewhere;
is statuses(30, sub { ask($here, 'signup', {}) }), all(200, 30), 'thirty guests';
limited ask($here, 'signup', {}), 429, 3600, 'one more';
is_status sign_up($here, email('ben')), 200, 'who signs up with an address is no guest';

# Passwords: all tries of an address.
forget();
$here = somewhere;
my $ben = email('ben');
is_status sign_up($here, $ben), 200, 'a user';
is statuses(30, sub { sign_in($here, email('nobody')) }), all(400, 30), 'thirty wrong passwords from an address';
limited sign_in($here, $ben), 429, 300, 'then not even a right one';
is_status sign_in(somewhere, $ben), 200, 'which is right from elsewhere';

# Failures for one user from one address; whether there is such a user makes no difference.
for my $email ($ben, email('nobody')) {
	forget();
	$here = somewhere;
	is statuses(10, sub { sign_in($here, $email, 'wrong') }), all(400, 10), 'ten failures for one user';
	limited sign_in($here, $email, 'wrong'), 429, 900, 'one more';
	limited sign_in($here, $email), 429, 900, 'also with the right password';
	limited sign_in($here, uc $email), 429, 900, 'in whatever letters';
	is_status sign_in(somewhere, $email), $email eq $ben ? 200 : 400, 'from elsewhere it is judged';
	is_status sign_in($here, email('nobody'), 'wrong'), 400, 'as is another user from here';
}
forget();
$here = somewhere;
is statuses(12, sub { sign_in($here, $ben) }), all(200, 12), 'who has the password does not fail';

# Failures for one user from everywhere.
forget();
for (1 .. 5) {
	$here = somewhere;
	is statuses(10, sub { sign_in($here, $ben, 'wrong') }), all(400, 10), 'ten failures from each of five addresses';
}
limited sign_in(somewhere, $ben, 'wrong'), 429, 3600, 'from a sixth';

# Many at once are counted one by one.
forget();
$here = somewhere;
my @at_once = map { aside(sub { ask($here, 'signup', {}) }) } 1 .. 40;
my %seen;
$seen{ $_->()->status }++ for @at_once;
is "$seen{200} $seen{429}", '30 10', 'of forty guests at once thirty are let in';

# Refreshing: too often is 503, since anything else would end the session in the client.
forget();
$here = somewhere;
$k->may_answer(503);
my $token = sign_in($here, $ben)->json->{refresh_token};
is statuses(150, sub { my $reply = refresh($here, $token); $token = $reply->json->{refresh_token}; $reply }), all(200, 150), '150 refreshes';
limited refresh($here, $token), 503, 300, 'one more';
forget();
is_status refresh($here, $token), 200, 'the session is as it was';

# What is kept tells nobody who it was.
sign_in(somewhere, $ben, 'wrong');
is $k->sql("select count(*) from kith.rate_limits where key !~ '^[a-z-]+ [A-Za-z0-9_-]{43}\$'"), 0, 'keys are words and MACs';
cmp_ok $k->sql('select count(*) from kith.rate_limits'), '>', 3, 'there are some';
$k->sql("insert into kith.rate_limits select 'old ' || n, 1, now() - interval '1 hour' from generate_series(1, 25) n");
sign_up(somewhere, email('ana')) for 1 .. 3;
is $k->sql("select count(*) from kith.rate_limits where key like 'old %'"), 0, 'windows that are over are swept away';

# Hashing has processes of its own: while these are busy, or stand still, others go on.
forget();
my @hashing = grep { $_->{name} eq 'kith-passwords' } $instance->programs;
is scalar(@hashing), 2, 'two processes hash passwords';
for my $process (@hashing) {
	open my $f, '<', "/proc/$process->{pid}/stat" or die;
	is((split ' ', <$f> =~ s/.*\) //r)[16], 19, 'and stand back behind all others');
}
kill STOP => map { $_->{pid} } @hashing;
my $waiting = aside(sub { sign_in(somewhere, $ben) });
my $began = time;
for (1 .. 20) {
	my $reply = refresh(somewhere, $token);
	is_status $reply, 200, 'a refresh meanwhile';
	$token = $reply->json->{refresh_token};
}
is_status $k->anon->with(token => sign_in_token())->get('/auth/v1/user'), 200, 'as is reading the user';
cmp_ok time - $began, '<', 10, 'none of them waits';
kill CONT => map { $_->{pid} } @hashing;
is_status $waiting->(), 200, 'who waited for a password is served in the end';
sub sign_in_token { refresh(somewhere, $token)->json->{access_token} }

# Straight to the socket: a request that nginx took in some seconds ago.
sub record ($type, $content) { pack('CCnnCC', 1, $type, 1, length $content, 0, 0) . $content }

sub fastcgi ($program, $uri, $body, $sent) {
	my %params = (
		REQUEST_METHOD => 'POST', REQUEST_URI => $uri, CONTENT_LENGTH => length $body, CONTENT_TYPE => 'application/json',
		REMOTE_ADDR => '127.0.0.1', KITH_SENT => sprintf('%.3f', $sent), KITH_REQUEST_ID => $k->next_id,
		HTTP_APIKEY => $k->env('KITH_ANON_KEY'), HTTP_X_SUPABASE_API_VERSION => '2024-01-01',
	);
	my $params = join '', map { pack('NN', length($_) | 1 << 31, length($params{$_}) | 1 << 31) . $_ . $params{$_} } sort keys %params;
	my $socket = IO::Socket::UNIX->new(Peer => $k->env('PGHOST') . "/$program.sock") or die "$program: $!\n";
	print $socket record(1, pack 'nCx5', 1, 0), record(4, $params), record(4, ''), record(5, $body), record(5, '');
	my $all = do { local $/; <$socket> };
	my $answer = '';
	while (length $all >= 8) {
		my (undef, $type, undef, $length, $padding) = unpack 'CCnnC', $all;
		$answer .= substr $all, 8, $length if $type == 6;
		substr $all, 0, 8 + $length + $padding, '';
	}
	return $answer;
}
my $body = JSON::PP::encode_json({ email => $ben, password => $password });
my $grant = '/auth/v1/token?grant_type=password';
like fastcgi('kith-passwords', $grant, $body, time - 1), qr/^Status: 200 /, 'who waited for a second is served';
my $late = fastcgi('kith-passwords', $grant, $body, time - 6);
like $late, qr/^Status: 503 .*\nRetry-After: 5\r\n.*"code":"request_timeout"/s, 'who waited for six is told to come again';
like fastcgi('kith-passwords', '/auth/v1/signup', JSON::PP::encode_json({ email => email('late'), password => $password }), time - 6), qr/^Status: 503 /,
    'also when signing up';
like fastcgi('kith-auth', '/auth/v1/token?grant_type=refresh_token', JSON::PP::encode_json({ refresh_token => $token }), time - 6),
    qr/^Status: 200 /, 'a refresh is never too late';

done_testing;
