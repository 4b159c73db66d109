#!/usr/bin/perl
# Sessions survive what happens to the server: while the database restarts, or
# programs are killed, a refresh is 503, and afterwards every session goes on
# with the last token that its client saw.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Load;
use Time::HiRes qw(time);

my $k = Kith::Test->new(own => 1);
my $instance = $k->instance;
$k->watch->restarts_expected;
$k->may_answer(503, 504);
my $anon = $k->anon;
my $password = 'a walk by the river';
my %dated = ('X-Supabase-Api-Version' => '2024-01-01');
my $workers = 6;

sub ask ($path, $body) { $anon->post("/auth/v1/$path", $body, %dated) }
sub refresh ($token) { ask('token?grant_type=refresh_token', { refresh_token => $token }) }
sub sign_up ($email) { ask('signup', { email => $email, password => $password })->json }
sub sign_in ($email) { ask('token?grant_type=password', { email => $email, password => $password }) }

# Without a database.
my $ana = sign_up('ana@example.org');
my $token = $ana->{refresh_token};
$instance->end_part(postgresql => 'INT');
for my $case (
	[ 'a refresh' => sub { refresh($token) } ],
	[ 'a sign-in' => sub { sign_in('ana@example.org') } ],
	[ 'a sign-up' => sub { ask('signup', { email => 'ben@example.org', password => $password }) } ],
	[ 'the user' => sub { $anon->with(token => $ana->{access_token})->get('/auth/v1/user', %dated) } ],
	[ 'a sign-out' => sub { $anon->with(token => $ana->{access_token})->post('/auth/v1/logout', undef, %dated) } ],
    ) {
	my ($name, $code) = @$case;
	for (1 .. 2) {    # each process finds it out by itself
		my $reply = $code->();
		is_status $reply, 503, 'request_timeout', "$name without a database";
		is_header $reply, 'Retry-After', qr/^\d+$/, 'may be tried again';
		unlike $reply->body, qr/PGRST|administrator|statement|\.sock/, 'and does not say how it came about';
	}
}
for my $case (
	[ 'bad JSON', sub { ask('token?grant_type=refresh_token', '{') }, 400, 'bad_json' ],
	[ 'no token', sub { ask('token?grant_type=refresh_token', {}) }, 400, 'validation_failed' ],
	[ 'a password that is too short', sub { ask('signup', { email => 'b@example.org', password => 'x' }) }, 422, 'weak_password' ],
	[ 'a bad access token', sub { $anon->with(token => 'x')->get('/auth/v1/user', %dated) }, 403, 'bad_jwt' ],
	[ 'a grant that is none', sub { ask('token?grant_type=x', {}) }, 400, 'unsupported_grant_type' ],
    ) {
	my ($name, $code, $status, $what) = @$case;
	is_status $code->(), $status, $what, "$name needs no database";    # A13
}
is_status $anon->get('/auth/v1/.well-known/jwks.json'), 200, 'nor do the public keys';
is_status $anon->get('/auth/v1/health'), 200, 'nor whether it lives';
is_status $anon->get('/auth/v1/settings'), 200, 'nor its settings';
$instance->start_again;
my $back = refresh($token);
is_status $back, 200, 'with the database the session goes on';
is_status sign_in('ana@example.org'), 200, 'passwords too';

# Under load: each worker has a session, and keeps the last token that it saw.
my @sessions = map { sign_up("load.$_\@example.org") } 1 .. $workers;
my %held = map { $_ => $sessions[ $_ - 1 ]{refresh_token} } 1 .. $workers;
my $load = Kith::Test::Load->start(
	$workers,
	sub ($worker, $turn) {
		my $reply = refresh($held{$worker});
		$held{$worker} = $reply->json->{refresh_token} if $reply->status == 200;
		return join ' ', $reply->status, $reply->code // '-', $reply->header('retry-after') // '-', time, "worker$worker", $held{$worker};
	}
);
ok $load->wait_for(60), 'sessions are refreshed';
for my $signal (qw(INT QUIT)) {
	$instance->end_part(postgresql => $signal);
	$instance->start_again;
	ok $load->wait_for(60), "and again after the database ended by $signal";
}
for (1 .. 5) {
	my @programs = grep { $_->{name} eq 'kith-auth' } $instance->programs;
	kill KILL => $programs[ rand @programs ]{pid} if @programs;
	$k->sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'kith_auth' limit 1");
	ok $load->wait_for(60), 'and after a program was killed';
}
my @lines = $load->stop;
my @refused = grep { !/^200 / } @lines;
my @odd = grep { !/^503 \S+ \d+ |^599 / } @refused;
is scalar(@odd), 0, 'whatever was refused was 503 with Retry-After' or diag join "\n", map { substr $_, 0, 80 } @odd[ 0 .. ($#odd > 5 ? 5 : $#odd) ];
note scalar(@refused), ' of ', scalar(@lines), ' refreshes were refused';
my %last = map { (split)[ 4, 5 ] } @lines;
is scalar(keys %last), $workers, 'every client had a session';
for my $worker (sort keys %last) {
	my $reply = refresh($last{$worker});
	is_status $reply, 200, "$worker is still signed in";
	is_status $anon->with(token => $reply->json->{access_token})->get('/rest/v1/users'), 200, 'for every program';
}
is $k->sql('select count(*) from auth.sessions s join auth.users u on u.id = s.user_id where u.email like \'load.%\''), $workers, 'no session was lost or doubled';

done_testing;
