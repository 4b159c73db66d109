#!/usr/bin/perl
# Goal: kith-migrate applies every file once and whole, whatever happens to it.
# It works on a database of its own in the cluster under test.

use v5.36;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use POSIX qw(setpgid);
use Test::More;
use Time::HiRes qw(sleep time);

my $root = abs_path(dirname(__FILE__) . '/../..');
my $tmp = tempdir(CLEANUP => 1);
my $main_database = $ENV{PGDATABASE};
my $database = "kith_migrate_$$";

sub sql ($sql, $where = undef) {
	open my $psql, '-|', 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $where || $database, '-c', $sql
	    or die "cannot run psql: $!";
	chomp(my @lines = <$psql>);
	close $psql or die "psql failed: $sql";
	return join ' ', @lines;
}

# Starts kith-migrate in a process group of its own.
sub start ($out, @arguments) {
	my $pid = fork // die $!;
	return $pid if $pid;
	setpgid(0, 0);
	$ENV{PGDATABASE} = $database;
	open STDOUT, '>', $out or die $!;
	open STDERR, '>&', \*STDOUT or die $!;
	exec "$root/scripts/kith-migrate", @arguments or die $!;
}

# Exit status and output.
sub migrate {
	my $pid = start("$tmp/out", @_);
	waitpid $pid, 0;
	return ($? >> 8, slurp("$tmp/out"));
}

sub slurp ($path) {
	open my $file, '<', $path or return '';
	local $/;
	return scalar(<$file>) // '';
}

sub write_file ($path, $text) {
	mkdir dirname($path);
	open my $file, '>', $path or die "$path: $!";
	print $file $text;
	close $file;
}

sql("create database $database", $main_database);
END {
	my $status = $?;
	sql("drop database $database with (force)", $main_database) if $database;
	$? = $status;
}

# Kith's own files, by two runs at once.
my ($status, $out) = migrate('--status');
is $status, 1, 'an empty database is to be migrated';
my @runs = map { start("$tmp/run$_") } 1, 2;
my @ends = map { waitpid $_, 0; $? } @runs;
is "@ends", '0 0', 'two runs at once end well';
my @applied = (slurp("$tmp/run1") . slurp("$tmp/run2")) =~ /^applied (.*)$/mg;
my @files = map { s{.*/sql/}{}r } glob("$root/sql/*.sql"), glob("$root/sql/dialects/*.sql");
is_deeply [ sort @applied ], \@files, 'and apply each file once between them';
like slurp("$tmp/run1") . slurp("$tmp/run2"), qr/^(applied \d.*\n)+(applied dialects.*\n)+$/, 'the dialects last';
($status, $out) = migrate();
is "$status$out", '0', 'with nothing to do, nothing is said';
($status, $out) = migrate('--status');
is $status, 0, 'status agrees';
is scalar(() = $out =~ /^\S+ +\d{4}-/mg), scalar @files, 'and lists all files';

# An application's own.
write_file("$tmp/app/001_notes.sql", "create table notes (id int);\n");
($status, $out) = migrate('--dir', "$tmp/app");
is "$status $out", "0 applied app/001_notes.sql\n", 'an application has files of its own';
is sql("select tableowner from pg_tables where tablename = 'notes' and schemaname = 'public'"), 'kith_owner', 'they run as kith_owner';
($status, $out) = migrate('--dir', "$tmp/app", '--name', 'other');
is $status, 1, 'another name is another application';
like $out, qr/"notes" already exists/, 'whose files run for themselves';
unlike $out, qr/^applied/m, 'and none of a failed file is applied';

write_file("$tmp/app/001_notes.sql", "create table notes (id bigint);\n");
($status, $out) = migrate('--dir', "$tmp/app");
is $status, 1, 'a changed file is refused';
like $out, qr/001_notes\.sql was changed after it was applied.*new file with a higher number/s, 'by name, and it says what to do';
write_file("$tmp/app/001_notes.sql", "create table notes (id int);\n");

