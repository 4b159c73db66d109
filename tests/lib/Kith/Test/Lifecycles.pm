package Kith::Test::Lifecycles;

# Lives of subscriptions: what Stripe and Lemon Squeezy send about them, and what
# has to be known in the end.  The fold below is written from the contract alone;
# it shares nothing with the SQL that it is compared with.
#
#     my $lives = Kith::Test::Lifecycles->new(seed => 7, lives => 500, events => 7700, secrets => \%secrets);
#     $k->sql($lives->sql);                       # users, workspaces, prices
#     my @events = $lives->events;                # { provider, id, body, life, tells }
#     my %headers = $lives->headers($event);      # signed now
#     my @wrong = $lives->compare(\%rows);        # id of user or workspace -> its row
#
# Even lives are users at Stripe, odd ones workspaces at Lemon Squeezy.  A life
# has one or two subscriptions, the second after the end of the first.  Events
# share seconds; where two of equal rank do, either may be the newest.

use v5.36;
use Digest::SHA qw(sha256_hex);
use JSON::PP ();
use POSIX qw(strftime);

use Kith::Test::Webhook;

my $json = JSON::PP->new->utf8->canonical;
my %plan_of = (price_chaos_pro => 'pro', price_chaos_essential => 'essential', price_chaos_family => 'family_archive');
my @prices = sort keys %plan_of;
my $day = 86400;

sub new ($class, %o) {
	my $self = bless {%o, begun => time - 30 * $day, lives => [], list => []}, $class;
	srand $o{seed};
	for my $n (1 .. $o{lives}) {
		my $life = { n => $n, uuid => sprintf('c4a05000-0000-4000-8000-%012x', $n), subscriptions => [] };
		$life->{workspace} = sprintf 'c4a05111-0000-4000-8000-%012x', $n;
		# How whose it is can be found: at once, by another event only, or never.
		$life->{known} = $n % 25 == 0 ? 'never' : rand() < 0.4 ? 'later' : 'at once';
		$life->{ours} = $n % 2 ? 'lemonsqueezy' : 'stripe';
		$self->live($life, int($o{events} * $n / $o{lives}) - int($o{events} * ($n - 1) / $o{lives}));
		push @{ $self->{lives} }, $life;
	}
	return $self;
}

sub events ($self) { @{ $self->{list} } }
sub lives ($self, $provider) { grep { $_->{ours} eq $provider } @{ $self->{lives} } }
sub bool ($value) { $value ? JSON::PP::true : JSON::PP::false }
sub one_of (@choices) { $choices[ rand @choices ] }

# A life: so many events, of one subscription or of two that follow each other.
sub live ($self, $life, $events) {
	my $twice = rand() < 0.4;
	my $at = $self->{begun} + int rand $day;
	for my $turn (1 .. 1 + $twice) {
		my $s = { id => $life->{ours} eq 'stripe' ? "sub_chaos_$life->{n}_$turn" : 10 * $life->{n} + $turn, created => $at, told => [] };
		push @{ $life->{subscriptions} }, $s;
		my $ends = $turn == 1 && $twice || rand() < 0.3;
		my $share = int($events / (1 + $twice)) + ($turn == 1 ? $events % (1 + $twice) : 0);
		my $tell = $life->{ours} eq 'stripe' ? \&stripe : \&lemonsqueezy;
		$self->$tell($life, $s, 'created', $at);
		for my $left (reverse 1 .. $share - 1) {
			$at += rand() < 0.35 ? 0 : 1 + int rand 3600;
			my $what = $left == 1 ? ($ends ? 'ended' : 'updated') : $left == $share - 1 || rand() < 0.3 ? 'beside' : 'updated';
			$self->$tell($life, $s, $what, $at);
		}
		$at += 1 + int rand 3600;
	}
	return;
}

# Keeps an event; and, when it tells the state of a subscription, what it told, and when.
sub tell ($self, $provider, $event, $life, $s = undef, $key = undef, $state = undef) {
	my $body = $json->encode($event);
	push @{ $s->{told} }, { key => $key, state => $state } if $key;
	push @{ $self->{list} }, { provider => $provider, id => $event->{id} // sha256_hex($body), body => $body, life => $life,
		tells => defined $key };
	return;
}

# --- Stripe ------------------------------------------------------------------

