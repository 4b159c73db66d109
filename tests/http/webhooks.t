#!/usr/bin/perl
# Goal: an event counts when its signature is good, once, and every other request
# is told so in one of the ways that the contract lists.  C16
# Signatures made by the providers' own SDKs are in tests/sdk/webhooks.mjs, what
# the events mean in tests/sql/30?_*.sql.

use v5.36;
use Digest::SHA qw(hmac_sha256_hex sha256_hex);
use Encode qw(decode_utf8);
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Kith::Test;
use Kith::Test::Webhook;
use Time::HiRes qw(time);

my $dir = tempdir(CLEANUP => 1);
my %secrets = (
	stripe => ['whsec_new_of_stripe', 'whsec_old_of_stripe'],
	lemonsqueezy => 'squeezed-lemons',
	resend => 'whsec_' . MIME::Base64::encode_base64('a secret of Resend and Svix', ''),
	telegram => 'Telegram_secret-1',
);
my %settings = Kith::Test::Webhook::settings($dir, %secrets, elevenlabs => " \n\t\n");
my $k = Kith::Test->new(own => 1, env => { %settings, KITH_LEMONSQUEEZY_STORE_ID => 77 });
$k->watch->secret('whsec_new_of_stripe', 'squeezed-lemons', 'Telegram_secret-1', 'words of a user');
my %from = map { my $s = $secrets{$_} // 'x'; $_ => Kith::Test::Webhook->new($k, $_, ref $s ? $s->[0] : $s) }
    qw(stripe lemonsqueezy resend telegram elevenlabs);
my $client = $k->client(apikey => undef);
my $json = JSON::PP->new->utf8->canonical;
my $n = 0;
my $reply;

sub outcome ($name) { { received => true, outcome => $name } }
sub event ($type = 'kith.test', %more) { { id => "evt_$$\_" . ++$n, object => 'event', type => $type, created => int time, data => { object => {} }, %more } }
sub ledger ($id) { $k->sql("select outcome || coalesce(' ' || detail, '') from kith.webhook_events where event_id = '$id'") }
sub events { $k->sql('select count(*) from kith.webhook_events') }

# Who may be heard.
is_json $from{elevenlabs}->send({ type => 'voice_removed' }), 404, { code => 'KITH404' }, 'a file of blanks is no secret: nobody is heard';
is_json $from{elevenlabs}->send({ type => 'voice_removed' }, headers => { 'ElevenLabs-Signature' => 't=' . int(time) . ',v0=' . hmac_sha256_hex(int(time) . '.{}', '') }), 404,
    { code => 'KITH404' }, 'least of all with an empty one';
is_json $client->post('/webhooks/paypal', '{}'), 404, { code => 'KITH404' }, 'a provider that is not known';
is_json $client->post($_, '{}'), 404, { code => 'KITH404' }, $_ for '/webhooks', '/webhooks/', '/webhooks/stripe/', '/webhooks/Stripe', '/webhooks/%73tripe';
for my $method (qw(GET PUT PATCH DELETE OPTIONS)) {
	my $reply = $client->send($method => '/webhooks/stripe', undef);
	is_json $reply, 405, { code => 'KITH405' }, "$method is not how events come";
	is_header $reply, allow => 'POST', 'POST is';
}
is $client->head('/webhooks/stripe')->status, 405, 'nor is HEAD';

# One event of each.
my $event = event();
$reply = $from{stripe}->send($event);
is_json $reply, 200, outcome('ignored'), 'an event of Stripe';
is_header $reply, 'access-control-allow-origin' => undef, 'is for no browser';
is ledger($event->{id}), 'ignored', 'it is in the ledger';
is_json $from{stripe}->send($event), 200, outcome('duplicate'), 'its copy';
my $lemon = $json->encode({ meta => { event_name => 'order_created' }, data => { type => 'orders', attributes => { store_id => 77, n => $$ } } });
is_json $from{lemonsqueezy}->send($lemon), 200, outcome('ignored'), 'one of Lemon Squeezy';
is ledger(sha256_hex($lemon)), 'ignored', 'which is known by the digest of its bytes';
is_json $from{lemonsqueezy}->send($lemon), 200, outcome('duplicate'), 'the same bytes are the same event';
is_json $from{lemonsqueezy}->send("$lemon "), 200, outcome('ignored'), 'others are another one';
is_json $from{lemonsqueezy}->send({ meta => { event_name => 'subscription_created' }, data => { type => 'subscriptions', id => '1', attributes => { store_id => 78 } } }), 200,
    outcome('ignored'), 'of another store';
my $id = "msg_$$";
is_json $from{resend}->send({ type => 'contact.created', created_at => '2026-11-20T08:00:02.310Z', data => {} }, id => $id), 200, outcome('ignored'), 'one of Resend';
is ledger($id), 'ignored', 'by its header';
my $update = 900000000 + $$;
is_json $from{telegram}->send({ update_id => $update }), 200, outcome('ignored'), 'one of Telegram';
is ledger($update), 'ignored not a private chat', 'by its number';

# Forged.
my $now = int time;
my $body = $json->encode(event());
my $good = hmac_sha256_hex("$now.$body", 'whsec_new_of_stripe');
my $before = events();
sub stripe_refuses ($header, $name, $sent = $body) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_json $from{stripe}->send($sent, headers => defined $header ? { 'Stripe-Signature' => $header } : {}), 400, { code => 'bad_signature' }, $name;
}
stripe_refuses(undef, 'no signature');
stripe_refuses($_->[1], $_->[0]) for
    [ 'an empty one' => '' ], [ 'no time' => "v1=$good" ], [ 'two times' => "t=$now,t=$now,v1=$good" ], [ 'no number' => "t=now,v1=$good" ],
    [ 'a time with blanks' => "t= $now,v1=$good" ], [ 'only v0' => "t=$now,v0=$good" ], [ 'another version' => "t=$now,v2=$good" ],
    [ 'a bit of it' => "t=$now,v1=" . substr($good, 0, 63) ], [ 'more than it' => "t=$now,v1=${good}0" ], [ 'in capitals' => "t=$now,v1=\U$good" ],
    [ 'another second' => 't=' . ($now + 1) . ",v1=$good" ], [ 'nothing but a comma' => ',' ], [ 'of the body alone' => "t=$now,v1=" . hmac_sha256_hex($body, 'whsec_new_of_stripe') ],
    [ 'with an empty secret' => "t=$now,v1=" . hmac_sha256_hex("$now.$body", '') ], [ 'with that of another provider' => "t=$now,v1=" . hmac_sha256_hex("$now.$body", 'squeezed-lemons') ],
    [ 'with the part behind whsec_' => "t=$now,v1=" . hmac_sha256_hex("$now.$body", 'new_of_stripe') ],
    [ 'twice' => [ "t=$now,v1=$good", "t=$now,v1=$good" ] ];
