#!/usr/bin/perl
# The matrix over HTTP: for every relation and function of every schema, what each of the four may do to the owner's row is
# what SQL says, through nginx and the programs.  Rows, bodies and answers come from tests/sql/over_http.psql.  D1 D2

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users(qw(ana ben));
my %caller = (anon => $k->anon, owner => $ana, stranger => $ben, service => $k->service);
# Of a plan that has room for the rows that are there and those that the matrix makes.
$k->sql("update public.subscriptions set plan = 'family_archive'");
my @return = (Prefer => 'return=representation');

my (@relations, @functions);
for my $line (
	split /\n/,
	$k->instance->run(
		qw(psql -X -f), "$FindBin::Bin/../sql/over_http.psql", '-v', 'owner=' . $ana->id, '-v', 'stranger=' . $ben->id
	)
) {
	my $entry = JSON::PP->new->utf8->decode($line);
	push @{ $entry->{function} ? \@functions : \@relations }, $entry;
}
my %base = map { $_->{base} => $_ } grep { $_->{base} eq $_->{relation} } @relations;
$k->later(sub { $k->sql("delete from public.plans where id <> all ('{free,pro,essential,family_archive}')") });
cmp_ok scalar @relations, '>', 60, 'relations of all schemas';
cmp_ok scalar @functions, '>', 20, 'and functions';

# All rows of the owner's, as the database holds them.
sub content () {
	return $k->sql(join ' union all ', map { "select '$_', to_jsonb(t)::text from $_ t where id::text = '$base{$_}{id}'" } sort keys %base);
}

# What SQL answers, as a status.
sub status ($who, $answer, $done) {
	return $done if $answer =~ /^\d$/;
	return $1 if $answer =~ /^PT(\d+)$/;
	return 409 if $answer eq '23505';
	return $who eq 'anon' ? 401 : 403 if $answer =~ /^(?:42501|42P10)$/;    # an upsert asks for rights first
	return 400;
}

# The answer's rows, if it should have any.
sub agrees ($reply, $who, $answer, $done, $name) {
	my $rows = $reply->status < 300 && length $reply->body ? $reply->json : undef;
	my $want = status($who, $answer, $done);
	my $ok = ok $reply->status == $want && ($want >= 300 || ref $rows eq 'ARRAY' && @$rows == $answer), "$name by $who: $want, $answer";
	diag $reply->story unless $ok;
	return $ok;
}

sub try_relation ($r, $who) {
	my ($schema, $name) = split /\./, $r->{relation};
	my $c = $caller{$who}->with(schema => $schema);
	my $row = "/rest/v1/$name?id=eq.$r->{id}";
	my $expected = $r->{expected}{$who};
	agrees($c->get($row), $who, $expected->{GET}, 200, "$r->{relation}: GET");
	agrees($c->patch($row, $r->{change}, @return), $who, $expected->{PATCH}, 200, "$r->{relation}: PATCH");
	my $made = $c->post("/rest/v1/$name", $r->{bodies}{$who}, @return);
	agrees($made, $who, $expected->{POST}, 201, "$r->{relation}: POST");
	return $c, $row, $name, $made;
}

# Those who may do nothing: nothing is done, whatever they try.
my $before = content();
for my $r (@relations) {
	for my $who (qw(anon stranger)) {
		my ($c, $row, $name) = try_relation($r, $who);
		agrees($c->del($row, @return), $who, $r->{expected}{$who}{DELETE}, 200, "$r->{relation}: DELETE");
		agrees($c->post("/rest/v1/$name", { %{ $r->{bodies}{$who} }, id => $r->{id} }, Prefer => 'resolution=merge-duplicates,return=representation'),
			$who, $r->{expected}{$who}{merge}, 201, "$r->{relation}: upsert");
		next if $who eq 'anon' || $r->{base} eq 'public.plans';
		my $all = $c->get("/rest/v1/$name");
		ok $all->status == 200 && index($all->body, $r->{id}) < 0 && index($all->body, $ana->id) < 0, "$r->{relation}: the stranger's list has nothing of the owner's"
		    or diag $all->story;
	}
}
is content(), $before, 'not a byte of the owner\'s rows changed';

# A program does what SQL answers with 0A000: there it is refused by its arguments, or is the caller's own.
sub try_function ($f, $who) {
	my ($schema, $name) = split /\./, $f->{function};
	my $reply = $caller{$who}->with(schema => $schema)->post("/rest/v1/rpc/$name", $f->{arguments});
	my $answer = $f->{expected}{$who};
	my $want = status($who, $answer, 200);
	my $ok = $answer eq '0A000' ? $reply->status < 500 : $reply->status == $want || $want == 200 && $reply->status == 204;
	ok $ok, "$f->{function}, called by $who: $answer" or diag $reply->story;
	return $reply;
}
my ($gone, @kept) = (grep({ $_->{function} =~ /delete_my_account/ } @functions), grep { $_->{function} !~ /delete_my_account/ } @functions);
for my $f (@kept) {
	try_function($f, 'anon');
	my $reply = try_function($f, 'stranger');
	my $told = grep { index($reply->body, $_) >= 0 && index($reply->sent, $_) < 0 } $ana->id, map { $_->{id} } values %base;
	is $told, 0, "$f->{function}: the stranger hears nothing of the owner's" or diag $reply->story;
}
is content(), $before, 'and no function changed one';

# Those who may: each takes back what it made.  Where there can be one row only, it is put back.
for my $who (qw(owner service)) {
	for my $r (@relations) {
		my ($c, $row, $name, $made) = try_relation($r, $who);
		my $victim = $r->{id};
		my $saved;
		if ($made->status == 201) {
			$victim = $made->json->[0]{id};
		} elsif ($r->{user}) {
			$victim = $k->users('spare')->id;
		} else {
			$saved = $k->sql("select to_jsonb(t) from $r->{base} t where id::text = '$victim'");
		}
		agrees($c->del("/rest/v1/$name?id=eq.$victim", @return), $who, $r->{expected}{$who}{DELETE}, 200, "$r->{relation}: DELETE");
		if ($saved) {
			$saved =~ s/'/''/g;
			$k->sql("insert into $r->{base} select * from jsonb_populate_record(null::$r->{base}, '$saved') on conflict do nothing");
		}
	}
}
for my $f (@kept) {
	try_function($f, $_) for qw(owner service);
}

# D11: an account that goes takes nothing of another's along.
my $rows = sub ($id) { $k->sql("select count(*) from public.conversations where user_id = '$id'") };
my $had = $rows->($ana->id);
cmp_ok $had, '>', 0, 'the owner has a conversation';
try_function($gone, $_) for qw(anon service stranger);
is $rows->($ben->id), 0, 'the stranger\'s account is gone';
is $rows->($ana->id), $had, 'the owner\'s is whole';
try_function($gone, 'owner');
is $rows->($ana->id), 0, 'until the owner asks for it';

done_testing;