sub stripe ($self, $life, $s, $what, $at) {
	my $event = { id => sprintf('evt_chaos_%d_%s', ++$self->{count}, $life->{n}), object => 'event', livemode => bool(1), created => $at };
	my %metadata = $life->{known} eq 'at once' ? (user_id => $life->{uuid}) : ();
	if ($what eq 'beside') {
		# The first of them is the one that says whose the subscription is.
		my $first = !$s->{beside}++;
		if ($first) {
			$event->{type} = 'checkout.session.completed';
			$event->{data}{object} = { id => "cs_$s->{id}", object => 'checkout.session', mode => 'subscription', payment_link => undef,
				customer => "cus_chaos_$life->{n}", subscription => $s->{id},
				$life->{known} eq 'never' ? (client_reference_id => 'nobody') : (client_reference_id => $life->{uuid}, metadata => { user_id => $life->{uuid} }) };
		} elsif (rand() < 0.7) {
			$event->{type} = one_of(qw(invoice.paid invoice.payment_failed invoice.payment_action_required));
			$event->{data}{object} = { id => "in_$self->{count}", object => 'invoice', customer => "cus_chaos_$life->{n}",
				rand() < 0.5 ? (subscription => $s->{id})
				: (parent => { type => 'subscription_details', subscription_details => { subscription => $s->{id}, metadata => \%metadata } }) };
		} else {
			$event->{type} = one_of(qw(charge.succeeded customer.updated product.created));
			$event->{data}{object} = { id => "x_$self->{count}", object => 'charge', customer => "cus_chaos_$life->{n}" };
		}
		return $self->tell(stripe => $event, $life);
	}
	my $status =
	    $what eq 'ended' ? 'canceled'
	  : $what eq 'created' ? one_of(qw(incomplete trialing active))
	  : one_of(qw(trialing active active active past_due unpaid paused));
	my $price = one_of(@prices);
	my $period_end = $at + 30 * $day;
	my $cancel_at = rand() < 0.2 ? $at + 20 * $day : undef;
	my $by_flag = rand() < 0.2;
	my $old_shape = $life->{n} % 3 == 0;
	$event->{type} = 'customer.subscription.' . { created => 'created', updated => 'updated', ended => 'deleted' }->{$what};
	$event->{data}{object} = {
		id => $s->{id}, object => 'subscription', status => $status, created => $s->{created}, metadata => \%metadata,
		customer => rand() < 0.9 ? "cus_chaos_$life->{n}" : { id => "cus_chaos_$life->{n}", object => 'customer' },
		cancel_at => $cancel_at, cancel_at_period_end => bool($by_flag), ended_at => $what eq 'ended' ? $at : undef,
		$old_shape ? (current_period_end => $period_end) : (),
		items => { object => 'list', data => [ { id => "si_$s->{id}", price => { id => $price, object => 'price', metadata => {} },
			$old_shape ? () : (current_period_end => $period_end) } ] },
	};
	# What a user has is what this table says; incomplete changes nothing, and is never the last word here.
	my %means = (active => 'active', trialing => 'trialing', past_due => 'past_due', unpaid => 'past_due', paused => 'past_due', canceled => 'canceled');
	my $works = $status =~ /^(?:active|trialing|past_due)$/;
	return $self->tell(
		stripe => $event, $life, $s,
		[ $at, { created => 0, updated => 1, ended => 2 }->{$what} ],
		{
			status => $means{$status} // 'incomplete', plan => $works ? $plan_of{$price} : 'free', live => $works,
			cancel_at_period_end => $by_flag || (defined $cancel_at && $status ne 'canceled') ? 't' : 'f',
			ends => $what eq 'ended' ? $at : $period_end, price => $price, customer => "cus_chaos_$life->{n}",
		}
	);
}

# --- Lemon Squeezy -----------------------------------------------------------

sub iso ($at) { strftime '%Y-%m-%dT%H:%M:%S.000000Z', gmtime $at }

