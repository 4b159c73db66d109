package Kith::Test::Token;

# Makes tokens, good ones and bad ones: signed by openssl's command, taken apart
# and put together by hand.

use v5.36;
use Digest::SHA qw(hmac_sha256 hmac_sha512);
use Exporter 'import';
use File::Temp ();
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);

our @EXPORT_OK = qw(token b64 ec_key rsa_key jwk_of public_pem);

my $json = JSON::PP->new->utf8->canonical;

sub b64 ($bytes) { encode_base64url($bytes) }

# Header and payload may be data or JSON text; key is { secret } or { pem }.
sub token ($header, $payload, $key) {
	my $signed = join '.', map { b64(ref $_ ? $json->encode($_) : $_) } $header, $payload;
	return $signed . '.' . b64(sign_with($key, $signed));
}

sub sign_with ($key, $text) {
	return '' unless $key;
	if (defined $key->{secret}) {
		my $hmac = ($key->{bits} // 256) == 512 ? \&hmac_sha512 : \&hmac_sha256;
		return $hmac->($text, $key->{secret});
	}
	my $signature = openssl($text, qw(dgst -sha256 -sign), $key->{pem});
	return $key->{rsa} ? $signature : raw_signature($signature);
}

# DER's two integers as 64 bytes (RFC 7518, section 3.4).
sub raw_signature ($der) {
	my $at = 2;
	my @numbers;
	for (1 .. 2) {
		my $length = ord substr $der, $at + 1, 1;
		push @numbers, substr $der, $at + 2, $length;
		$at += 2 + $length;
	}
	return join '', map { substr "\0" x 32 . $_, -32 } @numbers;
}

# Runs openssl with text as its input; its output.
sub openssl ($input, @arguments) {
	my $file = File::Temp->new;
	binmode $file;
	print $file $input;
	close $file;
	my @command = ('openssl', @arguments);
	open my $out, '-|:raw', @command, $arguments[0] eq 'dgst' ? "$file" : ('-in', "$file") or die "openssl: $!";
	my $text = do { local $/; <$out> };
	close $out or die "openssl @arguments failed\n";
	return $text;
}

# Fresh keys: { pem => path, ... }, gone with the returned object.
sub ec_key ($curve = 'prime256v1') { make_key('EC', "ec_paramgen_curve:$curve") }

sub rsa_key ($bits = 2048) {
	my $key = make_key('RSA', "rsa_keygen_bits:$bits");
	$key->{rsa} = 1;
	return $key;
}

sub make_key ($algorithm, $option) {
	my $file = File::Temp->new(SUFFIX => '.pem');
	system("openssl genpkey -algorithm $algorithm -pkeyopt $option -out $file 2>/dev/null") == 0
	  or die "openssl genpkey failed\n";
	return { pem => "$file", file => $file };
}

sub public_pem ($key) { openssl(slurp($key->{pem}), qw(pkey -pubout)) }

# The public JWK of a key.
sub jwk_of ($key, %more) {
	my $text = openssl(slurp($key->{pem}), qw(pkey -noout -text_pub));
	my $bytes = sub ($hex) { pack 'H*', $hex =~ s/[^0-9a-f]//gr };
	if ($key->{rsa}) {
		my ($n) = $text =~ /Modulus:\n((?:\s+[0-9a-f:]+\n)+)/;
		my ($e) = $text =~ /Exponent: (\d+)/;
		return { kty => 'RSA', n => b64($bytes->($n) =~ s/^\0//r), e => b64(pack('N', $e) =~ s/^\0+//r), %more };
	}
	my ($point) = $text =~ /pub:\n((?:\s+[0-9a-f:]+\n)+)/;
	$point = $bytes->($point);
	return { kty => 'EC', crv => 'P-256', x => b64(substr $point, 1, 32), y => b64(substr $point, 33, 32), %more };
}

sub slurp ($path) {
	open my $f, '<:raw', $path or die "$path: $!";
	local $/;
	return <$f>;
}

1;
