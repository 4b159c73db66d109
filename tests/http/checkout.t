#!/usr/bin/perl
# Checkout and portal: whoever is signed in gets to the provider's page for what
# is theirs; nobody pays twice, nobody is sent anywhere else, and a provider that
# is slow, rude or away stops nothing and tells nothing.  B4, C13, E9

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Stub;
use File::Temp ();
use Time::HiRes qw(time);

my $dir = File::Temp->newdir;
chmod 0755, $dir;

sub file ($name, $text, $mode = 0600) {
	open my $f, '>', "$dir/$name" or die "$name: $!";
	print $f $text;
	close $f;
	chmod $mode, "$dir/$name";
	return "$dir/$name";
}

my $stub = Kith::Test::Stub->start;
my $k = Kith::Test->new(
	own => 1,
	env => {
		KITH_PROCESSES => 1,
		KITH_SITE_URL => 'https://app.example.org/home',
		KITH_REDIRECT_URLS => 'myapp://**,https://*.preview.example.net/**',
		KITH_STRIPE_API_KEY => file('stripe', "sk_test_KEYCANARY\n"),
		KITH_STRIPE_BASE_URL => $stub->base('stripe'),
		KITH_LEMONSQUEEZY_API_KEY => file('lemonsqueezy', "LEMONCANARY\n"),
		KITH_LEMONSQUEEZY_BASE_URL => $stub->base('lemonsqueezy') . '/',
		KITH_LEMONSQUEEZY_STORE_ID => 77,
	}
);
$k->watch->secret(qw(KEYCANARY LEMONCANARY cs_test_ cus_ sub_ price_));
$k->may_answer(502, 503);

$k->sql(<<'END');
insert into kith.plan_prices (provider, price_id, plan) values
	('stripe', 'price_ess_m', 'essential'), ('stripe', 'price_fam_m', 'family_archive'), ('stripe', 'price_fam_y', 'family_archive'),
	('stripe', 'price_gone', 'pro'), ('lemonsqueezy', '8', 'pro'), ('lemonsqueezy', '404', 'essential'), ('lemonsqueezy', 'x"]', 'family_archive');
END

my ($ana, $ben, $cleo, $dan) = $k->users(qw(ana ben cleo dan));
my %back = (success_url => 'https://app.example.org/done?s={CHECKOUT_SESSION_ID}', cancel_url => 'https://app.example.org/plans');

# Attempts of one test are not counted for the next.
sub ask ($who, $what, $body, %headers) {
	$k->sql('delete from kith.rate_limits');
	return $who->post("/functions/v1/$what", $body, %headers);
}
sub checkout ($who, %body) { ask($who, 'checkout', { %back, %body }) }
sub calls ($provider = 'stripe') { $stub->record($provider) }
sub last_call ($provider = 'stripe') { (calls($provider))[-1] }

