#!/usr/bin/perl
# PostgreSQL restarts, crashes, goes away: requests in flight get 503, nothing
# is done twice, and everything is well again by itself.  A8, A13, B3

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
my ($ana) = $k->users('ana');
my $conversation = $ana->make(conversations => { title => 'x' });
my $messages = "/rest/v1/messages?conversation_id=eq.$conversation->{id}";
sub message { { conversation_id => $conversation->{id}, role => 'user', content => shift } }
sub backends { $k->sql("select count(*) from pg_stat_activity where usename in ('kith_api', 'kith_service')") }
sub waiting { $k->sql("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and usename = 'kith_api'") }

# All processes have worked once, so that each has a catalogue and a connection.
sub warm_up {
	my @answers = map {
		aside(sub { $ana->get($_) })
	} ($messages, '/rest/v1/conversations', '/rest/v1/users', '/rest/v1/memories', '/rest/v1/plans',
		'/rest/v1/nope') x 4;
	$_->() for @answers;
	return;
}
warm_up();

# B3: connections that died while nobody used them are noticed before a statement is sent.
cmp_ok backends(), '>', 0, 'the programs keep connections';
for my $round (1 .. 3) {
	$k->sql("select pg_terminate_backend(pid) from pg_stat_activity where usename in ('kith_api', 'kith_service')");
	ok poll(5, sub { !backends() }), 'all connections were ended';
	is_status $ana->post('/rest/v1/messages', message("after $round/$_")), 201, 'a write after that just works'
	    for 1 .. 3;
	is_status $ana->get($messages), 200, 'so does a read' for 1 .. 3;
}
is $k->sql('select count(*) = max(sequence_number) from public.messages'), 't', 'each was written once';

# B3: a connection that dies under a statement.
for my $kill ([ 'ended', 'select pg_terminate_backend(%d)' ], ['killed']) {
	my ($how, $sql) = @$kill;
	for my $case (
		[ 'a write', 503, sub { $ana->post('/rest/v1/messages', message("under $how")) } ],
		[ 'a read', 200, sub { $ana->get($messages) } ],
	) {
		my ($what, $status, $ask) = @$case;
		my $lock = $instance->session;
		$lock->tell('begin; lock table public.messages in access exclusive mode;');
		ok poll(10,
			sub { $k->sql("select count(*) from pg_stat_activity where state = 'idle in transaction'") }),
		    'messages are locked';
		my $asked = aside($ask);
		ok poll(10, \&waiting), "$what waits for the lock";
		my $pid = $k->sql(
"select pid from pg_stat_activity where wait_event_type = 'Lock' and usename = 'kith_api' limit 1"
		);
		if ($sql) {
			$k->sql(sprintf $sql, $pid);
			if ($status == 200) {
				ok poll(10, \&waiting), "$what is asked once more";
			}
			$lock->tell('rollback;');
		} else {
			# PostgreSQL then ends every session and recovers; the lock is gone with them.
			kill KILL => $pid;
		}
		$lock->finish unless $status == 503;
		my $reply = $asked->();
		if ($status == 503) {
			is_status $reply, 503, "$what under a connection that was $how is 503";
			is_header $reply, 'Retry-After', qr/^\d+$/, 'with Retry-After';
		} else {
			ok $reply->status == 200 || !$sql && $reply->status == 503, "$what is answered"
			    or diag $reply->story;
		}
		$lock->finish;
		ok poll(20, sub { $ana->get($messages)->status == 200 }), 'and everything goes on';
	}
	is $k->sql("select count(*) from public.messages where content = 'under $how'"), '0',
	    'what got 503 was not done behind our back';
}

