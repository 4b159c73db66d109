package Kith::Test;

# What every HTTP test starts from.
#
#     use Kith::Test;
#     my $k = Kith::Test->new;
#     my ($ana, $ben) = $k->users(qw(ana ben));
#     is_json $ben->get('/rest/v1/messages'), 200, [], 'stranger sees nothing';
#     done_testing;
#
# Kith::Test->new uses the instance that `scripts/kith test` has exported
# (KITH_URL, PGHOST ...), or starts one of its own and stops it at the end.
# Kith::Test->new(own => 1, env => {...}) always starts one: for fault tests and
# for settings that differ.  Test::More's functions are exported too;
# done_testing is ours, since it adds what holds for every test file: no
# undeclared 5xx, no crash, no sanitizer report, every log line is JSON, every
# error has code and message and tells nothing about the server.

use v5.36;
use Exporter 'import';
use JSON::PP ();
use MIME::Base64 ();
use POSIX ();
use Test::More ();
use Time::HiRes qw(time sleep);

use Kith::Test::Client;
use Kith::Test::Compare qw(difference);
use Kith::Test::Instance;
use Kith::Test::Raw;
use Kith::Test::Watch;

binmode $_, ':encoding(UTF-8)' for Test::More->builder->output, Test::More->builder->failure_output;

my @more = qw(ok is isnt like unlike is_deeply cmp_ok pass fail diag note subtest BAIL_OUT);
Test::More->import(import => \@more);
our @EXPORT = (@more, qw(
	done_testing is_json is_text is_status is_refused is_header
	json true false uuid rows poll aside
));

sub true :prototype() () { JSON::PP::true }
sub false :prototype() () { JSON::PP::false }

my $current;    # the test file's Kith::Test, for done_testing

