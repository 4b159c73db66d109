#!/usr/bin/perl
# Hints: whoever is refused by a rule reads what holds, in the words of the app.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users('ana', 'ben');
my $conversation = $ana->post('/rest/v1/conversations', {}, Prefer => 'return=representation')->json->[0]{id};

sub hint ($reply) { $reply->json->{hint} }

my $reply = $ana->post('/rest/v1/messages', { conversation_id => $conversation, role => 'robot', content => 'x' });
is_status $reply, 400, '23514', 'a word that is none of the list';
is hint($reply), 'role is one of user, assistant, system.', 'the list is told';
$reply = $ana->post('/rest/v1/memories', { content => 'x', importance => 2 });
is hint($reply), 'importance lies between 0 and 1.', 'a range is told';
$ana->post('/rest/v1/onboarding', { current_step => 1 });
$reply = $ana->post('/rest/v1/onboarding', { current_step => 2 });
is_status $reply, 409, '23505', 'a second row where one is allowed';
like hint($reply), qr/upsert with on_conflict=user_id/, 'the way out is told';
$reply = $ben->post('/rest/v1/messages', { conversation_id => $conversation, role => 'user', content => 'x' });
is_status $reply, 403, '42501', 'a parent of somebody else';
like hint($reply), qr/must be your own/, 'says why';
$reply = $ana->patch('/rest/v1/users?id=not.is.null', { email => 'other@example.org' });
is_status $reply, 403, '42501', 'a column that the server keeps';
like hint($reply), qr/The server keeps it/, 'says why';

$reply = $ana->with(schema => 'companion')->patch('/rest/v1/users?id=not.is.null', { subscription => 'pro' });
is_status $reply, 403, '42501', 'a column that a view makes up';
like hint($reply), qr/The server keeps it/, 'says why';
$reply = $ana->post('/rest/v1/scheduled_messages', { channel => 'email', scheduled_for => 'tomorrow', recipient_email => 'somebody@example.org' });
is_status $reply, 403, '42501', 'a mail to somebody else';
is hint($reply), 'The row, and every row that it refers to, must be your own. recipient_email is your own address, or left out.', 'the policy\'s own words are told';

# A dialect's client is told its own names.
my @profile = ('Content-Profile' => 'companion');
$reply = $ana->post('/rest/v1/user_context', { category => 'work', key => 'job', value => '' }, @profile);
is hint($reply), 'content has 1 to 8000 characters. Here content is called value.', 'what a column is called in the client\'s schema is told';
$reply = $ana->post('/rest/v1/user_context', { category => 'work', key => 'job' }, @profile);
is_status $reply, 400, '23502', 'a column that cannot be null';
is hint($reply), 'Here content is called value.', 'also of a column that is missing';
$reply = $ana->post('/rest/v1/user_context', { key => 'x' x 201, value => 'x' }, @profile);
is hint($reply), 'key has at most 200 characters.', 'a column that has its own name is not explained';
is hint($ana->post('/rest/v1/memories', { content => '' })), 'content has 1 to 8000 characters.', 'nor is one of the table itself';
is hint($ana->post('/rest/v1/memories', {})), undef, 'nor one that is missing there';

# An app's own rules speak in its own words.
my $table = $k->unique('rule');
$k->later(sub { $k->sql("drop table if exists public.$table") });
$k->sql(<<"SQL");
create table public.$table (id int constraint odd check (id % 2 = 1), other int constraint silent check (other > 0));
comment on constraint odd on public.$table is 'Odd numbers only.';
grant insert on public.$table to authenticated;
SQL
is hint($ana->post("/rest/v1/$table", { id => 2 })), 'Odd numbers only.', 'a comment is the hint';
is hint($ana->post("/rest/v1/$table", { other => 0 })), undef, 'without a comment there is none';

done_testing;
