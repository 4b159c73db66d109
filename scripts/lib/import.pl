#!/usr/bin/perl
# import.pl - reads a dump of another server and prints what psql loads of it.
#
# usage: perl import.pl COLUMNS <DUMP
#
# COLUMNS is a file of lines "TABLE COLUMN...": the tables of schema auth that
# are wanted, and their columns.  Of the dump nothing is executed: rows of these
# tables, as COPY or INSERT, are taken apart and printed as COPY into temporary
# tables of the same names; everything else is skipped, and its rows and values
# are counted, for the table "skipped".

use v5.36;

open my $columns, '<', shift // die "usage: import.pl COLUMNS <DUMP\n" or die "columns: $!\n";
my %wanted = map { my ($table, @names) = split; ("auth.$table", { map { $_ => 1 } @names }) } <$columns>;

# What is taken over, and without which columns it is of no use.
my %needed = (
	'auth.users' => [qw(id email encrypted_password)],
	'auth.identities' => [qw(provider_id user_id provider identity_data)],
	'auth.sessions' => [qw(id user_id)],
	'auth.refresh_tokens' => [qw(token session_id)],
	'auth.mfa_amr_claims' => [qw(id session_id authentication_method)],
);
my (%seen, %skipped);
my $open = '';    # the COPY that is being printed
my ($begun, $complete) = (0, 0);

