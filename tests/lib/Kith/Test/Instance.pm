package Kith::Test::Instance;

# A running Kith: the shared one of `scripts/kith test`, or one of our own.

use v5.36;
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Spec;
use File::Temp qw(tempdir);
use IO::Handle ();
use IO::Socket::INET;
use Time::HiRes qw(time sleep);

my $root = File::Spec->rel2abs(dirname(__FILE__) . '/../../../..');

sub root ($class) { $root }

sub shared ($class) {
	my %env = map { $_ => $ENV{$_} } grep { /^(?:KITH_|PG)/ } keys %ENV;
	die "KITH_HOME is not set beside KITH_URL\n" unless $env{KITH_HOME};
	return bless { env => \%env, home => $env{KITH_HOME}, shared => 1 }, $class;
}

sub start ($class, $settings) {
	my $home = tempdir('kith-test-XXXXXX', TMPDIR => 1);
	# Tests sign up and in from one address.
	my %env = (KITH_HOME => $home, KITH_PORT => free_port(), KITH_AUTH_IP_LIMITS => 0, %$settings);
	$env{KITH_VARIANT} //= $ENV{KITH_VARIANT} if $ENV{KITH_VARIANT};
	my $self = bless { env => \%env, home => $home, owner => $$ }, $class;
	eval {
		$self->kith('up');
		$self->read_env;
		1;
	} or do {
		my $why = $@;
		$self->stop;
		die $why;
	};
	return $self;
}

sub read_env ($self) {
	for (split /\n/, $self->kith('env')) {
		my ($name, $value) = /^(?:export )?(\w+)=(.*)$/ or next;
		$self->{env}{$name} = $value =~ s/^(['"])(.*)\1$/$2/r;
	}
	return;
}

# Two neighbours, since https listens on the port behind http's.  Below those
# that the kernel gives to connections: one of them could take ours while the
# instance is down.
sub free_port {
	for (1 .. 100) {
		my $port = 10_000 + 2 * int rand 5_000;
		my $first = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1, LocalPort => $port) or next;
		my $second = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1, LocalPort => $port + 1) or next;
		return $port;
	}
	die "no two free ports side by side\n";
}

sub env ($self, $name) { $self->{env}{$name} }
sub home ($self) { $self->{home} }
sub is_shared ($self) { $self->{shared} }

# Environment for a child: what belongs to this instance, nothing of another.
sub child_env ($self) {
	my %env = %ENV;
	delete @env{ grep { /^(?:KITH_|PG)/ } keys %env };
	return (%env, %{ $self->{env} }, PGOPTIONS => '-c client_min_messages=warning');
}

# Runs a program with that environment; its standard output, dies when it fails.
sub run ($self, @command) {
	local %ENV = $self->child_env;
	open my $out, '-|', @command or die "could not run $command[0]: $!\n";
	my $text = do { local $/; <$out> } // '';
	close $out or die sprintf "%s: exit status %d\n%s", join(' ', map { /\n/ ? '...' : $_ } @command), $? >> 8, $text;
	return $text;
}

# A subcommand of scripts/kith; what it says on standard error is told when it fails.
sub kith ($self, @arguments) {
	my $said = File::Temp->new;
	open my $saved, '>&', \*STDERR or die "stderr: $!\n";
	open STDERR, '>', "$said" or die "$said: $!\n";
	my $text = eval { $self->run("$root/scripts/kith", @arguments) };
	my $error = $@;
	open STDERR, '>&', $saved or die "stderr: $!\n";
	die join '', $error, <$said> if $error;
	return $text;
}

# SQL as superuser; further arguments are psql's.
sub sql ($self, $sql, @more) {
	utf8::encode($sql) if utf8::is_utf8($sql);
	my $text = $self->run(qw(psql -XAtq -v ON_ERROR_STOP=1), @more, '-c', $sql);
	chomp $text;
	return $text;
}

# The parts that are our own executables, each the parent of those that serve.
sub executables ($self) { sort map { m{/(kith-[a-z_]+)$} } glob "$self->{home}/pids/kith-*" }

