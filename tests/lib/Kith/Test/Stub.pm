package Kith::Test::Stub;

# The providers that Kith calls, and a mail server: tests/lib/stub.
#
#     my $stub = Kith::Test::Stub->start;
#     my $k = Kith::Test->new(own => 1, env => { KITH_MAIL_FROM => ..., KITH_SMTP_URL => $stub->smtp });
#     $stub->script(resend => { status => 500 }, { status => 429, headers => { 'retry-after' => 1 } });
#     my @mails = $stub->mails;
#
# What came is a list of hashes as the stub notes them.

use v5.36;
use File::Basename qw(dirname);
use File::Spec;
use HTTP::Tiny;
use IPC::Open2;
use JSON::PP ();

my $program = File::Spec->rel2abs(dirname(__FILE__) . '/../../stub');
my $json = JSON::PP->new->utf8->canonical;

sub start ($class, @options) {
	my $pid = open2(my $out, my $in, $program, @options);
	my $line = <$out> // die "the stub did not start\n";
	return bless { %{ $json->decode($line) }, pid => $pid, in => $in, owner => $$, http_client => HTTP::Tiny->new }, $class;
}

# Addresses for the settings.
sub base ($self, $provider) { "http://127.0.0.1:$self->{http}/$provider" }
sub smtp ($self, $host = '127.0.0.1') { "smtp://$host:$self->{smtp}" }
sub smtps ($self, $host = '127.0.0.1') { "smtps://$host:$self->{smtps}" }
sub https ($self, $provider, $host = '127.0.0.1') { "https://$host:$self->{https}/$provider" }

sub tell ($self, $path, $value) {
	my $reply = $self->{http_client}->put("http://127.0.0.1:$self->{http}$path", { content => $json->encode($value) });
	die "stub: $reply->{content}\n" unless $reply->{success};
	return;
}

# What it answers next, each once; what was left over is forgotten.
sub script ($self, $name, @replies) { $self->tell("/script/$name", \@replies) }
sub limit ($self, $name, $requests, $window_ms) { $self->tell("/limit/$name", { requests => $requests, window_ms => $window_ms }) }
sub objects ($self, $name, %objects) { $self->tell("/objects/$name", \%objects) }
sub clock ($self, $name, $ahead_s) { $self->tell("/clock/$name", { ahead_s => $ahead_s }) }
sub users ($self, %users) { $self->tell('/users', \%users) }

# Everything that came for a provider.
sub record ($self, $provider) {
	my $reply = $self->{http_client}->get("http://127.0.0.1:$self->{http}/record");
	die "stub: $reply->{content}\n" unless $reply->{success};
	return grep { $_->{provider} eq $provider } map { $json->decode($_) } split /\n/, $reply->{content};
}

# Mails that the mail server took.
sub mails ($self) { grep { $_->{raw} } $self->record('smtp') }

# Mails that Resend would have sent: repeated requests are told from the first.
sub sent ($self) { grep { $_->{done} && !$_->{replayed} && $_->{path} eq '/emails' } $self->record('resend') }

sub stop ($self) {
	return if $self->{stopped}++ || $self->{owner} != $$;
	local $?;
	close $self->{in};
	waitpid $self->{pid}, 0;
	return;
}

sub DESTROY ($self) { $self->stop; return }

1;
