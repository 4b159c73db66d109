#!/usr/bin/perl
# A full disk is told, keeps nothing of what did not fit, and takes nothing from
# what is there.  B8

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp qw(tempdir);
use Kith::Test;

my $disk = tempdir('kith-disk-XXXXXX', TMPDIR => 1, CLEANUP => 1);
if ($> || system "mount -t tmpfs -o size=8m kith-disk $disk 2>/dev/null") {
	Test::More::plan(skip_all => 'no right to mount a small disk');
}
my $mounted = $$;
END { system "umount -l $disk" if ($mounted // 0) == $$ }
chmod 0755, $disk;

my $k = Kith::Test->new(own => 1, env => { KITH_STORAGE => "$disk/storage", KITH_FILE_GRACE => 1, KITH_FILE_LIMIT => 2_000_000 });
$k->may_answer(507);
my ($ana) = $k->users('ana');
my $mine = '/storage/v1/object/files/' . $ana->id;
$k->sql(q{insert into storage.buckets (id, name) values ('files', 'files')});

my $megabyte = 'x' x 1_000_000;
my $reply;
sub form ($content) { qq(--x\r\nContent-Disposition: form-data; name=""; filename="blob"\r\n\r\n$content\r\n--x--\r\n) }
my @form = ('Content-Type' => 'multipart/form-data; boundary=x');

# What is never stored is not a matter of room.
for my $case ([ 'as it is', $megabyte x 2 . 'x' ], [ 'in a form', form($megabyte x 2 . 'x'), @form ]) {
	my ($how, $body, @headers) = @$case;
	is_json $ana->post("$mine/large", $body, @headers), 400, { statusCode => '413', error => 'Payload too large', code => 'EntityTooLarge',
		message => 'The object exceeded the maximum allowed size' }, "KITH_FILE_LIMIT holds for a file that comes $how";
}
is $ana->send(PUT => "$mine/large", form($megabyte x 2), @form)->status, 200, 'and for not a byte less';
is $ana->send(PUT => "$mine/large", 'x')->status, 200, 'it makes room';

my $n = 0;
$n++ while ($reply = $ana->post("$mine/$n", $megabyte))->status == 200 && $n < 20;
cmp_ok $n, '>=', 4, 'files fit';
sub is_full ($answer, $name) {
	is_json $answer, 507, { statusCode => '507', error => 'Insufficient Storage', code => 'StorageFull', message => qr/no room/ }, $name;
	is_header $answer, 'Retry-After' => qr/^\d+$/, 'with Retry-After';
}
is_full $reply, 'until the disk is full';
is_full $ana->send(PUT => "$mine/0", $megabyte), 'a file that is overwritten needs room as well';
is_full $ana->post("$mine/form", form($megabyte), @form), 'so does one in a form';
is_deeply [ glob "$disk/storage/tmp/*" ], [], 'nothing is left of those';
is $k->sql(q{select count(*) from storage.objects where name !~ 'large'}), $n, 'no row is';
is $k->sql('select count(*) from kith.stored_files') + $k->sql('select count(*) from kith.released_files'),
  scalar(my @files = glob "$disk/storage/objects/*/*/*"), 'and no file';
is $ana->get("$mine/$_")->body, $megabyte, 'what is there stays' for 0, $n - 1;
is $ana->post("$mine/small", 'x')->status, 200, 'what still fits is stored';

is $ana->send(DELETE => '/storage/v1/object/files', { prefixes => [ map { $ana->id . "/$_" } 0 .. 2 ] })->status, 200, 'files are removed';
# The worker would find it by itself, but later.
ok poll(30, sub { $k->sql('notify kith_jobs'); $ana->post("$mine/again", $megabyte, 'X-Upsert' => 'true')->status == 200 }), 'and after the grace time there is room';

done_testing;