# A8: a restart under load.
my $load = Kith::Test::Load->start(
	6,
	sub ($worker, $turn) {
		my $reply =
		      $turn % 2
		    ? $ana->get("$messages&limit=5")
		    : $ana->post('/rest/v1/messages', message("load $worker/$turn"));
		my $problem = $k->watch->error_problem($reply) if $reply->status >= 400;
		return join ' ', $reply->status, $reply->code // '-', $reply->header('retry-after') // '-',
		    $problem // '', time;
	}
);
$load->wait_for(30);
for my $signal (qw(INT QUIT)) {
	$instance->end_part(postgresql => $signal);
	$instance->start_again;
	my $back = time;
	is $ana->get("$messages&limit=1")->status, 200, 'the first read after a restart succeeds';
	is $ana->post('/rest/v1/messages', message("back $signal"))->status, 201, 'the first write succeeds';
	ok $load->wait_for(60), 'the load goes on';
	my @late = grep { !/^20/ && (split)[-1] > $back + 0.5 } $load->lines;
	is scalar(@late), 0, 'once it is back, nothing fails' or diag @late;
}
my @refused = grep { !/^20[01] / } $load->stop;
my @odd = grep { !/^503 (?:PGRST00[012]|57P01) \d+ / } @refused;
is scalar(@odd), 0, 'whatever failed was 503 with Retry-After, and says why'
    or diag join "\n", @odd[ 0 .. ($#odd > 5 ? 5 : $#odd) ];
note scalar(@refused), ' requests were refused meanwhile';
is $k->sql('select count(*) = max(sequence_number) and count(*) = count(distinct content) from public.messages'), 't',
    'and nothing was done twice';

# A13: without a database, what does not need one is answered as ever.
warm_up();
$instance->end_part(postgresql => 'INT');
my $start = time;
for my $case (
	[
		'a preflight',
		sub {
			$ana->send(OPTIONS => $messages, undef, Origin => 'https://app.example',
				'Access-Control-Request-Method' => 'GET');
		},
		200
	],
	[ 'a missing key', sub { $ana->get($messages, apikey => undef) }, 401, 'PGRST302' ],
	[ 'a bad token', sub { $ana->with(token => 'bad')->get($messages) }, 401, 'PGRST301' ],
	[ 'a query that cannot be parsed', sub { $ana->get('/rest/v1/messages?select=a(') }, 400, 'PGRST100' ],
	[ 'bad JSON', sub { $ana->post('/rest/v1/messages', '{"a":') }, 400, 'PGRST102' ],
	[ 'a wrong content type', sub { $ana->post('/rest/v1/messages', 'x', 'Content-Type' => 'text/plain') }, 415 ],
	[ 'a wrong verb', sub { $ana->send(PROPFIND => '/rest/v1/messages', undef) }, 405, 'PGRST117' ],
	[ 'a form that is not spoken', sub { $ana->get($messages, Accept => 'text/html') }, 406, 'PGRST107' ],
	[ 'a schema that is not exposed', sub { $ana->get($messages, 'Accept-Profile' => 'secret') }, 406, 'PGRST106' ],
	[ 'an unknown table', sub { $ana->get('/rest/v1/nope') }, 404, 'PGRST205' ],
	[ 'an unknown column of a body', sub { $ana->post('/rest/v1/messages', { nope => 1 }) }, 400, 'PGRST204' ],
	[ 'a path that is none', sub { $ana->get('/rest/v1/messages/1/2') }, 404, 'PGRST125' ],
) {
	my ($name, $ask, $status, @code) = @$case;
	is_status $ask->(), $status, @code, "$name needs no database" for 1 .. 4;
}

# Example 33.
for my $ask (sub { $ana->get($messages) }, sub { $ana->post('/rest/v1/messages', message('x')) },
	sub { $ana->post('/rest/v1/rpc/get_or_create_chat_session', {}) }) {
	my $reply = $ask->();
	ok $reply->status == 503 && $reply->code =~ /^PGRST00[01]$/, 'what needs it is 503' or diag $reply->story;
	is_header $reply, 'Retry-After', '1', 'try again in a second';
}
is_status $ana->head($messages), 503, 'also by HEAD';

# Processes that start without a database wait for it.
my @before = $instance->programs;
kill KILL => map { $_->{pid} } @before;
ok poll(10, sub { $instance->programs == @before }), 'killed programs are back without a database';
is_status $ana->get($messages), 503, 'a new process without a database is 503';
is_status $ana->with(token => 'bad')->get($messages), 401, 'PGRST301', 'but knows a bad token';
is_status $ana->send(OPTIONS => $messages, undef), 200, 'and a preflight';
cmp_ok time - $start, '<', 20, 'none of this took long'; # A11
$instance->start_again;
is_status $ana->get($messages), 200, 'with the database everything is back at once' for 1 .. 4;
is_status $ana->get('/rest/v1/nope'), 404, 'PGRST205', 'the catalogue too';

done_testing;
