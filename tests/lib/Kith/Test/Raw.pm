package Kith::Test::Raw;

# A bare connection to nginx: sends bytes as they are, reads answers as they
# come.  Core Perl's HTTP::Tiny would do for most requests, but it writes head
# and body apart, which costs 40 ms a POST, and refuses to send what is odd.

use v5.36;
use Errno ();
use IO::Select;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

use Kith::Test::Reply;

sub new ($class, $k, %options) {
	my ($host, $port) = $k->url =~ m{^http://([^:/]+):(\d+)};
	my $socket = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 5) or die "could not connect: $!";
	$socket->autoflush(1);
	binmode $socket;
	setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
	return bless { k => $k, socket => $socket, buffer => '', timeout => 10, %options }, $class;
}

# Sends as much as the peer takes; false when it has closed.
sub send ($self, @bytes) {
	local $SIG{PIPE} = 'IGNORE';
	my $bytes = join '', @bytes;
	$self->{sent} = substr $bytes, 0, 4096;
	for (my $at = 0 ; $at < length $bytes ;) {
		my $n = syswrite $self->{socket}, $bytes, 65536, $at;
		return 0 unless defined $n || $!{EINTR};
		$at += $n // 0;
	}
	return 1;
}

# The head of a request, from lines without their ends.
sub head ($self, $first, @lines) {
	return join('', map { "$_\r\n" } $first, @lines, '');
}

# Host, keys and request id as a client would send them.
sub caller_lines ($self, $client) {
	my ($host) = $self->{k}->url =~ m{^http://([^/]+)};
	my %headers = $client->headers;
	return ("Host: $host", map { "$_: $headers{$_}" } grep { defined $headers{$_} } sort keys %headers);
}

# Reads what has come, waits for it until the deadline.  A signal cuts neither short.
sub fill ($self) {
	my $select = IO::Select->new($self->{socket});
	while (time < $self->{deadline}) {
		$select->can_read($self->{deadline} - time) or next;
		my $n = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
		next if !defined $n && $!{EINTR};
		$self->{closed} = 1 unless $n;
		return $n;
	}
	$self->{late} = 1;
	return 0;
}

# The next answer, undef when the peer closed without one (or nothing came in time: see late).
sub reply ($self, $method = 'GET') {
	my %answer = $self->answer($method) or return;
	my ($first) = ($self->{sent} // '') =~ /^(.*?)(?:\r\n|\z)/s;
	my $reply = Kith::Test::Reply->new(%answer, method => $method, path => $first, sent => $self->{sent});
	$self->{k}->watch->saw($reply);
	return $reply;
}

# Status, headers and body of the next answer; nothing when there is none.
sub answer ($self, $method) {
	$self->{deadline} = time + $self->{timeout};
	while ($self->{buffer} !~ /\r\n\r\n/) {
		$self->fill or return;
	}
	my ($head) = $self->{buffer} =~ /^(.*?)\r\n\r\n/s;
	substr $self->{buffer}, 0, length($head) + 4, '';
	my ($status_line, @lines) = split /\r\n/, $head;
	my ($status) = $status_line =~ m{^HTTP/1\.[01] (\d+)} or die "no status line: $status_line";
	my %headers;
	for (@lines) {
		my ($name, $value) = /^([^:]+):\s*(.*?)\s*$/;
		$name = lc $name;
		$headers{$name} = exists $headers{$name} ? "$headers{$name}, $value" : $value;
	}
	my $body = '';
	if ($method eq 'HEAD' || $status == 204 || $status == 304 || $status < 200) {
		# no body by definition
	} elsif (($headers{'transfer-encoding'} // '') eq 'chunked') {
		$body = $self->chunks;
	} elsif (defined $headers{'content-length'}) {
		$body = $self->take($headers{'content-length'});
	} else {
		1 while $self->fill;
		$body = $self->{buffer};
		$self->{buffer} = '';
	}
	$self->{closed} = 1 if ($headers{connection} // '') =~ /close/i;
	return (status => $status, headers => \%headers, body => $body);
}

# Can the next request go here?  A peer that has closed makes the socket readable.
sub usable ($self) {
	return !$self->{closed} && $self->{buffer} eq '' && !IO::Select->new($self->{socket})->can_read(0);
}

sub take ($self, $n) {
	while (length $self->{buffer} < $n) {
		$self->fill or last;
	}
	return substr $self->{buffer}, 0, $n, '';
}

sub chunks ($self) {
	my $body = '';
	while (1) {
		while ($self->{buffer} !~ /\r\n/) {
			$self->fill or return $body;
		}
		$self->{buffer} =~ s/^([0-9a-fA-F]+)[^\r]*\r\n// or return $body;
		my $size = hex $1;
		$body .= $self->take($size);
		$self->take(2);
		return $body unless $size;
	}
}

# True when the peer closes within the given time without sending more.
sub closes ($self, $seconds = 5) {
	$self->{deadline} = time + $seconds;
	while (!$self->{closed}) {
		last unless $self->fill || $self->{closed};
	}
	return $self->{closed} && $self->{buffer} eq '';
}

sub late ($self) { $self->{late} }
sub socket ($self) { $self->{socket} }
sub close ($self) { CORE::close $self->{socket}; return }

1;
