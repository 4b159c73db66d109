#!/usr/bin/perl
# Isolation: no byte of another user, no trace of another request.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;

my $k = Kith::Test->new;
my ($ana, $ben) = $k->users(qw(ana ben));
my $seed = $ENV{SEED} // time ^ $$;
srand $seed;
note "SEED=$seed";

# A5: both do anything at random; every string of ben's carries a canary that no
# answer to ana, and no log, may hold.
my $canary = 'canary' . join '', map { ('a' .. 'z')[ rand 26 ] } 1 .. 12;
my %text = ($ana => sub { 'ana says ' . int rand 100 }, $ben => sub { "$canary " . int rand 100 });
my (%conversations, %messages, @leaks, @heard);
my @return = (Prefer => 'return=representation');

sub pick (@list) { $list[ rand @list ] }

# Ids of both users, so that each also reaches for the other's.
sub some_conversation {
	pick(map { @{ $conversations{$_} // [] } } keys %conversations) // uuid;
}
sub some_message {
	pick(map { @{ $messages{$_} // [] } } keys %messages) // uuid;
}

my @operations = (
	sub ($who, $text) {
		remember(
			\%conversations,
			$who,
			$who->post(
				'/rest/v1/conversations',
				{ title => $text->(), summary => $text->(), metadata => { note => $text->() } },
				@return
			)
		);
	},
	sub ($who, $text) {
		remember(
			\%messages,
			$who,
			$who->post(
				'/rest/v1/messages',
				{ conversation_id => some_conversation(), role => 'user', content => $text->() },
				@return
			)
		);
	},
	sub ($who, $text) {
		remember(
			\%messages,
			$who,
			$who->post(
				'/rest/v1/messages',
				[
					map { { conversation_id => some_conversation(), role => 'user',
						content => $text->() } } 1 .. 3
				],
				@return
			)
		);
	},
	sub ($who, $text) {
		$who->post('/rest/v1/memories?on_conflict=user_id,category,key',
			{ category => 'c', key => pick(qw(a b c)), content => $text->() },
			Prefer => 'resolution=merge-duplicates,return=representation');
	},
	sub ($who, $text) { $who->get('/rest/v1/conversations?select=*,messages(*)&order=created_at.desc&limit=20') },
	sub ($who, $text) { $who->get('/rest/v1/messages?select=*,conversations(*)&limit=50') },
	sub ($who, $text) { $who->get('/rest/v1/users?select=*,conversations(*,messages(*)),memories(*)') },
	sub ($who, $text) { $who->get('/rest/v1/memories?content=ilike.*canary*') },
	sub ($who, $text) { $who->get('/rest/v1/messages?id=eq.' . some_message()) },
	sub ($who, $text) {
		$who->get('/rest/v1/conversations?select=*,messages!inner(*)&messages.id=eq.' . some_message(),
			Prefer => 'count=exact');
	},
	sub ($who, $text) {
		$who->get('/rest/v1/conversations?id=eq.' . some_conversation(),
			Accept => 'application/vnd.pgrst.object+json');
	},
	sub ($who, $text) {
		$who->patch('/rest/v1/conversations?id=eq.' . some_conversation(), { title => $text->() }, @return);
	},
	sub ($who, $text) {
		$who->patch('/rest/v1/messages?id=eq.' . some_message() . '&select=*,conversations(*)',
			{ metadata => { note => $text->() } }, @return);
	},
	sub ($who, $text) {
		$who->patch('/rest/v1/messages?id=eq.' . some_message(), { conversation_id => some_conversation() },
			@return);
	},
	sub ($who, $text) {
		$who->post('/rest/v1/conversations', { id => some_conversation(), title => $text->() },
			      Prefer => 'resolution='
			    . pick('merge-duplicates', 'ignore-duplicates')
			    . ',return=representation');
	},
	sub ($who, $text) {
		$who->post(
			'/rest/v1/messages',
			{
				id => some_message(), conversation_id => some_conversation(), role => 'user',
				content => $text->()
			},
			@return
		);
	},
	sub ($who, $text) { $who->del('/rest/v1/messages?id=eq.' . some_message(), @return) },
	sub ($who, $text) {
		rand() < 0.2 ? $who->del('/rest/v1/conversations?id=eq.' . some_conversation(), @return) : undef;
	},
	sub ($who, $text) { $who->head('/rest/v1/messages', Prefer => 'count=' . pick(qw(exact planned estimated))) },
	sub ($who, $text) {
		$who->post('/rest/v1/rpc/append_session_message',
			{ session_id => some_conversation(), role => 'user', content => $text->(), metadata => {} });
	},
	sub ($who, $text) {
		$who->post('/rest/v1/rpc/get_or_create_chat_session',
			{ user_id => pick($ana, $ben)->id, scope => 'daily' });
	},
	sub ($who, $text) { $who->get('/rest/v1/messages?select=content', Accept => 'text/csv') },
	sub ($who, $text) { $who->get('/rest/v1/messages?created_at=gt.' . $text->()) },
	sub ($who, $text) { $who->get('/rest/v1/nothing_of_this_name') },
	sub ($who, $text) { $who->post('/rest/v1/conversations', { $text->() => 1 }) },
	sub ($who, $text) { $who->post('/rest/v1/conversations', '{"title":"' . $text->()) },
	sub ($who, $text) { $who->post('/rest/v1/conversations', { title => $text->(), status => $text->() }) },
);

sub remember ($where, $who, $reply) {
	push @{ $where->{$who} }, map { $_->{id} } rows $reply if $reply->status == 201;
	return $reply;
}

for my $turn (1 .. 400) {
	my $who = pick($ana, $ben);
	my $reply = pick(@operations)->($who, $text{$who}) or next;
	next if $who != $ana;
	my $all = join "\n", $reply->body, map { "$_: " . $reply->header($_) } keys %{ $reply->{headers} };
	push @leaks, $reply->story if index($all, $canary) >= 0;
	push @heard, $reply->story
	    if index($all, $ben->email) >= 0
	    || index($reply->body, $ben->id) >= 0 && index($reply->sent, $ben->id) < 0 && $reply->status < 300;
}
is scalar(@leaks), 0, 'no answer to ana holds a word of ben\'s' or diag @leaks[ 0 .. ($#leaks > 2 ? 2 : $#leaks) ];
is scalar(@heard), 0, 'nor his name' or diag @heard[ 0 .. ($#heard > 2 ? 2 : $#heard) ];
cmp_ok $k->sql("select count(*) from public.conversations where title like '%$canary%'"), '>', 0,
    'though he wrote many';
is $k->sql(
"select count(*) from public.conversations c join public.messages m on m.conversation_id = c.id
	where (c.user_id = '@{[ $ben->id ]}') <> (m.content like '%$canary%')"
), '0', 'no row of one is in a conversation of the other';
is $k->sql(
"select count(*) from (
		select conversation_id from public.messages m join public.conversations c on c.id = conversation_id
		where c.user_id in ('@{[ $ana->id ]}', '@{[ $ben->id ]}')
		group by 1 having count(*) > max(sequence_number) or count(distinct sequence_number) <> count(*)) x"
), '0', 'no number twice';
my $total = $k->sql(
"select count(*) from public.messages m join public.conversations c on c.id = m.conversation_id
	where c.user_id = '@{[ $ana->id ]}'"
);
is $ana->head('/rest/v1/messages', Prefer => 'count=exact')->header('content-range') =~ s{.*/}{}r, $total,
    'ana\'s count is the count of ana\'s rows';
$k->watch->secret($canary); # E9

# What ana cannot see looks as if it were not there: same status, same body.
my $his = $ben->make(conversations => { title => $canary });
my $none = uuid;
for my $case (
	[ 'read', sub ($id) { $ana->get("/rest/v1/conversations?id=eq.$id") } ],
	[
		'read of one',
		sub ($id) {
			$ana->get("/rest/v1/conversations?id=eq.$id", Accept => 'application/vnd.pgrst.object+json');
		}
	],
	[ 'count', sub ($id) { $ana->head("/rest/v1/conversations?id=eq.$id", Prefer => 'count=exact') } ],
	[ 'update', sub ($id) { $ana->patch("/rest/v1/conversations?id=eq.$id", { title => 'x' }, @return) } ],
	[ 'delete', sub ($id) { $ana->del("/rest/v1/conversations?id=eq.$id", @return) } ],
	[
		'child',
		sub ($id) {
			$ana->post('/rest/v1/messages', { conversation_id => $id, role => 'user', content => 'x' });
		}
	], # D7
	[
		'function',
		sub ($id) {
			$ana->post('/rest/v1/rpc/append_session_message',
				{ session_id => $id, role => 'user', content => 'x', metadata => {} });
		}
	],
) {
	my ($name, $try) = @$case;
	my ($real, $made_up) = map {
		my $r = $try->($_);
		join ' ', $r->status, $r->header('content-range') // '', $r->body =~ s/[0-9a-f]{8}-[0-9a-f-]{27}/ID/gr
	} $his->{id}, $none;
	is $real, $made_up, "a foreign row and no row are the same to a $name";
}

# A9: after anybody's request, however it ended, the next one starts from nothing.
my $x = $k->unique('probe');
$k->later(
	sub {
		$k->sql(
"drop function if exists public.${x}(), public.${x}_mess(text); drop table if exists public.${x}_t"
		);
	}
);
$k->sql(<<"SQL");
create table public.${x}_t (id int primary key);
create function public.$x() returns json language sql stable as \$\$
    select json_build_object('user', current_user, 'uid', auth.uid(), 'role', auth.role(), 'email', auth.email(), 'zone', current_setting('timezone'),
        'path', current_setting('search_path'), 'read_only', current_setting('transaction_read_only'), 'method', current_setting('request.method', true),
        'header', current_setting('request.headers', true)::json->>'x-secret', 'cookie', current_setting('request.cookies', true)::json->>'secret',
        'own', coalesce(current_setting('app.own', true), '')) \$\$;
create function public.${x}_mess(how text) returns setof int language plpgsql as \$\$ begin
    set local app.own = 'set';
    set local timezone = 'Asia/Tokyo';
    set local request.jwt.claims = '{"sub":"00000000-0000-0000-0000-000000000001","role":"service_role"}';
    if how = 'raise' then raise exception 'as asked'; end if;
    if how = 'divide' then perform 1 / 0; end if;
    if how = 'escalate' then set local role service_role; end if;
    if how = 'login' then set local role none; end if;
    if how = 'two' then return next 1; return next 2; end if;
    if how = 'write' then insert into public.${x}_t values (1); insert into public.${x}_t values (1); end if;
    return next 3;
end \$\$;
grant execute on function public.$x, public.${x}_mess to anon, authenticated, service_role;
grant select, insert on public.${x}_t to authenticated, service_role;
SQL
my ($anon, $service) = ($k->anon, $k->service);
my %who = (
	anon => [ $anon, { user => 'anon', uid => undef, role => 'anon', email => undef } ],
	ana => [ $ana, { user => 'authenticated', uid => $ana->id, role => 'authenticated', email => $ana->email } ],
	ben => [ $ben, { user => 'authenticated', uid => $ben->id, role => 'authenticated', email => $ben->email } ],
	service => [ $service, { user => 'service_role', uid => undef, role => 'service_role', email => undef } ],
);
my $rpc = "/rest/v1/rpc/$x";
my @mess = (
	map({
			my $how = $_;
			sub ($c) { $c->post("${rpc}_mess", { how => $how }, 'X-Secret' => 's', Cookie => 'secret=s') }
	} qw(raise divide escalate login two write fine)),
	sub ($c) { $c->post("${rpc}_mess", { how => 'two' }, Accept => 'application/vnd.pgrst.object+json') },
	sub ($c) { $c->get("/rest/v1/${x}_t?id=eq.x", Prefer => 'timezone=Asia/Tokyo') },
	sub ($c) { $c->get("/rest/v1/${x}_t", Prefer => 'timezone=Asia/Tokyo') },
	sub ($c) { $c->post("/rest/v1/${x}_t", { id => 1, nope => 2 }) },
	sub ($c) { $c->post("/rest/v1/${x}_t", [ { id => 2 }, { id => 2 } ]) },
	sub ($c) { $c->get('/rest/v1/nothing_here', 'Accept-Profile' => 'auth') },
	sub ($c) { $c->with(token => 'bad')->get("/rest/v1/${x}_t") },
	sub ($c) { my $raw = $k->raw; $raw->send($raw->head(
			"GET $rpc HTTP/1.1", $raw->caller_lines($c))); $raw->close },
	sub ($c) {
		my $raw = $k->raw;
		$raw->send(
			$raw->head(
				"POST ${rpc}_mess HTTP/1.1", $raw->caller_lines($c), 'Content-Type: application/json',
				'Content-Length: 100'
			),
			'{"how":'
		);
		$raw->close;
	},
);
my @wrong;
for my $turn (1 .. 200) {
	my $first = pick(keys %who);
	pick(@mess)->($who{$first}[0]);
	my $second = pick(keys %who);
	my ($client, $want) = @{ $who{$second} };
	my $reply = $client->get($rpc);
	my %want = (%$want, zone => qr/^(?:UTC|Etc\/UTC|GMT)$/, path => qr/^"?public"?(?:, .*)?$/, read_only => 'on',
		method => 'GET', header => undef, cookie => undef, own => '');
	my $problem = $reply->status == 200 ? Kith::Test::difference($reply->json, \%want) : 'status ' . $reply->status;
	push @wrong, "$second after $first: $problem\n" if $problem;
}
is scalar(@wrong), 0, 'no request sees anything of the one before' or diag @wrong[ 0 .. ($#wrong > 5 ? 5 : $#wrong) ];
is_json $ana->post("${rpc}_mess", { how => 'escalate' }), 403,
    { code => '42501', message => qr/role/, details => undef, hint => undef },
    'no SQL run for a user can become service_role';
is $k->sql("select count(*) from public.${x}_t where id = 1"), '0', 'what failed left nothing';

done_testing;
