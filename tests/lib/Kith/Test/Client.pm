package Kith::Test::Client;

# One caller: an apikey, perhaps a token.
#
#     $ana->get($path, Prefer => 'count=exact');
#     $ana->post($path, { content => 'hi' }, Prefer => 'return=representation');
#
# Paths may be written as one reads them: blanks, quotes, braces and letters
# beyond ASCII are encoded here; % and + are sent as they stand.  A body that is
# a reference becomes JSON, text is sent as it is.  A header that is undef is
# left out, a list in [] is sent as repeated lines.  $ana->with(schema => 'essence')
# names the schema with every request.

use v5.36;
use JSON::PP ();

use Kith::Test::Raw;
use Kith::Test::Reply;

my $json = JSON::PP->new->utf8->allow_nonref;

# One kept connection per process and instance, for all clients of a file.
my %kept;

sub new ($class, %fields) { bless {%fields}, $class }

sub name ($self) { $self->{name} }
sub id ($self) { $self->{id} }
sub email ($self) { $self->{email} }
sub token ($self) { $self->{token} }

# The same caller, some fields changed.
sub with ($self, %fields) { (ref $self)->new(%$self, %fields) }

sub get ($self, $path, %headers) { $self->send(GET => $path, undef, %headers) }
sub head ($self, $path, %headers) { $self->send(HEAD => $path, undef, %headers) }
sub del ($self, $path, %headers) { $self->send(DELETE => $path, undef, %headers) }
sub post ($self, $path, $body = undef, %headers) { $self->send(POST => $path, $body, %headers) }
sub patch ($self, $path, $body = undef, %headers) { $self->send(PATCH => $path, $body, %headers) }

# insert and select back: the created rows, dies unless 201.
sub make ($self, $table, $rows) {
	my $reply = $self->post("/rest/v1/$table", $rows, Prefer => 'return=representation');
	die "could not make $table: " . $reply->story unless $reply->status == 201;
	my @made = @{ $reply->json };
	return wantarray ? @made : $made[0];
}

sub encode_path ($path) {
	utf8::encode($path) if utf8::is_utf8($path);
	return $path =~ s{([^!\$&'()*+,\-./0-9:;=?\@A-Z_a-z~%])}{sprintf '%%%02X', ord $1}ger;
}

sub headers ($self) {
	return (
		apikey => $self->{apikey},
		authorization => defined $self->{token} ? "Bearer $self->{token}" : undef,
		'x-request-id' => $self->{k}->next_id,
		'accept-profile' => $self->{schema},
		'content-profile' => $self->{schema},
	);
}

sub send ($self, $method, $path, $body, %headers) {
	my %send = (host => $self->{k}->url =~ s{^http://}{}r, 'user-agent' => 'kith-test', $self->headers);
	if (defined $body) {
		$send{'content-type'} = 'application/json';
		$body = $json->encode($body) if ref $body;
		utf8::encode($body) if utf8::is_utf8($body);
	}
	$send{'content-length'} = length($body // '') if defined $body || $method =~ /^P/;
	$send{ lc $_ } = $headers{$_} for keys %headers;
	my @lines;
	for my $name (sort grep { defined $send{$_} } keys %send) {
		for my $value (ref $send{$name} ? @{ $send{$name} } : $send{$name}) {
			die "a line feed in $name: use raw\n" if $value =~ /[\r\n]/;
			utf8::encode($value) if utf8::is_utf8($value);
			push @lines, "$name: $value";
		}
	}
	my $first = "$method " . encode_path($path) . ' HTTP/1.1';
	my %answer = $self->exchange($method, join "\r\n", $first, @lines, '', $body // '');
	my $reply = Kith::Test::Reply->new(%answer, method => $method, path => $path, sent => $body);
	$self->{k}->watch->saw($reply);
	return $reply;
}

# 599 stands for no answer.  Nothing is sent twice: what was not answered may have been done.
sub exchange ($self, $method, $request) {
	my $raw = delete $kept{$$}{ $self->{k}->url };
	my %none = (status => 599, headers => {});
	if (!$raw || !$raw->usable) {
		$raw = eval { $self->{k}->raw(timeout => 20) } // return (%none, body => "$@");
	}
	my $whole = $raw->send($request);
	my %answer = $raw->answer($method) or return (%none, body => $raw->late ? 'no answer in time' : 'connection closed');
	$kept{$$}{ $self->{k}->url } = $raw if $whole;
	return %answer;
}

1;
