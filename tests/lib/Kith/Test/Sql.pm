package Kith::Test::Sql;

# What tests of the database share that run several sessions at once, straight
# on the database that PG* name.
#
#     my $user = new_user;
#     my @lines = sql("select ...");
#     print $psql as_user($user, 'select ...');

use v5.36;
use Exporter 'import';

our @EXPORT = qw(sql as_user new_user);

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