for my $age (301, 100000, -302) {
	my $at = $now - $age;
	stripe_refuses("t=$at,v1=" . hmac_sha256_hex("$at.$body", 'whsec_new_of_stripe'), "$age seconds old");
}
(my $changed = $body) =~ s/kith\.test/kith.tess/;
stripe_refuses("t=$now,v1=$good", 'a body that was changed', $changed);
stripe_refuses("t=$now,v1=$good", 'a line break more', "$body\n");
is_json $from{lemonsqueezy}->send($lemon, headers => { 'X-Signature' => 'sha256=' . hmac_sha256_hex($lemon, 'squeezed-lemons') }), 400, { code => 'bad_signature' }, 'Lemon Squeezy: with a prefix';
is_json $from{lemonsqueezy}->send($lemon, secret => 'squeezed'), 400, { code => 'bad_signature' }, 'Lemon Squeezy: another secret';
is_json $from{telegram}->send({ update_id => 1 }, secret => $_), 401, { code => 'bad_signature' }, "Telegram: \"$_\"" for '', 'Telegram_secret-2', 'Telegram_secret-', 'Telegram_secret-11';
is_json $from{telegram}->send({ update_id => 1 }, headers => {}), 401, { code => 'bad_signature' }, 'Telegram: none';
is_json $from{resend}->send({ type => 'x' }, at => $now - $_), 400, { code => 'bad_signature' }, "Resend: $_ seconds old" for 301, -302;
my %svix = Kith::Test::Webhook::headers('resend', $secrets{resend}, '{}', id => 'msg_1', at => $now);
is_json $from{resend}->send('{}', headers => { %svix, 'svix-id' => 'msg_2' }), 400, { code => 'bad_signature' }, 'Resend: as another event';
is_json $from{resend}->send('{}', headers => { %svix, 'svix-signature' => $svix{'svix-signature'} =~ s/^v1/v1a/r }), 400, { code => 'bad_signature' }, 'Resend: in another way';
is_json $from{resend}->send('{}', headers => { map { $_ => $svix{$_} } grep { $_ ne 'svix-timestamp' } keys %svix }), 400, { code => 'bad_signature' }, 'Resend: without time';
is events(), $before, 'none of them is in the ledger';

