#!/usr/bin/perl
# The worker among failures: whoever dies, of itself, the database or the
# provider, each mail is sent once for its key, and none is lost.  A4, B1, B3, B11

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Stub;
use File::Temp ();
use POSIX ();
use Time::HiRes qw(time);

my $dir = File::Temp->newdir;
chmod 0755, $dir;
my $key = "$dir/key";
open my $f, '>', $key or die;
print $f "re_canary\n";
close $f;
chmod 0600, $key;

my $stub = Kith::Test::Stub->start;
my %settings = (
	KITH_MAIL_FROM => 'Kith <hi@example.org>',
	KITH_RESEND_API_KEY => $key,
	KITH_RESEND_BASE_URL => $stub->base('resend') . '/',
	KITH_RESEND_RATE => 1000,
);
my $k = Kith::Test->new(own => 1, env => \%settings);
my $instance = $k->instance;
$k->watch->restarts_expected;
$k->watch->secret(qw(re_canary canary@example.net CANARY));

sub enqueue ($key, $extra = '') {
	return $k->sql(qq(select kith.enqueue('mail', '{"template":"magic_link","to":"canary\@example.net","data":{"Token":"CANARY"}}', '$key'$extra)));
}

sub job ($id) { JSON::PP->new->decode($k->sql("select to_json(j) from kith.jobs j where id = $id")) }
sub ended ($id) { $k->row_when('kith-worker', sub { job($id) }, sub ($j) { $j->{status} =~ /^(done|failed)$/ }) }
sub tried ($id, $times = 1) { $k->row_when('kith-worker', sub { job($id) }, sub ($j) { $j->{attempts} >= $times && $j->{status} ne 'running' }) }
sub workers { grep { $_->{name} eq 'kith-worker' } $instance->programs }
sub requests ($key) { grep { ($_->{headers}{'idempotency-key'} // '') eq $key } $stub->record('resend') }

# Forgets what the worker knows of its provider: a new one knows nothing.
sub fresh_worker {
	my @old = map { $_->{pid} } workers();
	kill KILL => @old;
	ok poll(10, sub { my @new = workers(); @new && !grep { my $p = $_->{pid}; grep { $_ == $p } @old } @new }), 'a new worker';
	return;
}

# What a dead worker held, as if the time of its lease were over.
sub end_leases { $k->sql("update kith.jobs set leased_until = now() where status = 'running'; notify kith_jobs") }

# --- one call ----------------------------------------------------------------

my $id = enqueue('mail one');
is ended($id)->{status}, 'done', 'a mail is sent by the API';
my ($request) = requests('mail one');
is $request->{path}, '/emails', 'a base that ends with a slash works';
is_deeply [ @{ $request->{headers} }{qw(authorization content-type user-agent expect)} ],
  [ 'Bearer re_canary', 'application/json', 'kith/1', undef ], 'with our key and name';
is_deeply [ @{ $request->{body} }{qw(from to subject)} ], [ 'Kith <hi@example.org>', ['canary@example.net'], 'Sign in' ], 'to whom it is for';
like $request->{body}{$_}, qr/CANARY/, "as $_" for qw(text html);

# --- what the provider says --------------------------------------------------

# One mail, answered so; the job after that many attempts.
my $count = 0;
my @at;

sub answered ($times, @replies) {
	$stub->script(resend => @replies);
	my $job = tried(enqueue('mail answer ' . ++$count), $times);
	return $job;
}

sub answers ($job) { scalar(() = requests($job->{key})) }

my $error = sub ($status, $name, %more) { { status => $status, body => { statusCode => $status, name => $name, message => 'canary@example.net' }, %more } };
my $job = answered(1, $error->(422, 'validation_error'));
is_deeply [ @$job{qw(status last_error)} ], [ 'failed', 'resend 422 validation_error' ], 'a bad request is not repeated';
$job = answered(1, $error->(409, 'invalid_idempotent_request'));
is_deeply [ @$job{qw(status last_error)} ], [ 'failed', 'resend 409 invalid_idempotent_request' ], 'nor a key with another mail';
$job = answered(1, { status => 302, headers => { location => $stub->base('elsewhere') } });
is $job->{last_error}, 'resend 302', 'a redirect is refused';
is scalar(() = $stub->record('elsewhere')), 0, 'and not followed';
$job = answered(2, $error->(409, 'concurrent_idempotent_requests'));
is_deeply [ $job->{status}, answers($job) ], [ 'done', 2 ], 'a key that is being worked on is asked again';
$job = answered(2, { status => 200, body => '<html>welcome to the hotel</html>', headers => { 'content-type' => 'text/html' } });
is_deeply [ $job->{status}, answers($job) ], [ 'done', 2 ], 'an answer of somebody else\'s does not count';
$job = answered(2, { status => 200, body => 'x' x (9 << 20) });
is_deeply [ $job->{status}, answers($job) ], [ 'done', 2 ], 'nor one that never ends';
# libcurl does this by itself, on a connection that it had kept.
$job = answered(1, { done => 1, drop_after_bytes => 0 });
is_deeply [ $job->{status}, answers($job) ], [ 'done', 2 ], 'a mail whose answer was lost is asked for again';
is scalar(grep { $_->{replayed} } requests($job->{key})), 1, 'and sent once, by its key';
$job = answered(2, { done => 1, drop_after_bytes => 10 });
is_deeply [ $job->{status}, scalar(grep { $_->{replayed} } requests($job->{key})) ], [ 'done', 1 ], 'so is one whose answer was cut';
$job = answered(2, { done => 1, chunk_ms => 1000, body => { id => uuid } });
is_deeply [ $job->{status}, scalar(grep { $_->{replayed} } requests($job->{key})) ], [ 'done', 1 ], 'or never came to an end';
@at = map { $_->{at} } requests($job->{key});
cmp_ok $at[1] - $at[0], '<', 25_000, 'for which nobody waits longer than 20 seconds';
$job = answered(2, { status => 503, headers => { 'retry-after' => 1 }, body => 'busy' });
@at = map { $_->{at} } requests($job->{key});
cmp_ok $at[1] - $at[0], '>=', 1000, 'Retry-After is honoured';
$job = answered(2, $error->(429, 'rate_limit_exceeded', headers => { 'ratelimit-reset' => 1 }));
@at = map { $_->{at} } requests($job->{key});
cmp_ok $at[1] - $at[0], '>=', 1000, 'ratelimit-reset too';
is_deeply [ @$job{qw(status attempts max_attempts)} ], [ 'done', 2, 6 ], 'and it is no failure to have been too fast';
$job = answered(1, $error->(429, 'daily_quota_exceeded'));
is $k->sql("select date_trunc('day', run_at) = date_trunc('day', now()) + interval '1 day' from kith.jobs where id = $job->{id}"), 't', 'who has used up the day waits for the next';
is $job->{last_error}, 'resend 429 daily_quota_exceeded', 'and says so';
my $later = enqueue('mail later');
fresh_worker();
is ended($later)->{attempts}, 1, 'others have not been tried meanwhile';
$job = answered(1, $error->(401, 'invalid_api_key'));
is_deeply [ @$job{qw(status last_error max_attempts)} ], [ 'pending', 'resend 401 invalid_api_key', 6 ], 'a key that is not taken is no failure of the mail';
$later = enqueue('mail much later');
like join('', do { open my $log, '<', $instance->home . '/log/kith-worker.log'; <$log> }), qr/"level":"error"[^\n]*resend does not take our key/, 'and an alert';
is job($later)->{attempts}, 0, 'nothing is asked of that provider';
fresh_worker();
is ended($later)->{status}, 'done', 'until somebody has looked';
# It comes back by itself, and must not take an answer of what follows.
is ended($job->{id})->{status}, 'done', 'and so is the one that met it';

$stub->script(resend => map { { status => 500, body => 'oops' } } 1 .. 20);
$id = enqueue('mail five');
$job = ended($id);
is_deeply [ @$job{qw(status last_error attempts)} ], [ 'failed', 'resend 500', 5 ], 'five failures are enough';
@at = map { $_->{at} } requests('mail five');
is scalar(@at), 5, 'asked for five times';
ok $at[$_] - $at[ $_ - 1 ] >= 400 * 2**($_ - 1), "attempt @{[ $_ + 1 ]} waits longer" for 1 .. 4;
my ($worker) = workers();
my $turns = $instance->waits($worker->{pid});
$later = enqueue('mail closed');
ok poll(10, sub { $instance->waits($worker->{pid}) > $turns }), 'the worker hears of one more mail';
is job($later)->{attempts}, 0, 'and for a while asks for nobody else';
$stub->script('resend');
fresh_worker();
is_deeply [ @{ ended($later) }{qw(status attempts)} ], [ 'done', 1 ], 'then it does';

# --- killed where it hurts ---------------------------------------------------

# Builds for tests can be stopped at a point.
for my $point (($ENV{KITH_VARIANT} // 'plain') eq 'plain' ? () : qw(job-claimed job-done)) {
	$instance->kith('down');
	POSIX::mkfifo("$dir/fifo", 0666) or die "mkfifo: $!";
	chmod 0666, "$dir/fifo";
	local $instance->{env}{KITH_TEST_STOP} = "$point:$dir/fifo";
	$instance->kith('up');
	$id = enqueue("mail $point");
	my $gate;
	ok poll(20, sub { sysopen $gate, "$dir/fifo", POSIX::O_WRONLY() | POSIX::O_NONBLOCK() }), "a worker stands at $point";
	unlink "$dir/fifo";
	is scalar(() = requests("mail $point")), $point eq 'job-done' ? 1 : 0, 'before, or after, the mail went out';
	kill KILL => map { $_->{pid} } workers();
	close $gate;
	end_leases();
	is ended($id)->{status}, 'done', "killed at $point: the next one does it";
	is scalar(grep { $_->{headers}{'idempotency-key'} eq "mail $point" } $stub->sent), 1, 'once';
	$instance->kith('down');
	delete $instance->{env}{KITH_TEST_STOP};
	$instance->kith('up');
}

# SIGTERM: the job in hand is finished.
$stub->script(resend => { done => 1, delay_ms => 1500, body => { id => uuid } });
$id = enqueue('mail term');
ok poll(60, sub { requests('mail term') }), 'a mail is being sent';
$instance->end_part('kith-worker', 'TERM');
is job($id)->{status}, 'done', 'SIGTERM lets it be finished';
is scalar(() = requests('mail term')), 1, 'by the one who began it';
$instance->start_again;

# The database goes while a mail is being sent: its end is noted when it is back.
$stub->script(resend => { done => 1, delay_ms => 3000, body => { id => uuid } });
$id = enqueue('mail database');
ok poll(60, sub { requests('mail database') }), 'a mail is being sent';
$instance->end_part('postgresql', 'INT');
$instance->start_again;
is ended($id)->{attempts}, 1, 'a restart of the database costs no attempt';
is scalar(() = requests('mail database')), 1, 'and no second request';

# A mail that is queued after the worker has looked for mails, and of which it is
# told with the answer to what it asks next.
$k->sql(<<'SQL');
alter function kith.next_message(text[]) rename to next_message_put_aside;
create function kith.next_message(channels text[]) returns double precision language plpgsql security definer set search_path = '' as $$
begin
    perform kith.enqueue('mail', '{"template":"magic_link","to":"canary@example.net","data":{}}', 'mail heard');
    return null;
end
$$;
grant execute on function kith.next_message(text[]) to kith_worker;
notify kith_jobs;
SQL
ok poll(30, sub { $k->sql("select count(*) from kith.jobs where key = 'mail heard' and status = 'done'") }), 'news that come with an answer are heard';
$k->sql('drop function kith.next_message(text[]); alter function kith.next_message_put_aside(text[]) rename to next_message');

# --- a thousand --------------------------------------------------------------

# By three workers, who know nothing of each other.
$instance->kith('down');
$instance->{env}{KITH_WORKER_PROCESSES} = 3;
$instance->kith('up');
ok poll(10, sub { workers() == 3 }), 'as many workers as are asked for';
$stub->limit('resend', 10, 100);
$stub->script(resend => map { ({ status => 500 }, { done => 1, drop_after_bytes => 0 }, { status => 503, headers => { 'retry-after-ms' => 50 } }) } 1 .. 2);
$k->sql(q(select count(kith.enqueue('mail', format('{"template":"magic_link","to":"canary%s@example.net","data":{}}', i)::jsonb, 'mail many ' || i,
	max_attempts => 20)) from generate_series(1, 1000) i));
my $left = sub { $k->sql("select count(*) from kith.jobs where key like 'mail many %' and status <> 'done'") };
my $kills = 0;
my $end = time + 240;
my $restarted = 0;
while (time < $end && (my $n = $left->()) > 0) {
	if ($n < 500 && !$restarted++) {
		$instance->end_part('postgresql', 'QUIT');
		$instance->start_again;
	}
	# Again and again, wherever it is, and what it held is there for the next one.
	if ($kills < 15) {
		kill KILL => map { $_->{pid} } workers();
		$kills++;
	}
	end_leases();
	my $some = $n - 1 - int rand 30;
	poll(1, sub { $left->() <= $some });
}
is $left->(), 0, 'a thousand mails are sent, with kills, a restart, faults and too many at a time';
my %times;
$times{ $_->{headers}{'idempotency-key'} }++ for grep { $_->{headers}{'idempotency-key'} =~ /many/ } $stub->sent;
is scalar(keys %times), 1000, 'each of them';
is scalar(grep { $_ != 1 } values %times), 0, 'once';
my @asked = grep { ($_->{headers}{'idempotency-key'} // '') =~ /many/ } $stub->record('resend');
cmp_ok scalar(grep { $_->{status} == 429 } @asked), '>', 0, 'at the pace of who sends them';
Test::More::note(scalar(@asked), ' requests, ', scalar(grep { $_->{status} == 429 } @asked), " of them too early, $kills kills");
is $k->sql("select count(*) from kith.jobs where payload <> '{}' and status = 'done'"), '0', 'nothing is left of what they said';

done_testing;
