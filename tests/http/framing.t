#!/usr/bin/perl
# Framing: what is not HTTP is refused, and no request ever mixes with the next.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana) = $k->users('ana');
my $crlf = "\r\n";

# Lines of a good request of ana's; each case spoils one thing.
sub lines (%options) {
	my $raw = $k->raw;
	return ($raw, $raw->caller_lines($ana));
}
sub body ($title) { qq({"title":"$title"}) }
sub titles {
	$k->sql(
"select string_agg(title, ',' order by title) from public.conversations where user_id = '@{[ $ana->id ]}'"
	);
}

# C1: refused with JSON, or closed; nothing is written, and what follows on the
# connection is not taken for a request of its own.
my $smuggled = "GET /rest/v1/nope HTTP/1.1\r\nHost: x\r\n\r\n";
for my $case (
	[ 'two different lengths', [ 'Content-Length: 19', 'Content-Length: 5' ], body('lengths') ],
	[ 'two equal lengths', [ 'Content-Length: 19', 'Content-Length: 19' ], body('lengths') ],
	[
		'a length and chunks', [ 'Content-Length: 19', 'Transfer-Encoding: chunked' ],
		"13\r\n" . body('lengths') . "\r\n0\r\n\r\n"
	],
	[ 'a list of lengths', ['Content-Length: 19, 19'], body('lengths') ],
	[ 'a negative length', ['Content-Length: -1'], body('x') ],
	[ 'a length that is no number', ['Content-Length: abc'], body('x') ],
	[ 'a length with a sign', ['Content-Length: +19'], body('lengths') ],
	[ 'a length beyond 64 bits', ['Content-Length: 99999999999999999999'], body('x') ],
	[ 'a bad chunk size', ['Transfer-Encoding: chunked'], "zz\r\n" . body('x') . "\r\n0\r\n\r\n" ],
	[ 'a chunk size that overflows', ['Transfer-Encoding: chunked'], "fffffffffffffffff\r\nx" ],
	[ 'a chunk longer than it says', ['Transfer-Encoding: chunked'], "2\r\n" . body('x') . "\r\n0\r\n\r\n" ],
	[ 'an unknown coding', ['Transfer-Encoding: gzip, chunked'], "13\r\n" . body('lengths') . "\r\n0\r\n\r\n" ],
	[ 'a coding with a trick', ['Transfer-Encoding: xchunked'], "13\r\n" . body('lengths') . "\r\n0\r\n\r\n" ],
	[ 'a blank before the colon', ['Content-Length : 19'], body('lengths') ],
	[ 'a folded header', [ 'X-Long: a', ' b', 'Content-Length: 19' ], body('lengths') ],
	[ 'a NUL in a header', [ "X-Nul: a\0b", 'Content-Length: 19' ], body('lengths') ],
	[ 'a NUL in a header name', [ "X\0: a", 'Content-Length: 19' ], body('lengths') ],
	[ 'a bare CR in a header', [ "X-Cr: a\rb", 'Content-Length: 19' ], body('lengths') ],
) {
	my ($name, $headers, $body) = @$case;
	my ($raw, @lines) = lines();
	$raw->send(
		$raw->head('POST /rest/v1/conversations HTTP/1.1', @lines, 'Content-Type: application/json', @$headers),
		$body, $smuggled);
	my $reply = $raw->reply;
	ok !$raw->late && (!$reply || ($reply->status >= 400 && $reply->status < 500)), "$name is refused"
	    or diag $reply ? $reply->story : 'no answer in time';
	my $second = $raw->reply;
	ok !$second || ($second->status >= 400 && $second->status < 500 && ($second->code // '') ne 'PGRST205'),
	    "$name: nothing behind it is answered"
	    or diag $second->story;
}
is titles(), '', 'nothing of it was written';

# Request lines.
for my $case (
	[ 'HTTP/9.9', 'GET /rest/v1/messages HTTP/9.9' ],
	[ 'no version', 'GET /rest/v1/messages FOO' ],
	[ 'a lower-case verb', 'get /rest/v1/messages HTTP/1.1' ],
	[ 'an empty line', "\0GET /rest/v1/messages HTTP/1.1" ],
	[ 'a NUL in the path', "GET /rest/v1/mess\0ages HTTP/1.1" ],
	[ 'CONNECT', 'CONNECT example.org:443 HTTP/1.1' ],
	[ 'TRACE', 'TRACE /rest/v1/messages HTTP/1.1' ], # C17
	[ 'no slash', 'GET rest/v1/messages HTTP/1.1' ],
	[ 'HTTP/2 preface', 'PRI * HTTP/2.0' ],
	[ 'a broken escape in the path', 'GET /rest/v1/mess%zzages HTTP/1.1' ],
	[ 'an escaped NUL in the path', 'GET /rest/v1/messages%00 HTTP/1.1' ],
	[ 'a path that climbs out', 'GET /rest/v1/../../../etc/passwd HTTP/1.1' ],
) {
	my ($name, $first) = @$case;
	my ($raw, @lines) = lines();
	$raw->send($raw->head($first, @lines));
	my $reply = $raw->reply;
	ok !$raw->late && (!$reply || ($reply->status >= 400 && $reply->status < 500)), "$name is refused"
	    or diag $reply ? $reply->story : 'no answer in time';
}
for my $case ([ 'no Host', [] ], [ 'two Hosts', [ 'Host: a', 'Host: b' ] ], [ 'a Host with a blank', ['Host: a b'] ]) {
	my ($name, $hosts) = @$case;
	my $raw = $k->raw;
	$raw->send($raw->head('GET /rest/v1/messages HTTP/1.1', @$hosts, 'apikey: ' . $k->env('KITH_ANON_KEY')));
	my $reply = $raw->reply;
	ok $reply && $reply->status >= 400 && $reply->status < 500, "$name is refused"
	    or diag $reply ? $reply->story : 'closed';
}
my $garbage = $k->raw;
$garbage->send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'x' x 300);
my $reply = $garbage->reply;
ok !$garbage->late && (!$reply || $reply->status == 400), 'TLS on the plain port is refused';

# What is allowed works.
my ($raw, @lines) = lines();
$raw->send(
	$raw->head(
		'POST /rest/v1/conversations?select=title HTTP/1.1', @lines, 'Content-Type: application/json',
		'Prefer: return=representation', 'Transfer-Encoding: chunked'
	),
	"9\r\n{\"title\":\r\n",
	"a;extension=1\r\n\"chunked\"}\r\n",
	"1\r\n \r\n0\r\nTrailer: x\r\n\r\n"
);
is_json $raw->reply, 201, [ { title => 'chunked' } ], 'a chunked body arrives whole';
my @first = @lines;
$raw->send($raw->head('GET /rest/v1/conversations?select=title HTTP/1.1', @first),
	$raw->head('GET /rest/v1/messages?select=id HTTP/1.1', @first),
	$raw->head('GET /rest/v1/nope HTTP/1.1', @first));
is_json $raw->reply, 200, [ { title => 'chunked' } ], 'the first of three pipelined requests';
is_json $raw->reply, 200, [], 'the second';
is_status $raw->reply, 404, 'PGRST205', 'the third';
$raw->send(
	$raw->head(
		'POST /rest/v1/conversations HTTP/1.1', @lines, 'Content-Type: application/json', 'Content-Length: 21',
		'Expect: 100-continue'
	)
);
$reply = $raw->reply;
$raw->send(body('continued'));
$reply = $raw->reply if $reply && $reply->status == 100;
is_status $reply, 201, 'Expect: 100-continue is served';
$raw->send($raw->head('GET /rest/v1/conversations?select=title HTTP/1.0', @lines, 'Connection: keep-alive'));
is $raw->reply->status, 200, 'HTTP/1.0 is served';
$raw = $k->raw;
$raw->send(
	$raw->head(
		      'GET http://'
		    . ($k->url =~ s{^http://}{}r)
		    . '/rest/v1/conversations?select=title&title=eq.chunked HTTP/1.1', @lines
	)
);
is_json $raw->reply, 200, [ { title => 'chunked' } ], 'an absolute URL is served';
$raw = $k->raw;
$raw->send($raw->head('HEAD /rest/v1/conversations HTTP/1.1', @lines),
	$raw->head('GET /rest/v1/conversations?select=title&title=eq.chunked HTTP/1.1', @lines));
is $raw->reply('HEAD')->status, 200, 'HEAD';
is_json $raw->reply, 200, [ { title => 'chunked' } ], 'and what follows it is not taken for its body';

# A refused request does not spoil the next one on its connection.
$raw = $k->raw;
$raw->send(
	$raw->head('POST /rest/v1/conversations HTTP/1.1', @lines, 'Content-Type: text/plain', 'Content-Length: 1000'),
	'x' x 1000);
is_status $raw->reply, 415, 'a body of a wrong type is refused';
$raw->send($raw->head('GET /rest/v1/conversations?select=title&title=eq.chunked HTTP/1.1', @lines));
is_json $raw->reply, 200, [ { title => 'chunked' } ], 'its bytes are not taken for the next request';

# A body that ends early is no body.
$raw = $k->raw;
$raw->send(
	$raw->head(
		'POST /rest/v1/conversations HTTP/1.1', @lines, 'Content-Type: application/json', 'Content-Length: 100'
	),
	body('early'),
	' ' x 10
);
shutdown $raw->socket, 1;
$reply = $raw->reply;
ok !$reply || $reply->status == 400, 'a body cut short is refused or dropped';
is titles(), 'chunked,continued', 'and never written';

# Repeated headers.  C7
for my $case (
	[ 'Authorization' => [ 'Authorization: Bearer ' . $ana->token ], 400, 'PGRST301' ],
	[ 'apikey' => [ 'apikey: ' . $k->env('KITH_ANON_KEY') ], 401 ],
	[ 'apikey of two kinds' => [ 'apikey: ' . $k->env('KITH_SERVICE_KEY') ], 401 ],
) {
	my ($name, $more, $status) = @$case;
	($raw, @lines) = lines();
	$raw->send($raw->head('GET /rest/v1/messages HTTP/1.1', @lines, @$more));
	my $answer = $raw->reply;
	is_status $answer, $status, "$name twice is refused";
}
($raw, @lines) = lines();
$raw->send(
	$raw->head(
		'GET /rest/v1/conversations?select=title&title=eq.chunked HTTP/1.1', @lines, 'Prefer: handling=strict',
		'Prefer: count=exact'
	)
);
$reply = $raw->reply;
is_header $reply, 'Preference-Applied', 'count=exact, handling=strict', 'repeated Prefer headers are merged';
is_header $reply, 'Content-Range', '0-0/1', 'and both have effect';

# Headers that a client must not be able to set.
for my $header ('X_Apikey: 1', 'Kith-Request-Id: evilevil', 'KITH_REQUEST_ID: evilevil', 'Proxy: http://evil',
	'Remote-Addr: 1.2.3.4', 'Content-Range: 0-1/2', 'X-Accel-Redirect: /etc/passwd', 'Status: 500') {
	($raw, @lines) = lines();
	$raw->send($raw->head('GET /rest/v1/conversations?select=title&title=eq.chunked HTTP/1.1', @lines, $header));
	is_json $raw->reply, 200, [ { title => 'chunked' } ], "$header means nothing";
}

# TLS: core Perl has none, openssl speaks it.
SKIP: {
	my $https = $k->env('KITH_HTTPS_URL') or last SKIP;
	my ($host, $port) = $https =~ m{^https://([^:/]+):(\d+)};
	my $ca = $k->env('KITH_CA_FILE');
	my $ask = "GET /rest/v1/conversations?select=title&title=eq.chunked HTTP/1.1\r\nConnection: close\r\n"
	    . join('', map { "$_\r\n" } @lines) . "\r\n";
	for my $case ([ '-tls1_2', 1 ], [ '-tls1_3', 1 ], [ '-tls1_1', 0 ]) {
		my ($version, $works) = @$case;
		my $text = tls($host, $port, $version, $ca, $ask);
		if ($works) {
			like $text, qr/^HTTP\/1\.1 200 .*\[\{"title":"chunked"\}\]/s,
			    "https by $version, the certificate checked";
		} else {
			unlike $text, qr/^HTTP/, "no https by $version"; # E7
		}
	}
}

sub tls ($host, $port, $version, $ca, $ask) {
	require IPC::Open3;
	open my $null, '>', '/dev/null' or die;
	my $pid = IPC::Open3::open3(
		my $in, my $out, '>&' . fileno $null,
		qw(openssl s_client -quiet -ign_eof), $version, '-verify_return_error', '-CAfile', $ca, '-connect',
		"$host:$port"
	);
	local $SIG{PIPE} = 'IGNORE';
	print $in $ask;
	my $text = do { local $/; <$out> }
	    // '';
	waitpid $pid, 0;
	return $text;
}

done_testing;
