#!/usr/bin/perl
# Goal: what is promised of one writer holds for eight at once.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test::Sql;
use POSIX ();
use Test::More;

my $user = new_user;

# Messages: single and bulk inserts, some rolled back, upserts that
# insert nothing.
my $conversation = sql("insert into public.conversations (user_id) values ('$user') returning id");
at_once(sub ($n) {
	my $insert = 'insert into public.messages (conversation_id, role, content)';
	return join '', map {
		as_user($user, "$insert values ('$conversation', 'user', '$n')"),
		as_user($user, "$insert select '$conversation', 'user', '$n' from generate_series(1, 7)", $_ % 3 ? 'commit' : 'rollback'),
		as_user($user, "insert into public.messages (id, conversation_id, role, content)
		    select id, conversation_id, role, content from public.messages where conversation_id = '$conversation' and sequence_number = 1
		    on conflict do nothing"),
	} 1 .. 12;
});
my $expected = $writers * (12 + 8 * 7);
is sql("select count(*) || ' ' || min(sequence_number) || ' ' || max(sequence_number) || ' ' || count(distinct sequence_number)
    from public.messages where conversation_id = '$conversation'"), "$expected 1 $expected $expected", 'numbers run 1, 2, 3 ... without a gap';
is sql("select message_count from public.conversations where id = '$conversation'"), $expected, 'and the count is right';

# One session a day, also when called eight times at once.
my %ids = map { $_ => 1 } at_once(sub { as_user($user, 'select id from public.get_or_create_chat_session()') });
is keys %ids, 1, 'eight calls find one session';
# Where the day has just begun, and where it is nearly over.
my @zones = map { sql("select '<here>' || to_char((now() at time zone 'UTC')::time - interval '$_', 'HH24:MI:SS')") } '00:00:05', '23:58:00';
for my $zone ('Pacific/Auckland', @zones) {
	sql("delete from public.conversations where user_id = '$user' and message_count = 0; update public.users set timezone = '$zone' where id = '$user'");
	%ids = map { $_ => 1 } at_once(sub { as_user($user, 'select id from public.get_or_create_chat_session()') });
	is keys %ids, 1, "also in $zone";
}

# The cap.
at_once(sub ($n) {
	return join '', map { as_user($user, "insert into public.memories (content) values ('$n.$_'), ('$n.$_ too')") } 1 .. 10;
});
is sql("select count(*) filter (where is_active) || ' of ' || count(*) from public.memories where user_id = '$user'"),
    '100 of ' . $writers * 20, 'the cap holds, and nothing is lost';

# Eight that write over one hidden memory: one revives it, the others meet it live.
sql("delete from public.memories where user_id = '$user'");
for my $hidden ('is_active = false', "expires_at = now() - interval '1 hour'") {
	for my $round (1 .. 3) {
		my $id = sql("insert into public.memories (user_id, category, key, content) values ('$user', 'work', 'job$round', 'old')
		    on conflict (user_id, category, key) do update set content = excluded.content returning id");
		sql("update public.memories set $hidden where user_id = '$user'");
		my %revived = map { $_ => 1 } at_once(sub ($n) {
			return as_user($user, "insert into companion.user_context (category, key, value) values ('work', 'job$round', '$n')
			    on conflict (user_id, category, key) do update set value = excluded.value returning id || value");
		});
		is keys %revived, $writers, "each wrote its word ($hidden)";
		like sql("select id || content from public.memories where user_id = '$user' and key = 'job$round' and is_active and expires_at is null"),
		    qr/^$id[1-8]$/, 'and the last one\'s holds, under the old id';
	}
}

# Jobs: workers that finish, put back, or die with what they claimed.
sql("select kith.enqueue('test_crowd', key => '$user ' || n, max_attempts => 1000) from generate_series(1, 200) n");
my @done = at_once(sub ($n) {
	my $claim = "select id, attempts from kith.claim_jobs('{test_crowd}', '5 minutes', 3)";
	return join '', map {;
		"begin;\nselect id from kith.claim_jobs('{test_crowd}', '5 minutes', 3) \\g /dev/null\nrollback;\n",
		"with c as materialized ($claim) select kith.fail_job(id, attempts, 'x', '0') from c \\g /dev/null\n",
		"with c as materialized ($claim) select id from c where kith.finish_job(id, attempts);\n",
	} 1 .. 40;
});
# What the last ones put back is left: one more finishes it.
push @done, sql("with c as materialized (select id, attempts from kith.claim_jobs('{test_crowd}', '5 minutes', 1000))
    select id from c where kith.finish_job(id, attempts)");
my %times;
$times{$_}++ for @done;
is @done . ' ' . keys %times, '200 200', 'each job is done once';
is sql("select count(*) from kith.jobs where kind = 'test_crowd' and status = 'done'"), 200, 'and none is left';
%ids = map { $_ => 1 } at_once(sub { "select kith.enqueue('test_crowd', key => 'same $user');\n" });
is keys %ids, 1, 'eight that queue the same key queue one job';
sql("delete from kith.jobs where kind = 'test_crowd'");

# Voices: of eight calls at once one trains, and one speaks.
my $profile = sql("insert into public.profiles (user_id, name, relation) values ('$user', 'Anna', 'mother') returning id");
sql("insert into public.clips (user_id, profile_id, prompt_index, prompt_text, audio_storage_path, mime_type)
    select '$user', '$profile', i, 'x', format('training_clips/%s/%s/%s.webm', '$user', '$profile', i), 'audio/webm' from generate_series(0, 24) i");
sub at_most_once ($call) {
	return as_user($user, "do \$\$ begin perform $call; exception when sqlstate 'PT409' then null; end \$\$");
}
at_once(sub { at_most_once("public.train_voice('$profile', true)") });
is sql("select voice_model_status from public.profiles where id = '$profile'"), 'training', 'the voice is trained';
is sql("select count(*) from kith.jobs where user_id = '$user' and kind = 'train_voice'"), 1, 'by one job';
sql("update public.profiles set voice_model_status = 'ready', elevenlabs_voice_id = 'x' where id = '$profile'");
my $message = sql("insert into public.voice_messages (user_id, profile_id, title, category, prompt_text, generated_text)
    values ('$user', '$profile', 'x', 'other', 'x', 'x') returning id");
at_once(sub { at_most_once("public.generate_voice_message('$message')") });
is sql("select status from public.voice_messages where id = '$message'"), 'generating', 'the message is spoken';
is sql("select count(*) from kith.jobs where user_id = '$user' and kind = 'generate_voice_message'"), 1, 'by one job';

# What is to be removed is looked at before the worker of this instance does it.
sql("create function kith.put_off() returns trigger language plpgsql as \$\$ begin new.run_at := now() + interval '1 hour'; return new; end \$\$;
    create trigger put_off before insert on kith.jobs for each row when (new.user_id = '$user') execute function kith.put_off()");

# A clip recorded on two phones at once.
at_once(sub ($n) {
	return as_user($user, "insert into public.clips (profile_id, prompt_index, prompt_text, audio_storage_path, mime_type)
	    values ('$profile', 7, 'x', format('training_clips/%s/%s/7.%s', '$user', '$profile', 'webm$n'), 'audio/webm')
	    on conflict (profile_id, prompt_index) do update set audio_storage_path = excluded.audio_storage_path");
});
is sql("select count(*) from public.clips where profile_id = '$profile' and prompt_index = 7"), 1, 'one clip is left';
is sql("select count(distinct p) || ' ' || bool_or(p = c.audio_storage_path)
    from kith.jobs j, jsonb_array_elements_text(j.payload -> 'paths') p, public.clips c
    where j.user_id = '$user' and c.profile_id = '$profile' and c.prompt_index = 7"), '8 false', 'and the other eight files are removed';
sql("delete from public.profiles where id = '$profile'; delete from kith.jobs where user_id = '$user'");
sql("drop trigger put_off on kith.jobs; drop function kith.put_off()");

# The limits of the plan: of eight at once, each with two rows, five fit into ten documents.
sub refused_or ($statement) { "do \$\$ begin $statement; exception when sqlstate 'PT403' then null; end \$\$" }
at_once(sub { as_user($user, refused_or("insert into public.documents (filename) values ('a'), ('b')")) });
is sql("select count(*) from public.documents where user_id = '$user'"), 10, 'eight writers at once do not go above the limit';
sql("delete from public.documents where user_id = '$user'");
my $speaker = sql("insert into public.profiles (user_id, name, relation, voice_model_status, elevenlabs_voice_id) values ('$user', 'Anna', 'mother', 'ready', 'y') returning id");
sql("delete from kith.spoken_messages where user_id = '$user'; insert into public.voice_messages (user_id, profile_id, title, category, prompt_text, generated_text)
    select '$user', '$speaker', i::text, 'other', 'x', 'x' from generate_series(1, $writers) i");
at_once(sub ($n) { as_user($user, refused_or("perform public.generate_voice_message(id) from public.voice_messages where title = '$n'")) });
is sql("select count(*) filter (where status = 'generating') || ' ' || count(*) filter (where status = 'draft') from public.voice_messages where user_id = '$user' and profile_id = '$speaker'"),
    '5 3', 'nor do eight that speak';
sql("delete from public.profiles where id = '$speaker'; delete from kith.jobs where user_id = '$user'");

# Telegram: one live token, used once, by one account.
my $other = new_user;
my $telegram = 5_000_000_000 + $$;
my $new_token = 'select public.create_telegram_link_token()';
my %tokens = map { $_ => 1 } at_once(sub { as_user($user, $new_token) });
is keys %tokens, $writers, 'eight calls make eight tokens';
is sql("select count(*) from public.telegram_link_tokens where user_id = '$user'"), 1, 'of which one lives';
my $live = sql("select t from unnest('{" . join(',', keys %tokens) . "}'::text[]) t
    join public.telegram_link_tokens l on l.token = kith.telegram_token_digest(t)");
sub redeem ($token, $account) {
	return "select outcome from kith.redeem_telegram_link_token('$token', $account, $account);\n";
}
is join(' ', sort(at_once(sub { redeem($live, $telegram + 10 * shift) }))), 'linked' . ' used' x ($writers - 1), 'of eight accounts one is linked';
is sql("select telegram_user_id - $telegram in (10, 20, 30, 40, 50, 60, 70, 80) from public.users where id = '$user'"), 't', 'which is one of them';

# One account with the tokens of two users, while these make new ones.
for (1 .. 3) {
	my @both = map { (sql("begin; select set_config('request.jwt.claims', '{\"sub\":\"$_\"}', true); $new_token; commit"))[1] } $user, $other;
	my @outcomes = at_once(sub ($n) {
		return $n > 6 ? as_user($n % 2 ? $user : $other, "$new_token \\g /dev/null") : redeem($both[$n % 2], $telegram);
	});
	is grep({ !/^(linked|used|unknown)\z/ } @outcomes), 0, 'an account is moved to and fro';
	cmp_ok sql("select count(*) from public.users where telegram_user_id = $telegram"), '<=', 1, 'and is of one user at most';
}

# Messages: eight workers share what is due, while its user changes and deletes
# other messages, and some workers roll back.  As the worker does, each posts
# and ends a message in a transaction of its own: a transaction with two of them
# could wait for a user who waits for it.
sql("insert into public.scheduled_messages (user_id, channel, scheduled_for, message_type)
    select '$user', 'email', now(), 'crowd' from generate_series(1, 200)");
sub send_messages ($how_many) {
	return "create temporary table mine as select id, attempt from kith.claim_messages($how_many, interval '1 hour');
	    select format('select %L from kith.post_message(%1\$L, %s)', id, attempt) from mine \\gexec
	    select format('select where not kith.finish_message(%L, %s, ''sent'')', id, attempt) from mine \\gexec
	    drop table mine;\n";
}
my @sent = at_once(sub ($n) {
	return join '', map {;
		"begin;\nselect from kith.claim_messages(5, interval '1 hour') \\g /dev/null\nrollback;\n",
		send_messages(5),
		as_user($user, "update public.scheduled_messages set scheduled_for = now() where message_type = 'crowd' and id in (
		    select id from public.scheduled_messages where message_type = 'crowd' and status = 'pending' order by id limit 1)"),
		as_user($user, "insert into public.scheduled_messages (channel, scheduled_for, message_type) values ('email', now(), 'gone $n');
		    delete from public.scheduled_messages where message_type = 'gone $n'"),
	} 1 .. 10;
});
# What the ones that rolled back held meanwhile.
push @sent, at_once(sub { $_[0] == 1 ? send_messages(1000) : '' });
%times = ();
$times{$_}++ for @sent;
is grep({ $_ > 1 } values %times), 0, 'no message goes out twice';
is sql("select count(*) || ' ' || min(attempts) || ' ' || max(attempts) from public.scheduled_messages where user_id = '$user' and message_type = 'crowd' and status = 'sent'"),
    '200 1 1', 'and each goes out';
is sql("select count(*) from kith.outbox o join public.scheduled_messages m on m.id = o.message_id where m.user_id = '$user'"), 0, 'the outbox is empty';
at_once(sub { "select kith.schedule_message('$user', 'digest', now(), 'email') \\g /dev/null\n" });
is sql("select count(*) from public.scheduled_messages where user_id = '$user' and message_type = 'digest'"), 1, 'eight that schedule the message of a day schedule one';

# Files: of twenty-four at once that are too many together, those are stored that
# the plan allows; and of all who create one name, one.  C14
sql("insert into storage.buckets (id, name) values ('test_crowd', 'test_crowd')");
sub store_file ($name, $size, $upsert = 'false') {
	return "do \$\$ begin perform kith.store_object('test_crowd', '$name', gen_random_uuid()::text, '$user', '{\"size\": $size}', '{}', null, $upsert);
	    exception when sqlstate 'PT403' then null; end \$\$;\n";
}
at_once(sub ($n) { join '', map { store_file("$user/$n.$_", 10_000_000) } 1 .. 3 });
is sql("select count(*) || ' ' || (select bytes from kith.storage_usage where user_id = '$user') from storage.objects where owner_id = '$user'"),
    '10 100000000', 'the quota holds, and nothing that fits is refused';
at_once(sub ($n) {
	my $remove = "set storage.allow_delete_query = 'true'; delete from storage.objects where bucket_id = 'test_crowd' and name like '$user/%' and random() < 0.3;\n";
	return join '', map { store_file("$user/" . ($n + $_) % 5, 1_000_000 * $_, 'true'), $_ % 3 ? '' : $remove } 1 .. 10;
});
is sql("select bytes from kith.storage_usage where user_id = '$user'"),
    sql("select coalesce(sum((metadata ->> 'size')::bigint), 0) from storage.objects where owner_id = '$user'"), 'the sum is right after many changes';
is sql("select count(*) from kith.stored_files f where f.user_id = '$user' and not exists (select from storage.objects o where o.version = f.version)"), 0,
    'and knows no file that has no row';
my @creators = at_once(sub {
	return "create function pg_temp.create_file() returns text language plpgsql as \$\$ begin
	        return id from kith.store_object('test_crowd', 'one', gen_random_uuid()::text, null, '{\"size\": 1}', '{}', null, false);
	    exception when unique_violation then return null; end \$\$;
	    select pg_temp.create_file();\n";
});
is @creators, 1, 'of eight who create one name, one does';

done_testing;
