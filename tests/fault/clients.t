#!/usr/bin/perl
# Clients that are slow, leave, or come all at once: nobody else waits, and
# nothing is done for those who left.  B9, B10, B14

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use IO::Select;
use Time::HiRes qw(time);

my $k = Kith::Test->new(own => 1);
my $instance = $k->instance;
my ($ana) = $k->users('ana');
my $conversation = $ana->make(conversations => { title => 'x' });
my $messages = "/rest/v1/messages?conversation_id=eq.$conversation->{id}";

sub titles { $k->sql('select coalesce(string_agg(title, \',\' order by title), \'\') from public.conversations') }
sub insert ($client, $title, %more) {
	my $raw = $k->raw(%more);
	my $body = qq({"title":"$title"});
	return (
		$raw,
		$raw->head(
			'POST /rest/v1/conversations HTTP/1.1', $raw->caller_lines($client),
			'Content-Type: application/json', 'Content-Length: ' . length $body
		),
		$body
	);
}

# How long the slowest of some ordinary requests takes, in seconds.
sub slowest {
	my $worst = 0;
	for (1 .. 10) {
		my $start = time;
		return 'failed' if $ana->get("$messages&limit=1")->status != 200;
		$worst = time - $start if time - $start > $worst;
	}
	return $worst;
}

# B9: 600 who send or read a byte at a time.
$k->sql(<<'SQL');
create function public.big() returns text language sql stable as 'select repeat(md5(random()::text), 100000)';
grant execute on function public.big to authenticated;
SQL
my @slow;
for (1 .. 200) {
	my ($in_head, $head) = insert($ana, 'never');
	$in_head->send(substr $head, 0, 30);
	my ($in_body, $whole, $body) = insert($ana, 'never');
	$in_body->send($whole, substr $body, 0, 5);
	my $reading = $k->raw;
	$reading->send($reading->head('GET /rest/v1/rpc/big HTTP/1.1', $reading->caller_lines($ana))) if $_ <= 50;
	push @slow, [ $in_head, 'x' ], [ $in_body, substr $body, 5, 1 ], [ $reading, '' ];
}
cmp_ok slowest(), '<', 1, 'while 600 connections dawdle, others are served within a second';
$_->[0]->send($_->[1]) for @slow;
cmp_ok slowest(), '<', 1, 'also when each of them has sent one more byte';
my $reader = $slow[2][0];
is length($reader->reply->body), 3_200_002, 'one who reads late still gets the whole answer';
$_->[0]->close for @slow;
is titles(), 'x', 'nothing was written for those who never finished';

# B10: left before the body, in the middle of it, before the answer.
for my $part (0, 5) {
	my ($raw, $head, $body) = insert($ana, 'left');
	$raw->send($head, substr $body, 0, $part);
	$raw->close;
}
cmp_ok slowest(), '<', 1, 'those who leave leave nobody waiting';
is titles(), 'x', 'and wrote nothing';

my $lock = $instance->session;
$lock->tell("begin; select 1 from public.conversations where id = '$conversation->{id}' for update;");
ok poll(10, sub { $k->sql("select count(*) from pg_stat_activity where state = 'idle in transaction'") }),
    'a conversation is locked';
sub waiting { $k->sql("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and usename = 'kith_api'") }
sub post_message ($content) {
	my $raw = $k->raw;
	my $body = qq({"conversation_id":"$conversation->{id}","role":"user","content":"$content"});
	$raw->send(
		$raw->head(
			'POST /rest/v1/messages HTTP/1.1', $raw->caller_lines($ana), 'Content-Type: application/json',
			'Content-Length: ' . length $body
		),
		$body
	);
	return $raw;
}
is $ana->get($messages)->status, 200, 'the program is awake';
my $workers = grep { $_->{name} eq 'kith-messages' } $instance->programs;
my @working = map { post_message("working $_") } 1 .. $workers;
ok poll(10, sub { waiting() == $workers }), 'every process works on a statement that waits';
my @queued = map { post_message("queued $_") } 1 .. 10;
# nginx has passed them on when a probe behind them is still unanswered.
my $probe = $k->raw(timeout => 0.3);
$probe->send($probe->head("GET $messages HTTP/1.1", $probe->caller_lines($ana)));
ok !$probe->reply && $probe->late, 'ten more wait in the queue';
$_->close for @working, @queued, $probe;
$lock->tell('rollback;');
$lock->finish;
ok poll(5, sub { $ana->get($messages)->status == 200 }), 'the processes are free at once';
is $k->sql("select count(*) from public.messages where content like 'queued%'"), '0',
    'what nobody waits for any more is not begun'; # section 0
