#!/usr/bin/perl
# Files go when their rows have gone, after those who still read them; what a crash leaves behind is found; and nobody's file
# goes that a row names.  doctor --files tells when rows and disk disagree.  B8 H6

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use File::Find ();

my $k = Kith::Test->new(own => 1, env => { KITH_FILE_GRACE => 1, KITH_ORPHAN_AGE => 1 });
my $instance = $k->instance;
my ($ana, $ben) = $k->users(qw(ana ben));
my $storage = $instance->home . '/storage';
$k->sql("insert into storage.buckets (id, name) values ('training_clips', 'training_clips'), ('test_files', 'test_files') on conflict do nothing");

sub upload ($user, $path, $bytes) {
	return $user->post("/storage/v1/object/$path", $bytes, 'content-type' => 'application/octet-stream', 'x-upsert' => 'true');
}
sub path ($name, $user = $ana) { 'test_files/' . $user->id . "/$name" }
sub version ($path) {
	my ($bucket, $name) = split m{/}, $path, 2;
	return $k->sql("select version from storage.objects where bucket_id = '$bucket' and name = '$name'");
}
sub place ($version) { join '/', $storage, 'objects', substr($version, 0, 2), substr($version, 2, 2), $version }
sub gone ($version) { poll(20, sub { wake(); !-e place($version) }) }
sub wake () { $k->sql('notify kith_jobs') }

# All files, by the names of their versions.
sub files () {
	my @found;
	File::Find::find(sub { push @found, $_ if -f }, "$storage/objects");
	return sort @found;
}

# A round of looking for what no row names begins with each worker.
sub new_worker () {
	my @old = map { $_->{pid} } grep { $_->{name} eq 'kith-worker' } $instance->programs;
	kill KILL => @old;
	return;
}

# --- a file that is replaced, or deleted -------------------------------------

is_status upload($ana, path('a.txt'), 'first'), 200, 'a file';
my $first = version(path('a.txt'));
ok -e place($first), 'is on the disk';
is_status upload($ana, path('a.txt'), 'second'), 200, 'another takes its name';
my $second = version(path('a.txt'));
isnt $second, $first, 'in a file of its own';
ok gone($first), 'the first goes after a while';
ok -e place($second), 'the second stays';
is_text $ana->get('/storage/v1/object/' . path('a.txt')), 200, 'second', 'and is read';
is_status $ana->send(DELETE => '/storage/v1/object/test_files', json({ prefixes => [ $ana->id . '/a.txt' ] })), 200, 'it is deleted';
ok gone($second), 'and goes too';
is $k->sql('select count(*) from kith.released_files'), 0, 'nothing waits any more';

# --- jobs that delete files --------------------------------------------------

my $profile = $ana->make(profiles => { name => 'Anna', relation => 'mother' });
my @clips;
for my $prompt (0 .. 2) {
	my $path = join('/', 'training_clips', $ana->id, $profile->{id}, $prompt) . '.webm';
	is_status $ana->post("/storage/v1/object/$path", "clip $prompt", 'content-type' => 'audio/webm'), 200, "clip $prompt is stored";
	push @clips, $ana->make(clips => {
		profile_id => $profile->{id}, prompt_index => $prompt, prompt_text => 'Tell.', audio_storage_path => $path, mime_type => 'audio/webm' });
}
my @versions = map { version($_->{audio_storage_path}) } @clips;

sub delete_job ($before, @paths) {
	return $k->sql("select kith.enqueue('delete_files', jsonb_build_object('paths', array[" . join(', ', map { "'$_'" } @paths) . "]::text[], 'before', $before))");
}
sub job ($id) { $k->sql("select concat_ws(' ', status, last_error) from kith.jobs where id = $id") }
sub ended ($id) { poll(20, sub { job($id) =~ /^(done|failed)/ && job($id) }) }

