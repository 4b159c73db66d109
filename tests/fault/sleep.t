#!/usr/bin/perl
# Programs that nobody calls have no processes, and nobody who calls notices.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Load;
use Time::HiRes qw(time);

my $k = Kith::Test->new(own => 1, env => { KITH_IDLE_STOP => 1 });
my $instance = $k->instance;
my ($ana) = $k->users('ana');

# The worker serves nobody, and is always there.
sub serving { grep { $_->{name} ne 'kith-worker' } $instance->programs }
sub awake ($name) { grep { $_->{name} eq $name } serving() }

is scalar(awake('kith-memories')), 0, 'a program that nobody has called has no process';
is_json $ana->get('/rest/v1/memories'), 200, [], 'its first call is answered';
# Somebody keeps calling, however long we take to look.
my $load = Kith::Test::Load->start(1, sub { $ana->get('/rest/v1/memories')->status });
is scalar(awake('kith-memories')), 2, 'by one of its processes';
is scalar(grep { $_->{name} !~ /^kith-(?:memories|users|rest)$/ } serving()), 0,
    'and nobody else has woken up';
like $instance->kith('status'), qr/^  kith-memories +is awake, processes: 2$/m, 'kith status names it';
is scalar(grep { $_ != 200 } $load->stop), 0, 'while it serves';

ok poll(10, sub { !serving() }), 'after a second without a call all sleep';
ok !$k->sql("select count(*) from pg_stat_activity where usename in ('kith_api', 'kith_service')"),
    'and hold no connection';

# Over and over, just when they are put to sleep: from eight at once, writes and reads.
my $conversation = $ana->make(conversations => { title => 'x' });
my $messages = "/rest/v1/messages?conversation_id=eq.$conversation->{id}";
my $written = 0;
for my $round (1 .. 8) {
	ok poll(10, sub { awake('kith-messages') < 4 }), 'they begin to go to sleep';
	my @asked = map {
		my $n = $_;
		aside(
			sub {
				$n % 2
				    ? $ana->get($messages)
				    : $ana->post('/rest/v1/messages',
					{ conversation_id => $conversation->{id}, role => 'user', content => "$round/$n" });
			}
		)
	} 1 .. 8;
	my @odd = grep { $_->status != 200 && $_->status != 201 } map { $_->() } @asked;
	is scalar(@odd), 0, 'and all calls are answered' or diag map { $_->story } @odd;
	$written += 4;
}
is $k->sql('select count(*) from public.messages'), $written, 'each once';

# Whoever is in a request stays.
my $lock = $instance->session;
$lock->tell('begin; lock table public.memories in access exclusive mode;');
ok poll(10, sub { $k->sql("select count(*) from pg_stat_activity where state = 'idle in transaction'") }),
    'memories are locked';
my $began = time;
my $asked = aside(sub { $ana->get('/rest/v1/memories') });
ok poll(10, sub { awake('kith-memories') && !awake('kith-messages') && time - $began > 2 }),
    'others sleep, and it waits';
$lock->tell('rollback;');
$lock->finish;
is $asked->()->status, 200, 'and is answered';

done_testing;
