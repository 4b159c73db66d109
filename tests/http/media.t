#!/usr/bin/perl
# Recordings are listened to: how long they are, how large, and whether they should be made again, whatever made them and
# whatever is in them.  B11 C14

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use File::Temp ();

my $k = Kith::Test->new(own => 1);
my $instance = $k->instance;
my ($ana, $ben) = $k->users(qw(ana ben));
my $dir = File::Temp->newdir;
$k->sql("insert into storage.buckets (id, name) values ('training_clips', 'training_clips'), ('voice_messages', 'voice_messages') on conflict do nothing");
my $profile = $ana->make(profiles => { name => 'Anna', relation => 'mother' });

# A recording by ffmpeg: how loud at a time, how long, in which form.
my $speech = '0.3*sin(2*PI*220*t)*(0.5+0.5*sin(2*PI*3*t))';

sub record ($sound, $seconds, $name, @how) {
	system(qw(ffmpeg -nostdin -v error -y -f lavfi -i), "aevalsrc=$sound:s=48000:d=$seconds", @how, "$dir/$name") == 0
	  or die "ffmpeg could not make $name\n";
	return slurp($name);
}

sub slurp ($name) {
	open my $f, '<:raw', "$dir/$name" or die "$name: $!\n";
	local $/;
	return scalar <$f>;
}

sub path ($prompt, $ending = 'webm') { join('/', 'training_clips', $ana->id, $profile->{id}, $prompt) . ".$ending" }

sub upload ($prompt, $ending, $bytes, $user = $ana) {
	return $user->post('/storage/v1/object/' . path($prompt, $ending), $bytes, 'content-type' => 'audio/webm', 'x-upsert' => 'true');
}

sub clip ($prompt, $ending, %more) {
	return $ana->post(
		'/rest/v1/clips?on_conflict=profile_id,prompt_index',
		{
			profile_id => $profile->{id}, prompt_index => $prompt, prompt_text => 'Tell of your day.', mime_type => 'audio/webm',
			audio_storage_path => path($prompt, $ending), %more
		},
		Prefer => 'resolution=merge-duplicates'
	);
}

