#!/usr/bin/perl
# What programs say they serve becomes nginx's locations, each with one owner.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp qw(tempdir);
use Test::More;
use Kith::Test::Instance;

my $root = Kith::Test::Instance->root;
my $dir = tempdir(CLEANUP => 1);

# A program that prints these routes; one that begins with a name is another program's.
sub program ($name, @routes) {
	open my $file, '>', "$dir/$name" or die "$dir/$name: $!\n";
	print $file "#!/bin/sh\n", map { /^kith-/ ? "echo '$_'\n" : "echo '$name $_'\n" } @routes;
	close $file;
	chmod 0755, "$dir/$name";
	return "$dir/$name";
}

# Exit status and all that is printed.
sub routes (@programs) {
	open my $out, '-|', 'sh', '-c', '"$@" 2>&1', 'sh', "$root/nginx/routes", @programs or die "sh: $!\n";
	my @lines = <$out>;
	close $out;
	return ($? >> 8, join '', grep { !/^#/ } @lines);
}

my $things = program('kith-things', 'table things', 'function count_things');
my $gate = program('kith-gate', 'mount /gate/v1');
my ($status, $text) = routes($things, $gate, program('kith-rest', 'fallback'));
is $status, 0, 'all is well';
is $text, <<'END', 'a name is one exact location, a mount all that lies below it';
location = /rest/v1/things { fastcgi_pass kith-things; include rest.conf; }
location = /rest/v1/rpc/count_things { fastcgi_pass kith-things; include rest.conf; }
location = /gate/v1 { fastcgi_pass kith-gate; include rest.conf; }
location /gate/v1/ { fastcgi_pass kith-gate; include rest.conf; }
location = /rest/v1 { fastcgi_pass kith-rest; include rest.conf; }
location /rest/v1/ { fastcgi_pass kith-rest; include rest.conf; }
END

($status, $text) = routes(program('kith-front-door', 'mount /door', 'kith-back_door beside /door'));
is $text, <<'END', 'where two share a mount, a map says who gets a request';
location = /door { fastcgi_pass $kith_front_door; include rest.conf; }
location /door/ { fastcgi_pass $kith_front_door; include rest.conf; }
END

# The name of a file that is there for certain.
($status, $text) = routes(program('kith-headers', 'mount /headers'));
is $text, <<'END', 'a program with rules of its own includes these';
location = /headers { fastcgi_pass kith-headers; include headers.conf; }
location /headers/ { fastcgi_pass kith-headers; include headers.conf; }
END

for (
	[ 'served twice', 'table things', qr{^routes: = /rest/v1/things is served by kith-things and kith-bad$}m ],
	[ 'that is no path', 'mount gate', qr{^routes: kith-bad: "gate" cannot be a path$}m ],
	[ 'that is a pattern', 'mount /gate/.*', qr{cannot be a path$}m ],
	[ 'that ends the block', 'table x;}', qr{cannot be a path$}m ],
	[ 'beside nobody', 'beside /gate', qr{^routes: kith-bad: nobody has /gate$}m ],
	[ 'of no kind', 'view things', qr{^routes: kith-bad: "view things" is no route$}m ],
    ) {
	my ($what, $route, $why) = @$_;
	my ($failed, $said) = routes($things, program('kith-bad', $route));
	is $failed, 1, "a route $what is refused";
	like $said, $why, 'by name';
}

done_testing;
