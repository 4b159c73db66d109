#!/usr/bin/perl
# Keys that sign tokens change while everything runs, and nobody is signed out.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Kith::Test;
use MIME::Base64 qw(decode_base64url);

my $k = Kith::Test->new(own => 1);
my $instance = $k->instance;
my $home = $instance->home;
my $anon = $k->anon;
my %old = map { $_ => $k->env($_) } qw(KITH_ANON_KEY KITH_SERVICE_KEY);
my $password = 'a walk by the river';

sub slurp ($file) { open my $f, '<', "$home/$file" or die "$file: $!"; local $/; <$f> }
sub kids ($file) { sort map { $_->{kid} } @{ JSON::PP::decode_json(slurp($file))->{keys} } }
sub jwks { join ' ', sort map { $_->{kid} } @{ $anon->get('/auth/v1/.well-known/jwks.json')->json->{keys} } }
sub kid_of ($token) { JSON::PP::decode_json(decode_base64url((split /\./, $token)[0]))->{kid} }
sub sign ($how, $body, $client = $anon) { $client->post("/auth/v1/$how", $body)->json }
sub works ($token, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $ana = $anon->with(token => $token);
	is_status $ana->get('/rest/v1/users'), 200, "$name: for tables";
	is_status $ana->get('/auth/v1/user'), 200, "$name: for the auth program";
}

sub ended ($token, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $ana = $anon->with(token => $token);
	ok poll(5, sub { $ana->get('/rest/v1/users')->status == 401 }), "$name: for tables";
	is_status $ana->get('/auth/v1/user'), 403, "$name: for the auth program";
}

my $first = sign('signup', { email => 'ana@example.org', password => $password });
my $first_kid = kid_of($first->{access_token});
is jwks(), $first_kid, 'one key is published';
is join(' ', kids('keys.json')), $first_kid, 'and believed';
works $first->{access_token}, 'its token';
like $instance->kith('keys'), qr/^\Q$first_kid\E  signs tokens$/, 'it is listed';

my $said = $instance->kith(qw(keys rotate));
my ($second_kid) = $said =~ /^(\S+) signs tokens; \Q$first_kid\E is believed until \d{4}-/;
ok $second_kid, 'another key signs' or diag $said;
isnt $second_kid, $first_kid, 'a new one';
my $second = sign('token?grant_type=password', { email => 'ana@example.org', password => $password });
is kid_of($second->{access_token}), $second_kid, 'the next token bears its name, as the program makes it';
is kid_of($instance->kith('token', 'ana@example.org')), $second_kid, 'as does one of kith token';
is jwks(), join(' ', sort $first_kid, $second_kid), 'both are published';
is join(' ', kids('keys.json')), jwks(), 'and believed';
works $second->{access_token}, 'a token of the new one';
works $first->{access_token}, 'a token of the old one';
works sign('token?grant_type=refresh_token', { refresh_token => $first->{refresh_token} })->{access_token}, 'a refreshed session';
is_status $k->service->get('/rest/v1/users'), 200, 'API keys stay what they are';
my $list = $instance->kith('keys', 'list');
like $list, qr/^\Q$second_kid\E  signs tokens$/m, 'the list says who signs';
like $list, qr/^\Q$first_kid\E  is believed until /m, 'and who did';
like $list, qr/^the $_ key was signed by \Q$first_kid\E$/m, "and who signed the $_ key" for qw(anon service);

# The last token of the old key has expired.
open my $f, '>', "$home/secrets/old-keys.test" or die;
print $f join(' ', (split ' ', slurp('secrets/old-keys'))[ 0 .. 2 ], time - 1), "\n";
close $f;
rename "$home/secrets/old-keys.test", "$home/secrets/old-keys" or die;
$instance->kith(qw(keys rotate));
my $third_kid = kid_of(sign('token?grant_type=refresh_token', { refresh_token => $second->{refresh_token} })->{access_token});
is jwks(), join(' ', sort $second_kid, $third_kid), 'a key whose tokens have all expired is forgotten';
ended $first->{access_token}, 'a token of it is nothing';
works $second->{access_token}, 'one of the key before this one';
is_status $k->service->get('/rest/v1/users'), 200, 'API keys still stay what they are';

# Withdrawn at once.
like $instance->kith(qw(keys retire)), qr/^There are new API keys.*^Only \Q$third_kid\E is believed\.$/ms, 'old keys are withdrawn';
is jwks(), $third_kid, 'one key is published';
is join(' ', kids('keys.json')), $third_kid, 'and believed';
$instance->read_env;
isnt $k->env($_), $old{$_}, "there is another $_" for sort keys %old;
is kid_of($k->env($_)), $third_kid, 'signed by the new one' for sort keys %old;
$anon = $k->anon;
ended $second->{access_token}, 'tokens of the old keys are nothing';
is_status $anon->with(apikey => $old{KITH_ANON_KEY})->get('/rest/v1/plans'), 401, 'nor are the old API keys';
is_status $anon->with(apikey => $old{KITH_SERVICE_KEY})->get('/rest/v1/users'), 401, 'neither of them';
is_status $k->service->get('/rest/v1/users'), 200, 'the new ones are';
works sign('token?grant_type=refresh_token', { refresh_token => $second->{refresh_token} })->{access_token}, 'users stay signed in';
$instance->kith(qw(keys retire));
is $k->env('KITH_ANON_KEY'), slurp('secrets/anon-key') =~ s/\n//r, 'API keys of the key that signs are kept';

# What `kith up` writes is the same; what does not fit together is noticed.
$instance->kith('up');
is join(' ', kids('keys.json')), $third_kid, 'kith up believes the same key';
unlike eval { $instance->kith('doctor') } // $@, qr/signs? tokens|clock|JWT_SECRET/, 'kith doctor finds nothing wrong with keys and clock';
my $jwks = slurp('auth/jwks.json');
open $f, '>', "$home/auth/jwks.json" or die;
print $f '{"keys":[]}';
close $f;
like eval { $instance->kith('doctor') } // $@, qr/^wrong .*jwks\.json does not know the key that signs tokens/m, 'but does when a key is not published';
open $f, '>', "$home/auth/jwks.json" or die;
print $f $jwks;
close $f;
chmod 0644, "$home/auth/signing-key";
like eval { $instance->kith('doctor') } // $@, qr{^wrong .*auth/signing-key is open to others}m, 'or when others may read it';
chmod 0640, "$home/auth/signing-key";
for my $command ([qw(keys nonsense)], [qw(keys rotate retire)]) {
	ok !eval { $instance->kith(@$command); 1 }, "kith @$command is refused";
}

done_testing;
