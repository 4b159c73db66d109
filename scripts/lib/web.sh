# web.sh - the programs and the nginx of an instance.

# Fills in the templates of nginx/, into $KITH_HOME/nginx.
write_nginx_conf() {
	local from=$app/share/kith/nginx to=$KITH_HOME/nginx file text user= listen='' default=''
	local address

	((EUID != 0)) || user="user $instance_user;"
	for address in $(loopback_addresses); do
		listen+="		listen $address:$KITH_PORT;"$'\n'
		listen+="		listen $address:$KITH_HTTPS_PORT ssl;"$'\n'
		default+="		listen $address:$KITH_PORT default_server backlog=4096;"$'\n'
		default+="		listen $address:$KITH_HTTPS_PORT ssl default_server backlog=4096;"$'\n'
	done
	mkdir -p "$to"
	for file in "$from"/*.conf; do
		text=$(<"$file")
		text=${text//@HOME@/"$KITH_HOME"}
		text=${text//@USER@/"$user"}
		text=${text//@LISTEN@/"${listen%$'\n'}"}
		text=${text//@LISTEN_DEFAULT@/"${default%$'\n'}"}
		text=${text//@BODY_LIMIT@/"$KITH_BODY_LIMIT"}
		printf '%s\n' "$text" >"$to/${file##*/}"
	done
	for program in $(programs); do
		printf 'upstream %s {\n' "$program"
		printf "\tserver unix:$run_dir/$program.sock max_fails=0;\n%.0s" 1 2
		printf '}\n'
	done >"$to/upstreams.conf"
}

loopback_addresses() {
	echo 127.0.0.1
	if grep -qs '^0\{31\}1 ' /proc/net/if_inet6; then
		echo '[::1]'
	fi
}

# The programs that nginx has a route to.
programs() {
	sed -n 's/.*fastcgi_pass \(kith-[a-z_-]*\);.*/\1/p' \
		"$app/share/kith/nginx/routes.conf" | sort -u
}

start_programs() {
	local program name environment=()
	local KITH_DATABASE=${KITH_DATABASE:-host=$run_dir port=5432 dbname=kith}
	local KITH_KEYS=${KITH_KEYS:-$KITH_HOME/keys.json}

	for name in $(setting_names p) "${!KITH_TEST_@}"; do
		environment+=("$name=${!name}")
	done
	# Coverage is written where the programs may write.
	[[ $KITH_VARIANT != cov ]] || environment+=("GCOV_PREFIX=$KITH_HOME/tmp/coverage")
	for name in ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS; do
		[[ ! -v $name ]] || environment+=("$name=${!name}")
	done
	for program in $(programs); do
		alive "$program" || start_program "$program" "${environment[@]}"
	done
}

# libpq brings GnuTLS along, which nobody uses: set up it would take 120 kB.
start_program() {
	local program=$1 socket=$run_dir/$1.sock

	shift
	rm -f "$socket"
	launch "$program" "${as[@]}" env -i PATH=/usr/bin:/bin GNUTLS_NO_IMPLICIT_INIT=1 "$@" \
		spawn-fcgi -n -s "$socket" -M 0660 -b 1024 -- \
		"$app/libexec/kith/$program"
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

# Lines "PROGRAM PATH": the first path that each program serves.  The one for
# everything else is asked for a table that is nobody's own.
probes() {
	sed -n '
		s|^location = \([^ ]*/[^ ]*/[^ ]*/[^ ]*\) { fastcgi_pass \([^;]*\);.*|\2 \1|p
		s|^location \([^ ]*/\) { fastcgi_pass \([^;]*\);.*|\2 \1none|p
	' "$app/share/kith/nginx/routes.conf" | sort -s -u -k 1,1
}

# answers PATH...: is each request answered, with whatever but a fault?  So
# nginx, the sockets, the logins and the catalogue work.
answers() {
	local codes

	codes=$(curl -s -Z -I -m 10 -H "apikey: $(<"$KITH_HOME/secrets/anon-key")" \
		"${@/#/$url}" 2>/dev/null | sed -n 's/^HTTP[^ ]* \([0-9]*\).*/\1/p')
	[[ $(grep -c '^[1-4]' <<<"$codes") -eq $# ]]
}

web_answers() {
	local paths

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
	local program path running stopped

	if ! wait_for 30 web_settled; then
		while read -r program path; do
			answers "$path" || start_failed "$program" 'does not answer'
		done < <(probes)
	fi
	look
	((${#stopped[@]} == 0)) || start_failed "${stopped[0]}" 'ended'
}
