#!/usr/bin/perl
# CORS: preflights need neither key nor database; every answer can be read by a browser.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana) = $k->users('ana');
my $browser = $k->client(apikey => undef);
my @preflight =
    (Origin => 'https://app.example', 'Access-Control-Request-Method' => 'POST', 'Access-Control-Request-Headers' =>
	    'apikey,authorization,prefer,content-profile,x-client-info,x-retry-count,traceparent');

# Example 32.
for my $path ('/rest/v1/messages', '/rest/v1/messages?select=*', '/rest/v1/nope',
	'/rest/v1/rpc/append_session_message', '/rest/v1/rpc/nope', '/rest/v1/') {
	my $reply = $browser->send(OPTIONS => $path, undef, @preflight);
	ok + ($reply->status == 200 || $reply->status == 204) && $reply->body eq '', "preflight of $path needs no key"
	    or diag $reply->story;
	is_header $reply, 'Access-Control-Allow-Origin', '*', 'any origin';
	is_header $reply, 'Access-Control-Allow-Methods', 'GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS', 'all methods';
	my %allowed = map { lc($_) => 1 } split /\s*,\s*/, $reply->header('access-control-allow-headers') // '';
	is join(' ', grep { !$allowed{$_} } split /,/, $preflight[-1]), '', 'every header that was asked for';
	is_header $reply, 'Access-Control-Max-Age', '86400', 'for a day';
	is_header $reply, 'Access-Control-Allow-Credentials', undef, 'without credentials'; # E8
}
my $plain = $browser->send(OPTIONS => '/rest/v1/messages', undef);
ok $plain->status == 200 || $plain->status == 204, 'OPTIONS without an origin is answered as well';

# E8, C13
for my $headers ('x-evil: 1', 'a b', 'x-' . 'a' x 4000, '<script>', 'a,,b,', '*') {
	my $reply = $browser->send(OPTIONS => '/rest/v1/messages', undef, @preflight[ 0 .. 3 ],
		'Access-Control-Request-Headers' => $headers);
	ok $reply->status < 500 && ($reply->header('access-control-allow-headers') // '') !~ /[^\x20-\x7e]/,
	    'odd requested headers do no harm: ' . substr $headers, 0, 10;
}

my @answers = (
	[ 'a read' => $ana->get('/rest/v1/messages', Origin => 'https://app.example') ],
	[ 'a count' => $ana->head('/rest/v1/messages', Origin => 'https://app.example', Prefer => 'count=exact') ],
	[ 'an insert' => $ana->post('/rest/v1/conversations', {}, Origin => 'https://app.example') ],
	[ 'a delete' => $ana->del('/rest/v1/conversations?title=eq.none', Origin => 'https://app.example') ],
	[ 'an error' => $ana->get('/rest/v1/messages?id=eq.x', Origin => 'https://app.example') ],
	[ 'an unknown table' => $ana->get('/rest/v1/nope', Origin => 'null') ],
	[ 'a missing key' => $browser->get('/rest/v1/messages', Origin => 'https://app.example') ],
	[ 'a bad token' => $ana->with(token => 'x')->get('/rest/v1/messages', Origin => 'https://app.example') ],
	[ 'nginx\'s own error' => $ana->get('/rest/v1/messages?' . 'a' x 20_000, Origin => 'https://app.example') ],
	[ 'a path outside' => $ana->get('/nothing/here', Origin => 'https://app.example') ],
	[ 'no origin' => $ana->get('/rest/v1/messages') ],
);
for (@answers) {
	my ($name, $reply) = @$_;
	is_header $reply, 'Access-Control-Allow-Origin', '*', "$name can be read by any origin";
	is_header $reply, 'Access-Control-Allow-Credentials', undef, "$name: without credentials"; # E8
	my $exposed = $reply->header('access-control-expose-headers') // '';
	ok $exposed =~ /\bContent-Range\b/ && $exposed =~ /\bPreference-Applied\b/ && $exposed =~ /\bProxy-Status\b/,
	    "$name: browsers see Content-Range"
	    or diag $reply->story
	    unless $name =~ /nginx|outside/;
}

done_testing;
