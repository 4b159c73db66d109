#!/usr/bin/perl
# An upload in pieces goes on after a crash from where it was acknowledged, and
# becomes the file that was sent.  B1, C14

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Digest::SHA qw(sha256_hex);
use Kith::Test;
use MIME::Base64 qw(encode_base64 decode_base64url);

my $k = Kith::Test->new(own => 1);
$k->may_answer(503, 599);
$k->watch->restarts_expected;
my ($ana) = $k->users('ana');
my $instance = $k->instance;
my $storage = $instance->home . '/storage';
my $resumable = '/storage/v1/upload/resumable';
my $piece = 3_000_000;
my @version = ('Tus-Resumable' => '1.0.0');

# No two pieces are alike, so that one at a wrong place is seen.
my $content = join '', map { chr(65 + $_) x $piece } 0 .. 4;
my $key = $ana->id . '/pieces';

sub workers { grep { $_->{name} eq 'kith-storage' } $instance->programs }

sub begin ($key, $length) {
	my %announced = (bucketName => 'documents', objectName => $key);
	my $reply = $ana->post(
		$resumable, undef, @version,
		'Upload-Length' => $length,
		'Upload-Metadata' => join ',', map { "$_ " . encode_base64($announced{$_}, '') } sort keys %announced
	);
	is $reply->status, 201, "an upload of $length bytes begins";
	return $reply->header('location');
}

sub send_piece ($at, $offset) {
	return $ana->patch(
		$at, substr($content, $offset, $piece), @version,
		'Content-Type' => 'application/offset+octet-stream',
		'Upload-Offset' => $offset
	);
}

# How much is there, once somebody can be asked again.
sub offset ($at) {
	my $reply = poll(10, sub { my $asked = $ana->head($at, @version); $asked->status == 200 && $asked });
	return $reply ? $reply->header('upload-offset') : 'nobody answers';
}

# Whether that many connections of the program wait for a lock, or do anything.
sub busy ($condition) {
	return $k->sql(
		"select count(*) from pg_stat_activity where usename = 'kith_storage' and state = 'active' $condition"
	);
}

# Sends a piece to a program that is killed when the piece is in the file, and of
# the last one the file has its name, while the statement that acknowledges it
# waits for a lock; then that statement goes on, or is ended too.
sub interrupt ($at, $offset, $ended) {
	my $id = decode_base64url($at =~ s{.*/}{}r);
	my $lock = $instance->session;
	$lock->tell("begin; select 1 from kith.uploads where id = '$id' for update;");
	ok poll(10, sub { $k->sql("select count(*) from pg_stat_activity where state = 'idle in transaction'") }),
	    'a lock is held';
	my $waiting = aside(sub { send_piece($at, $offset) });
	ok poll(10, sub { busy("and wait_event_type = 'Lock'") }), "the piece at $offset is in the file";
	kill KILL => map { $_->{pid} } workers();
	$k->sql(
		q{select pg_terminate_backend(pid, 5000) from pg_stat_activity
		where usename = 'kith_storage' and state = 'active'}
	) if $ended;
	$lock->tell('rollback;');
	like $waiting->()->status, qr/^(?:503|599)$/, 'its sender hears of no success';
	ok poll(10, sub { busy('') eq '0' }), 'the statement has ended';
	return;
}

my $at = begin($key, length $content);
my $id = decode_base64url($at =~ s{.*/}{}r);
for my $n (0 .. 4) {
	my $offset = $n * $piece;
	interrupt($at, $offset, 1);
	is offset($at), $offset, 'nothing of it is there';
	cmp_ok -s "$storage/tmp/$id", '>', $offset, 'but in the file';
	is scalar(() = glob "$storage/objects/*/*/$id"), $n == 4 ? 1 : 0, 'which has its name when it is whole';
	if ($n % 2) {
		is send_piece($at, $offset)->status, 204, 'it is sent again';
	} else {
		interrupt($at, $offset, 0);
	}
	is offset($at), $offset + $piece, 'and is there';
}
my $read = $ana->get("/storage/v1/object/documents/$key");
is sha256_hex($read->body), sha256_hex($content), 'the file is what was sent';
is $k->sql("select count(*) from storage.objects where name = '$key'"), 1, 'of one row';
is $k->sql(q{select count(*) from kith.uploads where finished_at is null}), 0, 'the upload has ended';

# What was left behind its end by a crash does not count.
my $other = begin($ana->id . '/tail', 2 * $piece);
my $other_id = decode_base64url($other =~ s{.*/}{}r);
is send_piece($other, 0)->status, 204, 'a piece';
open my $tail, '>>', "$storage/tmp/$other_id" or die "tmp/$other_id: $!\n";
print $tail 'half of a piece that nobody acknowledged';
close $tail;
is offset($other), $piece, 'the offset is what was acknowledged';
is send_piece($other, $piece)->status, 204, 'the next piece';
my $whole = $ana->get('/storage/v1/object/documents/' . $ana->id . '/tail');
is sha256_hex($whole->body), sha256_hex(substr $content, 0, 2 * $piece), 'comes right behind it';

# A file that is missing ends its upload, not the program.
my $lost = begin($ana->id . '/lost', $piece);
my $lost_id = decode_base64url($lost =~ s{.*/}{}r);
unlink "$storage/tmp/$lost_id" or die "tmp/$lost_id: $!\n";
is_status send_piece($lost, 0), 404, 'NoSuchUpload', 'an upload whose file is gone is not found';

done_testing;
