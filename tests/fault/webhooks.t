#!/usr/bin/perl
# Chaos: events of subscriptions come twice, in any order and many at once, while
# programs and PostgreSQL are killed; in the end everybody has what the provider
# says, and every event is in the ledger once.  A3, B1, B3, C16
#
# CHAOS_DELIVERIES (500) says how many; make chaos takes 10,000.  CHAOS_SEED
# repeats a run.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Lifecycles;
use Kith::Test::Webhook;
use File::Temp ();
use List::Util qw(shuffle max);
use POSIX ();
use Time::HiRes qw(time sleep);

my $deliveries = $ENV{CHAOS_DELIVERIES} // 500;
my $seed = $ENV{CHAOS_SEED} // $$ + time % 100000;
my $senders = 16;
note "CHAOS_SEED=$seed";

my %secrets = (stripe => 'whsec_chaos', lemonsqueezy => 'chaos-secret');
my $dir = File::Temp->newdir;
chmod 0755, $dir;
my $k = Kith::Test->new(
	own => 1,
	env => { Kith::Test::Webhook::settings("$dir", %secrets), KITH_LEMONSQUEEZY_STORE_ID => 77 },
);
my $instance = $k->instance;
$k->watch->restarts_expected;
$k->watch->secret(values %secrets);
$k->may_answer(502, 503, 504, 599);

# Three in ten deliveries are copies, and twenty events are a life.
my $lives = Kith::Test::Lifecycles->new(
	seed => $seed, lives => max(10, int($deliveries / 20)), events => int($deliveries / 1.3),
	secrets => \%secrets, store => 77
);
my @events = $lives->events;
$k->sql($lives->sql);
srand $seed;
my @sent = shuffle(@events, map { $events[ rand @events ] } 1 .. $deliveries - @events);
my @forged = map { { %{ $events[ rand @events ] }, forged => $_ } } 1 .. $deliveries / 20;
for my $n (1 .. @forged) {
	# Of an event that is never sent well.
	$forged[ $n - 1 ]{body} =~ s/"(id|webhook_id)":"(?:evt_chaos|one)/"$1":"evt_forged_$n/ or die;
}
@sent = shuffle(@sent, @forged);

# What was signed for another body, by somebody else, long ago, or not at all.
sub forge ($event) {
	my %headers = $lives->headers($event);
	my ($name) = keys %headers;
	my $how = $event->{forged} % 4;
	return () if $how == 0;
	return ($name => $headers{$name} =~ s/(.)$/$1 eq '0' ? 1 : 0/er) if $how == 1;
	return ($name => $headers{$name} =~ s/t=(\d+)/'t=' . ($1 - 86400)/er =~ s/^([0-9a-f])/$1 eq '0' ? 1 : 0/er) if $how == 2;
	return $lives->headers({ %$event, body => "$event->{body} " });
}

# --- sixteen at once ---------------------------------------------------------

my $notes = File::Temp->new;
my $provider = $k->client(apikey => undef);

# A provider: sends again whatever was not taken.
sub deliver ($event, $note) {
	for my $try (1 .. 400) {
		my %headers = $event->{forged} ? forge($event) : $lives->headers($event);
		my $begun = time;
		my $reply = $provider->post("/webhooks/$event->{provider}", $event->{body}, %headers);
		my $status = $reply->status;
		my $outcome = eval { $reply->json->{outcome} } // '-';
		$note->(join ' ', $event->{forged} ? 'forged' : 'true', $status, time - $begun, $outcome);
		return if $status !~ /^(?:50[234]|599)$/;
		sleep 0.05;
	}
	return $note->('lost 0 0 -');
}

my %running;
for my $n (0 .. $senders - 1) {
	my $pid = fork // die "fork: $!\n";
	if (!$pid) {
		open my $to, '>>', "$notes" or die;
		for (my $i = $n ; $i < @sent ; $i += $senders) {
			deliver($sent[$i], sub ($line) { syswrite $to, "$line\n" });
		}
		POSIX::_exit(0);
	}
	$running{$pid} = 1;
}
$k->later(sub { kill KILL => keys %running });

# What they have noted so far, each line once read.
my @lines;
open my $noted, '<', "$notes" or die;

sub taken {
	seek $noted, 0, 1;
	while (my $line = <$noted>) {
		if ($line !~ /\n\z/) {
			seek $noted, -length $line, 1;
			last;
		}
		chomp $line;
		push @lines, $line;
	}
	return scalar grep { / 200 / } @lines;
}

# Kills go on while somebody else starts PostgreSQL again.
my $starting;

sub kill_postgresql ($signal) {
	$instance->end_part(postgresql => $signal);
	$starting = fork // die "fork: $!\n";
	return if $starting;
	POSIX::_exit(eval { $instance->start_again; 1 } ? 0 : 1);
}

# True once the senders have ended.
sub over {
	while ((my $pid = waitpid -1, POSIX::WNOHANG()) > 0) {
		undef $starting if $starting && $pid == $starting;
		delete $running{$pid};
	}
	return !%running;
}