sub new ($class, %options) {
	my $instance =
		!$options{own} && $ENV{KITH_URL}
	  ? Kith::Test::Instance->shared
	  : Kith::Test::Instance->start($options{env} // {});
	my ($file) = $0 =~ m{([^/]+)\.t$};
	my $self = bless {
		instance => $instance,
		tag => join('-', $file // 'adhoc', $$, substr(int(time * 1000), -6)),
		later => [],
		count => 0,
		owner => $$,
	}, $class;
	$self->{watch} = Kith::Test::Watch->new($self);
	return $current = $self;
}

# A name that no other test uses: for tables and functions made by this file.
sub unique ($self, $name) {
	return "${name}_$$" . substr(int($self->{started} //= time), -5);
}

sub instance ($self) { $self->{instance} }
sub env ($self, $name) { $self->{instance}->env($name) }
sub url ($self) { $self->env('KITH_URL') }
sub watch ($self) { $self->{watch} }

# Request ids of this file begin with its tag, so that its log lines are found.
sub next_id ($self) { join '-', $self->{tag}, ++$self->{count} }

# Fresh users, one client each.  Their e-mails occur nowhere else.
sub users ($self, @names) {
	my @emails = map { sprintf '%s.%s.%d@example.org', $_, $self->{tag}, ++$self->{users} } @names;
	my @tokens = split /\n/, $self->{instance}->kith('token', @emails);
	my @clients;
	for my $i (0 .. $#names) {
		push @clients,
		  $self->client(name => $names[$i], email => $emails[$i], token => $tokens[$i], id => claims($tokens[$i])->{sub});
	}
	$self->{watch}->secret(@emails, map { /\.([^.]+)$/ } @tokens);
	return wantarray ? @clients : $clients[0];
}

# A client with the anon key, and whatever is given instead.
sub client ($self, %fields) {
	return Kith::Test::Client->new(k => $self, apikey => $self->env('KITH_ANON_KEY'), %fields);
}

sub anon ($self) { $self->client(name => 'anon') }

sub service ($self) { $self->client(name => 'service', apikey => $self->env('KITH_SERVICE_KEY')) }

# A socket to nginx, for what no HTTP library would send.
sub raw ($self, %options) { Kith::Test::Raw->new($self, %options) }

# Runs SQL as superuser of the private cluster; returns psql's unaligned output.
sub sql ($self, $sql, @more) { $self->{instance}->sql($sql, @more) }

# The row once that is true of it.  When it never becomes so the test ends, with what a program said last.
sub row_when ($self, $program, $row, $true) {
	my $found;
	return $found if poll(60, sub { $true->($found = $row->()) });
	my ($log) = grep { m{/\Q$program\E\.log\z} } $self->{instance}->logs;
	open my $f, '<', $log or die "$log: $!\n";
	my @lines = <$f>;
	splice @lines, 0, -10;
	die 'still ', json($found), "\n", @lines;
}

# Undoes something at the end, also when the test dies.
sub later ($self, $code) { push @{ $self->{later} }, $code; return }

# Answers of these statuses are what this test provokes.
sub may_answer ($self, @statuses) { $self->{watch}->declare(@statuses); return }

sub claims ($token) {
	my (undef, $payload) = split /\./, $token;
	return JSON::PP->new->utf8->decode(MIME::Base64::decode_base64url($payload));
}

sub cleanup ($self) {
	return if $self->{owner} != $$;
	while (my $code = pop @{ $self->{later} }) {
		eval { $code->(); 1 } or Test::More::diag("clean-up: $@");
	}
	return;
}

sub done_testing () {
	if ($current) {
		$current->cleanup;
		$current->{watch}->verdict;
		$current->{instance}->stop;
	}
	return Test::More::done_testing();
}

# Ctrl-C, a deadline or a closed pipe must not leave an instance behind.
$SIG{$_} = sub { exit 130 } for qw(INT TERM HUP PIPE);

END {
	my $status = $?;
	if ($current) {
		$current->cleanup;
		$current->{instance}->stop;
	}
	$? = $status;
}

sub json ($data) { JSON::PP->new->utf8->canonical->allow_nonref->encode($data) }

# Status and whole body.  In the expected data a regular expression stands for
# any string or number that matches, a function for anything it says yes to.
sub is_json ($reply, $status, $want, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $problem;
	if ($reply->status != $status) {
		$problem = 'status ' . $reply->status . ", expected $status";
	} elsif (($reply->header('content-type') // '') !~ m{^application/[\w.+-]*json\b.*; charset=utf-8$}) {
		$problem = 'content type is ' . ($reply->header('content-type') // 'absent');
	} else {
		my $got = eval { $reply->json };
		$problem = $@ ? 'body is not JSON' : difference($got, $want);
	}
	my $ok = Test::More::ok(!$problem, $name);
	Test::More::diag("$problem\n", $reply->story) unless $ok;
	return $ok;
}

# Status and body, byte for byte; '' also demands that no content type is sent.
sub is_text ($reply, $status, $want, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $ok = Test::More::ok(
		$reply->status == $status
		  && $reply->body eq $want
		  && ($want ne '' || !defined $reply->header('content-type')),
		$name
	);
	Test::More::diag("expected $status: $want\n", $reply->story) unless $ok;
	return $ok;
}

# Status alone, and the error's code where one is expected.
sub is_status ($reply, $status, @rest) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $name = pop @rest;
	my ($code) = @rest;
	my $ok = Test::More::ok($reply->status == $status && (!defined $code || ($reply->code // '') eq $code), $name);
	Test::More::diag("expected $status ", $code // '', "\n", $reply->story) unless $ok;
	return $ok;
}

# Any 4xx.
sub is_refused ($reply, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $ok = Test::More::ok($reply->status >= 400 && $reply->status < 500, $name);
	Test::More::diag($reply->story) unless $ok;
	return $ok;
}

# One header: a string to equal, a regular expression to match, undef: absent.
sub is_header ($reply, $header, $want, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $got = $reply->header($header);
	my $ok =
		!defined $want ? !defined $got
	  : ref $want ? ($got // '') =~ $want
	  : defined $got && $got eq $want;
	Test::More::ok($ok, $name);
	Test::More::diag("$header: ", $got // '(absent)', "\n", $reply->story) unless $ok;
	return $ok;
}

# A random id, for rows that a test names itself.
sub uuid :prototype() () {
	return join '-', map { join '', map { sprintf '%04x', int rand 65536 } 1 .. $_ } 2, 1, 1, 1, 3;
}

# Values of one column, or the rows themselves.
sub rows ($reply, $column = undef) {
	my $rows = $reply->json;
	return map { defined $column ? $_->{$column} : $_ } @$rows;
}

# Sends a request from another process; the returned function waits for its answer.
sub aside ($code) {
	my $pid = open my $from, '-|';
	die "fork: $!\n" unless defined $pid;
	if (!$pid) {
		my $reply = $code->();
		syswrite STDOUT, json({ map { $_ => $reply->{$_} } qw(method path status headers body) });
		POSIX::_exit(0);
	}
	return sub {
		my $text = do { local $/; <$from> };
		close $from;
		return Kith::Test::Reply->new(%{ JSON::PP->new->utf8->decode($text) });
	};
}

# Calls the code until it returns something true; its last value, false at the deadline.
sub poll ($seconds, $code) {
	my $end = time + $seconds;
	while (1) {
		my $value = $code->();
		return $value if $value || time > $end;
		sleep 0.02;
	}
}

1;
