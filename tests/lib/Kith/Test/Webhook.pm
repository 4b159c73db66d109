package Kith::Test::Webhook;

# A provider that sends events: bodies with the headers that prove them.
#
#     my $resend = Kith::Test::Webhook->new($k, resend => $secret);
#     my $reply = $resend->send({ type => 'email.opened', ... }, id => 'msg_1');
#
# A body that is a reference becomes JSON.  Options: id (Resend's event id), at
# (unix time of signing), secret (another one), headers (in place of all).

use v5.36;
use Digest::SHA qw(hmac_sha256 hmac_sha256_hex);
use JSON::PP ();
use MIME::Base64 qw(decode_base64 encode_base64);

my $json = JSON::PP->new->utf8->canonical;
my $count = 0;

# The files that the settings name, one secret in each line, and the settings
# themselves.
sub settings ($dir, %secrets) {
	my %env;
	for my $provider (keys %secrets) {
		open my $f, '>', "$dir/$provider" or die "$provider: $!\n";
		print $f map { "$_\n" } ref $secrets{$provider} ? @{ $secrets{$provider} } : $secrets{$provider};
		close $f;
		chmod 0600, "$dir/$provider";
		$env{ 'KITH_' . uc($provider) . '_WEBHOOK_SECRET' } = "$dir/$provider";
	}
	return %env;
}

sub new ($class, $k, $provider, $secret) {
	return bless { client => $k->client(apikey => undef), provider => $provider, secret => $secret }, $class;
}

sub headers ($provider, $secret, $body, %o) {
	my $at = $o{at} // time;
	my $id = $o{id} // join '_', 'msg', $$, ++$count;
	return ('Stripe-Signature' => "t=$at,v1=" . hmac_sha256_hex("$at.$body", $secret)) if $provider eq 'stripe';
	return ('X-Signature' => hmac_sha256_hex($body, $secret)) if $provider eq 'lemonsqueezy';
	return ('X-Telegram-Bot-Api-Secret-Token' => $secret) if $provider eq 'telegram';
	return ('ElevenLabs-Signature' => "t=$at,v0=" . hmac_sha256_hex("$at.$body", $secret)) if $provider eq 'elevenlabs';
	my $mac = hmac_sha256("$id.$at.$body", decode_base64($secret =~ s/^whsec_//r));
	return ('svix-id' => $id, 'svix-timestamp' => $at, 'svix-signature' => 'v1,' . encode_base64($mac, ''));
}

sub send ($self, $body, %o) {
	$body = $json->encode($body) if ref $body;
	my %headers = $o{headers} ? %{ $o{headers} } : headers($self->{provider}, $o{secret} // $self->{secret}, $body, %o);
	return $self->{client}->post("/webhooks/$self->{provider}", $body, %headers);
}

1;
