# web.sh - the programs and the nginx of an instance.

# Fills in the templates of nginx/, into $KITH_HOME/nginx.
write_nginx_conf() {
	local from=$app/share/kith/nginx to=$KITH_HOME/nginx file text user= listen='' default=''
	local address

	((EUID != 0)) || user="user $instance_user;"
	for address in $(listen_addresses); do
		listen+="		listen $address:$KITH_PORT;"$'\n'
		listen+="		listen $address:$KITH_HTTPS_PORT ssl;"$'\n'
		default+="		listen $address:$KITH_PORT default_server backlog=4096;"$'\n'
		default+="		listen $address:$KITH_HTTPS_PORT ssl default_server backlog=4096;"$'\n'
	done
	mkdir -p "$to"
	for file in "$from"/*.conf; do
		text=$(<"$file")
		text=${text//@HOME@/"$KITH_HOME"}
		text=${text//@SHARE@/"$app/share/kith"}
		text=${text//@USER@/"$user"}
		text=${text//@LISTEN@/"${listen%$'\n'}"}
		text=${text//@LISTEN_DEFAULT@/"${default%$'\n'}"}
		text=${text//@TLS_CERT@/"$tls_cert"}
		text=${text//@TLS_KEY@/"$tls_key"}
		text=${text//@PUBLIC_HOST@/"$(public_host)"}
		text=${text//@PUBLIC_URL@/"$public_url"}
		text=${text//@BODY_LIMIT@/"$KITH_BODY_LIMIT"}
		text=${text//@STORAGE@/"$(storage_dir)"}
		text=${text//@UPLOAD_LIMIT@/"$((KITH_FILE_LIMIT + 2097152))"}
		printf '%s\n' "$text" >"$to/${file##*/}"
	done
	for program in $(programs); do
		printf 'upstream %s {\n' "$program"
		printf "\tserver unix:$run_dir/$program.sock max_fails=0;\n%.0s" 1 2
		printf '}\n'
	done >"$to/upstreams.conf"
}

# This machine is always among them: kith itself, and the tools beside it, call there.
listen_addresses() {
	local ipv6=

	! grep -qs '^0\{31\}1 ' /proc/net/if_inet6 || ipv6=yes
	case $KITH_LISTEN in
	all) printf '%s\n' 0.0.0.0 ${ipv6:+'[::]'} ;;
	*)
		[[ $KITH_LISTEN == loopback ]] || printf '%s\n' ${KITH_LISTEN//,/ }
		printf '%s\n' 127.0.0.1 ${ipv6:+'[::1]'}
		;;
	esac | sort -u
}

# The programs that nginx has a route to.  One that shares the mount of another
# has none of its own: a comment in routes.conf names it.
programs() {
	sed -n 's/.*fastcgi_pass \$\?\(kith[a-z_-]*\);.*/\1/p; s/^# \(kith-[a-z_]*\) .*/\1/p' \
		"$app/share/kith/nginx/routes.conf" | sed 's/^kith_/kith-/' | sort -u
}

# The executables that they are linked into: each is started once, makes the
# sockets of its programs, and starts and ends their processes.
executables() {
	local file

	for file in "$app"/libexec/kith/kith-*; do
		[[ ! -x $file ]] || echo "${file##*/}"
	done
}

