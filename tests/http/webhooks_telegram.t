#!/usr/bin/perl
# Telegram: a user links the bot, writes to it and reads it in the app; whoever
# does not know the secret is nobody, and nobody reads what another wrote.  A3, A5, C16

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Webhook;
use File::Temp ();

my $dir = File::Temp->newdir;
chmod 0755, $dir;
my ($new, $old) = ('telegram-NEW_secret', 'telegram-OLD_secret');
my $k = Kith::Test->new(own => 1, env => { Kith::Test::Webhook::settings("$dir", telegram => [ $new, $old ]) });
my $telegram = Kith::Test::Webhook->new($k, telegram => $new);
my ($ana, $ben) = $k->users(qw(ana ben));
my $updates = 731000000;
$k->watch->secret($new, $old, 'CANARY-OF-ANA', 'ana_on_telegram');

sub update ($what, $sender, %content) {
	return { update_id => ++$updates, $what => {
		date => time, from => { id => $sender, is_bot => false, username => 'ana_on_telegram' },
		chat => { id => $sender, type => 'private' }, message_id => $updates, %content } };
}
sub says ($sender, $text, %options) { $telegram->send(update(message => $sender, text => $text), %options) }
sub outcome ($outcome) { { received => true, outcome => $outcome } }
sub link_of ($who) { $who->get('/rest/v1/users?select=telegram_user_id,telegram_chat_id,telegram_username') }
sub texts ($who) { [ map { $_->{content} } rows($who->get('/rest/v1/messages?select=content&order=created_at')) ] }

# --- who may speak -----------------------------------------------------------

my ($anas, $bens) = (5200000001, 7000000000000001);
$k->may_answer(400, 401);
is_json says($anas, 'hello', headers => {}), 401, { code => 'bad_signature' }, 'without the secret nobody is heard';
is_status says($anas, 'hello', secret => $_), 401, 'bad_signature', "nor with \"$_\""
  for '', substr($new, 0, -1), "${new}x", lc $new, "$new $old";
is_json says($anas, 'hello'), 200, outcome('unmatched'), 'with it they are, though nobody knows them';
is_json says($anas, 'hello', secret => $old), 200, outcome('unmatched'), 'the secret before is good as well';
is_status $telegram->send('{"update_id":1'), 400, 'bad_json', 'what is no JSON is refused';
is_status $telegram->send('[1]'), 400, 'bad_json', 'and what is no object';
my $reply = $ana->get('/webhooks/telegram');
is_status $reply, 405, 'nothing can be read here';
is_header $reply, 'Allow', 'POST', 'and the answer says what can be done';
is $k->sql('select count(*) from kith.webhook_events'), 2, 'only what was proved is in the ledger';

# --- linking -----------------------------------------------------------------

my $token = $ana->post('/rest/v1/rpc/create_telegram_link_token')->json;
$k->watch->secret($token);
is_json says($anas, "/start $token"), 200, outcome('applied'), 'a token links';
is_json link_of($ana), 200, [ { telegram_user_id => $anas, telegram_chat_id => $anas, telegram_username => 'ana_on_telegram' } ], 'who made it';
is_json link_of($ben), 200, [ { telegram_user_id => undef, telegram_chat_id => undef, telegram_username => undef } ], 'and nobody else';
is_json says($bens, "/start $token"), 200, outcome('ignored'), 'once';
$token = $ben->post('/rest/v1/rpc/create_telegram_link_token')->json;
is_json says($bens, "/start\@kith_bot $token"), 200, outcome('applied'), 'another user links theirs';
is_json link_of($ben), 200, [ { telegram_user_id => $bens, telegram_chat_id => $bens, telegram_username => 'ana_on_telegram' } ],
  'whose numbers need more than 32 bits';

# --- texts -------------------------------------------------------------------

my $text = "CANARY-OF-ANA: \x{1f4a1} 'quoted', \"double\"; drop table users; -- \\ \n\tline two";
is_json says($anas, $text), 200, outcome('applied'), 'a text is taken';
is_deeply texts($ana), [$text], 'as it was written';
is_deeply texts($ben), [], 'for who wrote it';
my $body = '{"update_id":1,"message":{"message_id":1,"date":1790000000,"text":"a\\u0000b","from":{"id":' . $anas
  . ',"is_bot":false},"chat":{"id":' . $anas . ',"type":"private"}}}';