# Dialects are applied again, and spare what an application built on them.
sub mark { return sql("select applied_at from kith.migrations where name = 'dialects/small.sql'") }
my $numbered = "$tmp/kith";
mkdir $numbered or die $!;
system 'cp', '-R', "$root/sql/.", $numbered;
unlink glob "$numbered/dialects/*.sql";
my $small = "$numbered/dialects/small.sql";
write_file($small, "create schema if not exists small;\ncreate or replace view small.words as select 1 as a;\n");
($status, $out) = migrate('--sql', $numbered, '--status');
is $status, 1, 'a new dialect is to be applied';
like $out, qr{^dialects/small\.sql +to be applied$}m, 'by its name';
($status, $out) = migrate('--sql', $numbered);
is "$status $out", "0 applied dialects/small.sql\n", 'it is';
is sql("select viewowner from pg_views where viewname = 'words'"), 'kith_owner', 'as kith_owner';
my $before = mark();
is join(' ', migrate('--sql', $numbered)), '0 ', 'unchanged, it is left alone';
sql('create view public.of_app as select a from small.words');
write_file($small, "create or replace view small.words as select 1 as a, 2 as b;\n");
($status, $out) = migrate('--sql', $numbered, '--status');
is $status, 1, 'changed, it is to be applied again';
like $out, qr{^dialects/small\.sql +to be applied again$}m, 'which status says';
($status, $out) = migrate('--sql', $numbered);
is "$status $out", "0 applied dialects/small.sql\n", 'it is applied again';
is sql('select b from small.words'), 2, 'with what is new';
is sql('select a from public.of_app'), 1, 'the application\'s view on it is still there';
isnt mark(), $before, 'and the time is recorded';
write_file("$numbered/999_more.sql", "create table public.more (n int);\n");
($status, $out) = migrate('--sql', $numbered);
is "$status $out", "0 applied 999_more.sql\napplied dialects/small.sql\n", 'a new numbered file applies it again';
sql("update kith.migrations set applied_at = now() where name = '999_more.sql'");
($status, $out) = migrate('--sql', $numbered);
is "$status $out", "0 applied dialects/small.sql\n", 'also when the run that applied the one was killed before the other';
write_file($small, "drop view small.words;\ncreate view small.words as select 2 as b;\n");
($status, $out) = migrate('--sql', $numbered);
is $status, 1, 'a change that needs the view gone fails while the application uses it';
like $out, qr/view (public\.)?of_app depends on view small\.words/, 'and names what does';
is sql('select a, b from small.words'), '1|2', 'nothing is changed';
write_file($small, "DROP VIEW small.words CASCADE;\n");
($status, $out) = migrate('--sql', $numbered);
is $status, 1, 'a cascade is refused';
like $out, qr/small\.sql must not drop by cascade/, 'with the reason';
is sql('select a from public.of_app'), 1, 'so nothing of the application goes along';
write_file($small, "select 1;\nrollback;\n");
($status, $out) = migrate('--sql', $numbered);
like $out, qr/must not begin or end a transaction/, 'nor may it end the transaction';
($status, $out) = migrate('--dir', "$tmp/app", '--name', 'dialects');
like $out, qr/--name dialects is taken/, 'no application is called dialects';

# A request that reads two views in the other order.
write_file($small, "create or replace view small.words as select 1 as a, 2 as b, 3 as c;\n"
    . "create or replace view small.more as select 1 as a;\n");
is join(' ', migrate('--sql', $numbered)), "0 applied dialects/small.sql\n", 'two views';
write_file($small, slurp($small) . "select;\n");
open my $reader, '|-', 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $database or die $!;
syswrite $reader, "begin; select from small.more;\n";
sleep 0.05 until sql("select count(*) from pg_locks where relation = 'small.more'::regclass and granted") > 0;
my $blocked = start("$tmp/blocked", '--sql', $numbered);
sleep 0.02 until sql("select count(*) from pg_locks where relation = 'small.more'::regclass and not granted") > 0;
syswrite $reader, "select from small.words; commit;\n";
waitpid $blocked, 0;
is $?, 0, 'a deadlock with a request only delays';
ok close $reader, 'the request is answered';
like slurp("$tmp/blocked"), qr{trying again.*applied dialects/small}s, 'it is tried again';

# A failure half way leaves what came before.
write_file("$tmp/app/002_good.sql", "create table good ();\n");
write_file("$tmp/app/003_bad.sql", "create table half ();\nselect 1 / 0;\n");
($status, $out) = migrate('--dir', "$tmp/app");
is $status, 1, 'a failing file fails the run';
is sql("select string_agg(tablename, ' ' order by tablename) from pg_tables where tablename in ('good', 'half')"), 'good', 'what came before stays, of itself nothing does';
unlink "$tmp/app/003_bad.sql";

for my $case ([ '003_two.sql', "create table a ();\nCommit;\n", qr/must not begin or end a transaction/ ], [ 'three.sql', 'select 1;', qr/not named like/ ]) {
	my ($name, $text, $message) = @$case;
	write_file("$tmp/app/$name", $text);
	($status, $out) = migrate('--dir', "$tmp/app");
	is $status, 1, "$name is refused";
	like $out, $message, 'with the reason';
	unlink "$tmp/app/$name";
}

# B17 H4: a table in use.  Others wait two seconds at most, and it is tried again.
write_file("$tmp/app/003_alter.sql", "alter table public.messages add column extra int;\n");
my $holder = open my $hold, '|-', 'psql', '-XqAt', '-d', $database or die $!;
syswrite $hold, "begin; lock table public.messages in access share mode;\n";
sleep 0.05 until sql("select count(*) from pg_locks where relation = 'public.messages'::regclass and granted") > 0;
my $run = start("$tmp/locked", '--dir', "$tmp/app");
my $deadline = time + 20;
sleep 0.1 until slurp("$tmp/locked") =~ /trying again/ || time > $deadline;
syswrite $hold, "commit;\n";
close $hold;
waitpid $run, 0;
is $?, 0, 'a busy table only delays';
like slurp("$tmp/locked"), qr/trying again.*applied app\/003_alter/s, 'it is tried again';

# H4: killed at any moment, and run again.
for my $n (10 .. 19) {
	write_file("$tmp/app/0${n}_step.sql",
	    "create table step_$n (n int);\ninsert into step_$n values ($n);\nselect pg_sleep(0.02);\ninsert into step_$n values ($n);\n");
}
my $kills = 0;
for my $round (1 .. 15) {
	my $pid = start("$tmp/killed", '--dir', "$tmp/app");
	sleep 0.03 + rand 0.25;
	$kills++ if kill 'KILL', -$pid;
	waitpid $pid, 0;
}
($status, $out) = migrate('--dir', "$tmp/app");
is $status, 0, "after $kills kills it ends well";
is sql('select count(*) from (' . join(' union all ', map { "select $_ from step_$_" } 10 .. 19) . ') s'), 20, 'each file was applied once and whole';
is sql("select count(*) from kith.migrations where name ~ '^app/01'"), 10, 'and is recorded';

done_testing;
