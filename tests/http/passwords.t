#!/usr/bin/perl
# Whose password counts: of whoever proved the address, as chosen last; and to
# change it one may have to know it.  C18

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Stub;

my %dated = ('X-Supabase-Api-Version' => '2024-01-01');
my $stub = Kith::Test::Stub->start;
my $k = Kith::Test->new(own => 1, env => { KITH_MAIL_FROM => 'hi@example.org', KITH_SMTP_URL => $stub->smtp, KITH_CURRENT_PASSWORD => 1 });
my $anon = $k->anon;

sub ask ($path, $body, $client = $anon) { $client->post("/auth/v1/$path", $body, %dated) }
sub sign_in ($email, $password) { ask('token?grant_type=password', { email => $email, password => $password }) }
# The code in the newest of so many mails to an address.
sub code ($email, $count) {
	my @mails;
	poll(30, sub { @mails = grep { $_->{envelope}{to}[0] eq $email } $stub->mails; @mails == $count }) or die 'mails: ' . @mails;
	my ($code) = $mails[-1]{text} =~ /: (\d{6})$/m;
	$k->watch->secret($email, $mails[-1]{text} =~ /token=([\w-]{20,})/);
	return $code;
}
# As if the minute between two mails were over.
sub later { $k->sql('delete from kith.rate_limits') }

# Twice.
my $email = 'ana.' . uuid . '@example.org';
for my $password ('the first of two', 'the last of two') {
	is_status ask('signup', { email => $email, password => $password }), 200, 'signing up';
	later();
}
is_status ask('verify', { type => 'signup', email => $email, token => code($email, 2) }), 200, 'the newest code proves the address';
is_status sign_in($email, 'the first of two'), 400, 'invalid_credentials', 'the password before is forgotten';
my $session = sign_in($email, 'the last of two');
is_status $session, 200, 'the newest one signs in';

# A stranger first, then its owner by a code.
my $owned = 'ben.' . uuid . '@example.org';
is_status ask('signup', { email => $owned, password => 'of a stranger' }), 200, 'a stranger signs up with the address of another';
later();
is_status ask('otp', { email => $owned }), 200, 'who signs in by a code';
is_status ask('verify', { type => 'email', email => $owned, token => code($owned, 2) }), 200, 'which proves the address';
is_status sign_in($owned, 'of a stranger'), 400, 'invalid_credentials', 'the stranger does not get in';

# Changing it.
my $ana = $anon->with(token => $session->json->{access_token});
sub change ($client, %body) { $client->send(PUT => '/auth/v1/user', \%body, %dated) }
is_status change($ana, password => 'another one'), 400, 'current_password_required', 'a new password wants the old one';
is_status change($ana, password => 'another one', current_password => 'of a stranger'), 400, 'current_password_mismatch', 'and no other';
is_status change($ana, password => 'another one', current_password => 'x' x 100), 400, 'current_password_mismatch', 'nor one that none can be';
is_status change($ana, password => 'another one', current_password => { a => 1 }), 400, 'validation_failed', 'nor what is none';
is_status change($ana, data => { a => 1 }), 200, 'whatever else is changed needs none';
is_status change($ana, password => 'another one', current_password => 'the last of two'), 200, 'the right one will do';
is_status sign_in($email, 'another one'), 200, 'and the new one holds';
later();
is_status ask('recover', { email => $email }), 200, 'who forgot it';
my $recovered = ask('verify', { type => 'recovery', email => $email, token => code($email, 3) });
is_status $recovered, 200, 'signs in by a mail';
$ana = $anon->with(token => $recovered->json->{access_token});
is_status change($ana, password => 'a third one'), 200, 'and is not asked for it';
is_status change($ana, password => 'a fourth one', current_password => "guess $_"), 400, 'current_password_mismatch', 'guesses' for 1 .. 10;
is_status change($ana, password => 'a fourth one', current_password => 'a third one'), 429, 'over_request_rate_limit', 'are counted';
later();

# What nobody can be mailed at is nobody's address.
is_status ask('signup', { email => $_, password => 'a good password' }), 400, 'validation_failed', "no address: $_"
  for 'a,b@example.org', 'a;b@example.org', '<a@example.org>', '"a"@example.org', 'a@-example.org', 'a@.example.org', 'a@example.org.', '-a@example.org', 'a(b)@example.org';

done_testing;