cmp_ok $k->sql("select count(*) from public.messages where content like 'working%'"), '<=', $workers,
    'what was begun is done once or not at all';
is $k->sql("select count(*) = coalesce(max(sequence_number), 0) from public.messages"), 't', 'without a gap';

# B14: more than the queue holds.  Statements of those who left were cancelled: 504 in the log.
$k->may_answer(503, 504);
my @stopped = map { $_->{pid} } grep { $_->{name} eq 'kith-conversations' } $instance->programs;
kill STOP => @stopped;
my (@crowd, @refused);
my $start = time;
for my $n (1 .. 1600) {
	my ($raw, @request) = insert($ana, 'crowd', timeout => 20);
	$raw->send(@request);
	push @crowd, $raw;
}
# Who found no room is told at once; the others wait.
my $readable = IO::Select->new(map { $_->socket } @crowd);
my %by_socket = map { $_->socket => $_ } @crowd;
poll(
	10,
	sub {
		push @refused, map { $readable->remove($_); $by_socket{$_} } $readable->can_read(0);
		return @crowd - @refused <= 1100;
	}
);
cmp_ok scalar(@refused), '>=', 400, 'the queue has its bound: ' . @refused . ' of 1600 are refused';
cmp_ok time - $start, '<', 10, 'at once';
my @answers = map { $_->reply } @refused;
is scalar(grep { !$_ || $_->status != 503 || !$_->header('retry-after') } @answers), 0, 'each by 503 with Retry-After';
is $ana->get($messages)->status, 200, 'other programs do not notice';
$_->close for @crowd;
kill CONT => @stopped;
my $again = time;
ok poll(10, sub { $ana->get('/rest/v1/conversations?limit=1')->status == 200 }), 'it recovers';
cmp_ok time - $again, '<', 3, 'soon';
is titles(), 'x', 'and nothing was written for those who had left';

# The parent of all programs is killed: they end too, since nobody would start them again.
$k->watch->restarts_expected;
my @orphans = $instance->children('kith-programs');
kill KILL => $instance->pid('kith-programs');
ok poll(5, sub { !grep { Kith::Test::Instance::running($_) } @orphans }), 'nobody outlives the parent';
for my $ask (sub { $ana->get('/rest/v1/memories') }, sub { $ana->post('/rest/v1/memories', { content => 'x' }) }) {
	my $reply;
	ok poll(5, sub { $reply = $ask->(); $reply->status == 503 }), 'a program that is not there is 503';
	is_header $reply, 'Retry-After', qr/^\d+$/, 'with Retry-After';
	is_header $reply, 'Access-Control-Allow-Origin', '*', 'which a browser may read';
}
like eval { $instance->kith('status') } // $@, qr/^kith-programs +does not run$/m, 'and kith status says so';
$instance->start_again;
is_json $ana->get('/rest/v1/memories'), 200, [], 'started again it serves';

# A socket that somebody removes, as whoever cleans up a directory may: its
# program runs and hears nothing until kith up is asked for.
my $socket = $k->env('PGHOST') . '/kith-memories.sock';
unlink $socket or die "$socket: $!";
is_status $ana->get('/rest/v1/memories'), 503, 'a program whose socket is gone is 503';
like eval { $instance->kith('doctor') } // $@, qr/^wrong  the sockets of kith-memories are gone: kith up$/m, 'kith doctor says why';
my $worker = $instance->pid('kith-worker');
$instance->start_again;
is_json $ana->get('/rest/v1/memories'), 200, [], 'kith up repairs it';
is_status $ana->get('/auth/v1/health'), 200, 'with all the others';
is $instance->pid('kith-worker'), $worker, 'and leaves alone what has none';

done_testing;
