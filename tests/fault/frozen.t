#!/usr/bin/perl
# PostgreSQL stands still, as under a debugger or on a disk that hangs: nobody
# waits longer than the timeouts say, and everything is well again by itself.
# A11, B5

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use List::Util qw(sum0);
use Time::HiRes qw(time);

# Two processes a program; a statement may take a second.
my $k = Kith::Test->new(own => 1, env => { KITH_STATEMENT_TIMEOUT => 1000, KITH_STATEMENT_TIMEOUT_ANON => 500 });
my $instance = $k->instance;
$k->may_answer(503, 504);
my ($ana) = $k->users('ana');

# Each of the programs has a connection to lose.
for my $table (qw(conversations messages users)) {
	$_->() for map {
		aside(sub { $ana->get("/rest/v1/$table") })
	} 1 .. 8;
}

my $postmaster = $instance->pid('postgresql');
my @frozen = ($postmaster, split ' ', `pgrep -P $postmaster`);
$k->later(sub { kill CONT => @frozen });
kill STOP => @frozen;

sub timely ($ask, $name) {
	my $begun = time;
	my $reply = $ask->();
	ok $reply->status == 503 || $reply->status == 504, "$name is 503 or 504" or diag $reply->story;
	is_header $reply, 'Retry-After', qr/^\d+$/, 'with Retry-After';
	cmp_ok time - $begun, '<', 8, 'in time';
	return;
}

# How often processes of a program have gone to wait.
sub turns { sum0 map { $instance->waits($_->{pid}) } grep { $_->{name} eq 'kith-conversations' } $instance->programs }

# Readers that leave: their statements are cancelled, which nobody takes either.
for (1 .. 2) {
	my $socket = $k->raw;
	my $turns = turns();
	$socket->send($socket->head('GET /rest/v1/conversations HTTP/1.1', $socket->caller_lines($ana)));
	ok poll(10, sub { turns() > $turns }), 'a process waits with a reader';
	$socket->close;
}
timely(sub { $ana->get('/rest/v1/conversations') }, 'a read after readers that left') for 1 .. 2;
timely(sub { $ana->get('/rest/v1/messages') }, 'a read') for 1 .. 2;
timely(sub { $ana->patch('/rest/v1/users?id=eq.' . $ana->{id}, { display_name => 'frozen' }) }, 'a write') for 1 .. 2;
timely(sub { $k->anon->get('/rest/v1/messages') }, 'a read by anon');

kill CONT => @frozen;
# A process whose attempt to connect ran into its timeout makes another a second later.
sub well ($table) { !grep { $ana->get("/rest/v1/$table")->status != 200 } 1 .. 8 }
ok poll(5, sub { well($_) }), "$_ are well again" for qw(conversations messages users);

done_testing;