is ended(delete_job('now()', $clips[0]{audio_storage_path})), 'done', 'a job to delete a file that a row refers to by now';
is version($clips[0]{audio_storage_path}), $versions[0], 'leaves it';
is_status $ana->del("/rest/v1/clips?id=eq.$clips[0]{id}"), 204, 'the row goes';
ok gone($versions[0]), 'and with it the file';
is version($clips[0]{audio_storage_path}), '', 'which no row of storage names';
is_status upload($ana, path('kept.txt'), 'kept'), 200, 'a file that no row refers to';
is ended(delete_job("now() - interval '1 minute'", path('kept.txt'))), 'done', 'and a job that is older';
isnt version(path('kept.txt')), '', 'keeps it';
is ended(delete_job('now()', path('none.txt'), 'nowhere/at/all', 'x', '../../../etc/passwd')), 'done', 'files that are not there are gone';
for my $payload ('{}', '{"paths": "x", "before": "now"}', '{"paths": [1], "before": "now"}', '{"paths": ["a/b"]}') {
	is ended($k->sql("select kith.enqueue('delete_files', '$payload')")), 'failed the payload names no files', "$payload is given up";
}
is ended(delete_job('now()')), 'done', 'none at all is soon done';
is_status $ana->del("/rest/v1/profiles?id=eq.$profile->{id}"), 204, 'a profile goes';
ok gone($_), 'and the files of its clips' for @versions[ 1, 2 ];
is_status upload($ben, path('b.txt', $ben), 'of ben'), 200, 'a stranger';
my $of_ben = version(path('b.txt', $ben));
my $kept = version(path('kept.txt'));
is_status $ana->post('/rest/v1/rpc/delete_my_account', {}), 204, 'an account goes';
ok gone($kept), 'with all its files';
ok -e place($of_ben), 'and nobody else\'s';
is_text $ben->get('/storage/v1/object/' . path('b.txt', $ben)), 200, 'of ben', 'who reads on';

# --- what crashes leave -------------------------------------------------------

my @orphans = map { uuid } 1 .. 3;

sub put_file ($path, $age = 0) {
	my $dir = $path =~ s{/[^/]+$}{}r;
	system(qw(install -d -o), (stat "$storage/objects")[4], $dir =~ s{/[^/]+$}{}r, $dir) == 0 or die "install\n";
	open my $f, '>', $path or die "$path: $!\n";
	print $f 'left behind';
	close $f;
	chown((stat "$storage/objects")[ 4, 5 ], $path);
	utime time - $age, time - $age, $path;
	return;
}
put_file(place($_)) for @orphans;
put_file("$storage/objects/notes.txt");
put_file("$storage/tmp/" . uuid, 2 * 86400);
my $young = uuid;
put_file("$storage/tmp/$young", 3600);
$k->watch->restarts_expected;
ok poll(30, sub { new_worker(); poll(2, sub { !grep { -e place($_) } @orphans }) }), 'files that no row names are removed';
is_deeply [ files() ], [ sort $of_ben, 'notes.txt' ], 'and no other';
opendir my $tmp, "$storage/tmp" or die;
is_deeply [ grep { !/^\./ } readdir $tmp ], [$young], 'nor an upload that may be continued';
unlink "$storage/tmp/$young";

# --- doctor --files -----------------------------------------------------------

sub doctor () { eval { $instance->kith('doctor', '--files') } // $@ }

like doctor(), qr/exit status 1.*^wrong  objects\/notes\.txt is in the place of no file of storage$/ms, 'doctor finds what does not belong there';
unlink "$storage/objects/notes.txt";
is doctor(), "note   1 objects, 1 files\nRows and files agree.\n", 'and is content without';
open my $f, '>>', place($of_ben) or die;
print $f 'more';
close $f;
like doctor(), qr/^wrong  \Q@{[ path('b.txt', $ben) ]}\E: its file has 10 bytes, and should have 6 /m, 'a file of another size';
rename place($of_ben), "$storage/aside" or die;
like doctor(), qr/^wrong  \Q@{[ path('b.txt', $ben) ]}\E: its file is missing /m, 'a file that is missing';
my $orphan = uuid;
put_file(place($orphan));
like doctor(), qr/^note   1 files that no row names: the worker removes them/m, 'a file that the worker will find';
is_status $ben->get('/storage/v1/object/' . path('b.txt', $ben)), 400, 'nobody downloads what is not there';
rename "$storage/aside", place($of_ben) or die;
truncate place($of_ben), 6;
unlink place($orphan);
is doctor(), "note   1 objects, 1 files\nRows and files agree.\n", 'all is well again';
ok !eval { $instance->kith('doctor', '--everything') }, 'what doctor does not know it refuses';

done_testing;
