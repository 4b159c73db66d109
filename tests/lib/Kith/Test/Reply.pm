package Kith::Test::Reply;

# An answer, with the request it belongs to.

use v5.36;
use JSON::PP ();

my $json = JSON::PP->new->utf8->allow_nonref;

sub new ($class, %fields) { bless {%fields}, $class }

sub status ($self) { $self->{status} }
sub body ($self) { $self->{body} }
sub json ($self) { $json->decode($self->{body}) }
sub method ($self) { $self->{method} }
sub path ($self) { $self->{path} }

# What the client itself wrote, for telling an echo from a leak.
sub sent ($self) { join ' ', $self->{path} // '', $self->{sent} // '' }

sub header ($self, $name) {
	my $value = $self->{headers}{ lc $name };
	return ref $value ? join(', ', @$value) : $value;
}

# Code of an error body, undef when there is none.
sub code ($self) {
	my $body = eval { $self->json };
	return ref $body eq 'HASH' ? $body->{code} : undef;
}

sub message ($self) {
	my $body = eval { $self->json };
	return ref $body eq 'HASH' ? $body->{message} : undef;
}

# For diagnostics: the request, the answer, and those headers that differ between answers.
sub story ($self) {
	my $headers = join '', map { "  $_: " . $self->header($_) . "\n" }
	  grep { /^(?:content-(?:type|length|range)|preference|proxy-|retry-|www-|x-request)/ }
	  sort keys %{ $self->{headers} };
	my $sent = $self->{sent} // '';
	return sprintf "%s %s\n%s-> %s\n%s  %s\n", $self->{method}, substr($self->{path}, 0, 300),
	  $sent =~ /^[\[{]/ ? '  ' . substr($sent, 0, 300) . "\n" : '',
	  $self->{status}, $headers, substr($self->{body}, 0, 1500);
}

1;