sub lemonsqueezy ($self, $life, $s, $what, $at) {
	my $customer = 900000 + $life->{n};
	# An invoice says nothing of whose it is, nor does one in two subscriptions of those that are found later.
	my $meta = { test_mode => bool(0), webhook_id => 'one-and-the-same' };
	$meta->{custom_data} = rand() < 0.5 ? { workspace_id => $life->{workspace} } : { user_id => $life->{uuid} }
	  if $life->{known} eq 'at once' || $life->{known} eq 'later' && ($what eq 'created' || rand() < 0.5);
	if ($what eq 'beside') {
		delete $meta->{custom_data};
		my $order = rand() < 0.2;
		$meta->{event_name} = $order ? 'order_created' : one_of(qw(subscription_payment_success subscription_payment_failed));
		return $self->tell(lemonsqueezy => { meta => $meta, data => {
			type => $order ? 'orders' : 'subscription-invoices', id => ++$self->{count} . '', attributes => { store_id => $self->{store} + 0,
				customer_id => $customer, $order ? () : (subscription_id => $s->{id} + 0), status => 'paid', updated_at => iso($at) } } }, $life);
	}
	my $status =
	    $what eq 'ended' ? 'expired'
	  : $what eq 'created' ? one_of(qw(on_trial active))
	  : one_of(qw(active active on_trial past_due cancelled paused unpaid));
	my $ends = $status eq 'expired' ? $at : $status eq 'cancelled' ? one_of($self->{begun} + 400 * $day, $self->{begun} - $day) : undef;
	my $renews = $self->{begun} + 500 * $day + $at % 1000;
	my $pause = $status eq 'paused' ? { mode => one_of(qw(free void)), resumes_at => rand() < 0.5 ? iso($renews + $day) : undef } : undef;
	$meta->{event_name} = $what eq 'created' ? 'subscription_created' : $what eq 'ended' ? 'subscription_expired'
	  : one_of('subscription_updated', 'subscription_' . ({ cancelled => 'cancelled', paused => 'paused', active => 'resumed' }->{$status} // 'updated'));
	my $state = {
		live => $status =~ /^(?:on_trial|active|past_due)$/ || $status eq 'cancelled' && $ends > time || $pause && $pause->{mode} eq 'free',
		ends => $status =~ /^(?:cancelled|expired)$/ ? $ends : $pause && $pause->{resumes_at} ? $renews + $day : $renews,
		customer => $customer,
	};
	return $self->tell(
		lemonsqueezy => { meta => $meta, data => { type => 'subscriptions', id => "$s->{id}", attributes => {
			store_id => $self->{store} + 0, customer_id => $customer, status => $status, pause => $pause, trial_ends_at => undef,
			renews_at => iso($renews), ends_at => $ends && iso($ends), created_at => iso($s->{created}), updated_at => iso($at),
			test_mode => bool(0), nonce => ++$self->{count} } } },
		$life, $s, [ $at, { created => 0, updated => 1, ended => 2 }->{$what} ], $state
	);
}

# --- what is sent, and what is to come of it ----------------------------------

# Those of a delivery that begins at this moment.
sub headers ($self, $event) {
	return Kith::Test::Webhook::headers($event->{provider}, $self->{secrets}{ $event->{provider} }, $event->{body});
}

sub sql ($self) {
	my $users = join ', ', map { "('$_->{uuid}', 'chaos.$_->{n}\@example.org')" } @{ $self->{lives} };
	my $workspaces = join ', ', map { "('$_->{workspace}', '$_->{uuid}', 'Life $_->{n}')" } $self->lives('lemonsqueezy');
	my $prices = join ', ', map { "('stripe', '$_', '$plan_of{$_}')" } @prices;
	return "insert into auth.users (id, email) values $users;
		insert into public.workspaces (id, owner_id, name) values $workspaces;
		insert into kith.plan_prices (provider, price_id, plan) values $prices;";
}

# The states that a subscription may be in: the newest, or one of those that are newest together.
sub newest ($s) {
	my ($top) = sort { $b->[0] <=> $a->[0] || $b->[1] <=> $a->[1] } map { $_->{key} } @{ $s->{told} };
	return map { $_->{state} } grep { "@{ $_->{key} }" eq "@$top" } @{ $s->{told} };
}

# Subscriptions whose newest events only the provider can put into order.
sub ties ($self) {
	my @ties;
	for my $life (grep { $_->{known} ne 'never' } @{ $self->{lives} }) {
		for my $s (@{ $life->{subscriptions} }) {
			my %different = map { $json->encode($_) => 1 } newest($s);
			push @ties, [ $life->{ours}, $s->{id} ] if keys %different > 1;
		}
	}
	return @ties;
}

sub expect_stripe ($s, $state) {
	return join ' ', $state->{plan}, $state->{status}, $state->{ends}, $state->{cancel_at_period_end}, $state->{customer}, $s->{id}, $state->{price};
}

sub expect_lemonsqueezy ($s, $state) {
	return join ' ', $state->{live} ? 'pro' : 'free', $state->{ends}, $state->{customer}, $s->{id};
}

# What is wrong with the rows: {id of user or workspace} = its columns with blanks between.
sub compare ($self, $rows) {
	my @wrong;
	for my $life (@{ $self->{lives} }) {
		my $stripe = $life->{ours} eq 'stripe';
		my $got = $rows->{ $life->{ $stripe ? 'uuid' : 'workspace' } } // 'nothing';
		my @possible;
		if ($life->{known} eq 'never') {
			@possible = $stripe ? 'free active  f   ' : 'free   ';
		} else {
			# The row is of the last subscription; of an earlier one only if neither is live.
			my @subscriptions = reverse @{ $life->{subscriptions} };
			for my $s (@subscriptions) {
				my @states = newest($s);
				push @possible, map { $stripe ? expect_stripe($s, $_) : expect_lemonsqueezy($s, $_) } @states;
				last if !grep { !$_->{live} } @states;
			}
		}
		push @wrong, "life $life->{n}, $life->{ours}, known $life->{known}: \"$got\", not \"" . join('" or "', @possible) . '"'
		  unless grep { $_ eq $got } @possible;
	}
	return @wrong;
}

1;