start_programs() {
	local executable name environment=() own listen
	local KITH_DATABASE=${KITH_DATABASE:-host=$run_dir port=5432 dbname=kith}
	local KITH_KEYS=${KITH_KEYS:-$KITH_HOME/keys.json}

	# libpq brings GnuTLS along, which nobody uses: set up it would take 120 kB.
	environment=(PATH=/usr/bin:/bin GNUTLS_NO_IMPLICIT_INIT=1)
	for name in $(setting_names p) "${!KITH_TEST_@}"; do
		environment+=("$name=${!name}")
	done
	# Coverage is written where the programs may write.
	[[ $KITH_VARIANT != cov ]] || environment+=("GCOV_PREFIX=$KITH_HOME/tmp/coverage")
	for name in ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS; do
		[[ ! -v $name ]] || environment+=("$name=${!name}")
	done
	for executable in $(executables); do
		own=()
		listen=(--listen "$run_dir")
		case $executable in
		kith-auth)
			add_settings a
			own+=("KITH_SIGNING_KEY=$KITH_HOME/auth/signing-key" "KITH_AUTH_SECRET=$KITH_HOME/auth/secret" "KITH_ISSUER=$public_url/auth/v1")
			;;
		kith-checkout) add_settings c ;;
		kith-webhooks) add_settings h ;;
		kith-storage)
			add_settings f
			own+=("KITH_STORAGE=$(storage_dir)" "KITH_STORAGE_SECRET=$KITH_HOME/storage-secret")
			;;
		kith-worker)
			add_settings w
			own+=("KITH_MAIL_DEFAULTS=$app/share/kith/mail" "KITH_STORAGE=$(storage_dir)")
			listen=()
			;;
		esac
		alive "$executable" || launch "$executable" "${as[@]}" env -i "${environment[@]}" "${own[@]}" \
			"$app/libexec/kith/$executable" "${listen[@]}"
	done
}

# Adds to own what a program reads beside the settings of all; of a secret its copy.
add_settings() {
	local name value

	for name in $(setting_names "$1"); do
		value=${!name}
		if [[ -n $value && -v secret_files[$name] && -v secret_dirs[$1] ]]; then
			value=$KITH_HOME/${secret_dirs[$1]}/${secret_files[$name]}
		fi
		own+=("$name=$value")
	done
}

# processes_of PROGRAM: the pids of those that serve it; none while it sleeps.
processes_of() {
	local executable child name pid

	for executable in $(executables); do
		alive "$executable" || continue
		for child in $(<"/proc/$pid/task/$pid/children"); do
			{ read -rd '' name <"/proc/$child/cmdline"; } 2>/dev/null || continue
			[[ $name != "$1" ]] || echo "$child"
		done
	done
}

start_nginx() {
	launch nginx nginx -p "$KITH_HOME" -c "$KITH_HOME/nginx/kith.conf" \
		-e "$KITH_HOME/log/nginx-error.log" -g 'daemon off;'
}

check_ports() {
	local port

	for port in "$KITH_PORT" "$KITH_HTTPS_PORT"; do
		if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			fail "port $port is in use: set KITH_PORT"
		fi
	done
}

# Lines "PROGRAM PATH": what is asked for to see that requests are answered.
# Others of the same executable would only be woken by it; the one for
# everything else is asked for a table that is nobody's own.
probes() {
	sed -n '
		s|^location = \(/rest/v1/users\) { fastcgi_pass \([^;]*\);.*|\2 \1|p
		s|^location \(/rest/v1/\) { fastcgi_pass \([^;]*\);.*|\2 \1none|p
	' "$app/share/kith/nginx/routes.conf"
}

# answers PATH...: is each request answered, with whatever but a fault?  So
# nginx, the sockets, the logins and the catalogue work.
answers() {
	local codes

	codes=$(curl -s -Z -I -m 10 -H "apikey: $(<"$KITH_HOME/secrets/anon-key")" \
		"${@/#/$url}" 2>/dev/null | sed -n 's/^HTTP[^ ]* \([0-9]*\).*/\1/p')
	[[ $(grep -c '^[1-4]' <<<"$codes") -eq $# ]]
}

# Sets missing to the programs that have no socket.
look_for_sockets() {
	local program

	missing=()
	for program in $(programs); do
		[[ -S $run_dir/$program.sock ]] || missing+=("$program")
	done
}

web_answers() {
	local paths missing

	look_for_sockets
	((${#missing[@]} == 0)) || return 1
	mapfile -t paths < <(probes | cut -d ' ' -f 2)
	answers "${paths[@]}"
}

# Everything answers, or something ended.
web_settled() {
	local running stopped

	look
	((${#stopped[@]} > 0)) || web_answers
}

wait_for_web() {
	local program path running stopped missing

	if ! wait_for 30 web_settled; then
		look_for_sockets
		((${#missing[@]} == 0)) || start_failed kith-programs "made no socket for ${missing[*]}"
		while read -r program path; do
			answers "$path" || start_failed kith-programs "does not answer for $program"
		done < <(probes)
	fi
	look
	((${#stopped[@]} == 0)) || start_failed "${stopped[0]}" 'ended'
}