# Good in other ways.
for my $header ("t=$now,v1=$good,v0=" . 'a' x 64, "t=$now,v1=" . 'b' x 64 . ",v1=$good", "v1=$good,t=$now", "t=$now,v1=" . hmac_sha256_hex("$now.$body", 'whsec_old_of_stripe')) {
	my $reply = $from{stripe}->send($body, headers => { 'Stripe-Signature' => $header });
	is $reply->status, 200, "Stripe: $header";
}
$event = $json->encode(event());
is $from{stripe}->send($event, at => $now - 299)->status, 200, 'five minutes are on the way';
my %webhook = Kith::Test::Webhook::headers('resend', $secrets{resend}, '{}', id => "msg_$$\_w", at => $now);
is_json $from{resend}->send('{}', headers => { map { s/^svix/webhook/r => $webhook{$_} } keys %webhook }), 200, outcome('ignored'), 'Resend: by the names of the standard';
is $from{resend}->send('{}', headers => { %webhook, 'svix-signature' => 'v1a,xx v1,' . 'A' x 43 . "= $webhook{'svix-signature'}" })->status, 200, 'Resend: the last of several';

# Bodies.
is_json $from{stripe}->send($_), 400, { code => 'bad_json' }, 'signed, but no object: ' . (substr($_, 0, 20) =~ s/[^ -~]/./gr) for '', '[]', 'null', '"x"', '{', '{}{}', "\xff", "{\"a\":\"\0\"}", '{"a":01}', ('[' x 600);
for my $text ('a\u0000b', '\u0000', 'a\\\\u0000', '\ud800', '\udc00\ud83d', '\ud83d\ude00', '\uD83D\u0041') {
	my $id = 'evt_' . ++$n . "_$$";
	is_json $from{stripe}->send(qq({"id":"$id","object":"event","type":"kith.test","created":1790000000,"data":{"object":{"x":"$text"}}})), 200, outcome('ignored'), "text that cannot be kept as it is: $text";
}
is decode_utf8($k->sql("select string_agg(payload #>> '{data,object,x}', '|' order by id) from kith.webhook_events where event_id like 'evt\\_%\\_$$' and payload #> '{data,object,x}' is not null")),
    "ab||a\\u0000|\x{fffd}|\x{fffd}\x{fffd}|\x{1f600}|\x{fffd}A", 'is kept without what cannot';
is_json $from{stripe}->send({ object => 'event', type => 'kith.test' }), 200, outcome('ignored'), 'an event without an id';
is_json $from{stripe}->send({ object => 'event', type => 'kith.test' }), 200, outcome('duplicate'), 'is known by its digest';
is_json $from{stripe}->send(event('kith.test', id => 'x' x 300)), 200, outcome('ignored'), 'as is one whose id is none';
is_json $from{stripe}->send(event('kith.test', $_ => { deep => [] })), 200, outcome('ignored'), "odd $_" for qw(id type created);
is_json $from{stripe}->send(event('kith.test', created => $_)), 200, outcome('failed'), "no time: $_" for 'yesterday', '99999999999999', -1;
is_json $from{stripe}->send(qq({"id":"evt_big_$$","object":"event","type":"kith.test","created":1790000000,"n":1e999998})), 200, outcome('failed'), 'a number that PostgreSQL does not know';
is $k->sql("select outcome || ' ' || detail from kith.webhook_events order by id desc limit 1"), 'failed 22003', 'is in the ledger';
is_json $from{stripe}->send(event('kith.test', data => { object => 'x' x 900_000 })), 200, outcome('ignored'), 'a large event';
my $large = $json->encode(event('kith.test', data => { object => 'x' x 1_100_000 }));
is $from{stripe}->send($large)->status, 413, 'one that is too large';

