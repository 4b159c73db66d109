#!/usr/bin/perl
# Answers larger than memory should hold are refused before anything is written,
# and cost no process its life.  A2, A6, A12, C18

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana) = $k->users('ana');
my $conversation = $ana->make(conversations => { title => 'large' });
my $messages = "/rest/v1/messages?conversation_id=eq.$conversation->{id}";
sub message { { conversation_id => $conversation->{id}, role => 'user', content => shift } }
sub count { $k->sql("select count(*) from public.messages where conversation_id = '$conversation->{id}'") }
sub processes { grep { $_->{name} =~ /^kith-(?:conversations|messages)$/ } $k->instance->programs }
sub pids { join ' ', map { "$_->{name}:$_->{pid}" } processes() }
is_status $ana->get($messages), 200, 'the programs are awake';
my $before = pids();
my @whole = (Prefer => 'return=representation');
my $huge = join ',', map { "c$_:content" } 1 .. 60;

# 40 messages of a megabyte each.
is_status $ana->post('/rest/v1/messages', message('x' x 1_000_000)), 201, 'a megabyte is written' for 1 .. 40;

is_status $ana->get("$messages&limit=8"), 200, '8 MB can be read';
for my $case (
	['many rows', $messages],
	['many rows, counted', $messages, Prefer => 'count=exact'],
	['one row of many columns', "$messages&limit=1&select=$huge"],
	['one row of many embedded ones', "/rest/v1/conversations?select=*,messages(*)&id=eq.$conversation->{id}"],
	['a large CSV', $messages, Accept => 'text/csv'],
	['one embedding object', "/rest/v1/conversations?select=*,messages(*)&id=eq.$conversation->{id}", Accept => 'application/vnd.pgrst.object+json'],
) {
	my ($name, $path, @headers) = @$case;
	is_json $ana->get($path, @headers), 400,
	  { code => '54000', message => 'the answer is too large', details => undef, hint => qr/fewer rows/ }, "$name are refused";
	is_status $ana->get("$messages&select=id&limit=3"), 200, 'and the next request is as ever';
}

# Writes: refused means not done.
is_status $ana->del($messages, @whole), 400, '54000', 'deleting 40 MB and seeing them is refused';
is count(), '40', 'and not done';
is_status $ana->patch($messages, { metadata => { seen => true } }, @whole), 400, '54000', 'nor is changing them';
is $k->sql("select count(*) from public.messages where metadata <> '{}' and conversation_id = '$conversation->{id}'"), '0', 'and not done';
is_status $ana->post("/rest/v1/messages?select=$huge", message('y' x 1_000_000), @whole), 400, '54000', 'nor is a row that select multiplies';
is_status $ana->post('/rest/v1/messages?select=id,conversations(id,messages(*))', message('y'), @whole), 400, '54000', 'or embeds its siblings';
is_status $ana->post('/rest/v1/rpc/append_session_message?select=id,conversations(id,messages(*))',
	{ session_id => $conversation->{id}, role => 'user', content => 'y' }), 400, '54000', 'nor a call that does';
is count(), '40', 'and no row is left of them';
is_status $ana->patch($messages, { metadata => { seen => true } }), 204, 'without their representation it is done';
is_status $ana->del($messages), 204, 'also deleting';
is count(), '0', 'all of them';

# Control characters take six bytes each in JSON, one in PostgreSQL.
is_status $ana->post('/rest/v1/messages', [map { message("\x01" x 16_000) } 1 .. 10]), 201, 'rows that grow are written' for 1 .. 16;
is_status $ana->get($messages), 400, '54000', 'and refused together';
is_status $ana->get("$messages&limit=30"), 200, 'in parts they are read';
is_status $ana->del($messages), 204, 'and deleted';

is pids(), $before, 'no process ended over this';
SKIP: {
	Test::More::skip('a sanitizer takes memory of its own', 1) if ($ENV{KITH_VARIANT} // '') eq 'san';
	my ($most) = sort { $b <=> $a } map { $k->instance->memory($_->{pid}, 'VmHWM') } processes();
	cmp_ok $most, '<', 64 << 10, "the largest process took $most kB";
}

# Each time zone in a value takes 24 kB of a back end, for as long as that lives.
my @zones = map { { started_at => sprintf '2026-01-01 00:00 %s+1', join '', map { chr 65 + rand 26 } 1 .. 6 } } 1 .. 20_000;
is_status $ana->post('/rest/v1/conversations', \@zones), 201, 'many time zones are read';
my @backends = split /\n/, $k->sql("select pid from pg_stat_activity where usename = 'kith_api'");
my ($largest) = sort { $b <=> $a } 0, map { $k->instance->memory($_, 'RssAnon') } @backends;
cmp_ok $largest, '<', 100 << 10, "and forgotten: the largest back end has $largest kB";

done_testing;
