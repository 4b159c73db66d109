#!/usr/bin/perl
# Goal: what is undone is undone once, and takes nothing along that came at the
# same moment.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Handle;
use IPC::Open2;
use Kith::Test::Sql;
use POSIX ();
use Test::More;

my $sessions = 8;
my $name = "kith actions $$";    # of the sessions that run at once

# Runs one script each in sessions of their own, while another session holds the
# rows that $lock locks; lets go when all of them wait.  What each printed: its
# rows, or the SQLSTATE.
sub at_once ($lock, @scripts) {
	my @outputs;
	my $waiting = 0;

	my $holder = open2(my $from, my $to, 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1');
	$to->autoflush(1);
	print $to "begin;\n$lock;\n\\echo locked\n";
	while (1) {
		my $line = <$from> // die "cannot lock: $lock";
		last if $line eq "locked\n";
	}
	for my $script (@scripts) {
		my $pid = open my $out, '-|';
		die "cannot fork: $!" unless defined $pid;
		if (!$pid) {
			$ENV{PGAPPNAME} = $name;
			open STDERR, '>&', \*STDOUT or die $!;
			open my $psql, '|-', 'psql', '-XqAt', '-v', 'VERBOSITY=sqlstate' or die $!;
			print $psql $script;
			close $psql;
			POSIX::_exit(0);  # without the END of the parent
		}
		push @outputs, $out;
	}
	my $until = time + 30;
	while ($waiting < @scripts) {
		die "$waiting of @{[scalar @scripts]} sessions wait: $lock" if time > $until;
		print $to "select pg_stat_clear_snapshot() \\g /dev/null\nselect count(*) from pg_stat_activity
		    where application_name = '$name' and wait_event_type = 'Lock';\n";
		$waiting = <$from> // die 'the lock was lost';
	}
	print $to "commit;\n";
	close $to;
	waitpid $holder, 0;
	return map { outcome($_) } @outputs;
}

sub outcome ($out) {
	local $/;
	my $text = <$out> // '';

	close $out;
	return $1 if $text =~ /^ERROR: +(\w{5})$/m;
	$text =~ s/\s+\z//;
	return $text;
}

my $user = new_user;

sub act ($action, $id, $payload) {
	return as_user($user, "select id from public.agent_act(null, '$action', 'part', '$id', '$payload')");
}

sub undo ($action) {
	return as_user($user, "select 'undone' from public.revert_agent_action('$action')");
}

sub done ($script) {
	open my $psql, '|-', "psql -XqAt -v ON_ERROR_STOP=1 >/dev/null" or die $!;
	print $psql $script;
	close $psql or die 'psql failed';
	return sql("select id from public.agent_actions where user_id = '$user' order by created_at desc limit 1");
}

sub uuid { return scalar sql('select gen_random_uuid()') }

# The same action undone by all at once.
my $part = uuid();
done(act('create_part', $part, '{"name": "first"}'));
my $action = done(act('update_part', $part, '{"name": "second"}'));
my %answers;
$answers{$_}++ for at_once("select from public.agent_actions where id = '$action' for update", map { undo($action) } 1 .. $sessions);
is_deeply \%answers, { undone => 1, PT409 => $sessions - 1 }, 'one undoes, the others are told so';
is sql("select name from public.parts where id = '$part'"), 'first', 'and it is undone';

# One row updated by all at once: each action begins where another ended.
my @actions = at_once("select from public.parts where id = '$part' for update",
	map { act('update_part', $part, qq({"name": "n$_"})) } 1 .. 4);
my $these = join ', ', map { "'$_'" } @actions;
is sql("select count(distinct a.result #> '{before,name}') from public.agent_actions a where a.id in ($these)
    and (a.result #>> '{before,name}' = 'first' or exists (select from public.agent_actions b
	where b.id in ($these) and b.result #> '{after,name}' = a.result #> '{before,name}'))"),
    4, 'before is what the one before left';

# All of them undone at once: the last one can be, then the one before it; in as
# many rounds as there are, all.
sub left { return scalar sql("select count(*) from public.agent_actions where id in ($these) and reverted_at is null") }
for (1 .. 4) {
	at_once("select from public.agent_actions where id in ($these) for update", map { undo($_) } @actions);
	last if left() == 0;
}
is left(), 0, 'changes made at once are undone one after the other';
is sql("select name from public.parts where id = '$part'"), 'first', 'to what was before all of them';

# Seven hang something on a part while the eighth ends it.
sub race ($part, $end) {
	my ($ended, @added) = at_once("select from public.parts where id = '$part' for update", $end, map {
		as_user($user, "insert into public.part_assessments (part_id, assessment_type) values ('$part', 't$_') returning 'added'")
	} 2 .. $sessions);
	return ($ended, scalar grep { $_ eq 'added' } @added);
}

sub assessments { return scalar sql("select count(*) from public.part_assessments where part_id = '$_[0]'") }

my $undone = uuid();
my ($answer, $added) = race($undone, undo(done(act('create_part', $undone, '{"name": "short"}'))));
is_deeply [ $answer, assessments($undone) ], $added ? [ 'PT409', $added ] : [ 'undone', 0 ],
    'a creation is undone only when nothing was added';

my $deleted = uuid();
done(act('create_part', $deleted, '{"name": "short"}'));
($answer, $added) = race($deleted, act('delete_part', $deleted, '{}'));
is assessments($deleted), 0, 'nothing hangs on a part that is gone';
is sql("select coalesce(jsonb_array_length(result #> '{cascaded,part_assessments}'), 0)
    from public.agent_actions where id = '$answer'"), $added, 'and the record holds all that was added before';

done_testing;
