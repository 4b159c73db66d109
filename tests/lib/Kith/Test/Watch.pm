package Kith::Test::Watch;

# What holds for every test file, whatever it tests: collected while it runs,
# asserted at its end.

use v5.36;
use JSON::PP ();
use Sys::Hostname qw(hostname);
use Test::More ();

my $json = JSON::PP->new->utf8;

# Words of the SQL that programs send, and of the machine they run on.
my $leak = qr{/(?:usr|var|tmp|home|run|etc|root|work)/|\.(?:c|h|so|sql|sock)(?::\d+|\b)
	| json_to_record | \bkith_(?:written|api|service|owner)\b | \bset_config\b | \$\d+\b }x;

sub new ($class, $k) {
	my $self = bless { k => $k, broken => [], faults => [], secrets => [], allowed => {} }, $class;
	$self->{offsets}{$_} = -s $_ for $k->instance->logs;
	$self->{parents} = $self->parents;
	return $self;
}

# Those who start and end the processes that serve; what becomes of these is in their log.
sub parents ($self) {
	my $instance = $self->{k}->instance;
	return join ' ', map { "$_(" . ($instance->pid($_) // 'none') . ')' } $instance->executables;
}

# 5xx answers that the test provokes.
sub declare ($self, @statuses) { $self->{allowed}{$_} = 1 for @statuses; return }

# Programs will be killed on purpose.
sub restarts_expected ($self) { $self->{restarts_expected} = 1; return }

# Must not turn up in any log.
sub secret ($self, @texts) { push @{ $self->{secrets} }, @texts; return }

# Called with every answer.
sub saw ($self, $reply) {
	my $status = $reply->status;
	push @{ $self->{faults} }, $reply->story if $status >= 500 && !$self->{allowed}{$status};
	return if $status < 300 || $status == 303 || $status == 304 || $reply->method eq 'HEAD';
	my $problem = $self->error_problem($reply);
	push @{ $self->{broken} }, "$problem\n" . $reply->story if $problem;
	return;
}

sub error_problem ($self, $reply) {
	my $body = eval { $json->decode($reply->body) };
	return 'error body is no JSON object' unless ref $body eq 'HASH';
	my ($code, $message, @more) = $self->error_form($reply, $body);
	for my $key (grep { defined } $code, $message, @more) {
		return "no key $key" unless exists $body->{$key};
		return "$key is neither string nor null" if ref $body->{$key};
	}
	return 'code is empty' unless length($body->{$code} // '');
	return 'message is empty' if $message && !length($body->{$message} // '');
	for my $text (grep { defined && !ref } values %$body) {
		while ($text =~ /($leak)/g) {
			my $found = $1;
			return "tells about the server: $found" if index($reply->sent, $found) < 0;
		}
		my $host = hostname;
		return 'tells the host name' if length $host > 3 && $text =~ /\b\Q$host\E\b/ && index($reply->sent, $host) < 0;
	}
	return;
}

# The keys of an error: the one that names its code, the one that says it in
# words, and others.  The auth program speaks as the SDKs' auth expects: with a
# version of the API in one way, without in another.  Providers that send events
# read no words.  What nginx answers itself is the same everywhere.
sub error_form ($self, $reply, $body) {
	return 'code' if $reply->path =~ m{^/webhooks(?:/|$)} && !exists $body->{hint};
	return qw(code message error statusCode) if $reply->path =~ m{/storage/v1/};
	return qw(code message details hint) if $reply->path !~ m{^/auth/v1/} || exists $body->{hint};
	return $reply->header('x-supabase-api-version') ? qw(code message) : qw(error_code msg code);
}

# What was written to a log since this file began.
sub fresh ($self, $file) {
	open my $f, '<:raw', $file or return;
	seek $f, $self->{offsets}{$file} // 0, 0;
	return <$f>;
}

sub verdict ($self) {
	my $k = $self->{k};
	my $instance = $k->instance;
	my $parents = $self->parents;
	$instance->halt;

	my (@faults, @lines, @reports, $ours);
	my $all = '';
	for my $file ($instance->logs) {
		my $of_program = grep { $_ eq $file } $instance->program_logs;
		my $previous;
		for my $line ($self->fresh($file)) {
			$all .= $line;
			push @reports, $line if $line =~ /Sanitizer|runtime error:|\[emerg\]/;
			push @reports, $line
			  if $line =~ /\bPANIC\b|was terminated by signal|\[alert\]/ && !$self->{restarts_expected};
			next unless $of_program;
			my $entry = eval { $json->decode($line) };
			if (!$entry) {
				# Who is killed may leave half a line, where a page of the file ends.
				push @lines, "$file: $line" unless $self->{restarts_expected};
				next;
			}
			push @lines, 'longer than 1 KiB: ' . $line if length $line > 1024;
			# A process that is put to sleep ends without a word.
			push @reports, $line
			  if ($entry->{message} // '') =~ /^process \d+ of \S+ (?:ended|is stuck)/ && !$self->{restarts_expected};
			next unless ($entry->{id} // '') =~ /^\Q$k->{tag}\E-/;
			$ours++;
			my @missing = grep { !exists $entry->{$_} } qw(ts program pid method route status ms);
			push @lines, "without @missing: $line" if @missing;
			push @faults, $line if ($entry->{status} // 0) >= 500 && !$self->{allowed}{ $entry->{status} };
		}
	}
	# A check that finds nothing to check must not pass.
	push @lines, "no line has an id of this file\n" if !$ours && $k->{count} > 20;
	report($self->{broken}, 'every error is JSON with code and message and tells nothing about the server');    # A10
	report([ @{ $self->{faults} }, @faults ], 'no 5xx but those provoked');    # A6
	report(\@lines, 'every log line of a program is one JSON object of 1 KiB at most');    # G2
	push @reports, "before: $self->{parents}\nafter:  $parents\n"
	  if $parents ne $self->{parents} && !$self->{restarts_expected};
	report(\@reports, 'no crash, no restart, no sanitizer report');
	my @told = grep { index($all, $_) >= 0 } @{ $self->{secrets} };
	report([ map { "$_\n" } @told ], 'no e-mail and no token in any log');    # E9
	return;
}

sub report ($problems, $name) {
	my $shown = @$problems > 5 ? 4 : $#$problems;
	Test::More::ok(!@$problems, $name)
	  or Test::More::diag(scalar(@$problems), " found:\n", map { substr $_, 0, 2000 } @$problems[0 .. $shown]);
	return;
}

1;
