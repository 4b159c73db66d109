#!/usr/bin/perl
# What a plan does not allow is refused with what it allows and which plan does,
# for whoever shows it to a user; and kith plans says which price buys what.  C18

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users(qw(ana ben));
my $instance = $k->instance;
my %refused = (code => 'PT403', message => 'the plan allows 1 profile', details => 'PlanLimitReached', hint => 'The plan essential allows 3.');

$ana->make(profiles => { name => 'Anna', relation => 'self' });
is_json $ana->post('/rest/v1/profiles', { name => 'Ben', relation => 'son' }), 403, \%refused, 'a second profile is refused, and it is said why';
is_json $ana->with(schema => 'essence')->post('/rest/v1/profiles', { name => 'Ben', relation => 'son' }), 403, \%refused, 'in every dialect';
is_json $ben->post('/rest/v1/profiles', [ map { { name => $_, relation => 'x' } } 1, 2 ]), 403, \%refused, 'two at once too';
is_json $ben->get('/rest/v1/profiles'), 200, [], 'of which none is made';
is scalar(rows $ana->get('/rest/v1/profiles')), 1, 'what is there stays';
is_status $ana->patch('/rest/v1/profiles?name=eq.Anna', { name => 'Anne' }), 204, 'and can change';
my @answers = map { $_->() } map { my $n = $_; aside(sub { $ben->post('/rest/v1/profiles', { name => "at once $n", relation => 'x' }) }) } 1 .. 8;
is join(' ', sort map { $_->status } @answers), '201' . ' 403' x 7, 'of eight at once one is made';

sub plans (@arguments) { eval { $instance->kith('plans', @arguments) } // $@ }
my $price = $k->unique('price_test');
my $list = plans();
like $list, qr/^ free +\| Free +\| 100 +\| 1 +\| 5 +\| 10 +\| 100 MB +\| +\d+ \| -?/m, 'kith plans lists what a plan allows';
is plans('map', 'stripe', $price, 'pro'), "stripe $price buys pro\n", 'a price is mapped';
like plans(), qr/^ pro .*\bstripe \Q$price\E/m, 'and listed';
is plans('map', 'stripe', $price, 'essential'), "stripe $price buys essential, no longer pro\n", 'to another plan, too';
is $k->sql("select plan from kith.plan_prices where price_id = '$price'"), 'essential', 'which holds';
is plans('unmap', 'stripe', $price), "stripe $price buys nothing any more\n", 'or to none';
is $k->sql("select count(*) from kith.plan_prices where price_id = '$price'"), '0', 'which holds as well';
for (
	[ [ 'map', 'stripe', $price, 'gold' ], qr/there is no plan "gold"; there are essential, family_archive, free, pro/ ],
	[ [ 'map', 'stripe', 'prod_1', 'pro' ], qr/begins with price_/ ],
	[ [ 'map', 'lemonsqueezy', 'abc', 'pro' ], qr/is a number/ ],
	[ [ 'map', 'paypal', '1', 'pro' ], qr/neither stripe nor lemonsqueezy/ ],
	[ [ 'map', 'stripe', "price_'; drop table x", 'pro' ], qr/no id of a price/ ],
	[ [ 'map', 'stripe', $price ], qr/takes a provider, a price and a plan/ ],
	[ [ 'unmap', 'stripe', $price ], qr/buys no plan/ ],
	[ ['none'], qr/unknown command "plans none"/ ],
  ) {
	my ($arguments, $why) = @$_;
	like plans(@$arguments), $why, "refused: plans @$arguments";
}

done_testing;
