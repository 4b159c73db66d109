#!/usr/bin/perl
# The worker dies among files: none is lost, none is left, and what it began another one ends.  B1 H6

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use File::Find ();
use File::Temp ();
use Time::HiRes qw(sleep);

my $dir = File::Temp->newdir;
chmod 0755, $dir;

# Who listens to recordings, or does not.
sub listener ($target) {
	unlink "$dir/ffmpeg";
	symlink $target, "$dir/ffmpeg" or die "ffmpeg: $!\n";
	return;
}
open my $script, '>', "$dir/deaf" or die;
print $script "#!/bin/sh\nexec sleep 1000\n";
close $script;
chmod 0755, "$dir/deaf";
listener("$dir/deaf");

my $k = Kith::Test->new(own => 1, env => { KITH_FILE_GRACE => 1, KITH_FFMPEG => "$dir/ffmpeg" });
my $instance = $k->instance;
$k->watch->restarts_expected;
my ($ana) = $k->users('ana');
my $storage = $instance->home . '/storage';
my $profile = $ana->make(profiles => { name => 'Anna', relation => 'mother' });
my @paths = map { join('/', 'training_clips', $ana->id, $profile->{id}, $_) . '.webm' } 0 .. 9;

sub files () {
	my $n = 0;
	File::Find::find(sub { $n++ if -f }, "$storage/objects");
	return $n;
}
sub upload ($path, $bytes) {
	return $ana->post("/storage/v1/object/$path", $bytes, 'content-type' => 'audio/webm', 'x-upsert' => 'true');
}
sub wake () { $k->sql('notify kith_jobs') }
sub workers () { grep { $_->{name} eq 'kith-worker' } $instance->programs }
sub kill_worker () {
	kill KILL => map { $_->{pid} } workers();
	return;
}
# A session that holds locks by this statement until it is finished.
sub lock_by ($statement) {
	my $session = $instance->session;
	$session->tell("begin; $statement;");
	my $held = "select exists (select from pg_stat_activity where state = 'idle in transaction' and query = '@{[ $statement =~ s/'/''/gr ]};')";
	poll(20, sub { $k->sql($held) eq 't' }) or die "no lock: $statement\n";
	return $session;
}

# Waits for a lock that a test holds.
sub stuck () {
	return poll(20, sub {
		wake();
		$k->sql("select exists (select from pg_stat_activity where application_name = 'kith-worker' and wait_event_type = 'Lock')") eq 't';
	});
}

# --- between a file and what is known of it -----------------------------------

is_status upload($paths[$_], "first $_"), 200, "file $_" for 0 .. 4;
is files(), 5, 'five files';
kill STOP => map { $_->{pid} } workers();
is_status upload($paths[$_], "second $_"), 200, "file $_ is replaced" for 0 .. 4;
is files(), 10, 'ten files';
my $session = lock_by('lock table kith.released_files in share row exclusive mode');
kill CONT => map { $_->{pid} } workers();
ok stuck(), 'the worker has removed files, and cannot say so';
kill_worker();
cmp_ok files(), '<', 10, 'files are gone';
is $k->sql('select count(*) from kith.released_files'), 5, 'which wait to be removed';
$session->finish;
ok poll(20, sub { wake(); $k->sql('select count(*) from kith.released_files') eq '0' }), 'another worker is content';
is files(), 5, 'each object has one file';
is_text $ana->get("/storage/v1/object/$paths[$_]"), 200, "second $_", "which is the second $_" for 0 .. 4;

# --- in the middle of a job ---------------------------------------------------

$ana->make(clips => { profile_id => $profile->{id}, prompt_index => $_, prompt_text => 'x', mime_type => 'audio/webm', audio_storage_path => $paths[$_] })
  for 0 .. 4;
$k->sql("update kith.jobs set run_at = now() + interval '1 hour' where kind = 'probe_recording'");
kill_worker();
$session = lock_by("select from storage.objects where bucket_id = 'training_clips' for update");
is_status $ana->del('/rest/v1/clips?prompt_index=gte.0'), 204, 'all clips go';
ok stuck(), 'the worker cannot delete their files';
kill_worker();
$session->finish;
$k->sql("update kith.jobs set leased_until = now() where status = 'running'");
ok poll(20, sub { wake(); files() == 0 }), 'another one does';
is $k->sql("select string_agg(status, ' ') from kith.jobs where kind = 'delete_files'"), 'done', 'the job is done';
is $k->sql('select count(*) from storage.objects'), 0, 'no row is left';

# --- while somebody listens ---------------------------------------------------

system(qw(ffmpeg -nostdin -v error -y -f lavfi -i sine=d=2 -c:a libopus), "$dir/a.webm") == 0 or die "ffmpeg\n";
my $recording = do { open my $f, '<:raw', "$dir/a.webm" or die; local $/; <$f> };
is_status upload($paths[5], $recording), 200, 'a recording';
$ana->make(clips => { profile_id => $profile->{id}, prompt_index => 5, prompt_text => 'x', mime_type => 'audio/webm', audio_storage_path => $paths[5] });

# The children of the worker.
sub listeners () {
	my @found;
	for my $worker (workers()) {
		open my $f, '<', "/proc/$worker->{pid}/task/$worker->{pid}/children" or next;
		push @found, split ' ', <$f> // '';
	}
	return @found;
}
my @listening;
ok poll(20, sub { wake(); @listening = listeners(); @listening == 1 }), 'somebody listens, and does not answer';
open my $limits, '<', "/proc/$listening[0]/limits" or die;
my %limit = map { /^(Max .*?) {2,}(\S+)/ ? ($1 => $2) : () } <$limits>;
is_deeply [ @limit{ 'Max cpu time', 'Max file size', 'Max open files', 'Max core file size' } ], [ 20, 0, 16, 0 ], 'within limits';
open my $environment, '<', "/proc/$listening[0]/environ" or die;
unlike join('', <$environment> // ''), qr/KITH/, 'and knows nothing of us';
kill_worker();
ok poll(10, sub { !kill 0, $listening[0] }), 'it dies with its worker';

# Who dies of what it hears: nothing is known of that file.
open $script, '>', "$dir/weak" or die;
print $script "#!/bin/sh\nkill -KILL \$\$\n";
close $script;
chmod 0755, "$dir/weak";
listener("$dir/weak");
sub heard ($want) {
	$k->sql("update kith.jobs set leased_until = now() where status = 'running'");
	return poll(20, sub { wake(); $k->sql("select concat_ws(' ', size_bytes > 0, duration_ms / 100, quality_status) from public.clips where prompt_index = 5") eq $want });
}
ok heard('t unknown'), 'whoever dies of a recording knows nothing of it';
ok poll(20, sub { $k->sql("select j.status || j.attempts from kith.jobs j join public.clips c on j.key = 'probe/clips/' || c.id where c.prompt_index = 5") eq 'done2' }), 'and it is not tried again';
listener('/usr/bin/ffmpeg');
is_status upload($paths[5], $recording), 200, 'it is stored again';
ok heard('t 20 good'), 'and listened to by who is well';
ok poll(20, sub { wake(); files() == 1 }), 'the file that it had before goes';
is $instance->kith('doctor', '--files'), "note   1 objects, 1 files\nRows and files agree.\n", 'rows and files agree';

done_testing;
