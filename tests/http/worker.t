#!/usr/bin/perl
# Mail: what is queued arrives as it was meant, once; what cannot be sent says
# why; and nobody can put words into it.  A4, B11, C13, E9

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Kith::Test;
use Kith::Test::Stub;
use File::Temp ();
use Sys::Hostname qw(hostname);

my $dir = File::Temp->newdir;
chmod 0755, $dir;

sub file ($name, $text, $mode = 0644) {
	open my $f, '>', "$dir/$name" or die "$name: $!";
	print $f $text;
	close $f;
	chmod $mode, "$dir/$name";
	return "$dir/$name";
}

# A certificate for this machine's names, signed by itself.
my $host = hostname;
system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=mail"
	. " -addext subjectAltName=DNS:$host,IP:127.0.0.1 -keyout $dir/key.pem -out $dir/cert.pem 2>/dev/null") == 0
  or die "openssl failed\n";
chmod 0644, "$dir/cert.pem";

file('invite.txt', "Subject: {{ .Data.title }}\nDear {{ .Data.name }},\n{{ .ConfirmationURL }}\n");
file('broken.txt', "Subject: x\n\n{{ if .Token }}\n");
file('nameless.txt', "no subject\n");
file('html.txt', "Subject: x\n\n{{ .Data.name }}\n");
file('html.html', qq(<a title="{{ .Data.name }}">{{ .Data.name }}</a>\n));

my $stub = Kith::Test::Stub->start('--host', '0.0.0.0', '--cert', "$dir/cert.pem", '--key', "$dir/key.pem");
my $k = Kith::Test->new(
	own => 1,
	env => {
		KITH_MAIL_FROM => 'Kith, Inc. <hi@example.org>',
		KITH_SMTP_URL => $stub->smtp,
		KITH_MAIL_TEMPLATES => "$dir",
	}
);
my $instance = $k->instance;
$k->watch->secret(qw(CODE-4711 ana.canary@example.net TOKEN-CANARY PASSWORD-CANARY));

sub enqueue ($payload, $key = uuid) {
	my $text = json($payload) =~ s/'/''/gr;
	utf8::decode($text);
	return $k->sql("select kith.enqueue('mail', '$text', '$key')");
}

sub job ($id) { JSON::PP->new->decode($k->sql("select to_json(j) from kith.jobs j where id = $id")) }
sub ended ($id) { $k->row_when('kith-worker', sub { job($id) }, sub ($j) { $j->{status} =~ /^(done|failed)$/ }) }
sub tried ($id, $times = 1) { $k->row_when('kith-worker', sub { job($id) }, sub ($j) { $j->{attempts} >= $times && $j->{status} ne 'running' }) }
sub mail_of ($id) { $stub->mails; (grep { $_->{messageId} eq $id } $stub->mails) }

# --- what arrives ------------------------------------------------------------

my %data = (Email => 'ana.canary@example.net', SiteURL => 'https://app.example', Token => 'CODE-4711', TokenHash => 'TOKEN-CANARY',
	ConfirmationURL => 'https://api.example/auth/v1/verify?token=TOKEN-CANARY&type=signup', NewEmail => 'new@example.net', Data => {});
my $id = enqueue({ template => 'confirmation', to => 'ana.canary@example.net', data => \%data }, 'mail once');
is ended($id)->{status}, 'done', 'a queued mail is sent';
my ($mail) = $stub->mails;
is_deeply $mail->{envelope}, { from => 'hi@example.org', to => ['ana.canary@example.net'] }, 'to whom it is for';
is_deeply $mail->{from}, { name => 'Kith, Inc.', address => 'hi@example.org' }, 'from us';
is $mail->{subject}, 'Confirm your address', 'with its subject';
like $mail->{text}, qr/^\Q$data{ConfirmationURL}\E$/m, 'its link as text';
like $mail->{text}, qr/: CODE-4711$/m, 'its code';
my $escaped = $data{ConfirmationURL} =~ s/&/&amp;/r;
like $mail->{html}, qr/href="\Q$escaped\E"/, 'and its link as html';
like $mail->{messageId}, qr/^<[0-9a-f]{32}\@example\.org>$/, 'and an identity';
is $mail->{headers}{'auto-submitted'}, 'auto-generated', 'it asks for no answer of a machine';
like $mail->{raw}, qr/\A(?:[^\r\n]{0,78}\r\n)*\z/, 'in lines that every server takes';
is_deeply [ @{ job($id) }{qw(payload last_error)} ], [ {}, undef ], 'what was sent is no longer known here';
is enqueue({ template => 'confirmation', to => 'ben@example.net', data => \%data }, 'mail once'), $id, 'a key is one mail';

