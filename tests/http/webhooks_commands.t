#!/usr/bin/perl
# kith webhooks: every endpoint can be tried, every event found, and what could
# not be applied is applied once the reason is gone.  kith doctor knows what is
# left to do.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Webhook;
use File::Temp ();
use MIME::Base64 qw(encode_base64);

my $dir = File::Temp->newdir;
chmod 0755, $dir;
my %secrets = (
	stripe => [ 'whsec_new', 'whsec_old' ],
	lemonsqueezy => 'squeezy',
	resend => 'whsec_' . encode_base64('resend', ''),
	telegram => 'tele_gram-1',
	elevenlabs => 'wsec_eleven',
);
my $k = Kith::Test->new(own => 1, env => { Kith::Test::Webhook::settings("$dir", %secrets), KITH_LEMONSQUEEZY_STORE_ID => 77 });
my $instance = $k->instance;
my $stripe = Kith::Test::Webhook->new($k, stripe => 'whsec_new');
my ($ana) = $k->users('ana');

# What a command says, well or not.
sub kith (@arguments) { eval { $instance->kith(@arguments) } // $@ }

# --- is it heard? ------------------------------------------------------------

like kith('doctor'), qr{^note   \Q$_\E has sent nothing yet; .*http://127\.0\.0\.1:\d+/webhooks/$_\b}m, "kith doctor says where $_ is to send events" for sort keys %secrets;
for my $provider (sort keys %secrets) {
	like kith('webhooks', 'test', $provider), qr{^http://127\.0\.0\.1:\d+/webhooks/$provider takes events of $provider: event (\d+) is in the ledger}, "$provider is heard";
}
is $k->sql("select string_agg(distinct outcome, ' ') || ' ' || count(*) from kith.webhook_events"), 'ignored 5', 'what was sent is in the ledger, and what was forged is not';
like kith('doctor'), qr/^note   stripe has sent nothing yet/m, 'a test is nothing that Stripe has sent';
like kith('webhooks', 'test', 'paypal'), qr/^kith: test takes one of: stripe lemonsqueezy resend telegram elevenlabs/m, 'others are not known';
Kith::Test::Webhook::settings("$dir", stripe => 'whsec_other');
like kith('webhooks', 'test', 'stripe'), qr/^kith: .* does not take the secret in .*: kith down; kith up/m, 'a secret that the program does not have is told';
Kith::Test::Webhook::settings("$dir", stripe => ' ');
like kith('webhooks', 'test', 'stripe'), qr/^kith: .* holds no secret/m, 'and so is none';
like kith('doctor'), qr/^wrong  .* holds no secret/m, 'by kith doctor too';
Kith::Test::Webhook::settings("$dir", stripe => $secrets{stripe});
like kith('webhooks', 'test', 'stripe', $k->url . '/webhooks/resend'), qr/^kith: .* does not take the secret/m, 'another provider\'s endpoint takes none of it';
like kith('webhooks', 'test', 'stripe', 'http://127.0.0.1:9/'), qr/^kith: .* does not answer/m, 'nobody there takes nothing';

# --- what came ---------------------------------------------------------------

my $n = 0;
sub subscription ($user, %more) {
	return { id => "evt_commands_$$\_" . ++$n, object => 'event', type => 'customer.subscription.updated', created => time, data => { object => {
		id => "sub_$user", object => 'subscription', customer => "cus_$user", status => 'active', created => time - 60, metadata => { user_id => $user },
		items => { data => [ { current_period_end => time + 3600, price => { id => 'price_commands', metadata => {} } } ] }, %more } } };
}
sub outcome ($outcome) { { received => true, outcome => $outcome } }
sub id_of ($event) { $k->sql("select id from kith.webhook_events where event_id = '$event->{id}'") }

my $later = uuid;
my $parked = subscription($later);
is_json $stripe->send($parked), 200, outcome('unmatched'), 'an event of nobody waits';
my $failed = subscription($ana->id, status => 'on_the_moon');
is_json $stripe->send($failed), 200, outcome('failed'), 'one that makes no sense fails';
my $unmapped = subscription($ana->id);
is_json $stripe->send($unmapped), 200, outcome('applied'), 'one with a price that nobody knows counts';
my $list = kith('webhooks');
like $list, qr/\| stripe +\| customer\.subscription\.updated \|.*\| unmatched +\|/, 'kith webhooks lists what waits';
like $list, qr/\| failed +\| unknown_status +\|/, 'what failed, and why';
like $list, qr/\| applied +\| unmapped_price +\| sub_\S+ \| \Q@{[ $ana->email ]}\E/, 'and what counted, and for whom';
is scalar(() = kith('webhooks', 'list', 'stripe', 'unmatched') =~ /^ *\d+ \|/mg), 1, 'by provider and outcome';
is scalar(() = kith('webhooks', 'list', $ana->email) =~ /^ *\d+ \|/mg), 2, 'by address';
is scalar(() = kith('webhooks', 'list', $ana->id, 'failed') =~ /^ *\d+ \|/mg), 1, 'by id';
is scalar(() = kith('webhooks', 'list', 3) =~ /^ *\d+ \|/mg), 3, 'or the newest few';
like kith('webhooks', 'list', "x' or true"), qr/^kith: "x' or true" is no provider, outcome, user or number/m, 'nothing else is asked for';
my $shown = kith('webhooks', 'show', id_of($failed));
like $shown, qr/^event_id +\| \Q$failed->{id}\E$/m, 'kith webhooks show tells which';
like $shown, qr/"status": "on_the_moon"/, 'and what it said';
like kith('webhooks', 'show', $_), qr/^kith: (?:there is no event|".*" is no number)/m, "there is no event $_" for 999999, '1;drop', 'x';
my $doctor = kith('doctor');
like $doctor, qr/^wrong  events that failed: 1;/m, 'kith doctor tells of what failed';
like $doctor, qr/^wrong  events with a price that buys no plan: 1; kith plans map, then kith webhooks replay unmapped$/m, 'and of what buys nothing';
unlike $doctor, qr/stripe has sent nothing|belong to nobody/, 'not of what may be found in a moment';
$k->sql("update kith.webhook_events set received_at = now() - interval '11 minutes' where outcome = 'unmatched'");
like kith('doctor'), qr/^note   events of payments that belong to nobody: 1; kith webhooks list unmatched$/m, 'but later';

# --- and again ---------------------------------------------------------------

is $k->sql("select plan from public.subscriptions where user_id = '@{[ $ana->id ]}'"), 'free', 'a price that nobody knows buys nothing';
$k->sql("insert into kith.webhook_events (provider, event_id, outcome, payload) values ('stripe', 'evt_done', 'applied', '{}')");
like kith('webhooks', 'replay', id_of({ id => 'evt_done' })), qr/^kith: the others were applied/m, 'what was applied is not applied again';
is kith('webhooks', 'replay', 'unmatched'), "event @{[ id_of($parked) ]} unmatched\nevents applied again: 1\n", 'nobody is nobody for as long as they are';
$k->sql("insert into auth.users (id, email) values ('$later', 'later.$$\@example.org')");
$instance->kith(qw(plans map stripe price_commands pro));
is kith('webhooks', 'replay', 'unmapped'), "event @{[ id_of($unmapped) ]} applied\nevents applied again: 1\n", 'once a price buys something';
is $k->sql("select plan from public.subscriptions where user_id = '@{[ $ana->id ]}'"), 'pro', 'who paid it has that';
is kith('webhooks', 'replay', 'unmapped'), "events applied again: 0\n", 'once';
is kith('webhooks', 'replay', id_of($parked)), "event @{[ id_of($parked) ]} applied\nevents applied again: 1\n", 'who comes later has what they paid for';
is $k->sql("select plan || ' ' || status from public.subscriptions where user_id = '$later'"), 'pro active', 'as it was told before';
is kith('webhooks', 'replay', 'failed'), "event @{[ id_of($failed) ]} failed\nevents applied again: 1\n", 'what made no sense makes none';
is kith('webhooks', 'replay', 'unmatched'), "events applied again: 0\n", 'and nothing waits any more';
like kith('webhooks', 'replay'), qr/^kith: say which events/m, 'not everything at once';
like kith('webhooks', 'replay', '1 or true'), qr/^kith: "1 or true" is no number/m, 'by number';

done_testing;
