#!/usr/bin/perl
# One-time links and codes on the wire: who opens them, where they lead, what
# they tell, and how often anybody may ask.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $site = 'https://app.example.org';
my $k = Kith::Test->new(own => 1, env => {
	KITH_SMTP_URL => 'smtp://127.0.0.1:1', KITH_MAIL_FROM => 'kith@example.org', KITH_MAILS_PER_HOUR => 40,
	KITH_SITE_URL => $site, KITH_REDIRECT_URLS => 'myapp://callback,https://*.preview.example.net/**', KITH_AUTH_IP_LIMITS => 1,
});
my $anon = $k->anon;
my $browser = $k->client(apikey => undef);
my %dated = ('X-Supabase-Api-Version' => '2024-01-01');
my %form = ('Content-Type' => 'application/x-www-form-urlencoded');
my $number = 0;

sub address ($name) { join('.', $name, ++$number) . '@example.org' }
sub ask ($path, $body = {}, %headers) { $anon->send(POST => "/auth/v1$path", $body, %dated, %headers) }
sub later () { $k->sql('delete from kith.rate_limits'); return }

# The newest mail to an address: its link as path and query, and its code.
sub mail ($email) {
	my $found = $k->sql("select payload from kith.jobs where kind = 'mail'
		and '$email' in (payload ->> 'to', payload -> 'mail' ->> 'to') order by id desc limit 1");
	return unless $found;
	my $payload = JSON::PP->new->decode($found);
	my ($data, $text) = ($payload->{data}, $payload->{mail} ? $payload->{mail}{text} : '');
	my $link = $data ? $data->{ConfirmationURL} : ($text =~ m{(http\S+/verify\?\S+)})[0];
	my $code = $data ? $data->{Token} : ($text =~ /\b(\d{6})\b/)[0];
	$k->watch->secret($link =~ /token=([^&]+)/, $email) if $link;
	return { link => $link, path => $link ? $link =~ s/^\Q@{[ $k->url ]}\E//r : undef, code => $code, template => $payload->{template} };
}

# Somebody whose address is proved, with a fresh magic link.
sub asked ($name) {
	my $email = address($name);
	$k->sql("insert into auth.users (id, email, email_confirmed_at) values (gen_random_uuid(), '$email', now())");
	my $reply = ask('/otp', { email => $email });
	die 'no link: ' . $reply->story unless $reply->status == 200;
	return ($email, mail($email));
}

sub location ($reply) { $reply->header('location') // '' }

sub is_redirect ($reply, $want, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $ok = $reply->status == 303 && location($reply) =~ $want && ($reply->header('cache-control') // '') eq 'no-store'
	  && ($reply->header('referrer-policy') // '') eq 'no-referrer';
	ok $ok, $name or diag location($reply), "\n", $reply->story;
	return $ok;
}

my $expired = qr{#error=access_denied&error_code=otp_expired&error_description=Email%20link%20is%20invalid%20or%20has%20expired$};

# A program that looks into mails opens links; a person presses a button.
my ($ana, $mail) = asked('ana');
for my $method (qw(GET HEAD GET)) {
	my $reply = $browser->send($method, $mail->{path}, undef);
	is_status $reply, 200, "$method of a link shows a page";
	is_header $reply, 'Content-Type', 'text/html; charset=utf-8', 'of HTML';
	is_header $reply, 'Cache-Control', 'no-store', 'that nobody keeps';
	is_header $reply, 'Referrer-Policy', 'no-referrer', 'and whose address goes nowhere';
	is_header $reply, 'Content-Security-Policy', qr/^default-src 'none'; style-src 'self';.* frame-ancestors 'none'$/, 'nor into a frame';
	next if $method eq 'HEAD';
	unlike $reply->body, qr/<script|\bon\w+=|javascript:/i, 'without a script';
	like $reply->body, qr/<form method="post">.*<button>/s, 'with a button that posts to the same address';
	unlike $reply->body, qr/\Q@{[ $mail->{path} =~ m{token=([^&]+)} ]}\E/, 'and nothing of the link in it';
}
my $pressed = $browser->send(POST => $mail->{path}, '', %form);
is_redirect $pressed, qr{^\Q$site\E#access_token=[\w.-]+&expires_at=\d+&expires_in=3600&refresh_token=[\w-]+&token_type=bearer&type=magiclink&sb=$},
	'the button signs in';
my ($token) = location($pressed) =~ /access_token=([^&]+)/;
$k->watch->secret((split /\./, $token)[2], location($pressed) =~ /refresh_token=([^&]+)/);
is_status $anon->with(token => $token)->get('/rest/v1/users'), 200, 'by a token that counts';
is_redirect $browser->send(POST => $mail->{path}, '', %form), $expired, 'once';
is_redirect $browser->get($mail->{path}), $expired, 'and a used link shows no button any more';

is_status $browser->get('/auth/v1/pages/style.css'), 200, 'the style of the pages';
is_header $browser->get('/auth/v1/pages/style.css'), 'Content-Type', 'text/css', 'is CSS';
is_status $browser->get("/auth/v1/pages/$_"), 404, "no page by itself: $_" for qw(confirm.html reset.html expired.html ../kith.conf);
like $browser->get("/auth/v1/verify$_")->body, qr/<h1>This link does not work any more/, "a link that was cut off: $_"
  for '', '?token=x', '?type=signup', '?token=&type=signup', '?token=x&type=unknown', '?token=x&type=';
is_redirect $browser->send(POST => '/auth/v1/verify?token=x&type=signup', '', %form), $expired, 'a token that nobody made';
is_status $browser->get("/auth/v1/verify?token=$_&type=signup", %dated), 400, 'validation_failed', "what is no text: $_" for '%zz', '%00', '%ff';
{
	later;
	my ($email, $mail) = asked('bob');
	$k->sql("update auth.one_time_tokens set expires_at = now() where relates_to = '$email'");
	is_redirect $browser->get($mail->{path}), $expired, 'an expired link';
	ask('/recover', { email => address('x') });
	later;
	ask('/recover', { email => $email });
	like $browser->get(mail($email)->{path})->body, qr/<h1>Set a new password/, 'who forgot a password sees another page';
}

# Where links lead.
my @evil = (
	'https://evil.com', "$site.evil.com", "$site\@evil.com", "https://evil.com/$site", '//evil.com', 'javascript:alert(1)', 'data:text/html,x',
	"$site\\\@evil.com", 'http://app.example.org', "$site:444/", 'https://x.preview.example.net.evil.com/', 'https://10.0.0.1/', '/x', '',
	"$site/\r\nSet-Cookie: a=b", "https://a.preview.example.net\@evil.com/x", 'myapp://callback.evil.com', "$site/../x",
);
my @good = ("$site/x?y=1", 'myapp://callback', 'https://pr-7.preview.example.net/x');
my $hex = sub ($text) { $text =~ s/([^\w.-])/sprintf '%%%02X', ord $1/egr };
for my $to (@evil, @good) {
	my $good = grep { $_ eq $to } @good;
	my $want = $good ? $to : $site;
	my $shown = $to =~ s/[\r\n]/./gr;
	later;
	my ($email) = asked('carl');
	later;
	is_status ask('/recover?redirect_to=' . $hex->($to), { email => $email }), 200, "asked for with $shown";
	my $mail = mail($email);
	is $mail->{link} =~ s/.*redirect_to=//r, $hex->($want), "is mailed with $want";
	my $path = $mail->{path} =~ s/redirect_to=.*/'redirect_to=' . $hex->($to)/er;
	my ($before) = $want =~ /^([^#]*)/;
	is_redirect $browser->send(POST => $path, '', %form), qr{^\Q$before\E#access_token=}, "and a link that was changed ends at $want";
	is_redirect $browser->send(POST => $path, '', %form), qr{^\Q$before\E#error=}, 'as its failures do';
}
later;

# Links are made of settings, whatever a request says that we are called.
for (
	[ 'X-Forwarded-Host' => 'evil.com' ], [ 'X-Forwarded-Proto' => 'https' ], [ Forwarded => 'host=evil.com;proto=https' ],
	[ 'X-Original-Host' => 'evil.com' ], [ 'X-Host' => 'evil.com' ], [ 'X-Forwarded-Server' => 'evil.com' ], [ 'X-HTTP-Host-Override' => 'evil.com' ],
	[ Origin => 'https://evil.com' ], [ Referer => 'https://evil.com/' ], [ redirect_to => 'https://evil.com' ],
    ) {
	my ($header, $value) = @$_;
	my $email = address('dora');
	is_status ask('/otp', { email => $email }, $header => $value), 200, "with $header";
	like mail($email)->{link}, qr{^\Q@{[ $k->url ]}\E/auth/v1/verify\?token=[\w-]{43}&type=signup&redirect_to=\Q@{[ $hex->($site) ]}\E$}, 'the link is ours';
}
{
	my $raw = $k->raw;
	$raw->send("POST /auth/v1/otp HTTP/1.1\r\nHost: evil.com\r\nContent-Length: 0\r\n\r\n");
	my @answer = $raw->answer('POST');
	is scalar(@answer), 0, 'another Host gets no answer at all';
}
later;

# The same answer for everybody.
for my $call ([ '/recover', {} ], [ '/otp', {} ], [ '/otp', { create_user => false } ], [ '/magiclink', {} ], [ '/resend', { type => 'signup' } ], [ '/resend', { type => 'email_change' } ]) {
	my ($path, $more) = @$call;
	later;
	my ($known) = asked('eva');
	later;
	my $unconfirmed = address('una');
	ask('/otp', { email => $unconfirmed });
	later;
	for my $email ($known, $unconfirmed, address('nobody'), 'NOBODY' . address('x')) {
		my $name = "$path for " . ($email =~ s/\..*//r);
		is_json ask($path, { email => $email, %$more }), 200, {}, $name;
		my $again = ask($path, { email => uc $email, %$more });
		is_status $again, 429, 'over_email_send_rate_limit', "$name, again at once";
		is_header $again, 'Retry-After', qr/^[1-9]\d?$/, 'and for how long not';
	}
}
is $k->sql("select count(*) from auth.users u where email like 'nobody%' and not exists (select from auth.one_time_tokens t where t.user_id = u.id)"), 0,
	'and nobody is made but for whom there is a mail';
later;

# What is not understood.
my $email = address('fay');
for my $path (qw(/recover /otp /magiclink /resend /verify)) {
	is_status ask($path, '{"email":'), 400, 'bad_json', "$path: no JSON";
	is_status ask($path, '[]'), 400, 'bad_json', "$path: no object";
	is_status ask($path, { type => 'signup', token => '123456', email => $_ }), 400, 'validation_failed', "$path: no address"
	  for 5, 'x', "a\n\@x.org", "a\r\nBcc: b\@x.org", '@x.org', 'a@', 'a@b@c', 'x' x 250 . '@x.org', [];
	is_status ask($path, { type => 'signup', token => '123456', email => $email }, apikey => undef), 401, 'no_authorization', "$path: no key";
}
for my $path (qw(/recover /otp /signup)) {
	is_status ask($path, { email => $email, password => 'a walk by the river', @$_ }), 400, 'validation_failed', "$path: @{[ map { $_ // 'null' } @$_ ]}"
	  for [ code_challenge => 'x' x 42, code_challenge_method => 's256' ], [ code_challenge => 'x' x 129, code_challenge_method => 's256' ],
	  [ code_challenge => 'x' x 43 ], [ code_challenge_method => 's256' ], [ code_challenge => '/' x 43, code_challenge_method => 's256' ],
	  [ code_challenge => 'x' x 43, code_challenge_method => 's512' ], [ code_challenge => 5, code_challenge_method => 's256' ];
}
for my $body (
	{}, { type => 'signup' }, { type => 'sms', token => '1', email => $email }, { token => '1', email => $email }, { type => 'signup', token => '' , email => $email },
	{ type => 'signup', token_hash => 'x', email => $email }, { type => 'signup', token_hash => 'x', token => 'y' }, { type => 5, token_hash => 'x' },
	{ type => 'signup', token_hash => 5 }, { type => 'signup', token => 123456, email => $email },
    ) {
	is_status ask('/verify', $body), 400, 'validation_failed', 'verify: ' . json($body);
}
later;
is_status ask('/verify', { type => 'signup', token => $_, email => $email }), 403, 'otp_expired', 'a code that nobody got'
  for '123456', ' 123456', '1' x 5000, "'; drop table auth.users; --", "\x{1f511}";
is_status ask('/resend', { email => $email, type => $_ }), 400, 'validation_failed', 'resend: ' . ($_ // 'no type') for undef, 'sms', 'recovery';
is_status ask('/otp', { email => $email, create_user => $_ }), 400, 'validation_failed', "create_user $_" for 'no', 0;
is_status ask('/otp', { phone => '+431234' }), 400, 'phone_provider_disabled', 'no phone';
is_status $anon->send(GET => '/auth/v1/authorize?provider=github', undef, %dated), 400, 'validation_failed', 'no foreign provider';
is_status $anon->send(GET => '/auth/v1/factors', undef, %dated), 404, 'no second factor';
is_status $anon->send(GET => '/auth/v1/recover', undef, %dated), 405, 'no other method';

# Many at once.
{
	later;
	my ($email, $mail) = asked('gus');
	my @tries = map { my $i = $_; aside(sub { $k->{count} += 1000 * $i; ask('/verify', { type => 'email', email => $email, token => $mail->{code} }) }) } 1 .. 8;
	is join(' ', sort map { $_->()->status } @tries), '200' . ' 403' x 7, 'a code is good once, also for eight at the same time';
	later;
	($email, $mail) = asked('hal');
	@tries = map { my $i = $_; aside(sub { $k->{count} += 1000 * $i; $browser->send(POST => $mail->{path}, '', %form) }) } 1 .. 8;
	is scalar(grep { location($_->()) =~ /access_token/ } @tries), 1, 'a link as well';
	later;
	($email, $mail) = asked('ina');
	my $wrong = $mail->{code} eq '000000' ? '111111' : '000000';
	@tries = map { my $i = $_; aside(sub { $k->{count} += 1000 * $i; ask('/verify', { type => 'email', email => $email, token => $wrong }) }) } 1 .. 6;
	is join(' ', map { $_->()->status } @tries), join(' ', (403) x 6), 'six wrong ones at once';
	is_status ask('/verify', { type => 'email', email => $email, token => $mail->{code} }), 403, 'otp_expired', 'count each';
}

# How often.
{
	later;
	my @codes = map { my $reply = ask('/recover', { email => address('limit') }); $reply->status . ($reply->code // '') } 1 .. 31;
	is_deeply \@codes, [ ('200') x 30, '429over_request_rate_limit' ], 'thirty mails in five minutes from one place';
	my $service = $k->service;
	my $from = 0;
	my $ask = sub { $service->send(POST => '/auth/v1/recover', { email => address('limit') }, %dated, 'X-Forwarded-For' => '198.51.100.' . ++$from) };
	is_status $ask->(), 200, 'a server of the app asks for many places' for 1 .. 10;
	my $over = $ask->();
	is_status $over, 429, 'over_email_send_rate_limit', 'KITH_MAILS_PER_HOUR holds for all';
	is_header $over, 'Retry-After', qr/^\d{4}$/, 'for the rest of the hour';
	later;
	is_status ask('/verify', { type => 'signup', token_hash => 'x' }), 403, 'otp_expired', 'thirty tries' for 1 .. 30;
	is_status ask('/verify', { type => 'signup', token_hash => 'x' }), 429, 'over_request_rate_limit', 'to verify';
	is_redirect $browser->send(POST => '/auth/v1/verify?token=x&type=signup', '', %form), qr/#error=access_denied&error_code=over_request_rate_limit&/,
		'which a browser is told by the app';
	later;
}

# What is kept is no way in.
{
	my ($email, $mail) = asked('jon');
	my ($token) = $mail->{link} =~ /token=([^&]+)/;
	my $kept = $k->sql('select * from auth.one_time_tokens') . $k->sql('select * from auth.users') . $k->sql('select * from auth.flow_state');
	is index($kept, $token), -1, 'the tables hold no token';
	my ($digest) = $k->sql("select token_hash from auth.one_time_tokens where relates_to = '$email'");
	is_status ask('/verify', { type => 'magiclink', token_hash => $digest }), 403, 'otp_expired', 'nor is what they hold one';
	is_status $anon->with(token => $token)->get('/rest/v1/users'), 401, 'a link is no access token';
}

done_testing;
