#!/usr/bin/perl
# Crashes: what was acknowledged stays, what was not is whole or absent, and
# whoever was killed is back within a second.  A1, A2, B1

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Load;
use File::Temp ();
use POSIX ();
use Time::HiRes qw(time);

my $k = Kith::Test->new(own => 1);
my $instance = $k->instance;
$k->watch->restarts_expected;
$k->may_answer(503, 504, 599);
my ($ana) = $k->users('ana');

sub workers ($name = 'kith-messages') {
	grep { $_->{name} eq $name } $instance->programs;
}
is $ana->get('/rest/v1/messages')->status, 200, 'the program is awake';
my $per_program = workers();

# All at once: none may take over what another has dropped, and be killed with it.
sub kill_workers {
	my @pids = map { $_->{pid} } workers();
	kill STOP => @pids;
	kill KILL => @pids;
	return;
}

# B1, idle: a killed program is back, and nobody notices.
kill KILL => (workers())[0]{pid};
is $ana->get('/rest/v1/messages')->status, 200, 'a read just after one process was killed' for 1 .. 4;
# On a busy machine anything may take a while, but not every time.
my $took = 10;
for (my $tries = 0 ; $took >= 1.5 && $tries < 5 ; $tries++) {
	my $killed = time;
	kill_workers();
	is $ana->get('/rest/v1/messages')->status, 200, 'a read just after all were killed waits for the next one';
	ok poll(10, sub { workers() == $per_program }), 'all of them are back';
	$took = time - $killed;
}
cmp_ok $took, '<', 1.5, 'within a second or so';

# B1, in a statement: a writer gets 503 and no second try, a reader is served by the next process.
my $conversation = $ana->make(conversations => { title => 'locked' });
my $lock = $instance->session;
$lock->tell("begin; select 1 from public.conversations where id = '$conversation->{id}' for update;");
ok poll(10, sub { $k->sql("select count(*) from pg_stat_activity where state = 'idle in transaction'") }),
    'a conversation is locked';
my $message = uuid;
my $write = aside(
	sub {
		$ana->post('/rest/v1/messages',
			{ id => $message, conversation_id => $conversation->{id}, role => 'user', content => 'x' });
	}
);
waits_for_lock('the write');
kill_workers();
my $answer = $write->();
is_status $answer, 503, 'a write whose program was killed is 503';
is_header $answer, 'Retry-After', qr/^\d+$/, 'with Retry-After';
$lock->tell('rollback;');
ok poll(10, sub { $ana->get('/rest/v1/messages')->status == 200 }), 'reads go on';
ok poll(
	10,
	sub { $k->sql("select count(*) from pg_stat_activity where state = 'active' and usename like 'kith_%'") eq '0' }
    ),
    'the statement ends';
cmp_ok $k->sql("select count(*) from public.messages where id = '$message'"), '<=', 1,
    'it is there or not, never twice';
is $k->sql(
"select count(m.id) = message_count from public.conversations c left join public.messages m on m.conversation_id = c.id
	where c.id = '$conversation->{id}' group by message_count"
), 't', 'and counted';
$lock->tell('begin; lock table public.messages in access exclusive mode;');
ok poll(
	10,
	sub {
		$k->sql(
"select count(*) from pg_locks where mode = 'AccessExclusiveLock' and relation = 'public.messages'::regclass and granted"
		);
	}
    ),
    'messages are locked';
my $read = aside(sub { $ana->get("/rest/v1/messages?conversation_id=eq.$conversation->{id}") });
waits_for_lock('the read');
kill_workers();
waits_for_lock('the read, asked again by nginx,');
$lock->tell('rollback;');
$lock->finish;
is $read->()->status, 200, 'a read whose program was killed is answered all the same';