# What is known of a clip once nobody listens any more.
sub facts ($prompt, $seconds = 30) {
	my $idle = "select not exists (select from kith.jobs where kind = 'probe_recording' and status in ('pending', 'running'))";
	poll($seconds, sub { $k->sql($idle) eq 't' }) or return 'never heard';
	my ($row) = rows $ana->get("/rest/v1/clips?prompt_index=eq.$prompt&select=size_bytes,duration_ms,quality_status");
	return join ' ', map { $_ // 'null' } @$row{qw(size_bytes duration_ms quality_status)};
}

# --- what recorders make ----------------------------------------------------

my $prompt = 0;
my %made = (
	'webm of a browser' => [ 'webm', qw(-c:a libopus -f webm -live 1) ],
	'mp4 of Safari' => [ 'mp4', qw(-c:a aac -movflags frag_keyframe+empty_moov) ],
	'm4a of a phone' => [ 'm4a', qw(-c:a aac) ],
	'mp3' => [ 'mp3', qw(-c:a libmp3lame) ],
	'wav' => [ 'wav', qw(-c:a pcm_s16le) ],
	'wav of two channels and another rate' => [ 'wav', qw(-c:a pcm_f32le -ac 2 -ar 44100) ],
	'ogg of Firefox' => [ 'ogg', qw(-c:a libopus) ],
	'flac' => [ 'flac', qw(-c:a flac) ],
);
for my $what (sort keys %made) {
	my ($ending, @how) = @{ $made{$what} };
	my $bytes = record($speech, 2.5, "made.$ending", @how);
	is_status upload($prompt, $ending, $bytes), 200, "$what is uploaded";
	is_status clip($prompt, $ending), 201, 'and gets its row';
	my ($size, $ms, $quality) = split / /, facts($prompt);
	is $size, length $bytes, 'its size is read from the file';
	# Codecs that work in frames fill up the last one.
	ok $ms >= 2500 && $ms <= 2560, "so is how long it is: $ms";
	is $quality, 'good', 'and there is nothing wrong with it';
	$prompt++;
}
my $video = record($speech, 1.5, 'video.webm', qw(-f lavfi -i testsrc=d=1.5:s=64x48 -c:v libvpx -c:a libopus));
is_status upload($prompt, 'webm', $video), 200, 'a video';
is_status clip($prompt, 'webm'), 201, 'is a recording too';
like facts($prompt), qr/^\d+ 15\d\d good$/, 'as long as its sound';

# --- what should be made again ----------------------------------------------

my %bad = (
	'less than a second' => [ $speech, 0.7, qr/^\d+ 7\d\d redo_suggested$/ ],
	'silence' => [ '0', 2, qr/^\d+ 20\d\d redo_suggested$/ ],
	'a room where nobody speaks' => [ '0.002*(random(0)*2-1)', 2, qr/^\d+ 20\d\d redo_suggested$/ ],
	'much too loud' => [ "clip(8*$speech\\,-1\\,1)", 2, qr/^\d+ 20\d\d redo_suggested$/ ],
	'quiet, and yet a voice' => [ "0.1*$speech", 2, qr/^\d+ 20\d\d good$/ ],
);
is_status clip(9, 'webm'), 201, 'a row that comes before its file';
for my $what (sort keys %bad) {
	my ($sound, $seconds, $want) = @{ $bad{$what} };
	is_status upload(9, 'webm', record($sound, $seconds, 'again.webm', qw(-c:a libopus))), 200, "$what is recorded over it";
	like facts(9), $want, 'and listened to';
}

# --- what is no recording ---------------------------------------------------

my $whole = record($speech, 3, 'whole.webm', qw(-c:a libopus));
my $playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://$dir/whole.webm\n#EXT-X-ENDLIST\n";
my %none = (
	'nothing' => ['', qr/^0 0 redo_suggested$/ ],
	'noise of bytes' => [ join('', map { chr int rand 256 } 1 .. 20000), qr/^20000 0 redo_suggested$/ ],
	'text' => [ "not a word\n" x 100, qr/^1100 0 redo_suggested$/ ],
	'a list of other files' => [ $playlist, qr/^\d+ 0 redo_suggested$/ ],
	'a script that says which' => [ "ffconcat version 1.0\nfile $dir/whole.webm\n", qr/^\d+ 0 redo_suggested$/ ],
	'half of a recording' => [ substr($whole, 0, length($whole) / 2), qr/^\d+ 1\d\d\d good$/ ],
	'the head of one' => [ substr($whole, 0, 100), qr/^100 0 redo_suggested$/ ],
);
for my $what (sort keys %none) {
	my ($bytes, $want) = @{ $none{$what} };
	is_status upload(9, 'webm', $bytes), 200, "$what is uploaded";
	like facts(9), $want, 'and is what it is';
}
# A day of sound, in a megabyte.
my $slow = pack 'A4VA4A4VvvVVvvA4V', 'RIFF', 1_000_036, 'WAVE', 'fmt ', 16, 1, 1, 10, 10, 1, 8, 'data', 1_000_000;
is_status upload(9, 'webm', $slow . "\x90\x70" x 500_000), 200, 'a file that takes hours to hear out';
like facts(9, 120), qr/^1000044 null unknown$/, 'is left alone';
is $k->sql("select count(*) from kith.jobs where kind = 'probe_recording' and status <> 'done'"), 0, 'no job has failed of that';
is_status upload(9, 'webm', $whole), 200, 'the next one';
like facts(9), qr/^\d+ 30\d\d good$/, 'is heard as ever';

# --- who has the last word --------------------------------------------------

is_status clip(9, 'webm', duration_ms => 1, quality_status => 'redo_suggested', size_bytes => 1), 200, 'whatever the app says when it writes the row';
like facts(9), qr/^\d{4,} 30\d\d good$/, 'the file knows better';
is_status $ana->patch('/rest/v1/clips?prompt_index=eq.9', { quality_status => 'redo_suggested' }), 204, 'whoever listened to it says otherwise';
like facts(9), qr/^\d+ 30\d\d redo_suggested$/, 'and that stays';
is_refused upload(9, 'webm', 'x', $ben), 'a stranger stores nothing there';
is_json $ben->get('/rest/v1/clips'), 200, [], 'and sees none of it';

# --- messages that are spoken -------------------------------------------------

my $message = $k->sql("insert into public.voice_messages (user_id, profile_id, title, category, prompt_text, generated_text, audio_storage_path)
	values ('@{[ $ana->id ]}', '$profile->{id}', 'For Mia', 'birthday', '', 'Happy birthday.', 'voice_messages/@{[ $ana->id ]}/mia.mp3') returning id");
my $spoken = record($speech, 2.2, 'spoken.mp3', qw(-c:a libmp3lame));
is_status $ana->post('/storage/v1/object/voice_messages/' . $ana->id . '/mia.mp3', $spoken, 'content-type' => 'audio/mpeg'), 200, 'the recording of a message';
facts(9);
is_json $ana->get("/rest/v1/voice_messages?id=eq.$message&select=size_bytes,duration_ms"), 200, [ { size_bytes => length $spoken, duration_ms => qr/^22\d\d$/ } ],
  'is listened to as well';

# --- without anybody who listens --------------------------------------------

$k->watch->restarts_expected;
$instance->kith('down');
$instance->{env}{KITH_FFMPEG} = "$dir/nothing";
$instance->kith('up');
is_status upload(9, 'webm', record($speech, 1.2, 'later.webm', qw(-c:a libopus))), 200, 'where there is no ffmpeg files are stored';
is $k->sql("select status || attempts from kith.jobs where kind = 'probe_recording' and status <> 'done'"), 'pending' . $k->sql("select attempts from kith.jobs where kind = 'probe_recording' and status <> 'done'"), 'and wait';
like eval { $instance->kith('doctor') } // $@, qr/^note   nobody listens to recordings.*ffmpeg$/m, 'doctor says so';
$instance->kith('down');
$instance->{env}{KITH_FFMPEG} = '';
$instance->kith('up');
like facts(9), qr/^\d+ 12\d\d good$/, 'until there is one';

done_testing;
