#!/usr/bin/perl
# Counts: a number for every count= on every method, and the cap on rows.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users(qw(ana ben));
my $conversation = $ana->make(conversations => {});
my @many = map { { conversation_id => $conversation->{id}, role => 'user', content => "$_" } } 1 .. 25;
is_status $ana->post('/rest/v1/messages', \@many), 201, 'a bulk insert of 25 rows';
my $path = "/rest/v1/messages?conversation_id=eq.$conversation->{id}";
sub page ($reply) { $reply->status . ' ' . $reply->header('content-range') }

for my $count (qw(exact planned estimated)) {
	my @prefer = (Prefer => "count=$count");
	# With a plan's guess the total is a number, but only count=exact promises which.
	my $total = $count eq 'exact' ? 25 : '\d+';
	like page($ana->get($path, @prefer)), qr{^20[06] 0-24/$total$}, "count=$count of everything";
	like page($ana->get("$path&limit=10&offset=5", @prefer)), qr{^206 5-14/$total$}, "count=$count of a page";
	like page($ana->head($path, @prefer)), qr{^20[06] 0-24/$total$}, "count=$count by HEAD";
	like page($ana->head("$path&limit=1", @prefer)), qr{^206 0-0/$total$}, "count=$count by HEAD of a page";
	like page($ana->get("/rest/v1/messages?id=eq." . uuid, @prefer)), qr{^20[06] \*/\d+$},
	    "count=$count of nothing";
	like page($ana->post('/rest/v1/messages', [ @many[ 0, 1 ] ], @prefer)), qr{^201 \*/2$},
	    "count=$count of an insert";
	like page(
		$ana->patch(
			'/rest/v1/messages?content=in.(1,2)&sequence_number=gt.25', { metadata => { a => 1 } }, @prefer
		)
	    ),
	    qr{^204 0-1/2$}, "count=$count of an update";
	like page($ana->del('/rest/v1/messages?content=in.(1,2)&sequence_number=gt.25', @prefer)), qr{^204 \*/2$},
	    "count=$count of a delete";
	is $ana->get("$path&limit=1", @prefer)->header('preference-applied'), "count=$count",
	    "count=$count is confirmed";
}
is page($ana->get("$path&limit=1", Prefer => 'count=exact', Accept => 'text/csv')), '206 0-0/25', 'a count with CSV';
is page($ana->get("$path&sequence_number=eq.3", Prefer => 'count=exact', Accept => 'application/vnd.pgrst.object+json')
), '200 0-0/1', 'a count with a single object';
is page($ana->get('/rest/v1/conversations?select=*,messages!inner(id)&messages.content=eq.7', Prefer => 'count=exact')),
    '200 0-0/1', 'a count with an inner embed';
is page($ana->get("$path&limit=0", Prefer => 'count=exact')), '206 */25', 'limit=0 counts without rows';

# Totals are of what the caller may see.  A5, D12
for my $count (qw(exact planned estimated)) {
	my $total = $ben->head($path, Prefer => "count=$count")->header('content-range') =~ s{.*/}{}r;
	is $total, '0', "count=$count tells a stranger nothing";
	$total = $ben->head('/rest/v1/messages', Prefer => "count=$count")->header('content-range') =~ s{.*/}{}r;
	is $total, '0', "count=$count of the whole table neither";
}

# The cap on rows.
my $x = $k->unique('cap');
$k->later(
	sub { $k->sql("drop function if exists public.${x}_all(); drop table if exists public.${x}_child, public.$x") }
);
$k->sql(<<"SQL");
create table public.$x (id int primary key);
create table public.${x}_child (id int primary key, parent int references public.$x);
insert into public.$x select generate_series(1, 1005);
insert into public.${x}_child select generate_series(1, 1005), 1;
create function public.${x}_all() returns setof public.$x language sql stable as 'select * from public.$x order by id';
grant select, update on public.$x, public.${x}_child to authenticated;
grant execute on function public.${x}_all to authenticated;
SQL
my $reply = $ana->get("/rest/v1/$x?order=id");
is scalar(rows $reply), 1000, 'a read is cut at 1000 rows';
is_header $reply, 'Content-Range', '0-999/*', 'its range says where';
is_header $reply, 'Kith-Row-Limit', '1000', 'a header tells that the cap cut the answer';
is_header $ana->get("/rest/v1/$x?limit=1000"), 'Kith-Row-Limit', undef, 'but not when the client asked for no more';
is_header $ana->get("/rest/v1/$x?order=id", Prefer => 'count=exact'), 'Content-Range', '0-999/1005',
    'a count is not cut';
is scalar(rows $ana->get("/rest/v1/$x?limit=5000")), 1000, 'a larger limit does not lift the cap';
is scalar(rows $ana->get("/rest/v1/$x?offset=1000&order=id")), 5, 'the rest is on the next page';
is scalar(rows $ana->post("/rest/v1/rpc/${x}_all", {})), 1000, 'a function is cut as well';
is scalar(@{ (rows $ana->get("/rest/v1/$x?select=id,${x}_child(id)&id=eq.1"))[0]{"${x}_child"} }), 1000, 'and an embed';
is
    scalar(
	rows $ana->patch("/rest/v1/${x}_child?id=gt.0&select=id", { parent => 2 }, Prefer => 'return=representation')),
    1005, 'what a write returns is never cut';

done_testing;