# In pieces, without a length.
my $raw = $k->raw(timeout => 10);
$event = $json->encode(event());
my %signature = Kith::Test::Webhook::headers('stripe', 'whsec_new_of_stripe', $event);
my $chunks = join '', map { sprintf "%x\r\n%s\r\n", length, $_ } $event =~ /(.{1,17})/gs;
$raw->send(join "\r\n", 'POST /webhooks/stripe HTTP/1.1', 'Host: ' . ($k->url =~ s{^http://}{}r), 'Transfer-Encoding: chunked', "Stripe-Signature: $signature{'Stripe-Signature'}", '', "${chunks}0\r\n\r\n");
my %answer = $raw->answer('POST');
is $answer{status}, 200, 'a body in chunks';

# Each only what is its own.
is_json $client->post('/webhooks/stripe', $lemon, 'X-Signature' => hmac_sha256_hex($lemon, 'squeezed-lemons')), 400, { code => 'bad_signature' }, 'what Lemon Squeezy signed is nothing at Stripe';
is_json $client->post('/webhooks/stripe', '{}', 'X-Telegram-Bot-Api-Secret-Token' => 'Telegram_secret-1'), 400, { code => 'bad_signature' }, 'nor a token of Telegram';
is $k->service->post('/webhooks/stripe', '{}')->status, 400, 'the service key is no signature';

# A secret is replaced while the program runs.
Kith::Test::Webhook::settings($dir, stripe => 'whsec_newer');
$k->instance->kith('up');
ok poll(10, sub { $from{stripe}->send(event(), secret => 'whsec_newer')->status == 200 }), 'a new secret counts without a restart';
stripe_refuses("t=$now,v1=$good", 'and the old one no longer');
Kith::Test::Webhook::settings($dir, stripe => ' ');
$k->instance->kith('up');
ok poll(10, sub { $from{stripe}->send(event(), secret => 'whsec_newer')->status == 404 }), 'one that was emptied closes the door';
Kith::Test::Webhook::settings($dir, stripe => 'whsec_newer');
$k->instance->kith('up');
ok poll(10, sub { $from{stripe}->send(event(), secret => 'whsec_newer')->status == 200 }), 'until there is one again';

# What keeps us from it may be over soon.
$k->may_answer(503);
my $held = event();
my $session = $k->instance->session;
$session->tell('begin; lock table kith.webhook_events in exclusive mode;');
ok poll(10, sub { $k->sql("select count(*) from pg_locks where relation = 'kith.webhook_events'::regclass and mode = 'ExclusiveLock' and granted") }), 'the ledger is locked';
my $since = time;
$reply = $from{stripe}->send($held, secret => 'whsec_newer');
is_json $reply, 503, { code => 'try_again' }, 'an event has to wait for too long';
is_header $reply, 'retry-after' => 30, 'and comes again';
cmp_ok time - $since, '<', 5, 'which is said within five seconds';
$session->finish;
is_json $from{stripe}->send($held, secret => 'whsec_newer'), 200, outcome('ignored'), 'then it is applied';
is ledger($held->{id}), 'ignored', 'once';
$k->watch->restarts_expected;
$held = event();
for my $part ('postgresql', 'kith-webhooks') {
	$k->instance->end_part($part => 'INT');
	$reply = $from{stripe}->send($held, secret => 'whsec_newer');
	is $reply->status . ' ' . $reply->body, '503 {"code":"try_again"}', "without $part an event has to come again";
	is_header $reply, 'retry-after' => 30, 'later';
}
$k->instance->start_again;
is_json $from{stripe}->send($held, secret => 'whsec_newer'), 200, outcome('ignored'), 'and then it is applied';

done_testing;
