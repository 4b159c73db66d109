package Kith::Test::Load;

# Some processes that do the same thing again and again until they are told to
# stop, and note what came of it.
#
#     my $load = Kith::Test::Load->start(8, sub ($worker, $turn) { ...; return "a line" });
#     $load->wait_for(100);
#     my @lines = $load->stop;

use v5.36;
use File::Temp ();
use IO::Handle ();
use POSIX ();
use Time::HiRes qw(time sleep);

sub start ($class, $workers, $code) {
	my $self = bless { notes => File::Temp->new, pids => [], owner => $$ }, $class;
	for my $worker (1 .. $workers) {
		my $pid = fork // die "fork: $!\n";
		if (!$pid) {
			$self->work($worker, $code);
			POSIX::_exit(0);
		}
		push @{ $self->{pids} }, $pid;
	}
	return $self;
}

sub work ($self, $worker, $code) {
	my $go = 1;
	local $SIG{TERM} = sub { $go = 0 };
	srand $$;
	# Appending, so that lines of several processes do not overwrite each other.
	open my $notes, '>>', "$self->{notes}" or die;
	for (my $turn = 1 ; $go ; $turn++) {
		my $line = eval { $code->($worker, $turn) } // "died $@";
		# Whoever is refused tries again a little later, as Retry-After asks.
		sleep 0.05 if $line =~ /^(?:503|599)/;
		syswrite $notes, $line =~ s/\s*\n\s*/ /gr . "\n";
	}
	return;
}

sub lines ($self) {
	open my $f, '<', "$self->{notes}" or die;
	chomp(my @lines = <$f>);
	return @lines;
}

# Until that many more turns are done.
sub wait_for ($self, $turns, $seconds = 20) {
	my $want = $self->lines + $turns;
	my $end = time + $seconds;
	while ($self->lines < $want) {
		return 0 if time > $end;
		sleep 0.01;
	}
	return 1;
}

sub stop ($self) {
	local $?;
	kill TERM => @{ $self->{pids} };
	waitpid $_, 0 for splice @{ $self->{pids} };
	return $self->lines;
}

sub DESTROY ($self) {
	return if $self->{owner} != $$;
	local ($?, $@);
	kill KILL => @{ $self->{pids} };
	waitpid $_, 0 for @{ $self->{pids} };
	return;
}

1;