for my $template (qw(recovery magic_link email_change reauthentication account_exists)) {
	$id = enqueue({ template => $template, to => 'ana.canary@example.net', data => \%data });
	is ended($id)->{status}, 'done', "$template is sent";
	my $got = ($stub->mails)[-1];
	ok $got->{subject} && $got->{text} =~ /app\.example/ && $got->{html} =~ /app\.example/, "$template has a subject and both forms";
	unlike join(' ', @$got{qw(subject text html)}), qr/[{}]{2}/, "$template is filled in";
}

# --- templates of one's own --------------------------------------------------

my $evil = { title => "Gr\x{fc}\x{df}e\r\nBcc: evil\@example.net\r\n\r\nevil", name => qq("><script>&'\n.\nMAIL FROM:<x\@y>) };
$id = enqueue({ template => 'invite', to => 'ana.canary@example.net', data => { %data, Data => $evil } });
is ended($id)->{status}, 'done', 'a template of one\'s own comes first';
$mail = ($stub->mails)[-1];
is $mail->{subject}, "Gr\x{fc}\x{df}e  Bcc: evil\@example.net    evil", 'a value stays in its header';
is_deeply [ sort keys %{ $mail->{headers} } ],
  [qw(auto-submitted content-transfer-encoding content-type date from message-id mime-version subject to)], 'which are as many as ever';
is_deeply $mail->{envelope}{to}, ['ana.canary@example.net'], 'for nobody else';
is $mail->{text}, qq(Dear "><script>&'\n.\nMAIL FROM:<x\@y>,\n$data{ConfirmationURL}\n), 'the text is as it was said';
is $mail->{html}, undef, 'and the html of another template is not added';
$id = enqueue({ template => 'html', to => 'ana.canary@example.net', data => { %data, Data => $evil } });
is ended($id)->{status}, 'done', 'html is sent';
like + ($stub->mails)[-1]{html}, qr/^<a title="&#34;&gt;&lt;script&gt;&amp;&#39;\n\.\n/, 'with values that stay text';

# --- what cannot be sent -----------------------------------------------------

my $sent = () = $stub->mails;
my @hopeless = (
	[ { template => 'nothing', to => 'a@b.example', data => {} }, 'template nothing.txt: there is none' ],
	[ { template => '../invite', to => 'a@b.example', data => {} }, "the template's name is no word" ],
	[ { template => 'broken', to => 'a@b.example', data => {} }, 'template broken.txt: line 1: only values like {{ .Email }} can be filled in' ],
	[ { template => 'nameless', to => 'a@b.example', data => {} }, 'template nameless.txt: its first line must be "Subject: ..."' ],
	[ { template => 'invite', data => {} }, 'the payload names no template, or nobody' ],
	[ { to => 'a@b.example' }, 'the payload names no template, or nobody' ],
	[ { mail => {} }, 'the payload holds no whole mail' ],
	map { [ { template => 'invite', to => $_, data => {} }, 'mail cannot be sent to that address' ] } '',
	'nobody', "a\@b.example\r\nRCPT TO:<evil\@example.net>", "a\@b.example>\r\nDATA", 'a@b.example,c@d.example', '<a@b.example>', 'a@b@c',
);
for (@hopeless) {
	my ($payload, $why) = @$_;
	my $job = ended(enqueue($payload));
	is_deeply [ @$job{qw(status last_error attempts)} ], [ 'failed', $why, 1 ], json($payload) . ' is given up';
}
is scalar(() = $stub->mails), $sent, 'nothing of it went out';
$k->sql("insert into kith.jobs (kind, payload, key, created_at) values ('mail', '{\"template\":\"invite\",\"to\":\"a\@b.example\"}', 'old', now() - interval '1 day')");
$k->sql("notify kith_jobs");
is ended($k->sql("select id from kith.jobs where key = 'old'"))->{last_error}, 'too old: it waited for a day', 'a day is too late for a link of an hour';
my $unknown = $k->sql("select kith.enqueue('make_coffee')");
is ended(enqueue({ template => 'invite', to => 'ana.canary@example.net', data => \%data }))->{status}, 'done', 'mails go on';
is_deeply [ @{ job($unknown) }{qw(status attempts)} ], [ 'pending', 0 ], 'a kind that nobody does is left alone';

# --- what the mail server says ----------------------------------------------

sub send_one ($key = uuid) { enqueue({ template => 'invite', to => 'ana.canary@example.net', data => \%data }, $key) }

$stub->script(smtp => { at => 'rcpt', code => 550, text => 'ana.canary@example.net is unknown' });
my $job = ended(send_one());
is_deeply [ @$job{qw(status last_error attempts)} ], [ 'failed', 'smtp 550', 1 ], 'who is refused for good is not tried again';
my $refused = $job->{id};
$stub->script(smtp => { at => 'rcpt', code => 450 });
$job = tried(send_one());
is_deeply [ @$job{qw(status last_error)} ], [ 'pending', 'smtp 450' ], 'who is refused for a while is';
is $k->sql("select run_at - now() between '4 minutes' and '5 minutes' from kith.jobs where id = $job->{id}"), 't', 'minutes later, as greylists want it';
$k->sql("update kith.jobs set run_at = now() where id = $job->{id}; notify kith_jobs");
is ended($job->{id})->{status}, 'done', 'and then it is sent';

$sent = () = $stub->mails;
$stub->script(smtp => { at => 'taken' });
$id = send_one('mail twice');
is ended($id)->{status}, 'done', 'a mail whose answer was lost is sent again';
my @copies = (reverse $stub->mails)[ 0, 1 ];
is scalar(() = $stub->mails), $sent + 2, 'so that it is there twice';
is $copies[0]{raw}, $copies[1]{raw}, 'word for word, with the same Message-ID and date';
is job($id)->{attempts}, 2, 'in two attempts';

# --- by hand -----------------------------------------------------------------

my $list = $instance->kith('jobs');
like $list, qr/^ *$refused \| mail invite +\| failed +\| +1 \| +\| smtp 550$/m, 'kith jobs says what failed and why';
like $list, qr/\| make_coffee +\| pending/, 'and what waits';
unlike $list, qr/\| done/, 'not what is done';
like $instance->kith('jobs', 'list', 'all'), qr/\| done/, 'unless it is asked for';
my $shown = $instance->kith('jobs', 'show', $refused);
like $shown, qr/^last_error +\| smtp 550$/m, 'kith jobs show tells more';
unlike $list . $shown . $instance->kith('jobs', 'list', 'all'), qr/CODE-4711|CANARY|canary|https:/, 'neither tells a code or an address';
my $doctor = eval { $instance->kith('doctor') } // $@;
like $doctor, qr/^wrong  jobs that failed: \d+; kith jobs says why/m, 'kith doctor tells of failed jobs';
is $instance->kith('jobs', 'retry', $refused), "jobs put back: 1\n", 'kith jobs retry puts it back';
is ended($refused)->{status}, 'done', 'and it is sent';
ok !eval { $instance->kith('jobs', 'retry', $refused) }, 'what is done cannot be done again';
ok !eval { $instance->kith('jobs', 'retry', '1;drop') }, 'nor what is no number';
ok !eval { $instance->kith('jobs', 'show', 999999) }, 'what is not there cannot be shown';

# --- scheduled mails ---------------------------------------------------------

my ($cleo) = $k->users('cleo');

sub schedule ($fields) {
	my $columns = join ', ', sort keys %$fields;
	my $values = join ', ', map { "'" . ($fields->{$_} =~ s/'/''/gr) . "'" } sort keys %$fields;
	return $k->sql("insert into public.scheduled_messages (user_id, channel, $columns) values ('@{[ $cleo->id ]}', 'email', $values) returning id");
}

sub message ($id) { JSON::PP->new->decode($k->sql("select to_json(m) from public.scheduled_messages m where id = '$id'")) }
sub settled ($id) { $k->row_when('kith-worker', sub { message($id) }, sub ($m) { $m->{status} =~ /^(sent|failed)$/ }) }

$id = schedule({ scheduled_for => 'now', subject => 'Your week', content => json({ text => "Well done, O'Neil.\n" }) });
is settled($id)->{status}, 'sent', 'a scheduled mail is sent when it is due';
$mail = ($stub->mails)[-1];
is_deeply [ $mail->{envelope}{to}[0], @$mail{qw(subject text html)} ], [ $cleo->email, 'Your week', "Well done, O'Neil.\n", undef ], 'to its user';
is $k->sql("select status || ' ' || provider from public.email_delivery_log where scheduled_message_id = '$id'"), 'sent smtp', 'and is in the log';
$id = schedule({ scheduled_for => 'tomorrow', content => '"only text"' });
$k->sql("update public.scheduled_messages set scheduled_for = now() where id = '$id'");
is settled($id)->{status}, 'sent', 'one that is moved to an earlier time wakes the worker';
$mail = ($stub->mails)[-1];
is_deeply [ @$mail{qw(subject text)} ], [ 'A message for you', "only text\n" ], 'content may be a text';
$id = schedule({ scheduled_for => 'now', content => json({ body => 'x' }) });
is_deeply [ @{ settled($id) }{qw(status failure_reason)} ], [ 'failed', 'content holds no "text" and no "html"' ], 'a mail without words fails, and says so';
$stub->script(smtp => { at => 'rcpt', code => 550 });
$id = schedule({ scheduled_for => 'now', content => '"x"' });
is_deeply [ @{ settled($id) }{qw(status failure_reason)} ], [ 'failed', 'smtp 550' ], 'so does one that is refused';

# --- who gets none -----------------------------------------------------------

my $listed = 'the address is on the do-not-send list: ';
$sent = () = $stub->mails;
for my $reason (qw(bounced suppressed complained)) {
	$k->sql("insert into kith.do_not_send (address, reason) select lower(a), '$reason' from unnest(array['ana.canary\@example.net', '@{[ $cleo->email ]}']) a
		on conflict (address) do update set reason = excluded.reason");
	$id = schedule({ scheduled_for => 'now', content => '"x"' });
	is_deeply [ @{ settled($id) }{qw(status failure_reason)} ], [ 'failed', "$listed$reason" ], "a message to an address that $reason is not sent";
	next if $reason eq 'complained';
	$id = enqueue({ template => 'recovery', to => 'Ana.Canary@example.net', data => \%data });
	is_deeply [ @{ ended($id) }{qw(status last_error)} ], [ 'failed', "$listed$reason" ], 'nor is one that was asked for';
}
is scalar(() = $stub->mails), $sent, 'nothing went out';
$id = enqueue({ template => 'recovery', to => 'ana.canary@example.net', data => \%data });
is ended($id)->{status}, 'done', 'who complained still gets the code that they ask for';
$k->sql('delete from kith.do_not_send');

# --- the whole way -----------------------------------------------------------

my $address = 'dora.' . uuid . '@example.org';
my $anon = $k->anon;
my $reply = $anon->post('/auth/v1/signup', { email => $address, password => 'correct horse battery' });
is_status $reply, 200, 'somebody signs up';
is $reply->json->{access_token}, undef, 'and is no user yet';
ok poll(20, sub { ($mail) = grep { $_->{envelope}{to}[0] eq $address } $stub->mails }), 'but gets a mail';
my ($code) = $mail->{text} =~ /: (\d{6})$/m;
like $mail->{html}, qr/<strong>$code</, 'with a code';
$k->watch->secret($address, $mail->{text} =~ /token=([\w-]{20,})/);
$reply = $anon->post('/auth/v1/verify', { type => 'signup', email => $address, token => $code });
is_status $reply, 200, 'which proves the address';
is $reply->json->{user}{email}, $address, 'and signs in';

# --- TLS, names and passwords ------------------------------------------------

# The instance with other settings, and what became of one mail.
sub with (%env) {
	$instance->kith('down');
	@{ $instance->{env} }{ keys %env } = values %env;
	$instance->kith('up');
	return tried(send_one());
}

$k->watch->restarts_expected;
$k->sql("insert into kith.webhook_events (provider, event_id, received_at) values ('telegram', 'old', now() - interval '8 days')");
$job = ended(with(KITH_SMTP_URL => $stub->smtps, KITH_CA_CERTIFICATES => "$dir/cert.pem")->{id});
is $job->{status}, 'done', 'smtps is spoken to a server whose certificate is good';
is + ($stub->mails)[-1]{tls}, true, 'in TLS';
ok poll(20, sub { !$k->sql("select count(*) from kith.webhook_events where event_id = 'old'") }), 'a worker that begins sweeps what is over';
$job = with(KITH_CA_CERTIFICATES => '');
is_deeply [ @$job{qw(status max_attempts)} ], [ 'pending', 6 ], 'not to one whose certificate is not'; # B16
like $job->{last_error}, qr/^smtp: SSL/, 'which is said';
$doctor = eval { $instance->kith('doctor') } // $@;
like $doctor, qr/^wrong  mail cannot be sent: .*certificate/m, 'kith doctor says so too';

SKIP: {
	Test::More::skip 'the host has no name of its own', 5 if $host =~ /^localhost/ || !gethostbyname $host;
	$job = ended(with(KITH_SMTP_URL => $stub->smtp($host), KITH_CA_CERTIFICATES => "$dir/cert.pem")->{id});
	is $job->{status}, 'done', 'another machine is asked for TLS';
	is + ($stub->mails)[-1]{tls}, true, 'and does it';
	my $bare = Kith::Test::Stub->start('--host', '0.0.0.0');
	$job = with(KITH_SMTP_URL => $bare->smtp($host));
	is $job->{status}, 'pending', 'one that does not gets no mail';
	is scalar(() = $bare->mails), 0, 'not a word of it';
	$job = with(KITH_ALLOW_HTTP_PROVIDERS => 1);
	is $job->{status}, 'done', 'unless that is allowed';
	delete $instance->{env}{KITH_ALLOW_HTTP_PROVIDERS};
}

$stub->users(kith => 'PASSWORD-CANARY');
my $password = file('password', "PASSWORD-CANARY\n", 0600);
$job = with(KITH_SMTP_URL => $stub->smtps, KITH_SMTP_USER => 'kith', KITH_SMTP_PASSWORD => $password);
is_deeply [ $job->{status}, ($stub->mails)[-1]{user} ], [ 'done', 'kith' ], 'a server that wants a password is told it';
like eval { $instance->kith('doctor') } // $@, qr/\A(?!.*mail cannot)/s, 'and doctor is content';
file('password', "PASSWORD-wrong\n", 0600);
$job = with();
is_deeply [ @$job{qw(status last_error max_attempts)} ], [ 'pending', 'smtp 535', 6 ], 'one that does not take it is left alone';
my $next = send_one();
like eval { $instance->kith('doctor') } // $@, qr/^wrong  mail cannot be sent: /m, 'doctor tells';
is job($next)->{attempts}, 0, 'nothing more is sent meanwhile';
file('password', "PASSWORD-CANARY\n", 0644);
$instance->kith('down');
ok !eval { $instance->kith('up') }, 'a password that others may read is refused';
like $@, qr/others may read \S+password: chmod/, 'and it is said why';
chmod 0600, $password;
$job = with();
is $job->{status}, 'done', 'when all is well mails go again';
$k->sql("update kith.jobs set run_at = now() where status = 'pending' and kind = 'mail'; notify kith_jobs");
ok poll(20, sub { $k->sql("select count(*) from kith.jobs where kind = 'mail' and status <> 'done' and last_error !~ 'template|payload|address|old'") eq '0' }),
  'and none is left behind';

# Bad settings.
for ([ KITH_SMTP_URL => 'https://mail.example' ], [ KITH_SMTP_URL => 'smtp://u:p@mail.example' ], [ KITH_MAIL_FROM => 'nobody' ], [ KITH_MAIL_FROM => '' ]) {
	my ($name, $value) = @$_;
	$instance->kith('down');
	local $instance->{env}{$name} = $value;
	ok !eval { $instance->kith('up') }, "$name=$value is refused";
	like $@, qr/$name/, 'by name';
}
$instance->kith('up');

done_testing;
