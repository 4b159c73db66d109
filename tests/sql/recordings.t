#!/usr/bin/perl
# Goal: a recording whose file and row are written at the same time is listened to, whichever commits first, and nobody waits
# for each other.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Handle ();
use Kith::Test::Sql;
use Test::More;

my $user = new_user;
my $profile = sql("insert into public.profiles (user_id, name, relation) values ('$user', 'Anna', 'mother') returning id");
sql("insert into storage.buckets (id, name) values ('training_clips', 'training_clips') on conflict do nothing");

# A psql that stays open.
sub session ($name) {
	local $ENV{PGAPPNAME} = "recordings $$ $name";
	open my $in, '|-', 'psql -XqAt -v ON_ERROR_STOP=1 >/dev/null' or die "psql: $!\n";
	$in->autoflush(1);
	return $in;
}

sub until_true ($sql) {
	my $end = time + 30;
	until (sql($sql) eq 't') {
		return 0 if time > $end;
		select undef, undef, undef, 0.02;
	}
	return 1;
}

sub name ($prompt) { "$user/$profile/$prompt.webm" }

my %writes = (
	file => sub ($prompt) {
		"insert into storage.objects (bucket_id, name, version, owner_id, metadata) values ('training_clips', '@{[ name($prompt) ]}', gen_random_uuid(), '$user', '{\"size\": 1}');\n"
	},
	row => sub ($prompt) {
		"insert into public.clips (user_id, profile_id, prompt_index, prompt_text, audio_storage_path, mime_type)
			values ('$user', '$profile', $prompt, 'Tell.', 'training_clips/@{[ name($prompt) ]}', 'audio/webm')
			on conflict (profile_id, prompt_index) do update set audio_storage_path = excluded.audio_storage_path;\n"
	},
);
my $prompt = 0;
for my $order ([qw(file row)], [qw(row file)]) {
	my ($first, $second) = @$order;
	my ($one, $other) = map { session($_) } @$order;
	print $one "begin;\n", $writes{$first}->($prompt);
	ok until_true("select exists (select from pg_stat_activity where application_name = 'recordings $$ $first' and state = 'idle in transaction' and query like 'insert%')"),
	  "the $first is written, and not committed";
	print $other $writes{$second}->($prompt);
	ok until_true("select exists (select from pg_stat_activity where application_name = 'recordings $$ $second' and wait_event = 'advisory')"), "the $second waits";
	print $one "commit;\n";
	ok close $one, "the $first is there";
	ok close $other, "and the $second";
	is sql("select count(*) from kith.jobs j join public.clips c on j.key = 'probe/clips/' || c.id where c.profile_id = '$profile' and c.prompt_index = $prompt"), 1, 'and it is listened to';
	$prompt++;
}

# File and row in one transaction, while the app writes the same row by itself.
my ($both, $alone) = map { session($_) } qw(both alone);
print $both "begin;\n", $writes{file}->($prompt);
ok until_true("select exists (select from pg_stat_activity where application_name = 'recordings $$ both' and state = 'idle in transaction' and query like 'insert%')"), 'a file';
print $alone $writes{row}->($prompt);
ok until_true("select exists (select from pg_stat_activity where application_name = 'recordings $$ alone' and wait_event = 'advisory')"), 'a row of it waits';
print $both $writes{row}->($prompt), "commit;\n";
ok close $both, 'the file has its row';
ok close $alone, 'and then another';

sql("set storage.allow_delete_query = 'true'; delete from storage.objects where name like '$user/%'");
done_testing;
