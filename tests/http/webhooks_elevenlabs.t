#!/usr/bin/perl
# ElevenLabs: a voice that is gone there is gone here, and whoever cannot sign
# says nothing.  C16

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Webhook;
use File::Temp ();

my $dir = File::Temp->newdir;
chmod 0755, $dir;
my ($new, $old) = ('wsec_new', 'wsec_old');
my $k = Kith::Test->new(own => 1, env => { Kith::Test::Webhook::settings("$dir", elevenlabs => [ $new, $old ]) });
my $elevenlabs = Kith::Test::Webhook->new($k, elevenlabs => $new);
my ($ana, $ben) = $k->users(qw(ana ben));
$k->watch->secret($new, $old);
$k->may_answer(400);

my %voice = map { $_->id => 'voice' . substr $_->id, 0, 8 } $ana, $ben;
for my $who ($ana, $ben) {
	$who->make(profiles => { name => 'Anna', relation => 'mother' });
	$k->sql("update public.profiles set voice_model_status = 'training' where user_id = '@{[ $who->id ]}';
		update public.profiles set voice_model_status = 'ready', elevenlabs_voice_id = '$voice{ $who->id }' where user_id = '@{[ $who->id ]}'");
}

sub removed ($who) { { type => 'voice_removed', event_timestamp => 1790000000, data => { voice_id => $voice{ $who->id } } } }
sub voice_of ($who) { $who->get('/rest/v1/profiles?select=voice_model_status,elevenlabs_voice_id,voice_error') }
sub outcome ($outcome) { { received => true, outcome => $outcome } }
my $ready = sub ($who) { [ { voice_model_status => 'ready', elevenlabs_voice_id => $voice{ $who->id }, voice_error => undef } ] };

for my $case (
	[ 'without a signature', headers => {} ],
	[ 'by another secret', secret => 'wsec_other' ],
	[ 'half an hour ago', at => time - 1860 ],
	[ 'in the future', at => time + 360 ],
	[ 'for another body', headers => { Kith::Test::Webhook::headers(elevenlabs => $new, '{}') } ],
  )
{
	my ($name, %options) = @$case;
	is_status $elevenlabs->send(removed($ana), %options), 400, 'bad_signature', "what was signed $name is refused";
}
is_json voice_of($ana), 200, $ready->($ana), 'and nothing happened';
is_json $elevenlabs->send({ type => 'voice_removal_notice', event_timestamp => 1790000000, data => { voice_id => $voice{ $ana->id } } }), 200,
  outcome('ignored'), 'a notice changes nothing';
is_json $elevenlabs->send(removed($ana), at => time - 1700, secret => $old), 200, outcome('applied'), 'a voice is removed';
is_json voice_of($ana), 200,
  [ { voice_model_status => 'not_submitted', elevenlabs_voice_id => undef, voice_error => 'the voice was removed at ElevenLabs' } ], 'from whose it was';
is_json voice_of($ben), 200, $ready->($ben), 'others keep theirs';
is_json $elevenlabs->send(removed($ana)), 200, outcome('duplicate'), 'the same body is the same event';
is_json $elevenlabs->send({ type => 'voice_removed', event_timestamp => 1790000000, data => {} }), 200, outcome('unmatched'), 'no voice is nobody\'s';
is_json $elevenlabs->send({ type => 'voice_removed', event_timestamp => 'soon', data => {} }), 200, outcome('failed'), 'a time that is none fails';
is_json $elevenlabs->send({ hello => 'world' }), 200, outcome('ignored'), 'what is no event of theirs is ignored';
is $k->sql("select count(*) from kith.webhook_events where payload is not null"), 0, 'the ledger keeps no payload';
like $k->instance->kith('webhooks', 'test', 'elevenlabs'), qr/ takes events of elevenlabs: event \d+ is in the ledger/, 'kith webhooks test proves that the endpoint works';

done_testing;
