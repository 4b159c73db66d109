package Kith::Test::Compare;

# Compares decoded JSON with what a test expects.

use v5.36;
use Exporter 'import';
use JSON::PP ();

our @EXPORT_OK = qw(difference);

my $json = JSON::PP->new->canonical->allow_nonref->allow_blessed;

# Where and how the two differ, or undef.  1 and "1" differ.
sub difference ($got, $want, $path = 'body') {
	if (ref $want eq 'CODE') {
		return $want->($got) ? undef : "$path: not as expected: " . $json->encode($got);
	}
	if (ref $want eq 'Regexp') {
		return !ref $got && defined $got && $got =~ $want ? undef : "$path: " . $json->encode($got) . " does not match $want";
	}
	if (ref $want eq 'ARRAY' && ref $got eq 'ARRAY') {
		return "$path: " . @$got . ' elements, expected ' . @$want if @$got != @$want;
		for my $i (0 .. $#$want) {
			my $problem = difference($got->[$i], $want->[$i], "$path\[$i]");
			return $problem if $problem;
		}
		return;
	}
	if (ref $want eq 'HASH' && ref $got eq 'HASH') {
		my %keys = (%$got, %$want);
		for my $key (sort keys %keys) {
			return "$path.$key: absent" unless exists $got->{$key};
			return "$path.$key: not expected" unless exists $want->{$key};
			my $problem = difference($got->{$key}, $want->{$key}, "$path.$key");
			return $problem if $problem;
		}
		return;
	}
	my ($g, $w) = map { $json->encode($_) } $got, $want;
	return $g eq $w ? undef : "$path: $g, expected $w";
}

1;