sub refuse ($why) { die "kith: the dump, line " . ($. // 0) . ": $why\n" }

# The line at hand is $_, and pos says how much of it was read.
sub next_line () {
	defined($_ = <STDIN>) or return 0;
	if ($. == 1) {
		refuse('it is UTF-16; write it as UTF-8') if /^(?:\xff\xfe|\xfe\xff)/;
		refuse('it is an archive; make SQL of it: pg_restore --data-only -f dump.sql ARCHIVE') if /^PGDMP/;
		s/^\xef\xbb\xbf//;
	}
	refuse('it holds a NUL byte') if /\0/;
	pos = 0;
	return 1;
}

sub more () { next_line() or refuse('it ends in the middle of a statement') }

# What is behind an opening quote.
sub quoted ($quote) {
	my $text = '';
	for (;;) {
		if (/\G([^$quote]+)/gc) { $text .= $1 }
		elsif (/\G$quote$quote/gc) { $text .= $quote }
		elsif (/\G$quote/gc) { return $text }
		else { more() }
	}
}

sub skip_escape_string () {
	for (;;) {
		next if /\G[^'\\]+/gc || /\G''/gc || /\G\\./gcs;
		return if /\G'/gc;
		more();
	}
}

sub skip_dollar_string ($end) {
	more() until /\G.*?\Q$end\E/gcs;
}

sub skip_comment () {
	for (my $depth = 1; $depth;) {
		if (/\G\*\//gc) { $depth-- }
		elsif (/\G\/\*/gc) { $depth++ }
		else { /\G.[^*\/]*/gcs or more() }
	}
}

# The next token, a kind and a text; nothing at the end of the dump.
sub token () {
	for (;;) {
		if (!defined || !/\G\s*(?=\S)/gc) { next_line() or return; next }
		if (/\G--(.*)/gc) {
			my $comment = $1;
			$begun++ if $comment =~ /^ PostgreSQL database dump\s*$/;
			$complete++ if $comment =~ /^ PostgreSQL database dump complete/;
			next;
		}
		if (/\G\/\*/gc) { skip_comment(); next }
		if (/\G'/gc) { return (string => quoted("'")) }
		if (/\G[eE]'/gc) { skip_escape_string(); return (other => "E'...'") }
		if (/\G"/gc) { return (name => quoted('"')) }
		if (/\G(\$(?:[A-Za-z_]\w*)?\$)/gc) { skip_dollar_string("$1"); return (other => '$$...$$') }
		if (/\G([A-Za-z_\x80-\xff][\w\$\x80-\xff]*)/gc) { return (word => lc $1) }
		if (/\G([-+]?\.?\d[\w.]*(?:(?<=[eE])[-+]\d+)?)/gc) { return (number => $1) }
		/\G(.)/gcs;
		return (mark => $1);
	}
}

# One of those, or the dump is refused.
sub expect ($kinds, @texts) {
	my ($kind, $text) = token();
	return $text if defined $kind && $kind =~ /^(?:$kinds)$/ && (!@texts || grep { $_ eq $text } @texts);
	refuse(sprintf 'expected %s, found "%.40s"', @texts ? "\"@texts\"" : $kinds, $text // 'the end');
}

sub skip_statement () {
	for (;;) {
		my ($kind, $text) = token() or return;
		return if $kind eq 'mark' && $text eq ';';
	}
}

# schema.table, and whether a bracket follows; its columns then.
sub table () {
	my $name = expect('name|word');
	my ($kind, $text) = token();
	if (($text // '') eq '.') {
		$name .= '.' . expect('name|word');
		($kind, $text) = token();
	}
	return ($name, $kind, $text) unless ($kind // '') eq 'mark' && $text eq '(';
	my @names;
	do { push @names, expect('name|word') } while expect('mark', ',', ')') eq ',';
	return ($name, token(), \@names);
}

# Which of the columns are printed; the others are counted when they hold something.
sub choose ($table, $names) {
	my %has = map { $_ => 1 } @{ $names // refuse("$table: the columns are not named; dump with --column-inserts") };
	for (@{ $needed{$table} // [] }) {
		refuse("$table has no column $_: the dump is of an old server, bring that up to date first") unless $has{$_};
	}
	$seen{$table}++;
	return grep { $wanted{$table}{ $names->[$_] } } 0 .. $#$names;
}

sub count_foreign ($table, $names, $values) {
	return unless $needed{$table};
	for my $i (0 .. $#$names) {
		# Those that PostgreSQL makes of others come as DEFAULT.
		next if $wanted{$table}{ $names->[$i] } || !defined $values->[$i] || $values->[$i] eq '' || ref $values->[$i];
		$skipped{"values of column $table.$names->[$i]"}++;
	}
}

sub put_columns ($table, @names) {
	my $copy = sprintf "copy pg_temp.%s (%s) from stdin;\n", $table =~ s/^auth\.//r, join ', ', @names;
	return if $copy eq $open;
	finish_copy();
	print $open = $copy;
}

my %escaped = ("\\" => '\\\\', "\b" => '\b', "\f" => '\f', "\n" => '\n', "\r" => '\r', "\t" => '\t', "\x0b" => '\v');
my %plain = reverse map { $_ eq "\\" ? ($_ => '\\') : ($_ => substr $escaped{$_}, 1) } keys %escaped;

sub put_row (@values) {
	print join("\t", map { defined ? s/([\\\b\f\n\r\t\x0b])/$escaped{$1}/gr : '\N' } @values), "\n";
}

sub finish_copy () {
	print "\\.\n" if $open;
	$open = '';
}

# A value of COPY's text format.
sub unescape ($text) {
	return undef if $text eq '\N';
	return $text =~ s{\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(.))}{
		defined $1 ? chr(oct($1) & 255) : defined $2 ? chr hex $2 : $plain{$3} // $3
	}gers;
}

sub read_copy () {
	my ($table, $kind, $word, $names) = table();
	refuse('COPY of something else than a table in a dump') unless ($kind // '') eq 'word' && $word eq 'from';
	expect('word', 'stdin');
	expect('mark', ';');
	refuse('something behind COPY') unless /\G\s*\z/gc;
	my $wanted = $wanted{$table};
	my @chosen = $wanted ? choose($table, $names) : ();
	put_columns($table, @$names[@chosen]) if $wanted;
	for (;;) {
		next_line() or refuse("it ends in the middle of $table");
		s/\r?\n\z//;
		last if $_ eq '\.';
		if (!$wanted) {
			$skipped{"rows of table $table"}++;
			next;
		}
		my @values = map { unescape($_) } split /\t/, $_, -1;
		refuse("$table: " . @values . ' values for ' . @$names . ' columns') unless @values == @$names;
		refuse("$table: a NUL byte") if grep { defined && /\0/ } @values;
		count_foreign($table, $names, \@values);
		put_row(@values[@chosen]);
	}
	$_ = undef;
}

# A value as pg_dump writes it; a reference for DEFAULT.
sub value ($table) {
	my ($kind, $text) = token();
	refuse("$table ends too early") unless defined $kind;
	return $text if $kind eq 'string' || $kind eq 'number';
	if ($kind eq 'word') {
		return undef if $text eq 'null';
		return $text if $text eq 'true' || $text eq 'false';
		return \$text if $text eq 'default';
	}
	refuse(sprintf '%s: "%.40s" is not a value as pg_dump writes it', $table, $text);
}

sub insert_rows ($table, $names) {
	my @chosen = choose($table, $names);
	put_columns($table, @$names[@chosen]);
	for (;;) {
		expect('mark', '(');
		my @values;
		do { push @values, value($table) } while expect('mark', ',', ')') eq ',';
		refuse("$table: " . @values . ' values for ' . @$names . ' columns') unless @values == @$names;
		count_foreign($table, $names, \@values);
		refuse("$table: DEFAULT is not a value as pg_dump writes it") if grep { ref } @values[@chosen];
		put_row(@values[@chosen]);
		my ($kind, $text) = token() or refuse('it ends in the middle of INSERT');
		next if $text eq ',';
		return if $text eq ';';
		# on conflict do nothing: what conflicts is told instead.
		refuse(sprintf '%s: "%.40s" behind a row', $table, $text) if $text ne 'on';
		return skip_statement();
	}
}

sub read_insert () {
	my ($kind, $text) = token();
	return unless ($text // '') eq 'into';
	(my $table, $kind, $text, my $names) = table();
	while (($kind // '') eq 'word' && $text =~ /^(?:overriding|system|user|value)$/) {
		($kind, $text) = token();
	}
	return insert_rows($table, $names) if $wanted{$table} && ($text // '') eq 'values';
	refuse("$table: INSERT without VALUES") if $wanted{$table};
	for (my $depth = 0; defined $kind; ($kind, $text) = token()) {
		next if $kind ne 'mark';
		last if $text eq ';' && !$depth;
		if ($text eq '(') { $skipped{"rows of table $table"}++ unless $depth++ }
		elsif ($text eq ')') { $depth-- }
	}
}

# What a session of psql would be told; two of them say how to read the rest.
sub read_set () {
	my $name = expect('name|word');
	my ($kind, $text) = token();
	($kind, $text) = token() if defined $kind && $text =~ /^(?:=|to)$/;
	return unless defined $kind;
	refuse("its encoding is $text; dump with --encoding=UTF8")
	  if $name eq 'client_encoding' && $text !~ /^(?:utf-?8|unicode)$/i;
	refuse('it has other rules for strings; dump with a newer pg_dump') if $name eq 'standard_conforming_strings' && $text ne 'on';
	skip_statement() unless $text eq ';';
}

while (my ($kind, $text) = token()) {
	if ($kind eq 'mark' && $text eq '\\') { $_ = undef }    # a command of psql, to the end of the line
	elsif ($kind eq 'mark' && $text eq ';') { }
	elsif ($kind eq 'word' && $text eq 'copy') { read_copy() }
	elsif ($kind eq 'word' && $text eq 'insert') { read_insert() }
	elsif ($kind eq 'word' && $text eq 'set') { read_set() }
	else { skip_statement() }
}
finish_copy();
refuse('it is cut off: its last line should say that it is complete') if $begun > $complete;
refuse('it holds no users: was it made with -t auth.users, or of the schema auth?') unless $seen{'auth.users'};
$skipped{'no second factors'} = 0 unless $seen{'auth.mfa_factors'};
if (%skipped) {
	print "copy pg_temp.skipped (what, number) from stdin;\n";
	put_row($_, $skipped{$_}) for sort keys %skipped;
	print "\\.\n";
}
close STDOUT or die "kith: could not hand on the dump: $!\n";
