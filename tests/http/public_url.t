#!/usr/bin/perl
# A server that the internet reaches: its address is in tokens and links, its
# name is the only other one that is answered, and nothing secret goes in the
# clear.  C13

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Stub;
use File::Temp ();
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(decode_base64url);

my $dir = File::Temp->newdir;
chmod 0755, $dir;

sub certificate ($name, $host) {
	system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=$host"
		. " -addext subjectAltName=DNS:$host -keyout $dir/$name.key -out $dir/$name.pem 2>/dev/null") == 0
	  or die "openssl failed\n";
	return;
}

my $host = 'api.kith.example';
my $public = "https://$host";
certificate($_->@*) for [ own => $host ], [ other => 'api.other.example' ];

# An address of this machine that is not loopback, as a stranger would use it.
my ($outside) = grep { !/^127\./ } split ' ', `hostname -I`;
my $stub = Kith::Test::Stub->start;
my $k = Kith::Test->new(own => 1, env => { KITH_MAIL_FROM => 'Kith <hi@example.org>', KITH_SMTP_URL => $stub->smtp, KITH_AUTOCONFIRM => 1 });
my $instance = $k->instance;
$k->watch->restarts_expected;
my $anon = $k->anon;
my $password = 'a walk by the river';

sub claims ($token) { JSON::PP::decode_json(decode_base64url((split /\./, $token)[1])) }
sub sign_in { $anon->post('/auth/v1/token?grant_type=password', { email => 'ana@example.org', password => $password })->json }