my $stripe_page = qr{^https://checkout\.stripe\.com/c/pay/cs_test_\w+$};

# --- what is asked of Stripe --------------------------------------------------

is_json checkout($ana, price => 'price_ess_m'), 200, { url => $stripe_page }, 'whoever names a price gets the page to pay on';
my $call = last_call;
my $id = $ana->id;
is "$call->{method} $call->{path}", 'POST /v1/checkout/sessions', 'of a session that is made';
is_deeply $call->{form}, {
	mode => 'subscription',
	line_items => { 0 => { price => 'price_ess_m', quantity => 1 } },
	%back,
	client_reference_id => $id,
	metadata => { user_id => $id },
	subscription_data => { metadata => { user_id => $id } },
	customer_email => $ana->email,
}, 'for this price, this user, and this way back';
is_deeply [ @{ $call->{headers} }{qw(authorization content-type expect)} ], [ 'Bearer sk_test_KEYCANARY', 'application/x-www-form-urlencoded', undef ],
  'by our key, as a form';
like $call->{headers}{'stripe-version'}, qr/^20\d\d-\d\d-\d\d\.\w+$/, 'in one version of the API';
like $call->{headers}{'user-agent'}, qr{^kith/\d}, 'with a name';
like $call->{headers}{'idempotency-key'}, qr/^co:\Q$id\E:price_ess_m:\d{7,8}$/, 'and a key for ten minutes';

# What the key promises holds within ten minutes of the clock; again when they are over meanwhile.
my ($first, $again, $other, $repeated, $window, $replayed);
my %elsewhere = (cancel_url => 'https://app.example.org/other');
do {
	$window = int(time / 600);
	($first, $again) = map { checkout($ben, price => 'price_ess_m') } 1, 2;
	$replayed = last_call->{replayed};
	($other, $repeated) = map { checkout($ben, price => 'price_ess_m', %elsewhere) } 1, 2;
} until int(time / 600) == $window;
is $again->json->{url}, $first->json->{url}, 'a double click is one session';
ok $replayed, 'which Stripe knows by its key';
is_json $other, 200, { url => $stripe_page }, 'the same price for another way back';
isnt $other->json->{url}, $first->json->{url}, 'is another session';
like last_call->{headers}{'idempotency-key'}, qr/^co:\Q${\$ben->id}\E:price_ess_m:\d+:[\w-]{16}$/, 'under another key';
is $repeated->json->{url}, $other->json->{url}, 'and one again when it is repeated';

is_json ask($ana, 'checkout', { plan => 'essential' }), 200, { url => $stripe_page }, 'a plan with one price stands for it';
is_deeply [ @{ last_call->{form} }{qw(success_url cancel_url)} ], [ ('https://app.example.org/home') x 2 ], 'without addresses the way leads back to the app';
is_json ask($ana, 'subscriptions/checkout', { %back, price => 'price_fam_y' }), 200, { url => $stripe_page }, 'the long name is the same';

# Customers.
$k->sql("update public.subscriptions set stripe_customer_id = 'cus_ana' where user_id = '$id'");
is_status checkout($ana, price => 'price_fam_m'), 200, 'a customer of Stripe';
is_deeply [ @{ last_call->{form} }{qw(customer customer_email)} ], [ 'cus_ana', undef ], 'is named, and the address is not';
$stub->objects(stripe => cus_ben => undef);
$k->sql("insert into kith.billing_customers (provider, customer_id, user_id) values ('stripe', 'cus_ben', '@{[ $ben->id ]}')");
is_json checkout($ben, price => 'price_fam_m'), 200, { url => $stripe_page }, 'one who was removed there';
is_deeply [ map { $_->{form}{customer} // $_->{form}{customer_email} } (calls)[ -2, -1 ] ], [ 'cus_ben', $ben->email ], 'becomes a new one';
my $email = 'dan@nowhere' . int rand 1e6;
$k->sql("update auth.users set email = '$email' where id = '@{[ $dan->id ]}'");
$k->watch->secret($email);
is_json checkout($dan, price => 'price_fam_m'), 200, { url => $stripe_page }, 'an address that Stripe does not take';
is last_call->{form}{customer_email}, undef, 'is asked for there';

# --- what cannot be asked -----------------------------------------------------

is_status $k->anon->post('/functions/v1/checkout', { %back, price => 'price_ess_m' }), 401, 'KITH401', 'nobody pays without signing in';
is_status $k->service->post('/functions/v1/checkout', { %back, price => 'price_ess_m' }), 401, 'KITH401', 'nor does the service';
is_status $ana->with(apikey => undef)->post('/functions/v1/checkout', { %back, price => 'price_ess_m' }), 401, 'nor anybody without a key';
is_status $ana->get('/functions/v1/checkout'), 405, 'KITH405', 'only POST buys';
is_status $ana->post('/functions/v1/checkout/x', {}), 404, 'and only here';
my $size = scalar(() = calls);
my @bad = (
	[ '', 'nothing' ], [ '[]', 'an array' ], [ '"price_ess_m"', 'a text' ], [ '{', 'half an object' ], [ '{}', 'nothing to buy' ],
	[ '{"price":"price_ess_m","plan":"essential"}', 'both a price and a plan' ], [ '{"price":1}', 'a number for a price' ],
	[ '{"price":{"a":1}}', 'an object for a price' ], [ '{"price":"a\u0000b"}', 'a NUL' ], [ "{\"price\":\"\xff\"}", 'no UTF-8' ],
	[ '{"plan":"essential","success_url":1}', 'a number for a URL' ], [ '{"plan":"essential","workspace_id":"x"}', 'a workspace that is no id' ],
	[ '{"plan":"essential","workspace_id":[]}', 'a list for a workspace' ], [ '{"price":"price_none"}', 'a price that is not mapped' ],
	[ '{"price":"price_ess_m\'; drop table users --"}', 'SQL' ], [ '{"plan":"gold"}', 'a plan that is none' ], [ '{"plan":"free"}', 'a plan without a price' ],
	[ '{"price":""}', 'an empty price' ], [ '{"price":"8"}', 'a price of the other provider' ], [ '{"plan":"family_archive"}', 'a plan with two prices' ],
	[ '[' x 1000, 'deep nesting' ], [ '{"price":"' . 'x' x 10000 . '"}', 'a price without end' ],
);
is_status ask($ana, 'checkout', $_->[0]), 400, "refused: $_->[1]" for @bad;
is_status ask($ana, 'checkout', '{"price":"' . 'x' x 20000 . '"}'), 413, 'more than anybody has to say is too large';
is_json ask($ana, 'checkout', { plan => 'family_archive' }), 400,
  { code => '22023', message => 'the plan "family_archive" has more than one price', details => undef, hint => 'Name one of them: price_fam_m, price_fam_y.' },
  'a choice is said';

for my $url ('https://evil.example', 'https://app.example.org.evil.example/', 'https://app.example.org@evil.example/', '//evil.example', 'javascript:alert(1)',
	'https://app.example.org\@evil.example', 'http://app.example.org/', 'https://app.example.org:444/', "https://app.example.org/\r\nX: y", 'https://app.example.org/../x',
	'data:text/html,x', '', 'https://evil.example/{CHECKOUT_SESSION_ID}', 'https://{CHECKOUT_SESSION_ID}', 'https://a.b.preview.example.net/') {
	is_status ask($ana, 'checkout', { price => 'price_ess_m', $_ => $url }), 400, 'KITH400', "$_ may not be " . json($url) for qw(success_url cancel_url);
	is_status ask($ana, 'portal', { return_url => $url }), 400, 'KITH400', 'nor may return_url';
}
is scalar(() = calls), $size, 'none of this reached Stripe';
is_status ask($dan, 'checkout', { price => 'price_ess_m', success_url => 'https://x.preview.example.net/a', cancel_url => 'https://app.example.org' }), 200,
  'what the settings list is allowed';
is_json ask($dan, 'checkout', { price => 'price_ess_m', success_url => 'myapp://done' }), 400,
  { code => 'KITH400', message => 'the payment provider does not take that success_url', details => undef, hint => undef }, 'unless Stripe does not take it';

# --- once ---------------------------------------------------------------------

my $refusal = { code => 'PT409', message => 'there is a subscription already', details => undef, hint => qr{POST /functions/v1/portal} };
for my $status (qw(active trialing past_due unpaid paused)) {
	$k->sql("delete from kith.billing_links; insert into kith.billing_links (provider, subscription_id, user_id, raw_status) values ('stripe', 'sub_x', '@{[ $cleo->id ]}', '$status')");
	is_json checkout($cleo, price => 'price_fam_m'), 409, $refusal, "nobody who has one that is $status buys a second one";
}
for my $status (qw(canceled incomplete incomplete_expired)) {
	$k->sql("update kith.billing_links set raw_status = '$status'");
	is_status checkout($cleo, price => 'price_fam_m'), 200, "whoever had one that is $status does";
}
$k->sql("delete from kith.billing_links; update public.subscriptions set stripe_subscription_id = 'sub_old' where user_id = '@{[ $cleo->id ]}'");
is_json checkout($cleo, price => 'price_fam_m'), 409, $refusal, 'one that was imported counts as its row says';
$k->sql("update public.subscriptions set status = 'canceled' where user_id = '@{[ $cleo->id ]}'");
is_status checkout($cleo, price => 'price_fam_m'), 200, 'and not when it is canceled';
is_status checkout($ana, price => 'price_fam_m'), 200, 'others are not concerned';

# --- the portal ---------------------------------------------------------------

my $portal_page = qr{^https://billing\.stripe\.com/p/session/\w+$};
is_json ask($dan, 'portal', {}), 404, { code => 'PT404', message => 'there is no customer yet', details => undef, hint => qr{POST /functions/v1/checkout} },
  'nobody has a portal who never bought';
is_json ask($ana, 'portal', { return_url => 'https://app.example.org/plans' }), 200, { url => $portal_page }, 'a customer has one';
$call = last_call;
is_deeply [ "$call->{method} $call->{path}", $call->{form} ], [ 'POST /v1/billing_portal/sessions', { customer => 'cus_ana', return_url => 'https://app.example.org/plans' } ],
  'of their own';
my $key = $call->{headers}{'idempotency-key'};
is_json ask($ana, 'subscriptions/portal', {}), 200, { url => $portal_page }, 'again';
is last_call->{form}{return_url}, 'https://app.example.org/home', 'with the way back to the app';
isnt last_call->{headers}{'idempotency-key'}, $key, 'made per click';
is_json ask($ben, 'portal', {}), 404, { code => 'KITH404', message => 'the payment provider knows no such customer', details => undef, hint => undef },
  'one who was removed there has none';

# --- Lemon Squeezy ------------------------------------------------------------

my $workspace = $ana->make(workspaces => { name => 'Desk' });
my $w = $workspace->{id};
my $lemon_page = qr{^https://store\.lemonsqueezy\.com/checkout/custom/[\w-]+\?signature=x$};
is_json checkout($ana, workspace_id => $w, plan => 'pro'), 200, { url => $lemon_page }, 'a workspace is paid for at Lemon Squeezy';
$call = last_call('lemonsqueezy');
is "$call->{method} $call->{path}", 'POST /v1/checkouts', 'by a checkout of its own';
like delete $call->{body}{data}{attributes}{expires_at}, qr/^20\d\d-\d\d-\d\dT[\d:.]+Z$/, 'that ends';
is_deeply $call->{body}, { data => {
	type => 'checkouts',
	attributes => {
		checkout_data => { email => $ana->email, custom => { user_id => $id, workspace_id => $w } },
		product_options => { redirect_url => $back{success_url}, enabled_variants => [8] },
	},
	relationships => { store => { data => { type => 'stores', id => '77' } }, variant => { data => { type => 'variants', id => '8' } } },
} }, 'for this workspace, and this variant';
is_deeply [ @{ $call->{headers} }{qw(authorization accept content-type)} ], [ 'Bearer LEMONCANARY', ('application/vnd.api+json') x 2 ], 'by our key, in JSON:API';
$k->sql("update public.workspaces set owner_email = 'not an address' where id = '$w'");
is_json checkout($ana, workspace_id => $w, price => '8'), 200, { url => $lemon_page }, 'an address that is not taken';
is last_call('lemonsqueezy')->{body}{data}{attributes}{checkout_data}{email}, undef, 'is asked for there';
is_json checkout($ben, workspace_id => $w, plan => 'pro'), 404, { code => 'PT404', message => 'there is no such workspace', details => undef, hint => undef },
  'a stranger cannot pay for it';
is_status checkout($ana, workspace_id => uuid, plan => 'pro'), 404, 'PT404', 'nor anybody for none';
is_status checkout($ana, workspace_id => $w, plan => 'family_archive'), 400, '22023', 'a variant is a number';
is_status checkout($ana, workspace_id => $w, price => 'price_ess_m'), 400, '22023', 'and not a price of Stripe';
is_status checkout($ana, workspace_id => $w, plan => 'essential'), 502, 'KITH502', 'one that is not there is our fault';
is_status ask($ana, 'checkout', { workspace_id => $w, plan => 'pro', success_url => 'myapp://x' }), 400, 'KITH400', 'an address that is not taken is not';
is_status ask($ana, 'portal', { workspace_id => $w }), 404, 'PT404', 'before it is paid for it has no portal';
$k->sql("update public.workspaces set lemonsqueezy_customer_id = '90210' where id = '$w'");
is_status ask($ana, 'portal', { workspace_id => $w }), 404, 'KITH404', 'nor has a customer whom nobody knows';
$stub->objects(lemonsqueezy => 'customers/90210' => { id => '90210', type => 'customers', attributes => { urls => { customer_portal => undef } } });
is_status ask($ana, 'portal', { workspace_id => $w }), 404, 'KITH404', 'or one without a subscription';
$stub->objects(lemonsqueezy => 'subscriptions/481223' =>
	  { id => '481223', type => 'subscriptions', attributes => { status => 'active', urls => { customer_portal => 'https://store.lemonsqueezy.com/billing?signature=y' } } });
$k->sql("update public.workspaces set lemonsqueezy_subscription_id = '481223', subscription_status = 'pro' where id = '$w'");
is_json ask($ana, 'portal', { workspace_id => $w }), 200, { url => 'https://store.lemonsqueezy.com/billing?signature=y' }, 'a subscription has one';
is_status ask($ben, 'portal', { workspace_id => $w }), 404, 'PT404', 'for its owner';
is_json checkout($ana, workspace_id => $w, plan => 'pro'), 409, $refusal, 'and nobody buys a second one';
for my $status (qw(on_trial active past_due unpaid paused cancelled)) {
	$k->sql("delete from kith.billing_links; insert into kith.billing_links (provider, subscription_id, workspace_id, raw_status) values ('lemonsqueezy', '481223', '$w', '$status')");
	is_status checkout($ana, workspace_id => $w, plan => 'pro'), 409, "nor when it is $status";
}
$k->sql("update kith.billing_links set raw_status = 'expired'");
is_status checkout($ana, workspace_id => $w, plan => 'pro'), 200, 'but when it is expired';

# --- a provider as it should not be -------------------------------------------

my $away = { code => 'KITH503', message => 'the payment provider does not answer', details => undef, hint => 'Nothing was bought: try again as Retry-After says.' };
my $rude = { code => 'KITH502', message => 'the payment provider did not do what it was asked for', details => undef, hint => qr/log/ };
my $n = 0;

# Each with an address of its own, so that Stripe does not remember it.
sub meet ($want, $status, $name, @script) {
	$stub->script(stripe => @script);
	$n++;
	my $reply = checkout($dan, price => 'price_fam_y', cancel_url => "https://app.example.org/$n");
	is_json $reply, $status, $want, $name;
	return $reply;
}

my $canary = { error => { type => 'api_error', code => 'canary_word', message => 'CANARY sk_test_KEYCANARY' } };
is_header meet($away, 503, 'a server error is told as ours', { status => 500, body => $canary }), 'retry-after', '30', 'with a time to wait';
meet({ url => $stripe_page }, 200, 'a connection that had ended meanwhile is made anew', { drop_after_bytes => 0 });
meet($away, 503, 'an answer that never comes is told as ours', ({ drop_after_bytes => 0 }) x 2);
meet($away, 503, 'and half of one', { body => { url => 'https://checkout.stripe.com/x' }, drop_after_bytes => 10 });
is_header meet($away, 503, 'too many calls', { status => 429, headers => { 'retry-after' => 60 }, body => $canary }), 'retry-after', '60', 'wait as long as Stripe says';
meet({ url => $stripe_page }, 200, 'a moment is waited here', { status => 429, headers => { 'retry-after' => 1 }, body => $canary });
meet({ url => $stripe_page }, 200, 'as it is for another request that holds a lock', { status => 409, headers => { 'retry-after' => 0 }, body => $canary });
meet({ url => $stripe_page }, 200, 'or for the same one, of another click', { status => 409, body => { error => { type => 'idempotency_error', code => 'idempotency_key_in_use' } } });
meet($away, 503, 'once', ({ status => 429, headers => { 'retry-after' => 0 }, body => $canary }) x 2);
meet($rude, 502, "an answer is garbage: $_", { body => $_ }) for '', 'null', '[]', '<html>', '{"url":1}', '{"url":"javascript:alert(1)"}', '{"url":""}', '{"url":"http://evil.example"}', "{\"url\":\"\xff\"}", '[' x 5000;
meet($rude, 502, 'one that is too large', { body => '{"a":"' . 'x' x (9 << 20) . '"}' }) if 0;
meet($rude, 502, "a refusal: $_->{status}", $_) for map { { status => $_, body => $canary } } 400, 401, 402, 403, 422, 301;
meet($rude, 502, 'a redirect is not followed', { status => 302, headers => { location => $stub->base('stripe') . '/evil' } });
is scalar(grep { $_->{path} eq '/evil' } calls), 0, 'not at all';
is_status checkout($ana, price => 'price_gone'), 502, 'KITH502', 'a price that is not there is our fault';

# Slow: one waits, and nobody else does.
$stub->script(stripe => { delay_ms => 3000, done => true, status => 503 });
$size = () = calls;
my $slow = aside(sub { checkout($dan, price => 'price_fam_y', cancel_url => 'https://app.example.org/slow') });
ok poll(10, sub { $size < (() = calls) }), 'Stripe takes its time';
my $begun = time;
is_status $ana->get('/rest/v1/subscriptions'), 200, 'others read meanwhile';
cmp_ok time - $begun, '<', 2, 'and wait for nothing';
is $slow->()->status, 503, 'the one who waited is told';

# Five faults in a row, and it is left alone.
meet($away, 503, "fault $_", { status => 500, body => $canary }) for 1 .. 4;
$size = () = calls;
my $reply = meet($away, 503, 'then', { status => 500, body => $canary });
is scalar(() = calls), $size, 'nothing is asked any more';
like $reply->header('retry-after'), qr/^(?:2\d|30)$/, 'for half a minute';
is_status checkout($ana, workspace_id => $w, plan => 'pro'), 200, 'the other provider goes on';

# --- too often, too late ------------------------------------------------------

$k->sql('delete from kith.rate_limits');
my %told;
$told{ $ben->post('/functions/v1/checkout', { price => 'price_fam_m' })->status }++ for 1 .. 12;
is_deeply [ sort keys %told ], [ 429, 503 ], 'nobody asks for more than ten a minute';
is $told{429}, 2, 'counted each';
$reply = $ben->post('/functions/v1/portal', {});
is_json $reply, 429, { code => 'KITH429', message => 'too many attempts to pay', details => undef, hint => undef }, 'portal included';
like $reply->header('retry-after'), qr/^(?:[1-5]?\d|60)$/, 'and told when';
is_status $dan->post('/functions/v1/portal', {}), 404, 'each for themselves';

my $anon = $k->anon;
$email = 'eva.' . uuid . '@example.org';
$reply = $anon->post('/auth/v1/signup', { email => $email, password => 'correct horse battery' });
my $eva = $k->client(name => 'eva', token => $reply->json->{access_token}, id => $reply->json->{user}{id});
$k->watch->secret($email, $reply->json->{access_token} =~ /\.([^.]+)$/);
is_status ask($eva, 'portal', {}), 404, 'PT404', 'somebody who is signed in';
is_status $eva->post('/auth/v1/logout'), 204, 'signs out';
is_status ask($eva, 'portal', {}), 401, 'PT401', 'and has no portal any more, though the token is good for an hour';
is_status checkout($eva, price => 'price_ess_m'), 401, 'PT401', 'and buys nothing';
my ($fay) = $k->users('fay');
$k->sql("delete from auth.users where id = '@{[ $fay->id ]}'");
is_status checkout($fay, price => 'price_ess_m'), 401, 'PT401', 'nor does an account that is gone';

# --- settings -----------------------------------------------------------------

my $instance = $k->instance;
$k->watch->restarts_expected;
for ([ KITH_STRIPE_BASE_URL => 'http://api.stripe.example' ], [ KITH_STRIPE_BASE_URL => 'file:///etc/passwd' ], [ KITH_LEMONSQUEEZY_STORE_ID => '' ],
	[ KITH_LEMONSQUEEZY_STORE_ID => 'x' ], [ KITH_STRIPE_API_KEY => file('open', "sk_test_KEYCANARY\n", 0644) ], [ KITH_STRIPE_API_KEY => file('empty', '') ],
	[ KITH_STRIPE_API_KEY => "$dir/none" ]) {
	my ($name, $value) = @$_;
	$instance->kith('down');
	local $instance->{env}{$name} = $value;
	ok !eval { $instance->kith('up') }, "$name=" . ($value =~ s{.*/}{}r) . ' is refused';
	like $@, qr/$name/, 'by name';
}
$instance->kith('down');
@{ $instance->{env} }{qw(KITH_STRIPE_API_KEY KITH_STRIPE_BASE_URL)} = ('', 'https://api.stripe.com');
$instance->kith('up');
is_json checkout($ana, price => 'price_ess_m'), 404, { code => 'KITH404', message => 'nothing can be paid for here with Stripe', details => undef, hint => qr/workspace_id/ },
  'without a key there is no checkout';
is_status ask($ana, 'portal', {}), 404, 'KITH404', 'and no portal';
is_status checkout($ana, workspace_id => $w, plan => 'pro'), 200, 'where there is one there is';

done_testing;
