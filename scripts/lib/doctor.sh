# doctor.sh - what is missing or unsafe, and what to do about it.

help[doctor]='say what is missing or unsafe, and what to do

usage: kith doctor [--files]

Looks at packages, versions, files, keys, disk, and, when it runs, at the
database, at jobs and events that failed, and whether those answer who carry
mail and take payments.

--files compares the rows of storage with the files on the disk instead, both
ways: rows whose file is missing or has another size, files that no row names.

Exit status: 0 nothing to do, 1 something is wrong.'

kith_doctor() {
	local problems=0

	[[ $# -eq 0 || $* == --files ]] || fail "unknown argument \"$*\"; see kith doctor --help"
	load_settings in-force
	if [[ $# -gt 0 ]]; then
		doctor_stored_files
		return
	fi
	doctor_machine
	if [[ -e $KITH_HOME/secrets ]]; then
		doctor_files
		doctor_certificate
		doctor_keys
		doctor_instance
	else
		note "there is no instance at $KITH_HOME yet: kith up makes it"
	fi
	((problems > 0)) || echo 'Nothing to do.'
	return $((problems > 0))
}

wrong() {
	problems=$((problems + 1))
	printf 'wrong  %s\n' "$*"
}

note() {
	printf 'note   %s\n' "$*"
}

doctor_machine() {
	local missing backlog version

	missing=$(missing_packages run)
	[[ -z $missing ]] || wrong "packages are missing: apt-get install $missing"
	missing=$(missing_packages test)
	[[ -z $missing ]] || note "for kith test also: apt-get install $missing"
	[[ -x $KITH_FFMPEG ]] || note 'nobody listens to recordings, how long and how good they are: apt-get install ffmpeg'
	backlog=$(</proc/sys/net/core/somaxconn)
	((backlog >= 1024)) ||
		wrong "the queue of a socket is cut to $backlog: sysctl -w net.core.somaxconn=1024"
	find_postgres
	version=$("$pg_bin/postgres" --version)
	version=${version##*PostgreSQL) }
	version=${version%% *}
	# CVE-2026-14666: row security kept the rights of a role it had left.
	case $version in
	15.*) newer_or_equal "$version" 15.19 ;;
	17.*) newer_or_equal "$version" 17.11 ;;
	esac || wrong "PostgreSQL $version has known holes: apt-get install --only-upgrade postgresql-${version%%.*}"
}

newer_or_equal() {
	[[ $(printf '%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]
}

doctor_files() {
	local file mode dir free

	for file in secrets:700 data:700 secrets/signing-key.pem:600 \
		secrets/service-key:600 secrets/tls-key.pem:600 secrets/auth-secret:600 \
		auth/signing-key:640 auth/secret:640 checkout:750 worker:750 keys.json:640; do
		mode=${file#*:}
		file=$KITH_HOME/${file%:*}
		if [[ ! -e $file ]]; then
			note "$file is not there yet: kith up makes it"
		elif (((8#$(stat -c %a "$file") & ~8#$mode) != 0)); then
			wrong "$file is open to others: chmod $mode $file"
		fi
	done
	if [[ -e $KITH_HOME/kith.conf ]] && (((8#$(stat -c %a "$KITH_HOME/kith.conf") & 8#22) != 0)); then
		wrong "others may write $KITH_HOME/kith.conf: chmod 640 $KITH_HOME/kith.conf"
	fi
	for dir in "$KITH_HOME" ${KITH_STORAGE:+"$KITH_STORAGE"}; do
		free=$(df -P "$dir" | awk 'NR == 2 { print 100 - $5 }')
		((free >= 15)) || wrong "only $free % of the disk of $dir are free"
	done
}

# The auth program signs with its copy of the key; everybody else believes what
# keys.json and jwks.json say.
doctor_keys() {
	local key=$KITH_HOME/auth/signing-key kid file

	[[ -e $key ]] || return 0
	[[ -r $key ]] || { wrong "cannot read $key: run as its owner" && return; }
	"${as[@]}" test -r "$key" || wrong "user $instance_user cannot read $key: kith down; kith up"
	if [[ $(head -c 10 "$key") != -----BEGIN ]]; then
		(($(head -n 1 "$key" | tr -d '\n' | wc -c) >= 32)) ||
			wrong 'KITH_JWT_SECRET has less than 32 bytes: whoever tries can guess it'
		return
	fi
	kid=$(describe_key "$key" 2>/dev/null) || { wrong "$key holds no key: kith down; kith up" && return; }
	for file in keys.json auth/jwks.json; do
		grep -qF "\"kid\":\"${kid%% *}\"" "$KITH_HOME/$file" ||
			wrong "$KITH_HOME/$file does not know the key that signs tokens: kith down; kith up"
	done
}

# The database says when a token ends, the programs whether it has.
doctor_clock() {
	local there here

	there=$(psql -XqAt -c 'select (extract(epoch from clock_timestamp()) * 1000)::bigint')
	here=$(now_ms)
	((there - here < 5000 && here - there < 5000)) ||
		wrong "the clock of the database is $(((there - here) / 1000)) s away from this machine's: let NTP set both"
}

doctor_certificate() {
	local again='kith down; kith up' host

	[[ -z $KITH_TLS_CERT ]] || again='renew it, then kith up'
	[[ ! -e $tls_cert ]] || openssl x509 -in "$tls_cert" -noout -checkend $((21 * 86400)) >/dev/null ||
		wrong "$tls_cert ends within 21 days: $again"
	# With loopback somebody else ends TLS in front of us.
	if [[ $KITH_PUBLIC_URL == https:* && $KITH_LISTEN != loopback && -e $tls_cert ]]; then
		host=$(public_host)
		openssl x509 -in "$tls_cert" -noout "$(certificate_check "$host")" "${host//[][]/}" | grep -q ' does match ' ||
			wrong "the certificate $tls_cert is not for $host: set KITH_TLS_CERT and KITH_TLS_KEY"
	fi
	[[ $KITH_LISTEN == loopback || $KITH_PUBLIC_URL == https:* ]] ||
		wrong 'others can connect, and tokens go in the clear: set KITH_PUBLIC_URL to an address of https'
}

certificate_check() {
	[[ $1 == \[* || $1 =~ ^[0-9.]+$ ]] && echo -checkip || echo -checkhost
}

doctor_instance() {
	local running stopped missing name setting

	look
	if ((${#running[@]} == 0)); then
		note 'the instance does not run: kith up'
		return
	fi
	((${#stopped[@]} == 0)) || wrong "${stopped[*]} does not run: kith up starts it"
	look_for_sockets
	((${#stopped[@]} > 0 || ${#missing[@]} == 0)) ||
		wrong "the sockets of ${missing[*]} are gone: kith up"
	((${#stopped[@]} + ${#missing[@]} > 0)) || web_answers ||
		wrong "$url does not answer: read $KITH_HOME/log"
	if ! alive postgresql; then
		return
	fi
	doctor_clock
	while IFS='|' read -r name setting; do
		wrong "$name=$setting loses acknowledged writes: alter system reset $name, then restart"
	done < <(psql -XqAt <<-'END'
		select name, setting from pg_settings
		where name in ('fsync', 'full_page_writes', 'synchronous_commit') and setting = 'off'
		END
	)
	"$(migrate_command)" --status >/dev/null ||
		wrong 'the schema is not up to date: kith migrate'
	[[ $(psql -XqAt -c 'show data_checksums') == on ]] ||
		wrong 'the cluster has no data checksums: stop it and run pg_checksums --enable'
	case $(psql -XqAt <<-'END'
		select t.typtype, exists (select from pg_available_extensions where name = 'vector')
		from pg_type t where t.oid = 'extensions.vector'::regtype
		END
	) in
	d\|f) note 'pgvector is not installed: vectors are kept in the domain extensions.vector' ;;
	d\|t) note 'vectors are kept in the domain extensions.vector, but pgvector is there: kith pgvector' ;;
	esac
	setting=$(psql -XqAt <<-'END'
		select string_agg(c.oid::regclass::text, ', ') from pg_class c
		where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relrowsecurity
		END
	)
	[[ -z $setting ]] ||
		wrong "no row-level security on $setting: alter table ... enable row level security, force row level security"
	doctor_jobs
	doctor_webhooks
	doctor_payments
	doctor_mail
}

doctor_jobs() {
	local failed waiting

	failed=$(psql -XqAt -c "select count(*) from kith.jobs where status = 'failed'")
	((failed == 0)) || wrong "jobs that failed: $failed; kith jobs says why, kith jobs retry does them again"
	waiting=$(psql -XqAt -c "select count(*) from kith.jobs where status = 'pending' and created_at < now() - interval '5 minutes'
		and (run_at < now() - interval '5 minutes' or last_error is not null)")
	((waiting == 0)) || note "jobs that have waited for long: $waiting; kith jobs lists them"
}

# Does the mail server, or Resend, answer, and take our password or key?
doctor_mail() {
	local config='' secret

	if [[ -z $KITH_SMTP_URL$KITH_RESEND_API_KEY ]]; then
		note 'no mail is sent: set KITH_MAIL_FROM and KITH_SMTP_URL or KITH_RESEND_API_KEY'
		return
	fi
	# By standard input: arguments are seen by everybody.
	if [[ -n $KITH_SMTP_URL ]]; then
		config="url = \"${KITH_SMTP_URL}\""$'\n'
		[[ $(smtp_is_local) == yes || $KITH_ALLOW_HTTP_PROVIDERS == 1 ]] || config+=$'ssl-reqd\n'
		if [[ -n $KITH_SMTP_USER ]]; then
			secret=
			[[ -z $KITH_SMTP_PASSWORD ]] || secret=$(head -n 1 "$KITH_SMTP_PASSWORD")
			config+="user = \"$(curl_quote "$KITH_SMTP_USER:$secret")\""$'\n'
		fi
		config+=$'request = "NOOP"\n'
	else
		secret=$(head -n 1 "$KITH_RESEND_API_KEY")
		config="url = \"${KITH_RESEND_BASE_URL%/}/domains\""$'\n'
		config+="header = \"Authorization: Bearer $(curl_quote "$secret")\""$'\n'
	fi
	[[ -z $KITH_CA_CERTIFICATES ]] || config+="cacert = \"$KITH_CA_CERTIFICATES\""$'\n'
	check_mail "$config"
}

check_mail() {
	local said status=0

	# A key of Resend that may only send is told so, by 401 and a name of its own.
	said=$(curl -sS -q --noproxy '*' --connect-timeout 5 -m 20 -K - <<<"$1" 2>&1) || status=$?
	if ((status != 0)); then
		wrong "mail cannot be sent: ${said%%$'\n'*}"
	elif [[ $said == *'"statusCode":40'[13]* && $said != *restricted_api_key* ]]; then
		wrong 'Resend does not take the key in KITH_RESEND_API_KEY'
	fi
}

smtp_is_local() {
	[[ ! $KITH_SMTP_URL =~ ^smtp://(localhost|127\.[0-9.]+|\[::1\])(:|/|$) ]] || echo yes
}

# Text between the quotes of a curl configuration.
curl_quote() {
	local text=${1//\\/\\\\}

	printf %s "${text//\"/\\\"}"
}
