#!/usr/bin/perl
# Reconcile: what the webhooks missed the worker fetches, and applies by the
# provider's clock; what nobody may pay for any more it ends; and a provider that
# is away, rude or of the wrong mode changes nothing.  A3, A4, B12, E9

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Stub;
use File::Temp ();

my $dir = File::Temp->newdir;
chmod 0755, $dir;

sub file ($name, $text) {
	open my $f, '>', "$dir/$name" or die "$name: $!";
	print $f $text;
	close $f;
	chmod 0600, "$dir/$name";
	return "$dir/$name";
}

my $stub = Kith::Test::Stub->start;
my %keys = (
	KITH_STRIPE_API_KEY => file('stripe', "rk_test_KEYCANARY\n"),
	KITH_STRIPE_BASE_URL => $stub->base('stripe'),
	KITH_LEMONSQUEEZY_API_KEY => file('lemonsqueezy', "LEMONCANARY\n"),
	KITH_LEMONSQUEEZY_BASE_URL => $stub->base('lemonsqueezy'),
	KITH_LEMONSQUEEZY_STORE_ID => 77,
);
my $k = Kith::Test->new(own => 1, env => {%keys});
my $instance = $k->instance;
$k->watch->secret(qw(KEYCANARY LEMONCANARY cus_secret words));
my ($ana, $ben, $cleo) = $k->users(qw(ana ben cleo));
my $later = time + 30 * 86400;

$k->sql("insert into kith.plan_prices (provider, price_id, plan) values ('stripe', 'price_1', 'essential')");