is_json $telegram->send($body), 200, outcome('applied'), 'a NUL in it is no harm';
is_deeply texts($ana), [ $text, 'ab' ], 'and is left out';
is_json $telegram->send($body), 200, outcome('duplicate'), 'an update counts once';
is_json $telegram->send(update(edited_message => $anas, message_id => 1, text => 'edited', edit_date => time)), 200, outcome('applied'), 'an edit is taken';
is_deeply texts($ana), [ $text, 'edited' ], 'in place of it';
is_json $telegram->send(update(edited_message => $bens, message_id => 1, text => 'by ben', edit_date => time)), 200, outcome('applied'),
  'a message of the same number';
is_deeply texts($ana), [ $text, 'edited' ], 'in another chat is another';
is_json $telegram->send(update(message => $anas, text => 'x', message_id => 'x')), 200, outcome('failed'), 'an update that makes no sense does not come again';
is_json $telegram->send(update(message => $anas, chat => { id => $anas, type => 'group' }, text => 'to all')), 200, outcome('ignored'), 'a group is not listened to';
is_json $ana->get('/rest/v1/conversations?select=channel,message_count'), 200, [ { channel => 'telegram', message_count => 2 } ], 'all of it is one conversation';
is $k->sql("select count(*) from kith.jobs where kind = 'reply' and user_id = '@{[ $ana->id ]}'"), 2, 'and each text wants a reply';

# The same update eight times at once, and eight at once.  A3
my $same = update(message => $anas, text => 'once');
my @at_once = map { aside(sub { $telegram->send($same) }) } 1 .. 8;
my %outcomes;
$outcomes{ $_->()->json->{outcome} }++ for @at_once;
is_deeply \%outcomes, { applied => 1, duplicate => 7 }, 'of eight copies at once one counts';
my @updates = map { update(message => $anas, text => "at once $_") } 1 .. 8;
@at_once = map { my $u = $_; aside(sub { $telegram->send($u) }) } @updates;
is_deeply [ map { $_->()->json->{outcome} } @at_once ], [ ('applied') x 8 ], 'eight texts at once all count';
is_json $ana->get('/rest/v1/conversations?select=channel,message_count'), 200, [ { channel => 'telegram', message_count => 11 } ], 'in the one conversation';
is_json $ana->get('/rest/v1/messages?select=sequence_number&order=sequence_number'), 200, [ map { { sequence_number => $_ } } 1 .. 11 ], 'one after the other';

# --- the end -----------------------------------------------------------------

is_json says($anas, '/stop'), 200, outcome('applied'), 'stop unlinks';
is_json link_of($ana), 200, [ { telegram_user_id => undef, telegram_chat_id => undef, telegram_username => undef } ], 'who said it';
is_json $telegram->send(update(my_chat_member => $bens, new_chat_member => { status => 'kicked' })), 200, outcome('applied'), 'so does blocking the bot';
is_json link_of($ben), 200, [ { telegram_user_id => undef, telegram_chat_id => undef, telegram_username => undef } ], 'who did it';
is_json says($anas, 'anybody there?'), 200, outcome('unmatched'), 'and then nobody is known again';
is $k->sql("select string_agg(payload ->> 'notice', ' ' order by id) from kith.jobs where kind = 'telegram_notice' and payload ->> 'chat_id' = '$anas'"),
  'how_to_link linked unlinked', 'the bot has told what happened, and how to link once an hour';
is $k->sql("select count(*) from kith.webhook_events where provider = 'telegram' and (payload is not null or detail like '%CANARY%')"), 0, 'the ledger keeps no words';

# --- by hand -----------------------------------------------------------------

my $instance = $k->instance;
like $instance->kith('webhooks', 'list', 'telegram', 'failed'), qr{\| telegram \|.*\| failed +\| 22P02}, 'kith webhooks lists what failed';
like $instance->kith('webhooks', 'test', 'telegram'),
  qr{^http://127\.0\.0\.1:\d+/webhooks/telegram takes events of telegram: event \d+ is in the ledger, and one with a wrong signature was refused$},
  'kith webhooks test proves that the endpoint works';
ok !eval { $instance->kith('webhooks', 'test', 'stripe') }, 'not one that has no secret';
like $@, qr/^kith: events of stripe are not taken: set KITH_STRIPE_WEBHOOK_SECRET/m, 'which is said';
ok !eval { $instance->kith('webhooks', 'test', 'telegram', $k->url . '/webhooks/nobody') }, 'nor a wrong address';
my $doctor = eval { $instance->kith('doctor') } // $@;
like $doctor, qr/^wrong  events that failed: 1; kith webhooks list failed says why/m, 'kith doctor tells of events that failed';
like $doctor, qr/^note   endpoints without a secret, which answer 404: stripe lemonsqueezy resend elevenlabs$/m, 'and of endpoints without a secret';
unlike $doctor, qr/telegram has sent nothing/, 'telegram has sent something';

done_testing;
