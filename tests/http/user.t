#!/usr/bin/perl
# kith user: what an administrator does to users from the shell counts for their very next request.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp qw(tempdir);
use IPC::Open3 qw(open3);
use Kith::Test;
use Symbol qw(gensym);

my $k = Kith::Test->new(own => 1);
my $instance = $k->instance;
my $anon = $k->anon;

# Runs kith user; its exit status, what it said, and what it complained of.
sub user ($input, @arguments) {
	local %ENV = $instance->child_env;
	my $pid = open3(my $in, my $out, my $err = gensym, $instance->root . '/scripts/kith', 'user', @arguments);
	print $in $input;
	close $in;
	local $/;
	my ($said, $complaint) = (scalar <$out>, scalar <$err>);
	waitpid $pid, 0;
	return ($? >> 8, $said // '', $complaint // '');
}

sub done ($name, $expected, $input, @arguments) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $said, $complaint) = user($input, @arguments);
	is $status, 0, "$name: done" or diag $complaint;
	like $said, $expected, "$name: told";
	return $said;
}

sub refused ($name, $expected, $input, @arguments) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $said, $complaint) = user($input, @arguments);
	is $status, 1, "$name: refused";
	is $said, '', "$name: nothing is done";
	like $complaint, $expected, "$name: why";
	return;
}

sub sign_in ($email, $password) { $anon->post('/auth/v1/token?grant_type=password', { email => $email, password => $password }) }
sub users { $k->sql('select count(*) from auth.users') }

# Adding.
my $odd = "a \"walk\" \\ by\tthe \$(river) 'true' %s";
my $id = done 'a user', qr/^[0-9a-f-]{36}$/, "$odd\n", qw(add ana@example.org);
chomp $id;
my $session = sign_in('ana@example.org', $odd);
is_status $session, 200, 'signs in with whatever characters the password has';
is $session->json->{user}{id}, $id, 'under the id that was printed';
done 'another', qr/./, '123456', qw(add bea@example.org);
done 'and another', qr/./, 'truetrue', qw(add true@example.org);
is_status sign_in('bea@example.org', '123456'), 200, 'a number is a password too';

my $before = users();
refused 'an address that is taken', qr/already been registered/, 'a long password', qw(add ANA@example.org);
refused 'a short password', qr/at least 6 characters/, 'short', qw(add x@example.org);
refused 'no password', qr/the password is empty/, "\n", qw(add x@example.org);
refused 'two lines', qr/more than one line/, "one line\nand another", qw(add x@example.org);
refused 'a NUL byte', qr/NUL byte/, "in the\0middle", qw(add x@example.org);
refused 'a password as an argument', qr/one address/, '', qw(add x@example.org secret-word);
refused 'no address', qr/one address/, 'a long password', qw(add x);
refused 'an invitation without mail', qr/^kith: Mail is not set up/, '', qw(add --invite x@example.org);
is users(), $before, 'nobody was made by what was refused';

# Listing.
my $list = done 'the list', qr/^ID +ADDRESS +SIGNED UP +LAST SIGN-IN +STATE$/m, '';
like $list, qr/^\Q$id\E  ana\@example\.org +\d{4}-\d\d-\d\d \d\d:\d\d  \d{4}-\d\d-\d\d \d\d:\d\d$/m, 'it shows when they came';
is scalar(() = $list =~ /^[0-9a-f-]{36} /mg), 3, 'and everybody';
is scalar(() = done('a filter', qr/bea/, '', qw(list BEA)) =~ /^[0-9a-f-]{36} /mg), 1, 'or those of a filter';
unlike done('a filter for nobody', qr/^ID/, '', 'list', 'a" b&per_page=1'), qr/@/, 'with any characters';
my (undef, $page, $where) = user('', qw(list --per-page 2 --page 2));
is scalar(() = $page =~ /^[0-9a-f-]{36} /mg), 1, 'a page of the list';
like $where, qr/^kith: page 2 of 2; users in all: 3$/, 'says which';
refused "list @$_", qr/number from 1|one filter|unknown option/, '', 'list', @$_
  for [qw(--page 0)], [qw(--page x)], [qw(--per-page)], [qw(a b)], [qw(--nonsense 5)];

# Passwords.
done 'a new password', qr/^ana\@example\.org has a new password/, 'by the sea', qw(password ana@example.org);
is_status $anon->with(token => $session->json->{access_token})->get('/rest/v1/users'), 401, 'signs out everywhere';
is_status sign_in('ana@example.org', 'by the sea'), 200, 'is good';
is_status sign_in('ana@example.org', $odd), 400, 'instead of the old one';
refused 'a password for nobody', qr/no user nobody\@/, 'by the sea', qw(password nobody@example.org);

# Bans.
my $token = sign_in('bea@example.org', '123456')->json->{access_token};
my $bea = $anon->with(token => $token);
is_status $bea->get('/rest/v1/users'), 200, 'before a ban';
done 'a ban', qr/^Bea\@example\.org is banned until \d{4}-\d\d-\d\d \d\d:\d\d$/, '', qw(ban --for 1h30m Bea@example.org);
is_status $bea->get('/rest/v1/users'), 401, 'counts at once';
like +(user('', qw(list bea)))[1], qr/banned until/, 'and is listed';
done 'no ban', qr/is not banned/, '', qw(unban bea@example.org);
is_status $bea->get('/rest/v1/users'), 200, 'at once as well';
like done('bans for ever, by id and address', qr/banned/, '', 'ban', uc $id, 'bea@example.org'), qr/^(?:.* is banned until 21\d\d-.*\n){2}$/, 'of two';
refused 'a ban for what is no duration', qr/ban duration/, '', qw(ban --for 1year ana@example.org);
refused "ban @$_", qr/which user|duration|neither|no user/, '', 'ban', @$_
  for [], [qw(--for)], [qw(--for none ana@example.org)], ['x'], ['../users'], ["' or 1=1 --\@"];

# Deleting.
refused 'deleting without being sure', qr/say --yes/, "yes\n", qw(delete ana@example.org);
refused 'deleting somebody and nobody', qr/no user nobody/, '', qw(delete --yes ana@example.org nobody@example.org);
done 'deleting', qr/^ana\@example\.org is deleted\nbea\@example\.org is deleted$/, '', qw(delete --yes ana@example.org bea@example.org);
is users(), 1, 'they are gone';
done 'deleting softly', qr/is deleted/, '', qw(delete --soft --yes true@example.org);
is $k->sql(q{select coalesce(email, '') || (deleted_at is not null) from auth.users}), 'true', 'leaves a row that tells nothing';
like +(user('', 'list'))[1], qr/ deleted$/m, 'and is listed as that';
refused 'an id that is nobody', qr/not found/i, '', qw(delete --yes 00000000-0000-0000-0000-000000000001);

refused 'another command', qr/unknown command "user promote"/, '', qw(promote);
{
	local $instance->{env}{KITH_HOME} = tempdir(CLEANUP => 1);
	refused 'an instance that does not run', qr/kith up/, 'a long password', qw(add x@example.org);
}

done_testing;
