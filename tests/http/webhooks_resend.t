#!/usr/bin/perl
# Resend: what becomes of a mail is known here, however late it is told; and who
# does not want mail gets none.  A3, C16

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Stub;
use Kith::Test::Webhook;
use File::Temp ();
use MIME::Base64 qw(encode_base64);

my $dir = File::Temp->newdir;
chmod 0755, $dir;
open my $key, '>', "$dir/key" or die;
print $key "re_test_key\n";
close $key;
chmod 0600, "$dir/key";
my $stub = Kith::Test::Stub->start;
my ($new, $old) = map { 'whsec_' . encode_base64($_ x 3, '') } 'new-secret', 'old-secret';
my $k = Kith::Test->new(
	own => 1,
	env => {
		KITH_MAIL_FROM => 'hi@example.org', KITH_RESEND_API_KEY => "$dir/key", KITH_RESEND_BASE_URL => $stub->base('resend'), KITH_RESEND_RATE => 1000,
		Kith::Test::Webhook::settings("$dir", resend => [ $new, $old ]),
	}
);
my $resend = Kith::Test::Webhook->new($k, resend => $new);
my ($ana, $ben) = $k->users(qw(ana ben));
$k->watch->secret($new, $old);
$k->may_answer(400);

sub outcome ($outcome) { { received => true, outcome => $outcome } }
sub schedule ($who) { $who->make(scheduled_messages => { channel => 'email', scheduled_for => '2026-01-01', subject => 'Your week', content => { text => 'Well done.' } })->{id} }
sub message ($who, $id) { (rows($who->get("/rest/v1/scheduled_messages?id=eq.$id&select=status,failure_reason")))[0] }
sub delivery ($who, $id) { (rows($who->get("/rest/v1/email_delivery_log?scheduled_message_id=eq.$id&select=status,status_updated_at,provider_message_id")))[0] }

# What Resend tells of a mail, so many seconds after the whole minute.
sub event ($type, $request, $second, %data) {
	return { type => "email.$type", created_at => sprintf('2026-11-20T08:00:%06.3fZ', $second), data => {
		email_id => $request->{done}{id} // $request->{id}, to => $request->{body}{to},
		tags => { map { $_->{name} => $_->{value} } @{ $request->{body}{tags} } }, %data } };
}

my $id = schedule($ana);
ok poll(20, sub { message($ana, $id)->{status} eq 'sent' }), 'a mail is sent';
my ($request) = $stub->sent;
$request->{body} = JSON::PP->new->decode($request->{body}) unless ref $request->{body};
my $known = delivery($ana, $id)->{provider_message_id};
ok $known, 'and has a name';
$request->{done} = { id => $known };

# --- who may tell ------------------------------------------------------------

my $delivered = event(delivered => $request, 2.31);
for my $case (
	[ 'without a signature', headers => {} ],
	[ 'by another secret', secret => 'whsec_' . encode_base64('other', '') ],
	[ 'by the secret as it is written', secret => encode_base64($new, '') ],
	[ 'six minutes ago', at => time - 360 ],
	[ 'six minutes ahead', at => time + 360 ],
	[ 'for another body', headers => { Kith::Test::Webhook::headers(resend => $new, '{}') } ],
  )
{
	my ($name, %options) = @$case;
	is_status $resend->send($delivered, %options), 400, 'bad_signature', "what was signed $name is refused";
}
is delivery($ana, $id)->{status}, 'sent', 'and nothing is known by it';

# --- what is told ------------------------------------------------------------

is_json $resend->send($delivered, id => 'msg_1', secret => $old), 200, outcome('applied'), 'a mail is delivered, says an older secret';
is_deeply delivery($ana, $id), { status => 'delivered', status_updated_at => '2026-11-20T08:00:02.31+00:00', provider_message_id => $known }, 'at that time';
is_json $resend->send($delivered, id => 'msg_1'), 200, outcome('duplicate'), 'it is told once';
is_json $resend->send(event(sent => $request, 9)), 200, outcome('stale'), 'what was before comes late';
my ($name, %signed) = ('webhook-', Kith::Test::Webhook::headers(resend => $new, JSON::PP->new->utf8->canonical->encode(my $opened = event(opened => $request, 10)), id => 'msg_2'));
is_json $resend->send($opened, headers => { map { s/^svix-/$name/r => $signed{$_} } keys %signed }), 200, outcome('applied'), 'headers may have their other name';
is delivery($ana, $id)->{status}, 'opened', 'the mail was opened';
is_json $ben->get('/rest/v1/email_delivery_log'), 200, [], 'which is nobody else\'s business';
is_json $resend->send({ type => 'contact.created', created_at => '2026-11-20T08:00:00Z', data => {} }), 200, outcome('ignored'), 'other news are ignored';

# --- who gets none -----------------------------------------------------------

is_json $resend->send(event(bounced => $request, 20, bounce => { type => 'Permanent', subType => 'General', message => 'no such user' })), 200, outcome('applied'),
  'a mail comes back for good';
is_deeply message($ana, $id), { status => 'failed', failure_reason => 'no such user' }, 'so it was not sent, and the user reads why';
my $next = schedule($ana);
ok poll(20, sub { message($ana, $next)->{status} eq 'failed' }), 'the next one is not sent';
is message($ana, $next)->{failure_reason}, 'the address is on the do-not-send list: bounced', 'and the user reads why';
my $bens = schedule($ben);
ok poll(20, sub { message($ben, $bens)->{status} eq 'sent' }), 'others get theirs';
is scalar(() = $stub->sent), 2, 'two mails went out';
my $instance = $k->instance;
like $instance->kith('do-not-send'), qr/^ \Q@{[ $ana->email ]}\E +\| bounced \| no such user \|/m, 'kith do-not-send lists who gets none';
ok !eval { $instance->kith('do-not-send', 'remove', "x' or true; --") }, 'who is not on the list cannot be taken off';
like $@, qr/^kith: "x' or true; --" is not on the list$/m, 'which is said';
is $instance->kith('do-not-send', 'remove', uc $ana->email), '', 'who is, can';
$next = schedule($ana);
ok poll(20, sub { message($ana, $next)->{status} eq 'sent' }), 'and then gets mail again';
is $k->sql('select count(*) from kith.webhook_events where payload is not null'), 0, 'the ledger keeps no payload';
like $instance->kith('webhooks', 'list', $ana->email), qr/\| email\.bounced +\|.*\| applied +\|.*\Q$known\E/, 'but whose it was, and which';
like $instance->kith('webhooks', 'test', 'resend'), qr/ takes events of resend: event \d+ is in the ledger/, 'kith webhooks test proves that the endpoint works';

done_testing;