sub job ($id) { JSON::PP->new->decode($k->sql("select to_json(j) from kith.jobs j where id = $id")) }
sub ended ($id) { poll(20, sub { job($id)->{status} =~ /^(done|failed)$/ && job($id) }) // job($id) }
sub tried ($id) { poll(20, sub { my $j = job($id); $j->{attempts} && $j->{status} ne 'running' && $j }) // job($id) }
sub enqueue ($kind, $provider, $id) {
	return $k->sql("select kith.enqueue('$kind', '{\"provider\":\"$provider\",\"subscription_id\":\"$id\"}')");
}
sub fetch ($provider, $id) { ended(enqueue(reconcile_subscription => $provider, $id)) }
sub plan ($who) { $k->sql("select concat_ws(' ', plan, status, stripe_subscription_id) from public.subscriptions where user_id = '@{[ $who->id ]}'") }
sub calls ($provider = 'stripe') { $stub->record($provider) }

# A subscription as Stripe has it.
sub stripe ($who, $id, $status, %more) {
	$stub->objects(stripe => $id => {
		id => $id, object => 'subscription', customer => "cus_secret_$id", status => $status, livemode => false, created => time - 3600,
		cancel_at => undef, cancel_at_period_end => false, ended_at => undef, metadata => { user_id => $who->id },
		items => { object => 'list', data => [ { id => 'si_1', quantity => 1, current_period_end => $later, price => { id => 'price_1', object => 'price' } } ] },
		%more,
	});
	return;
}

# And as Lemon Squeezy has it.
sub lemon ($workspace, $id, $status, %more) {
	$stub->objects(lemonsqueezy => "subscriptions/$id" => {
		type => 'subscriptions', id => "$id",
		attributes => {
			store_id => 77, customer_id => 90210, variant_id => 8, status => $status, cancelled => false, pause => undef, test_mode => false,
			renews_at => '2099-12-04T10:00:00.000000Z', ends_at => undef, created_at => '2026-11-04T10:00:00.000000Z', updated_at => '2026-11-20T08:00:01.000000Z', %more,
		},
	});
	return;
}
sub workspace ($id) { $k->sql("select concat_ws(' ', subscription_status, lemonsqueezy_subscription_id) from public.workspaces where id = '$id'") }

# --- what it is, there --------------------------------------------------------

stripe($ana, 'sub_ana', 'active');
my $job = fetch(stripe => 'sub_ana');
is_deeply [ @$job{qw(status attempts last_error)} ], [ 'done', 1, undef ], 'a subscription is fetched';
is plan($ana), 'essential active sub_ana', 'and the user has the plan';
my ($call) = calls;
is "$call->{method} $call->{path}", 'GET /v1/subscriptions/sub_ana', 'as Stripe says it';
is $call->{headers}{authorization}, 'Bearer rk_test_KEYCANARY', 'by our key';
is $call->{text}, '', 'with nothing else to say';

# By the provider's clock: an event of the time in between must not look old.
$stub->clock(stripe => -1000);
stripe($ana, 'sub_ana', 'past_due');
is fetch(stripe => 'sub_ana')->{status}, 'done', 'one whose clock is behind';
is plan($ana), 'essential active sub_ana', 'changes nothing that is newer by it';
$stub->clock(stripe => 1000);
is fetch(stripe => 'sub_ana')->{status}, 'done', 'one whose clock is ahead';
is plan($ana), 'essential past_due sub_ana', 'does';
my $seen = $k->sql("select extract(epoch from seen_at - now())::int from kith.billing_links where subscription_id = 'sub_ana'");
cmp_ok $seen, '>', 900, 'and says when';
cmp_ok $seen, '<=', 998, 'two seconds early';

my $desk = $ana->make(workspaces => { name => 'Desk' })->{id};
$k->sql("update public.workspaces set lemonsqueezy_customer_id = '90210' where id = '$desk'");
lemon($desk, 481223, 'active');
$job = fetch(lemonsqueezy => 481223);
is_deeply [ @$job{qw(status attempts last_error)} ], [ 'done', 1, undef ], 'a subscription of Lemon Squeezy is fetched';
is workspace($desk), 'pro 481223', 'and the workspace is pro';
lemon($desk, 481223, 'expired', ends_at => '2026-11-20T08:00:00.000000Z');
is fetch(lemonsqueezy => 481223)->{status}, 'done', 'what is newer there, or of the same second';
is workspace($desk), 'free 481223', 'counts';
is_json $ana->get("/rest/v1/subscription_events?workspace_id=eq.$desk"), 200, [], 'and is no event that was sent';
lemon($desk, 481224, 'active', store_id => 78);
is fetch(lemonsqueezy => 481224)->{status}, 'done', 'one of another store';
is workspace($desk), 'free 481223', 'is none of ours';

# --- what is not there --------------------------------------------------------

$stub->clock(stripe => 2000);
$job = fetch(stripe => 'sub_none');
is_deeply [ @$job{qw(status last_error)} ], [ 'failed', 'stripe: 404 resource_missing, of the other mode or another account' ], 'one that we never heard of is no news';
$stub->objects(stripe => sub_ana => undef);
is fetch(stripe => 'sub_ana')->{status}, 'done', 'one that Stripe forgot';
is plan($ana), 'free canceled sub_ana', 'has ended';
stripe($ben, 'sub_ben', 'active', livemode => true);
is fetch(stripe => 'sub_ben')->{status}, 'done', 'of the other mode';
$stub->objects(stripe => sub_ben => undef);
is fetch(stripe => 'sub_ben')->{status}, 'failed', 'a key sees nothing';
is plan($ben), 'essential active sub_ben', 'and ends nothing';
is fetch(lemonsqueezy => 999)->{last_error}, 'lemonsqueezy 404', 'Lemon Squeezy forgets none';
is fetch($_->[0], $_->[1])->{last_error}, 'the payload names no subscription', "nothing is asked for $_->[0] $_->[1]"
  for [ paypal => 'sub_1' ], [ stripe => '../customers/cus_1' ], [ stripe => 'a?b' ], [ stripe => '' ];

# --- a provider as it should not be -------------------------------------------

stripe($ben, 'sub_ben', 'trialing');
sub meet ($error, $name, @script) {
	$stub->script(stripe => @script);
	my $id = enqueue(reconcile_subscription => 'stripe', 'sub_ben');
	my $first = tried($id);
	my $last = ended($id);
	is_deeply [ $first->{last_error}, @$last{qw(status last_error)} ], [ $error, 'done', undef ], $name;
	return $last;
}
meet('stripe 500', 'a fault there is tried again', { status => 500, body => { error => { message => 'words' } } });
meet('stripe: the answer is no JSON', 'so is an answer that is none', { body => '<html>words' });
meet("stripe: Server returned nothing (no headers, no data)", 'or that never comes', ({ drop_after_bytes => 0 }) x 2);
$job = meet('stripe 429', 'Stripe is waited for', { status => 429, headers => { 'retry-after' => 1 } });
is $job->{max_attempts}, 6, 'which counts for nothing';
for my $odd ('{}', '[]', '1', '{"object":"subscription","id":"sub_other","status":"active"}', '{"object":"list","data":[]}') {
	$stub->script(stripe => { body => $odd });
	is fetch(stripe => 'sub_ben')->{last_error}, 'stripe: the answer is another subscription', "not what was asked for: $odd";
}
stripe($ben, 'sub_ben', 'shiny');
is fetch(stripe => 'sub_ben')->{last_error}, 'stripe: kith webhooks list failed', 'a status that nobody knows is told';
is plan($ben), 'essential trialing sub_ben', 'and changes nothing';
stripe($ben, 'sub_ben', 'active');

# --- an account that goes -----------------------------------------------------

stripe($cleo, 'sub_cleo', 'active');
$stub->clock(stripe => 3000);
is fetch(stripe => 'sub_cleo')->{status}, 'done', 'somebody who pays';
my $attic = $cleo->make(workspaces => { name => 'Attic' })->{id};
lemon($attic, 481300, 'active');
$k->sql("update public.workspaces set lemonsqueezy_subscription_id = '481300', subscription_status = 'pro' where id = '$attic'");
is_status $cleo->post('/rest/v1/rpc/delete_my_account', {}), 204, 'goes';
my ($one, $two) = map { $k->sql("select id from kith.jobs where key = '$_'") } 'cancel/stripe/sub_cleo', 'cancel/lemonsqueezy/481300';
is ended($one)->{status}, 'done', 'nothing is paid on at Stripe';
($call) = grep { $_->{method} eq 'POST' } calls;
is_deeply [ @$call{qw(path form)} ], [ '/v1/subscriptions/sub_cleo', { cancel_at_period_end => 'true' } ], 'from the end of the period';
is $call->{headers}{'idempotency-key'}, 'cancel/stripe/sub_cleo', 'once';
is ended($two)->{status}, 'done', 'nor at Lemon Squeezy';
ok + (grep { $_->{method} eq 'DELETE' && $_->{path} eq '/v1/subscriptions/481300' } calls('lemonsqueezy')), 'where it is cancelled';
stripe($ben, 'sub_over', 'canceled');
is ended(enqueue(cancel_subscription => 'stripe', 'sub_over'))->{status}, 'done', 'what is over need not be ended';
is ended(enqueue(cancel_subscription => 'lemonsqueezy', 481300))->{status}, 'done', 'there neither';
is ended(enqueue(cancel_subscription => 'stripe', 'sub_none'))->{last_error}, 'stripe 404', 'what is not there may be paid for somewhere else';
$stub->script(stripe => { status => 400 });
is ended(enqueue(cancel_subscription => 'stripe', 'sub_ben'))->{last_error}, 'stripe 400', 'and what is refused goes on: somebody has to look';

# --- what doctor says ---------------------------------------------------------

sub doctor { eval { $instance->kith('doctor') } // $@ }
my $said = doctor();
like $said, qr/^wrong  Lemon Squeezy has no store 77: look at KITH_LEMONSQUEEZY_STORE_ID$/m, 'doctor asks for the store';
like $said, qr/^note   nothing can be bought with Lemon Squeezy: kith plans map lemonsqueezy PRICE PLAN$/m, 'and whether there is anything to buy';
unlike $said, qr/Stripe|bought with stripe/, 'says nothing where all is well';
$stub->objects(lemonsqueezy => 'stores/77' => { type => 'stores', id => '77', attributes => { name => 'Kith' } });
unlike doctor(), qr/Lemon Squeezy has/, 'and is content when it is there';

# --- rounds -------------------------------------------------------------------

$k->watch->restarts_expected;
$stub->clock(stripe => 4000);

# The instance with other settings, after a time in which nobody listened.
sub restart (%env) {
	$k->sql("update kith.reconcile_rounds set went_at = now() - interval '3 minutes'");
	$instance->kith('down');
	@{ $instance->{env} }{ keys %env } = values %env;
	$instance->kith('up');
	return;
}
lemon($desk, 481223, 'active', updated_at => '2026-11-20T09:00:00.000000Z');
$k->sql("update kith.billing_links set raw_status = 'active' where subscription_id = '481223'");
stripe($ben, 'sub_ben', 'past_due');
restart();
ok poll(20, sub { plan($ben) eq 'essential past_due sub_ben' }), 'what happened meanwhile at Stripe is known after a start';
ok poll(20, sub { workspace($desk) eq 'pro 481223' }), 'so it is at Lemon Squeezy';

# A key that is not taken is not tried again and again.
file('stripe', "none\n");
restart();
ok poll(20, sub { grep { $_->{status} == 401 } calls }), 'a key that Stripe does not take';
my $next = tried(enqueue(reconcile_subscription => 'stripe', 'sub_ben'));
is_deeply [ @$next{qw(status last_error)} ], [ 'pending', 'stripe: not called for a while' ], 'leaves jobs as they are';
is scalar(grep { $_->{status} == 401 } calls), 1, 'and is shown once';
like doctor(), qr/^wrong  Stripe does not take the key in KITH_STRIPE_API_KEY$/m, 'but by doctor, who says so';
my $n = () = calls;
lemon($desk, 481223, 'unpaid', updated_at => '2026-11-20T10:00:00.000000Z');
is fetch(lemonsqueezy => 481223)->{status}, 'done', 'while the other provider is asked';
is workspace($desk), 'free 481223', 'as ever';

# Without a key: by the calendar.
$k->sql("update public.subscriptions set status = 'active', cancel_at_period_end = true, current_period_end = now() - interval '4 days' where stripe_subscription_id = 'sub_ben';"
	. "update public.workspaces set subscription_status = 'pro', subscription_expires_at = now() - interval '4 days' where id = '$desk'");
restart(map { $_ => '' } grep { /API_KEY/ } keys %keys);
ok poll(20, sub { plan($ben) eq 'free canceled sub_ben' }), 'without a key what ended ends by the calendar';
ok poll(20, sub { workspace($desk) eq 'free 481223' }), 'of a workspace too';
is fetch(stripe => 'sub_ben')->{status}, 'done', 'nothing is fetched';
my $left = tried(enqueue(cancel_subscription => 'stripe', 'sub_ben'));
is_deeply [ @$left{qw(status last_error)} ], [ 'pending', 'stripe: there is no API key to end it with' ], 'and what has to be ended waits for one';
is scalar(grep { $_->{path} =~ /sub_ben/ } (calls)[ $n .. $#{ [calls] } ]), 0, 'since nobody is called';

done_testing;
