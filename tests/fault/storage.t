#!/usr/bin/perl
# Files and their rows agree whatever is killed, and who reads a file while it
# is overwritten reads one of them.  B1, B8, C14

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Digest::SHA qw(sha256_hex);
use Kith::Test;
use POSIX ();

my $k = Kith::Test->new(own => 1, env => { KITH_ORPHAN_AGE => 1, KITH_FILE_GRACE => 60 });
$k->may_answer(503, 599);
$k->watch->restarts_expected;
my ($ana) = $k->users('ana');
my $instance = $k->instance;
my $storage = $instance->home . '/storage';
my $mine = '/storage/v1/object/files/' . $ana->id;
$k->sql(q{insert into storage.buckets (id, name) values ('files', 'files')});

# --- readers and a writer ------------------------------------------------

# Version n is one letter over and over, as many as it says.
sub content ($n) { chr(97 + $n % 26) x (50_000 + 1000 * $n) }

is $ana->send(PUT => "$mine/read", content(0))->status, 200, 'there is a file';
my @readers;
push @readers, reader() for 1 .. 100;
my @overwritten;
for my $n (1 .. 100) {
	# Twenty of them read while it is.
	syswrite $_->{go}, 'x' for @readers[ grep { $_ % 5 == $n % 5 } 0 .. $#readers ];
	push @overwritten, $ana->send(PUT => "$mine/read", content($n))->status;
}
is scalar(grep { $_ == 200 } @overwritten), 100, 'it is overwritten a hundred times';
close $_->{go} for @readers;
my ($reads, @torn) = (0);
for my $reader (@readers) {
	my $said = readline $reader->{from};
	my ($n, $torn) = split ' ', $said // '0 reader-died', 2;
	$reads += $n;
	push @torn, $torn if length($torn // '') && $torn !~ /^\s*$/;
}
is $reads, 2000, 'while a hundred read it';
is_deeply \@torn, [], 'each of them one whole version';

# Reads once for each byte that it is sent; prints how often, and what was wrong first.
sub reader {
	pipe my $told, my $go or die "pipe: $!\n";
	my $pid = open(my $from, '-|') // die "fork: $!\n";
	if (!$pid) {
		close $_->{go} for @readers;
		close $go;
		my ($n, $torn) = (0, '');
		while (sysread $told, my $byte, 1) {
			my $reply = $ana->get("$mine/read");
			my $body = $reply->body;
			my ($letter) = $body =~ /^(.)/;
			my $version = (length($body) - 50_000) / 1000;
			$torn ||= join ' ', $reply->status, length $body
			  unless $reply->status == 200 && $version =~ /^\d+$/ && $body eq content($version)
			  && $reply->header('etag') eq '"' . substr(sha256_hex($body), 0, 32) . '"';
			$n++;
		}
		syswrite STDOUT, "$n $torn\n";
		POSIX::_exit(0);
	}
	close $told;
	return { from => $from, go => $go };
}

# --- killed while files come in ------------------------------------------

sub workers { grep { $_->{name} eq 'kith-storage' } $instance->programs }

# Rows as "key version size tag", by the key.
sub stored {
	my %rows = map { my ($key, @rest) = split /\|/; ($key => \@rest) }
	  split /\n/, $k->sql(q{select name, version, metadata ->> 'size', metadata ->> 'eTag' from storage.objects});
	return \%rows;
}

sub read_file ($version) {
	my ($ab, $cd) = $version =~ /^(..)(..)/;
	open my $f, '<:raw', "$storage/objects/$ab/$cd/$version" or return;
	local $/;
	return <$f> // '';
}

# Of the service, for whom no plan sets a limit.
my $service = $k->service->with(token => $k->env('KITH_SERVICE_KEY'));
my $files = '/storage/v1/object/files';
my %acknowledged;
# When the first bytes come, when the first file is whole, when the first row is written.
sub whole { my @files = glob "$storage/objects/*/*/*"; scalar @files }
my @moments = (
	sub { poll(5, sub { glob "$storage/tmp/*" }) },
	sub { my $before = whole(); poll(5, sub { whole() > $before }) },
	sub { my $before = keys %{ stored() }; poll(5, sub { keys %{ stored() } > $before }) },
);
for my $round (1 .. 12) {
	my %sent = map { ("$round-$_" => chr(96 + $_) x (3_000_000 + $round * 1000)) } 1 .. 4;
	my %waiting = map { my $key = $_; ($key => aside(sub { $service->send(PUT => "$files/$key", $sent{$key}) })) } sort keys %sent;
	$moments[ $round % @moments ]->();
	kill KILL => map { $_->{pid} } workers();
	for my $key (sort keys %sent) {
		my $reply = $waiting{$key}->();
		$acknowledged{$key} = $sent{$key} if $reply->status == 200;
		next if $reply->status =~ /^(?:200|503|599)$/;
		fail "an upload whose program was killed: " . $reply->story;
	}
}
my $rows = stored();
my @lost = grep { my $row = $rows->{$_}; !$row || (read_file($row->[0]) // '') ne $acknowledged{$_} } sort keys %acknowledged;
is_deeply \@lost, [], sprintf 'of %d uploads the %d that were acknowledged are there', 12 * 4, scalar keys %acknowledged;
my @without = grep {
	my ($version, $size, $tag) = @{ $rows->{$_} };
	my $content = read_file($version);
	!defined $content || length $content != $size || $tag ne '"' . substr(sha256_hex($content), 0, 32) . '"';
} sort keys %$rows;
is_deeply \@without, [], 'and no row is without its bytes';
ok poll(10, sub { $service->send(PUT => "$files/after", 'x')->status == 200 }), 'uploads go on';

# What was left behind is found by the worker: files that no row names, and that nobody replaced.
# A round of looking for them begins with each worker.
kill KILL => map { $_->{pid} } grep { $_->{name} eq 'kith-worker' } $instance->programs;
my %known = map { $_ => 1 } split /\n/,
  $k->sql(q{select version from storage.objects where version is not null union select version::text from kith.released_files});
sub orphans { grep { !$known{ s{.*/}{}r } } glob "$storage/objects/*/*/*" }
ok poll(60, sub { !orphans() }), 'files without a row are swept' or diag join "\n", orphans();
$rows = stored();
is_deeply [ grep { !defined read_file($rows->{$_}[0]) } sort keys %$rows ], [], 'and no other';

done_testing;
