# settings.sh - the settings of Kith: names, defaults, where a value comes from.
#
# A value comes from the environment, else from $KITH_HOME/kith.conf, else from
# the table below.  What an instance was started with is kept in
# $KITH_HOME/in-force.conf until it is stopped, so that `kith env` and
# `kith token` agree with the running programs whatever their own environment
# says.

# name | default | read by: p = all programs, a = auth, c = checkout, f = storage, h = webhooks, w = worker (each alone, or together), s = scripts | what it does
settings_table='
KITH_PORT|8000|s|port of plain http
KITH_HTTPS_PORT||s|port of https; the next one after KITH_PORT
KITH_LISTEN|loopback|s|who can connect: loopback, this machine; all; or addresses with commas between, besides this machine
KITH_PUBLIC_URL||s|address by which apps and links in mail reach Kith, like https://api.example.org; empty: that of plain http on this machine
KITH_TLS_CERT||s|file of the certificate for that address, with its chain; empty: one that only this machine knows
KITH_TLS_KEY||s|file of its key, which others may not read
KITH_SITE_URL|http://localhost:3000|ac|address of the app, where links in mail lead
KITH_REDIRECT_URLS||ac|where else links and payments may lead, with commas between: myapp://callback, https://*.example.org/**
KITH_AUTOCONFIRM|0|a|1: whoever signs up need not prove their address by mail; always so when no mail is configured
KITH_SECURE_EMAIL_CHANGE|1|a|0: of a change of address only the new one has to be proved
KITH_REAUTHENTICATE|0|a|1: a new password wants a code by mail, a day after signing in
KITH_CURRENT_PASSWORD|0|a|1: a new password wants the old one, as current_password, of whoever signed in by it
KITH_VERIFY_GET|page|a|page: a link shows a button, since programs open links in mails; redirect: opening it is enough
KITH_REVEAL_UNKNOWN|0|a|1: asking for a code without signing up says when there is no such user
KITH_MAILS_PER_HOUR|30|a|most mails that users cause together in an hour; 0: no limit
KITH_DISABLE_SIGNUP|0|a|1: nobody can sign up; users are made by the service
KITH_ANONYMOUS_SIGN_INS|0|a|1: guests can sign in without an address
KITH_AUTH_IP_LIMITS|1|a|0: no limits per IP address on signing up and in, for users who share one; those per mail address stay
KITH_JWT_EXPIRY|3600|a|seconds that an access token lives, 300 to 86400
KITH_PASSWORD_MIN_LENGTH|6|a|fewest characters of a new password
KITH_PASSWORD_HASH|bcrypt|a|how new passwords are hashed: bcrypt, which Supabase understands, or yescrypt
KITH_MAIL_FROM||aw|whom mails come from: Name <address>, or an address
KITH_SMTP_URL||aw|mail server: smtps://host, or smtp://host:587; other than on this machine it must know STARTTLS
KITH_SMTP_USER||w|user name for the mail server
KITH_SMTP_PASSWORD||w|file that holds the password for the mail server, which others may not read
KITH_RESEND_API_KEY||aw|file that holds a key of Resend, to send mails by its API; others may not read it
KITH_RESEND_BASE_URL|https://api.resend.com|w|where that API is
KITH_RESEND_RATE|2|w|mails a second that Resend takes from you
KITH_MAIL_TEMPLATES||w|directory of your own templates of mails, NAME.txt and NAME.html; those of Kith are the example
KITH_STRIPE_API_KEY||cw|file that holds a key of Stripe (Checkout, Portal and Subscriptions are enough); others may not read it
KITH_STRIPE_BASE_URL|https://api.stripe.com|cw|where that API is
KITH_LEMONSQUEEZY_API_KEY||cw|file that holds a key of Lemon Squeezy; others may not read it
KITH_LEMONSQUEEZY_BASE_URL|https://api.lemonsqueezy.com|cw|where that API is
KITH_LEMONSQUEEZY_STORE_ID||chw|number of your store there
KITH_LEMONSQUEEZY_ALLOW_TEST|0|h|1: what it tells in test mode counts too
KITH_STRIPE_WEBHOOK_SECRET||h|file that holds the secret of what Stripe tells, or several, the newest first; empty: Stripe is not heard
KITH_LEMONSQUEEZY_WEBHOOK_SECRET||h|file that holds the secret of what Lemon Squeezy tells, or several, the newest first; empty: Lemon Squeezy is not heard
KITH_RESEND_WEBHOOK_SECRET||h|file that holds the secret of what Resend tells, or several, the newest first; empty: Resend is not heard
KITH_TELEGRAM_WEBHOOK_SECRET||h|file that holds the secret of what Telegram tells, or several, the newest first; empty: Telegram is not heard
KITH_ELEVENLABS_WEBHOOK_SECRET||h|file that holds the secret of what ElevenLabs tells, or several, the newest first; empty: ElevenLabs is not heard
KITH_CA_CERTIFICATES||cw|file of the certificates that calls to others trust; empty: those of the system
KITH_ALLOW_HTTP_PROVIDERS|0|cw|1: calls to others than this machine may go without TLS
KITH_STORAGE||s|directory of the files that are stored; storage in KITH_HOME
KITH_BUCKETS|documents(50MB) training_clips(20MB,audio/*,video/*) voice_messages(50MB,audio/*,video/*) avatars(5MB,image/*)|s|buckets that kith migrate makes where they are missing: names with blanks between, and for each public, a size, and what may be stored
KITH_FILE_LIMIT|52428800|f|most bytes of one file; a bucket may have less
KITH_SIGNED_UPLOAD_EXPIRY|7200|f|seconds that a signed URL takes an upload
KITH_FFMPEG|/usr/bin/ffmpeg|w|program that listens to recordings: how long they are, and whether they should be made again
KITH_FILE_GRACE|60|w|seconds that a file that was replaced or deleted stays, for those who still read it
KITH_ORPHAN_AGE|3600|w|seconds after which a file that no row names, as a crash leaves it, is removed
KITH_WORKER_PROCESSES|1|w|processes that send what waits
KITH_JWT_SECRET||s|shared secret of at least 32 bytes: tokens are signed with HS256
KITH_PROCESSES||p|processes of each program; empty: what its declaration says
KITH_VARIANT|plain|s|build to run: plain, san (sanitizers) or cov (coverage)
KITH_DATABASE||p|libpq conninfo without user; the private cluster
KITH_KEYS||p|file of the public keys; keys.json in KITH_HOME
KITH_SCHEMAS|public,justin,companion,trailhead,thinking_partner,essence|p|exposed schemas, the default one first
KITH_MAX_ROWS|1000|p|most rows in one answer
KITH_BODY_LIMIT|1048576|p|most bytes in one request body
KITH_STATEMENT_TIMEOUT_ANON|3000|p|milliseconds a statement of anon may take
KITH_STATEMENT_TIMEOUT|8000|p|milliseconds any other statement may take
KITH_JWT_AUDIENCE|authenticated|p|audience that a user token must name
KITH_JWT_LEEWAY|30|p|seconds by which clocks may differ, 0 to 60
KITH_ANON_WITHOUT_KEY|0|p|1: a request without any key is anon
KITH_PREPARED_STATEMENTS|1|p|0: none, for a pooler in between
KITH_IDLE_DISCONNECT|60|p|seconds until an idle database connection is closed
KITH_IDLE_STOP|300|p|seconds without a request until the processes of a program end; 0: never
KITH_LOG_LEVEL|info|p|debug, info, warning or error
'
# What `kith env` prints: allowed in our environment, never read from it.
printed_names=' KITH_URL KITH_HTTPS_URL KITH_API_URL KITH_ANON_KEY KITH_SERVICE_KEY KITH_CA_FILE '

fail() {
	printf 'kith: %s\n' "$*" >&2
	exit 1
}

say() {
	printf 'kith: %s\n' "$*" >&2
}

# Prints the names of all settings, or of those with this reader (p).
setting_names() {
	local name default readers text

	while IFS='|' read -r name default readers text; do
		[[ -z $name || $readers != *"${1-}"* ]] || echo "$name"
	done <<<"$settings_table"
}

# Is this a name one may set?  KITH_TEST_* is for programs built for tests.
known_setting() {
	[[ $1 == KITH_TEST_* || $settings_table == *$'\n'"$1|"* ]]
}

# Reads KITH_NAME=value lines into the map conf; a value goes to the end of
# its line and is taken as it is.
read_conf() {
	local file=$1 line name number=0

	[[ -e $file ]] || return 0
	[[ -r $file ]] || fail "cannot read $file: run as its owner"
	while IFS= read -r line || [[ -n $line ]]; do
		number=$((number + 1))
		[[ $line =~ ^[[:space:]]*(#|$) ]] && continue
		name=${line%%=*}
		[[ $line == *=* ]] && known_setting "$name" ||
			fail "$file:$number: unknown setting \"$name\""
		conf[$name]=${line#*=}
	done <"$file"
}

check_number() {
	[[ ${!1} =~ ^[0-9]{1,9}$ ]] && ((10#${!1} >= $2 && 10#${!1} <= $3)) ||
		fail "$1 must be a number from $2 to $3, not \"${!1}\""
}

check_settings() {
	check_number KITH_PORT 1 65534
	KITH_HTTPS_PORT=${KITH_HTTPS_PORT:-$((KITH_PORT + 1))}
	check_number KITH_HTTPS_PORT 1 65535
	((KITH_PORT != KITH_HTTPS_PORT)) ||
		fail "KITH_PORT and KITH_HTTPS_PORT are both $KITH_PORT"
	[[ -z $KITH_PUBLIC_URL || $KITH_PUBLIC_URL =~ ^https?://([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?$ ]] ||
		fail "KITH_PUBLIC_URL must be like https://api.example.org, in small letters and without a path, not \"$KITH_PUBLIC_URL\""
	[[ $KITH_LISTEN =~ ^(loopback|all|[][0-9a-f.:,]+)$ ]] ||
		fail "KITH_LISTEN must be loopback, all, or addresses with commas between, not \"$KITH_LISTEN\""
	[[ (-z $KITH_TLS_CERT && -z $KITH_TLS_KEY) || (-n $KITH_TLS_CERT && -n $KITH_TLS_KEY) ]] ||
		fail 'KITH_TLS_CERT and KITH_TLS_KEY go together'
	[[ -z $KITH_PROCESSES ]] || check_number KITH_PROCESSES 1 64
	check_number KITH_IDLE_STOP 0 86400
	check_number KITH_BODY_LIMIT 1 104857600
	check_number KITH_WORKER_PROCESSES 1 64
	[[ $KITH_FILE_LIMIT =~ ^[1-9][0-9]{0,11}$ ]] ||
		fail "KITH_FILE_LIMIT must be a number of bytes, not \"$KITH_FILE_LIMIT\""
	[[ -z $KITH_STORAGE || $KITH_STORAGE =~ ^/[][A-Za-z0-9._/+@,:~-]+$ ]] ||
		fail "KITH_STORAGE must be an absolute path without spaces or quotes, not \"$KITH_STORAGE\""
	check_number KITH_RESEND_RATE 1 1000
	check_number KITH_FILE_GRACE 1 31536000
	check_number KITH_ORPHAN_AGE 1 31536000
	[[ -z $KITH_SMTP_URL$KITH_RESEND_API_KEY || -n $KITH_MAIL_FROM ]] ||
		fail 'KITH_MAIL_FROM must say whom mails come from'
	[[ $KITH_VARIANT =~ ^(plain|san|cov)$ ]] ||
		fail "KITH_VARIANT must be plain, san or cov, not \"$KITH_VARIANT\""
	local LC_ALL=C # a length in bytes
	[[ -z $KITH_JWT_SECRET || ${#KITH_JWT_SECRET} -ge 32 ]] ||
		fail 'KITH_JWT_SECRET must have at least 32 bytes'
}

# load_settings wanted|in-force: sets every KITH_* name of the table as a shell
# variable.  "in-force" prefers what the running instance was started with.
load_settings() {
	local which=$1 name default reader text
	local -A conf=()

	for name in "${!KITH_@}"; do
		[[ $name == KITH_HOME || $printed_names == *" $name "* ]] ||
			known_setting "$name" || fail "unknown setting $name"
	done
	find_home
	if [[ $which == in-force && -e $KITH_HOME/in-force.conf ]]; then
		read_conf "$KITH_HOME/in-force.conf"
		# The environment has no say in what already runs.
		for name in $(setting_names); do
			unset "$name"
		done
	else
		read_conf "$KITH_HOME/kith.conf"
	fi
	while IFS='|' read -r name default reader text; do
		[[ -n $name ]] || continue
		[[ -v $name ]] || printf -v "$name" %s "${conf[$name]-$default}"
		[[ ${!name} != *$'\n'* ]] || fail "$name holds a line break"
	done <<<"$settings_table"
	check_settings
	url=http://127.0.0.1:$KITH_PORT
	https_url=https://127.0.0.1:$KITH_HTTPS_PORT
	public_url=${KITH_PUBLIC_URL:-$url}
	tls_cert=${KITH_TLS_CERT:-$KITH_HOME/secrets/tls-cert.pem}
	tls_key=${KITH_TLS_KEY:-$KITH_HOME/secrets/tls-key.pem}
}

# The host of the public address; nothing when there is none.
public_host() {
	local host=${KITH_PUBLIC_URL#*://}

	[[ $host == \[* ]] && echo "${host%]*}]" || echo "${host%:*}"
}

# Where the files of storage are.  KITH_HOME may move while an instance is made.
storage_dir() {
	echo "${KITH_STORAGE:-$KITH_HOME/storage}"
}

# The settings as lines of a file.
print_settings() {
	local name

	for name in $(setting_names); do
		printf '%s=%s\n' "$name" "${!name}"
	done
}

# kith.conf with every setting explained and commented out.
write_default_conf() {
	local name default reader text

	echo '# Settings of this instance: KITH_NAME=value, without quotes.'
	echo '# Take the # away to change one; it counts from the next kith up.'
	while IFS='|' read -r name default reader text; do
		[[ -z $name ]] || printf '\n# %s\n#%s=%s\n' "$text" "$name" "$default"
	done <<<"$settings_table"
}

# Sets KITH_HOME, run_dir (sockets; their paths must stay below 100 bytes) and
# app (the prefix below which its programs are installed) and what depends on
# who we are: instance_user and as, the words in front of a command that make it
# run as that user.
find_home() {
	local home=${KITH_HOME-} hash

	if [[ -z $home && -n $checkout ]]; then
		home=$checkout/var
	elif [[ -z $home ]]; then
		home=${XDG_DATA_HOME:-${HOME:-/root}/.local/share}/kith
	fi
	KITH_HOME=$(realpath -m -- "$home")
	[[ $KITH_HOME =~ ^/[][A-Za-z0-9._/+@,:~-]+$ ]] ||
		fail "KITH_HOME may not hold spaces or quotes: $KITH_HOME"
	[[ ! -e $KITH_HOME || -x $KITH_HOME ]] ||
		fail "$KITH_HOME belongs to $(stat -c %U "$KITH_HOME")"
	hash=$(printf %s "$KITH_HOME" | sha256sum)
	hash=${hash:0:12}
	if ((EUID == 0)); then
		instance_user=kith
		as=(setpriv --reuid=kith --regid=kith --init-groups --)
		run_dir=/run/kith/$hash
	else
		instance_user=$(id -un)
		as=()
		run_dir=/tmp/kith-$EUID-$hash
	fi
	if [[ -n $checkout ]]; then
		app=$KITH_HOME/app
	else
		app=$prefix
	fi
	unset "${!PG@}"
	export PGHOST=$run_dir PGPORT=5432 PGDATABASE=kith PGUSER=postgres
}