my %killed;
my $begun = time;
my $until = $begun + 60 + $deliveries / 10;
for (my $round = 1 ; !over() && time < $until ; $round++) {
	my $at = taken() + 5 + rand 20;
	poll(20, sub { over() || taken() >= $at });
	last if over();
	if ($round % 12 == 3 && !$starting) {
		kill_postgresql($killed{postgresql}++ % 2 ? 'QUIT' : 'KILL');
	} else {
		my @processes = $instance->children('kith-webhooks') or next;
		$killed{'kith-webhooks'} += kill KILL => $processes[ rand @processes ];
	}
}
waitpid $starting, 0 if $starting;
ok over(), 'everything was delivered';
my $seconds = time - $begun;
taken();
my (%answers, @times);
for (@lines) {
	my ($kind, $status, $time, $outcome) = split;
	$answers{"$kind $status"}++;
	push @times, $time if $status == 200;
}
@times = sort { $a <=> $b } @times;
note sprintf '%d deliveries in %.0f s, %d answers, killed: %s', scalar(@sent), $seconds, scalar(@lines),
  join(', ', map { "$_ $killed{$_} times" } sort keys %killed);
note sprintf '200 after: p50 %.1f ms, p99 %.1f ms, at most %.1f ms', map { 1000 * $times[ $_ * $#times ] } 0.5, 0.99, 1;
note join ', ', map { "$_: $answers{$_}" } sort keys %answers;
ok poll(30, sub { $provider->post('/webhooks/stripe', '{}')->status == 400 }), 'the instance is well again';

# --- what was answered -------------------------------------------------------

is $answers{'true 200'}, $deliveries, 'each was taken once for every delivery';
is_deeply [ sort grep { !/^(?:true (?:200|50[234]|599)|forged (?:400|50[234]|599))$/ } keys %answers ], [],
  'nothing was answered but 200, and 400 to what was forged, or it was sent again';    # C16
is $answers{'forged 400'}, scalar(@forged), 'what was forged is refused';
ok $killed{postgresql} && $killed{'kith-webhooks'} && $answers{'true 503'}, 'there was something to send again';
cmp_ok $times[-1], '<', 5, 'no answer took longer than a provider waits';

is $k->sql('select deadlocks from pg_stat_database where datname = current_database()'), 0, 'nobody waited for each other';    # B7

# --- what is known -----------------------------------------------------------

my (%ledger, %copies);
for (split /\n/, $k->sql("select provider || ' ' || event_id || ' ' || outcome from kith.webhook_events")) {
	my ($of, $event, $outcome) = split;
	$copies{"$of $event"}++;
	$ledger{"$of $event"} = $outcome;
}
is_deeply [ grep { $copies{$_} > 1 } keys %copies ], [], 'an event is in the ledger once';    # A3
my %known = map { ("$_->{provider} $_->{id}" => $_) } @events;
is_deeply [ grep { !$ledger{$_} } keys %known ], [], 'none is missing';
is_deeply [ grep { !$known{$_} } keys %ledger ], [], 'and nothing is there that was not sent';    # C16
is_deeply [ grep { $ledger{$_} eq 'failed' } keys %ledger ], [], 'none failed';
is_deeply [ grep { $known{$_}{tells} && ($known{$_}{life}{known} eq 'never') != ($ledger{$_} eq 'unmatched') } keys %known ], [],
  'events wait for who they belong to, and only those of nobody wait in the end';

my %rows = map { split /\|/, $_, 2 } split /\n/, $k->sql(q{
	select user_id, format('%s %s %s %s %s %s %s', plan, status, extract(epoch from current_period_end)::bigint, cancel_at_period_end,
		stripe_customer_id, stripe_subscription_id, stripe_price_id)
	from public.subscriptions
	union all
	select id, format('%s %s %s %s', subscription_status, extract(epoch from subscription_expires_at)::bigint,
		lemonsqueezy_customer_id, lemonsqueezy_subscription_id)
	from public.workspaces});
my @wrong = $lives->compare(\%rows);
is scalar(@wrong), 0, 'everybody has what the provider says' or diag join "\n", @wrong[ 0 .. ($#wrong > 9 ? 9 : $#wrong) ];    # A3
# By the key: of a job that is done nothing else is known.
my %asked = map { $_ => 1 } split /\n/, $k->sql(q{
	select split_part(key, '/', 2) || ' ' || split_part(key, '/', 3) from kith.jobs where kind = 'reconcile_subscription'});
my @ties = $lives->ties;
is_deeply [ grep { !$asked{$_} } map { "@$_" } @ties ], [], 'where two are newest, the provider will be asked: ' . @ties;
is $k->sql(q{select count(*) from public.subscription_events where event_type !~ '^(order|subscription_payment)_'}),
  scalar(grep { $_->{tells} && $_->{provider} eq 'lemonsqueezy' && $_->{life}{known} ne 'never' } @events),
  'what Lemon Squeezy told of a workspace is in its history once';

done_testing;
