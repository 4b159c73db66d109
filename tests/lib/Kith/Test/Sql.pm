package Kith::Test::Sql;

# What tests of the database share that run several sessions at once, straight
# on the database that PG* name.
#
#     my $user = new_user;
#     my @lines = sql("select ...");
#     print $psql as_user($user, 'select ...');

use v5.36;
use Exporter 'import';
use POSIX ();
use Test::More ();

our @EXPORT = qw(sql as_user new_user at_once $writers);

our $writers = 8;

# Runs SQL as the superuser of PG*; the lines it prints, or the first of them.
sub sql ($sql) {
	open my $psql, '-|', 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-c', $sql or die "cannot run psql: $!\n";
	chomp(my @lines = <$psql>);
	close $psql or die "psql failed: $sql\n";
	return wantarray ? @lines : $lines[0];
}

# A script in which the user does this, in a transaction that ends in a commit
# unless another end is named.
sub as_user ($user, $statement, $end = 'commit') {
	return "begin;\n"
	    . qq{select set_config('request.jwt.claims', '{"role":"authenticated","sub":"$user"}', true) \\g /dev/null\n}
	    . "set local role authenticated;\n$statement;\n$end;\n";
}

# Runs a script in $writers sessions at once; what they print, or undef if one
# of them failed.
sub at_once ($script) {
	my (@sessions, @lines);
	my $failed = 0;

	for my $n (1 .. $writers) {
		my $pid = open my $out, '-|';
		die "cannot fork: $!" unless defined $pid;
		if (!$pid) {
			open my $psql, '|-', 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1' or die $!;
			print $psql $script->($n);
			close $psql;
			POSIX::_exit($? ? 1 : 0);  # without the END of the parent
		}
		push @sessions, $out;
	}
	for my $out (@sessions) {
		push @lines, map { chomp; $_ } grep { /\S/ } <$out>;
		close $out or $failed++;
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	Test::More::is($failed, 0, 'every session ends well');
	return @lines;
}

# The id of a user, who is gone with all that is theirs when the test ends.
my %users;

sub new_user () {
	my $id = sql("insert into auth.users (id, email) values (gen_random_uuid(), gen_random_uuid() || '\@kith.test') returning id");
	$users{$id} = $$;
	return $id;
}

END {
	my $status = $?;
	sql("delete from auth.users where id = '$_'") for grep { $users{$_} == $$ } sort keys %users;
	$? = $status;
}

1;
