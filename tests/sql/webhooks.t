#!/usr/bin/perl
# Goal: what eight processes are told at once is applied once, in the order of the
# provider's clock, and nobody waits for ever.  A3

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Kith::Test::Sql;
use List::Util qw(shuffle);
use Test::More;

my $json = JSON::PP->new->canonical;
my $tag = $$ . '_' . time;
sql("insert into kith.plan_prices (provider, price_id, plan) values ('stripe', 'price_$tag', 'essential')");

sub subscription ($id, $user, $status, %more) {
	return { id => "sub_$id", object => 'subscription', customer => "cus_$id", status => $status, created => 1790000000, metadata => $user ? { user_id => $user } : {},
		items => { data => [ { current_period_end => 1999999999, price => { id => "price_$tag" } } ] }, %more };
}
sub session ($id, $user) { { id => "cs_$id", object => 'checkout.session', mode => 'subscription', customer => "cus_$id", subscription => "sub_$id", metadata => { user_id => $user } } }
sub event ($id, $type, $object, $created) {
	return [ stripe => "evt_${tag}_$id", $type, $created, $json->encode({ object => 'event', type => $type, created => $created, data => { object => $object } }) ];
}
sub squeezed ($id, $n, $workspace, $at) {
	return [ lemonsqueezy => "ls_${tag}_${id}_$n", 'subscription_updated', $at, $json->encode({ meta => { custom_data => { workspace_id => $workspace } },
		data => { type => 'subscriptions', id => $id, attributes => { customer_id => "c$id", status => 'active', created_at => '2026-11-04T10:00:00Z',
			renews_at => '2099-01-01T00:00:00Z', updated_at => $at } } }) ];
}
# As the program does it: what may work next time is tried again.
sub apply ($event) {
	my ($provider, @arguments) = @$event;
	my $call = join ', ', map { "'" . s/'/''/gr . "'" } @arguments;
	return "do \$\$ declare tries int := 0; begin
	    loop
		begin perform kith.apply_$provider($call); exit;
		exception when deadlock_detected then tries := tries + 1; if tries > 20 then raise; end if; end;
	    end loop;
	end \$\$;\n";
}
sub told ($what) { sql("select string_agg(outcome || ' ' || n, ', ' order by outcome) from (select outcome, count(*) n from kith.webhook_events where event_id like 'evt\\_${tag}\\_$what%' group by 1) o") }
sub plans (@users) {
	my %plans = map { split /:/ } sql("select user_id || ':' || plan || ' ' || status || ' ' || coalesce(stripe_subscription_id, '-') from public.subscriptions");
	return join ', ', map { $plans{$_} } @users;
}

# One event, eight times at once.
my $ana = new_user;
my $event = event('one', 'customer.subscription.created', subscription("a$tag", $ana, 'active'), 1790000001);
my @outcomes = at_once(sub ($n) { "select kith.apply_stripe('" . join("', '", map { s/'/''/gr } @$event[1 .. 4]) . "');\n" });
is_deeply [ sort @outcomes ], [ 'applied', ('duplicate') x 7 ], 'of eight copies one is applied';
is told('one'), 'applied 1', 'and the ledger has one';

# Lives of ten subscriptions, every event three times, in any order.
my @users = map { new_user } 1 .. 10;
my @life = ([ created => 'incomplete' ], [ updated => 'trialing' ], [ updated => 'active' ], [ updated => 'past_due' ], [ updated => 'active' ], [ deleted => 'canceled' ]);
my @events;
for my $u (0 .. $#users) {
	my $last = $u % 2 ? $#life : $#life - 1;
	push @events, map { event("life_${u}_$_", "customer.subscription.$life[$_][0]", subscription("l${tag}_$u", $users[$u], $life[$_][1]), 1790000000 + 10 * $_) } 0 .. $last;
}
my @deliveries = shuffle((@events) x 3);
at_once(sub ($n) { join '', map { apply($deliveries[$_]) } grep { $_ % $writers == $n - 1 } 0 .. $#deliveries });
is sql("select count(*) from kith.webhook_events where event_id like 'evt\\_${tag}\\_life%'"), scalar @events, 'each event is in the ledger once';
is sql("select count(*) from kith.webhook_events where event_id like 'evt\\_${tag}\\_life%' and outcome not in ('applied', 'stale')"), 0, 'applied, or stale';
is plans(@users), join(', ', map { ($_ % 2 ? 'free canceled' : 'essential active') . " sub_l${tag}_$_" } 0 .. $#users), 'and the newest counts';

# The subscription's own events at the same time as the checkout that tells whose it is.
for my $round (1 .. 2) {
	my @buyers = map { new_user } 1 .. 8;
	at_once(sub ($n) {
		# In each session the events of another buyer come first.
		return join '', map {
			my $b = ($_ + $n) % 8;
			my $id = "p${tag}_${round}_$b";
			my @all = (
				event("parked_${round}_${b}_1", 'customer.subscription.created', subscription($id, undef, 'incomplete'), 1790000000),
				event("parked_${round}_${b}_2", 'customer.subscription.updated', subscription($id, undef, 'active'), 1790000001),
				event("parked_${round}_${b}_3", 'invoice.paid', { object => 'invoice', customer => "cus_$id", subscription => "sub_$id" }, 1790000001),
				event("parked_${round}_${b}_4", 'checkout.session.completed', session($id, $buyers[$b]), 1790000002),
			);
			map { apply($_) } @all[ map { ($_ + $n) % 4 } 0 .. 3 ];
		} 0 .. 7;
	});
	unlike told("parked_$round"), qr/unmatched|failed|conflict/, 'nothing is left waiting';
	is plans(@buyers), join(', ', map { "essential active sub_p${tag}_${round}_$_" } 0 .. 7), 'everybody has what they paid for';
}

# Two customers, one workspace: whoever comes first holds it, and no lock is waited for in a circle.
my $owner = new_user;
my $workspace = sql("insert into public.workspaces (name, owner_id) values ('w', '$owner') returning id");
at_once(sub ($n) {
	return join '', map { apply(squeezed("$n$tag", $_, $workspace, sprintf '2026-11-20T08:%02d:%02dZ', $n, $_)) } 1 .. 10;
});
is sql("select count(*) || ' ' || count(distinct object_id) from kith.webhook_events where workspace_id = '$workspace' and outcome in ('applied', 'conflict')"), '80 8', 'eight subscriptions for one workspace';
is sql("select count(distinct object_id) from kith.webhook_events where workspace_id = '$workspace' and outcome = 'applied'"), 1, 'one of them counts';
is sql("select count(*) from public.subscription_events where workspace_id = '$workspace'"), 80, 'all are recorded';

# Accounts that go while events about them come.
my @leaving = map { new_user } 1 .. 8;
my @places = map { sql("insert into public.workspaces (name, owner_id) values ('w', '$_') returning id") } @leaving;
at_once(sub ($n) {
	return join '', map {
		my $i = $_;
		my $b = ($i + $n) % 8;
		(apply(event("gone_${b}_${n}_$i", 'customer.subscription.updated', subscription("g${tag}_$b", $leaving[$b], 'active'), 1790000000 + 10 * $i + $n)),
			apply(squeezed("9$b$tag", "$n$i", $places[$b], sprintf '2026-11-20T09:%02d:%02dZ', $n, $i)),
			$i == 3 ? "delete from auth.users where id = '$leaving[$n - 1]';\n" : ());
	} 0 .. 7;
});
is sql("select count(*) from public.subscriptions where user_id in ('" . join("', '", @leaving) . "')"), 0, 'nothing of them is left';
is sql("select count(*) from kith.webhook_events where event_id like '%${tag}%' and outcome = 'failed'"), 0, 'and nothing failed';
is sql("select count(*) from kith.webhook_events where event_id like 'evt\\_${tag}\\_gone%' and payload is not null and detail is distinct from null"), 0, 'no event of theirs is kept';

sql("delete from kith.webhook_events where event_id like '%\\_${tag}\\_%'; delete from kith.billing_links where subscription_id like '%$tag%'; delete from kith.plan_prices where price_id = 'price_$tag'");
done_testing;