# The processes that serve: name of the program, pid, started.  One that nobody has called yet has none.
sub programs ($self) {
	my @found;
	for my $pid (map { $self->children($_) } $self->executables) {
		open my $f, '<', "/proc/$pid/stat" or next;
		open my $c, '<', "/proc/$pid/cmdline" or next;
		my @fields = split ' ', (<$f> // next) =~ s/.*\) //r;
		my ($name) = (<$c> // next) =~ /^(kith-[a-z_]+)\0/ or next;
		push @found, { name => $name, pid => $pid, started => $fields[19] };
	}
	@found = sort { $a->{name} cmp $b->{name} } @found;
	return @found;
}

# What the kernel says of a process's memory, in kB: VmRSS, VmHWM (its peak) ...; nothing when it has gone.
sub memory ($self, $pid, $kind) {
	open my $f, '<', "/proc/$pid/status" or return;
	my ($kb) = map { /^$kind:\s+(\d+)/ } <$f>;
	return $kb // ();
}

# How often a process has gone to wait for something.
sub waits ($self, $pid) {
	open my $f, '<', "/proc/$pid/status" or return 0;
	my ($n) = map { /^voluntary_ctxt_switches:\s+(\d+)/ } <$f>;
	return $n // 0;
}

# The first process of a part: postgresql, nginx, or an executable of ours.
sub pid ($self, $part) {
	open my $f, '<', "$self->{home}/pids/$part" or return;
	my ($pid) = split ' ', <$f> // '';
	return $pid;
}

# Sends a part a signal and waits until it is gone.
sub end_part ($self, $part, $signal) {
	my $pid = $self->pid($part) or die "$part does not run\n";
	kill $signal, $pid or die "could not signal $part: $!\n";
	my $end = time + 30;
	while (running($pid)) {
		die "$part did not end\n" if time > $end;
		sleep 0.01;
	}
	return;
}

# Is there such a process, other than one that waits to be reaped?
sub running ($pid) {
	open my $f, '<', "/proc/$pid/stat" or return 0;
	return (<$f> // '') !~ /\) [ZX] /;
}

# Pids of a part's other processes: nginx's workers, PostgreSQL's back ends.
sub children ($self, $part) {
	my $parent = $self->pid($part) // return;
	my @children;
	for my $file (glob '/proc/[0-9]*/stat') {
		open my $f, '<', $file or next;
		my ($pid, $ppid) = (<$f> // '') =~ /^(\d+) .*\) [^ZX] (\d+) /s or next;
		push @children, $pid if $ppid == $parent;
	}
	return sort { $a <=> $b } @children;
}

# Starts what does not run.
sub start_again ($self) { $self->kith('up'); return }

# A psql that stays: tell it SQL; finish commits nothing that it was not told to.
sub session ($self) {
	local %ENV = $self->child_env;
	open my $in, '|-', 'psql -XAtq -v ON_ERROR_STOP=1 >/dev/null 2>&1' or die "psql: $!\n";
	$in->autoflush(1);
	return bless { in => $in }, 'Kith::Test::Instance::Session';
}

# Log files: those of programs hold JSON lines, the rest is nginx's and PostgreSQL's.
sub logs ($self) { glob "$self->{home}/log/*.log" }
sub program_logs ($self) { grep { m{/kith-[a-z_]+\.log$} } $self->logs }

# Keeps the files, so that logs can still be read.
sub halt ($self) {
	return if $self->{shared} || $self->{halted}++ || $self->{owner} != $$;
	eval { $self->kith('down'); 1 } or warn $@;
	return;
}

sub stop ($self) {
	return if $self->{shared} || $self->{stopped}++ || $self->{owner} != $$;
	$self->halt;
	remove_tree($self->{home}, { error => \my $errors });
	return;
}

# A test that dies leaves nothing running.
sub DESTROY ($self) {
	local ($?, $@, $!);
	$self->stop;
	return;
}

package Kith::Test::Instance::Session;

sub tell ($self, $sql) { print { $self->{in} } "$sql\n"; return }

sub finish ($self) {
	local $?;
	close delete $self->{in} if $self->{in};
	return;
}

sub DESTROY ($self) { $self->finish; return }

1;
