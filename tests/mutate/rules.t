#!/usr/bin/perl
# Goal: no rule that keeps users apart can be lost unnoticed.  Each one of
# rules.psql is broken in turn, in a transaction that is rolled back, and the
# matrix has to find it.  Takes minutes, so it is run by `make mutate` only.
# MUTATE=pattern breaks those whose names match.

use v5.36;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use POSIX ();
use Test::More;

my $root = abs_path(dirname(__FILE__) . '/../..');
my $workers = 2;
my @databases = map { "kith_mutate_${$}_$_" } 1 .. $workers;
my $owner = $$;
my $tmp = tempdir(CLEANUP => 1);

sub psql ($database, @arguments) {
	open my $out, '-|', 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $database, @arguments or die "psql: $!";
	chomp(my @lines = <$out>);
	close $out or die "psql @arguments failed\n";
	return @lines;
}

END {
	if ($$ == $owner) {
		my $status = $?;
		system 'psql', '-Xq', '-d', 'postgres', '-c', "drop database if exists $_ with (force)" for @databases;
		$? = $status;
	}
}
$SIG{$_} = sub { exit 130 } for qw(INT TERM HUP);

# Databases of its own: one for each worker, since a transaction that holds the
# cast of the tests makes another one wait.
psql('postgres', '-c', "create database $databases[0] template template0");
{
	local $ENV{PGDATABASE} = $databases[0];
	system("$root/scripts/kith-migrate >/dev/null") == 0 or die "could not migrate\n";
}
psql($databases[0], '-c', 'create schema tap', '-c', 'create extension pgtap with schema tap');
psql('postgres', '-c', "create database $_ template $databases[0]") for @databases[ 1 .. $#databases ];

my $pattern = $ENV{MUTATE} // '';
my @rules = grep { $_->{name} =~ /$pattern/ } map {
	my ($finder, $name, $sql) = split /\t/;
	{ finder => $finder, name => $name, sql => $sql =~ s/\\([\\n])/$1 eq 'n' ? "\n" : '\\'/ger };
} psql($databases[0], '-f', "$root/tests/mutate/rules.psql");

# What a file of tests/sql says of a rule that is broken: '' when it finds
# nothing, undef when the statement fails and nothing is broken.
sub look ($database, $file, $sql) {
	my $pid = open my $out, '-|';
	die "fork: $!\n" unless defined $pid;
	if (!$pid) {
		open STDERR, '>', "$tmp/$database" or die $!;
		exec 'psql', '-XqAt', '-d', $database, '-v', 'ON_ERROR_STOP=1', '-v', "mutation=$sql", '-f', "$root/tests/sql/$file.sql"
		    or POSIX::_exit(127);
	}
	my ($broken, $found);
	while (my $line = <$out>) {
		$broken = 1 if $line eq "# broken\n";
		next unless $line =~ /^not ok/;
		$found = $line;
		kill INT => $pid;    # the rest cannot change it
		last;
	}
	my $ended = close $out;
	return unless $broken;
	return $found // ($ended ? '' : "an error\n");
}

# Rights are compared with the catalogue, all of them at once: one session does
# for thousands.
sub look_at_rights ($database, @rules) {
	my $script = "$tmp/$database.psql";
	open my $f, '>', $script or die $!;
	print $f "\\i $root/tests/lib/prelude.psql\n\\i $root/tests/sql/catalogue.psql\n";
	print $f "savepoint whole;\n$_->{sql};\nselect '$_->{number} ' || exists (select from test.wrong_rights());\n",
	    "rollback to whole;\nrelease whole;\n"
	    for @rules;
	close $f;
	my %found = map { split / / } psql($database, '-f', $script);
	return map { { %$_, missed => $found{ $_->{number} } ne 'true' } } @rules;
}

sub work ($database, $say, @rules) {
	my @rest = grep { $_->{finder} ne 'rights' } @rules;
	for my $rule (look_at_rights($database, grep { $_->{finder} eq 'rights' } @rules)) {
		if ($rule->{missed}) {
			push @rest, $rule;
		} else {
			$say->($rule, 'found');
		}
	}
	for my $rule (@rest) {
		my @files = $rule->{finder} eq 'matrix' ? qw(matrix schema dialects) : qw(schema matrix dialects);
		my $answer = '';
		while (defined $answer && $answer eq '' && @files) {
			$answer = look($database, shift @files, $rule->{sql});
		}
		$say->($rule, !defined $answer ? 'unbroken' : $answer eq '' ? 'missed' : 'found');
	}
	return;
}

is look($databases[0], $_, 'select'), '', "$_: with nothing broken, nothing is found" for qw(matrix schema dialects);
cmp_ok scalar @rules, '>', 0, 'there are rules to break';
$rules[$_]{number} = $_ for keys @rules;

# The workers tell what came of each rule through one pipe.
pipe my $from, my $to or die "pipe: $!\n";
my @pids;
for my $worker (keys @databases) {
	my $pid = fork // die "fork: $!\n";
	if (!$pid) {
		close $from;
		my $say = sub ($rule, $answer) { syswrite $to, "$rule->{number} $answer\n" };
		my $ended = eval { work($databases[$worker], $say, @rules[ grep { $_ % $workers == $worker } keys @rules ]); 1 };
		print STDERR $@ unless $ended;
		POSIX::_exit(!$ended);
	}
	push @pids, $pid;
}
close $to;
my $answers = 0;
while (my $line = <$from>) {
	my ($number, $answer) = split / /, $line =~ s/\n//r;
	is $answer, 'found', $rules[$number]{name};
	$answers++;
}
for my $pid (@pids) {
	waitpid $pid, 0;
	is $?, 0, 'a worker came to its end';
}
is $answers, scalar @rules, 'all rules were broken';

done_testing;