# B1, exactly here: builds for tests can be stopped at a point.
stopped_at($_) for ($ENV{KITH_VARIANT} // 'plain') eq 'plain' ? () : qw(body before-commit after-commit);

# A1, A2: eight writers, each insert three rows of one statement, while twenty times something is killed.
my @conversations = $ana->make(conversations => [ map { { title => "load $_" } } 1 .. 8 ]);
my $load = Kith::Test::Load->start(
	8,
	sub ($worker, $turn) {
		my @ids = map { uuid } 1 .. 3;
		my $reply = $ana->post(
			'/rest/v1/messages',
			[
				map { { id => $_, conversation_id => $conversations[ rand 8 ]{id}, role => 'user',
					content => "$worker/$turn" } } @ids
			]
		);
		return join ' ', $reply->status, @ids;
	}
);
for my $round (1 .. 20) {
	$load->wait_for(1 + rand 40);
	if ($round % 5 == 0) {
		$instance->end_part(postgresql => $round % 2 ? 'QUIT' : 'KILL');
		$instance->start_again;
	} elsif ($round % 5 == 3) {
		kill KILL => ($instance->children('nginx'))[0];
	} elsif ($round == 12) {
		$instance->end_part(nginx => 'KILL');
		$instance->start_again;
	} else {
		my @workers = workers();
		kill KILL => $workers[ rand @workers ]{pid} if @workers;
	}
}
ok $load->wait_for(8), 'after the twentieth kill the writers go on';
my @lines = $load->stop;
my %acknowledged = map { $_ => 1 } map { my ($status, @ids) = split; $status eq '201' ? @ids : () } @lines;
my @odd = grep { !/^(?:201|503|599) / } @lines;
is scalar(@odd), 0, 'every answer was 201, 503, or a broken connection' or diag @odd[ 0 .. ($#odd > 5 ? 5 : $#odd) ];
ok poll(30, sub { $ana->get('/rest/v1/messages?limit=1')->status == 200 }), 'the instance is well again';
my %there = map { $_ => 1 } split /\n/, $k->sql('select id from public.messages');
my @lost = grep { !$there{$_} } keys %acknowledged;
is scalar(@lost), 0, 'each of ' . keys(%acknowledged) . ' acknowledged rows is there'; # A1
is $k->sql(
q{select count(*) from (select content from public.messages where content like '%/%'
	group by content having count(*) <> 3) half}
), '0', 'no request is there by half'; # A2
is $k->sql(
q{select count(*) from (select c.id from public.conversations c left join public.messages m on m.conversation_id = c.id
	group by c.id having count(m.id) <> coalesce(max(m.sequence_number), 0) or count(m.id) <> c.message_count
		or count(distinct m.sequence_number) <> count(m.id)) gaps}
    ),
    '0', 'no number is missing or there twice'; # A2
note scalar(@lines), ' requests, ', scalar(grep { !/^201/ } @lines), ' of them refused or cut off';

sub waits_for_lock ($what) {
	ok poll(
		10,
		sub {
			$k->sql(
"select count(*) from pg_stat_activity where wait_event_type = 'Lock' and usename = 'kith_api'"
			);
		}
	    ),
	    "$what waits for the lock";
}

# A process that was killed while it stood at a point of a request.
sub stopped_at ($point) {
	my $dir = File::Temp->newdir;
	chmod 0755, $dir;
	my $other = Kith::Test::Instance->start({ KITH_TEST_STOP => "$point:$dir/fifo" });
	my $there = bless { %$k, instance => $other }, ref $k;
	my ($ben) = $there->users('ben');
	my $made = $ben->make(conversations => { title => 'x' });
	# A write that is checked before it commits passes through all the points.
	my $row = $ben->make(messages => { conversation_id => $made->{id}, role => 'user', content => 'x' });
	POSIX::mkfifo("$dir/fifo", 0666) or die "mkfifo: $!";
	chmod 0666, "$dir/fifo";
	my $asked = aside(sub {
		$ben->patch("/rest/v1/messages?id=eq.$row->{id}", { metadata => { written => 1 } },
			Prefer => 'handling=strict, max-affected=1');
	});
	my $gate;
	ok poll(10, sub { sysopen $gate, "$dir/fifo", POSIX::O_WRONLY() | POSIX::O_NONBLOCK() }),
	    "a process stands at $point";
	unlink "$dir/fifo";
	kill KILL => map { $_->{pid} } grep { $_->{name} eq 'kith-messages' } $other->programs;
	close $gate;
	my $refused = $asked->();
	is_status $refused, 503, "killed at $point: 503";
	is_header $refused, 'Retry-After', qr/^\d+$/, "killed at $point: Retry-After";
	ok poll(
		10,
		sub {
			$other->sql(
				"select count(*) from pg_stat_activity where state <> 'idle' and usename = 'kith_api'")
			    eq '0';
		}
	    ),
	    "killed at $point: its transaction is over";
	my $written = $point eq 'after-commit' ? 't' : 'f';
	is $other->sql("select metadata ? 'written' from public.messages"), $written,
	    "killed at $point: done or not, as it should be";
	ok poll(10, sub { $ben->get('/rest/v1/messages')->status == 200 }), "killed at $point: and it is back";
	$other->stop;
	return;
}

done_testing;