# What curl hears of a path, at an address of this machine, under a name.
sub heard ($url, $address, $path, @more) {
	my ($scheme, $port) = $url =~ m{^(https?)://[^/]+:(\d+)};
	open my $curl, '-|', 'curl', qw(-s -q -k -m 10 --noproxy * -o /dev/null -w), '%{http_code} %{redirect_url}', '--resolve',
	  "$host:$port:$address", @more, "$scheme://$host:$port$path"
	  or die "curl: $!\n";
	my $said = <$curl>;
	close $curl;
	return $said =~ s/ \z//r;
}

sub restart (%env) {
	$instance->kith('down');
	@{ $instance->{env} }{ keys %env } = values %env;
	$instance->kith('up');
	return;
}

# --- before ------------------------------------------------------------------

$anon->post('/auth/v1/signup', { email => 'ana@example.org', password => $password });
my $before = sign_in();
is claims($before->{access_token})->{iss}, $instance->env('KITH_URL') . '/auth/v1', 'without an address of its own a server names this machine';
like $instance->kith('env'), qr/^KITH_API_URL=\Q@{[ $instance->env('KITH_URL') ]}\E$/m, 'which is what apps are told';
is heard($instance->env('KITH_URL'), '127.0.0.1', '/rest/v1/'), '000', 'a name that is not ours gets no answer';

# --- with an address ---------------------------------------------------------

restart(KITH_PUBLIC_URL => $public, KITH_LISTEN => 'all', KITH_TLS_CERT => "$dir/own.pem", KITH_TLS_KEY => "$dir/own.key");
like $instance->kith('env'), qr/^KITH_API_URL=\Q$public\E$/m, 'apps are told the address';
like $instance->kith('env'), qr/^KITH_URL=\Q@{[ $instance->env('KITH_URL') ]}\E$/m, 'who is on this machine may stay there';
like $instance->kith('status'), qr/^Apps reach it at \Q$public\E/m, 'kith status tells it';
my $after = sign_in();
is claims($after->{access_token})->{iss}, "$public/auth/v1", 'a new token names it';
is claims($instance->kith('token', 'ana@example.org'))->{iss}, "$public/auth/v1", 'so does one of kith token';
for ([ new => $after ], [ old => $before ]) {
	my ($age, $session) = @$_;
	my $ana = $anon->with(token => $session->{access_token});
	is_status $ana->get('/rest/v1/users'), 200, "the $age token is good for tables";
	is_status $ana->get('/auth/v1/user'), 200, 'and for the auth program';
	is_status $ana->post('/auth/v1/logout?scope=local'), 204, 'signing out';
	is_status $ana->get('/rest/v1/users'), 401, 'ends it at once';
}
is heard($instance->env('KITH_URL'), '127.0.0.1', '/auth/v1/health', '-H', 'Host: evil.example'), '000', 'a name that is not ours gets no answer';
is_status $anon->post('/auth/v1/recover', { email => 'ana@example.org' }, 'X-Forwarded-Host' => 'evil.example', Forwarded => 'host=evil.example'), 200,
  'and no header makes it one';
my $mail;
ok poll(30, sub { ($mail) = $stub->mails }), 'a mail comes';
$k->watch->secret($mail->{text} =~ /token=([\w-]{20,})/);
like $mail->{text}, qr{^\Q$public\E/auth/v1/verify\?token=}m, 'its link leads to the address';
unlike $mail->{raw}, qr/evil|127\.0\.0\.1:/, 'and nothing in it to another';

# --- in the clear ------------------------------------------------------------

my %url = map { $_ => $instance->env($_) } qw(KITH_URL KITH_HTTPS_URL);
is heard($url{KITH_HTTPS_URL}, '127.0.0.1', '/auth/v1/health'), '200', 'https answers to the name';
is heard($url{KITH_URL}, '127.0.0.1', '/auth/v1/health'), '200', 'so does http for a proxy on this machine';
SKIP: {
	Test::More::skip 'the machine has no address but loopback', 6 unless $outside;
	is heard($url{KITH_HTTPS_URL}, $outside, '/auth/v1/health'), '200', 'others reach it by https';
	is heard($url{KITH_URL}, $outside, '/auth/v1/health?a=b'), "308 $public/auth/v1/health?a=b", 'and are sent there from http';
	is heard($url{KITH_URL}, $outside, '/rest/v1/users', '-X', 'POST', '-d', '{}'), "308 $public/rest/v1/users", 'with whatever they ask';
	is heard($url{KITH_URL}, $outside, '/x', '-H', 'Host: evil.example'), '000', 'under no other name';
	open my $f, '>', $instance->home . '/acme/.well-known/acme-challenge/abc-_' or die;
	print $f 'proof';
	close $f;
	is heard($url{KITH_URL}, $outside, '/.well-known/acme-challenge/abc-_'), '200', 'the proof of owning the name is shown in the clear';
	is heard($url{KITH_URL}, $outside, '/.well-known/acme-challenge/../../secrets/kid', '--path-as-is'), "308 $public/secrets/kid",
	  'and nothing beside it';
}

# --- the certificate ---------------------------------------------------------

sub doctor { eval { $instance->kith('doctor') } // $@ }
unlike doctor(), qr/certificate|in the clear/, 'kith doctor finds nothing wrong';
sub served {
	my ($port) = $url{KITH_HTTPS_URL} =~ /:(\d+)$/;
	return scalar `openssl s_client -connect 127.0.0.1:$port -servername $host </dev/null 2>/dev/null | openssl x509 -noout -fingerprint`;
}
my $first = served();
certificate(own => $host);
$instance->kith('up');
ok poll(10, sub { served() ne $first }), 'kith up takes a certificate that was renewed';
restart(KITH_TLS_CERT => "$dir/other.pem", KITH_TLS_KEY => "$dir/other.key");
like doctor(), qr{^wrong  the certificate \Q$dir\E/other\.pem is not for \Q$host\E}m, 'doctor tells of one for another name';
restart(KITH_PUBLIC_URL => '', KITH_TLS_CERT => '', KITH_TLS_KEY => '');
like doctor(), qr/^wrong  others can connect, and tokens go in the clear/m, 'and of tokens in the clear';
is_status $anon->with(token => sign_in()->{access_token})->get('/rest/v1/users'), 200, 'back on this machine';

# --- bad settings ------------------------------------------------------------

$instance->kith('down');
chmod 0644, "$dir/own.key";
for (
	[ KITH_PUBLIC_URL => 'api.example.org' ], [ KITH_PUBLIC_URL => 'https://api.example.org/' ], [ KITH_PUBLIC_URL => 'https://a;b' ],
	[ KITH_PUBLIC_URL => 'https://*' ], [ KITH_PUBLIC_URL => 'ftp://a' ], [ KITH_LISTEN => 'everybody' ], [ KITH_LISTEN => '' ],
	[ KITH_LISTEN => '1.2.3.4;' ], [ KITH_TLS_CERT => "$dir/own.pem" ],
	[ KITH_TLS_KEY => "$dir/own.key", KITH_TLS_CERT => "$dir/own.pem" ], [ KITH_TLS_KEY => "$dir/none", KITH_TLS_CERT => "$dir/own.pem" ],
  ) {
	my ($name, $value, @more) = @$_;
	local @{ $instance->{env} }{ $name, @more ? $more[0] : () } = ($value, @more ? $more[1] : ());
	ok !eval { $instance->kith('up') }, "$name=$value is refused";
	like $@, qr/$name/, 'by name';
}
$instance->kith('up');

done_testing;
