# instance.sh - an instance as a whole: run, up, down, status, env.

help[run]='start everything, say how to use it, stop it on Ctrl-C

usage: kith run

Builds Kith if needed, makes what the instance lacks (database cluster, keys,
certificate), starts PostgreSQL, the programs and nginx on loopback, and prints
the addresses, the keys and a curl line that works.'

help[up]='start the instance in the background

usage: kith up

Builds what changed and returns when it answers.  What already runs is left
alone, so a change counts from the next kith down and up.  Several instances
live side by side by KITH_HOME and KITH_PORT.'

help[down]='stop the instance

usage: kith down'

help[status]='say what runs

usage: kith status

A program that nobody has called for a while (KITH_IDLE_STOP) sleeps: it has no
processes, and the next request wakes it up.  Those that are awake are named.

Exit status: 0 everything runs, 1 a part of it, 3 nothing.'

help[env]='print addresses and keys as KEY=VALUE lines

usage: eval "$(kith env)"

KITH_URL and KITH_HTTPS_URL (on this machine), KITH_API_URL (for apps: the
setting KITH_PUBLIC_URL, or the first of these), KITH_ANON_KEY, KITH_SERVICE_KEY, KITH_CA_FILE (the
certificate of https), KITH_JWT_SECRET (when HS256 is on), the files of the
KITH_*_WEBHOOK_SECRET that are set, and PGHOST, PGPORT, PGDATABASE, PGUSER of a
superuser of the private cluster.'

# Makes KITH_HOME and what is in it.  The instance's user must reach it: when a
# directory above is closed to it (/root, a mktemp), KITH_HOME becomes a link to
# a place below /var/lib/kith.
make_home() {
	local elsewhere group

	((EUID != 0)) || id -u "$instance_user" >/dev/null 2>&1 ||
		useradd --system --user-group --no-create-home \
			--home-dir /nonexistent --shell /usr/sbin/nologin "$instance_user"
	group=$(id -gn "$instance_user")
	[[ ! -e $KITH_HOME/secrets || -O $KITH_HOME/secrets ]] ||
		fail "$KITH_HOME belongs to $(stat -c %U "$KITH_HOME/secrets")"
	if ((EUID == 0)) && ! reachable "$KITH_HOME"; then
		elsewhere=${KITH_HOME%/var}
		elsewhere=/var/lib/kith/${elsewhere##*/}-${run_dir##*/}
		rmdir "$KITH_HOME" 2>/dev/null || [[ ! -e $KITH_HOME ]] ||
			fail "user $instance_user cannot reach $KITH_HOME"
		mkdir -p "$elsewhere" "${KITH_HOME%/*}"
		ln -s "$elsewhere" "$KITH_HOME"
		say "user $instance_user cannot reach $KITH_HOME: it is a link to $elsewhere"
		find_home
	fi
	install -d -g "$group" -m 750 "$KITH_HOME" "$KITH_HOME/log" "$KITH_HOME/nginx"
	install -d -m 755 "$KITH_HOME/pids"
	install -d -g "$group" -m 750 "$KITH_HOME/acme" "$KITH_HOME/acme/.well-known" "$KITH_HOME/acme/.well-known/acme-challenge"
	install -d -m 700 "$KITH_HOME/secrets"
	install -d -o "$instance_user" -g "$group" -m 700 "$KITH_HOME/tmp"
	make_storage "$(storage_dir)" "$group"
	mkdir -p "${run_dir%/*}"
	# In /tmp anybody may have been there before us.
	[[ ! -L $run_dir ]] && install -d -o "$instance_user" -g "$group" -m 750 "$run_dir" ||
		fail "cannot use $run_dir"
	[[ -e $KITH_HOME/kith.conf ]] || write_default_conf >"$KITH_HOME/kith.conf"
	[[ -e $KITH_HOME/postgresql.conf ]] ||
		echo '# Your own settings of PostgreSQL; they win over those of kith up.' \
			>"$KITH_HOME/postgresql.conf"
}

# The directories of lib/store.h.
make_storage() {
	mkdir -p "$1" && reachable "$1/objects" || fail "user $instance_user cannot reach $1: set KITH_STORAGE"
	install -d -o "$instance_user" -g "$2" -m 750 "$1" "$1/objects" "$1/tmp"
}

# Can the instance's user pass through the directories above this path?
reachable() {
	local dir=${1%/*}

	until [[ -e ${dir:=/} ]]; do
		dir=${dir%/*}
	done
	"${as[@]}" test -x "$dir"
}

# Everything that runs, in the order of its start.
parts_of_instance() {
	echo postgresql
	executables
	echo nginx
}

# Sets running and stopped to the names of what runs and what does not.
look() {
	local name

	running=()
	stopped=()
	for name in $(parts_of_instance); do
		if alive "$name"; then
			running+=("$name")
		else
			stopped+=("$name")
		fi
	done
}

# Two of us at once would start everything twice.
lock_home() {
	exec 9>"$KITH_HOME/lock"
	flock 9
}

# Starts what does not run; on failure nothing is left running that was not.
start_instance() {
	local running stopped name pid

	need run
	make_home
	lock_home
	look
	for name in "${stopped[@]}"; do
		sweep "$name"
	done
	alive nginx || check_ports
	if ((${#running[@]} == 0)); then
		trap stop_instance EXIT
		install_app
	else
		same_settings
		write_secret_files # a new secret of webhooks counts at once
		renew_certificate
		stop_deaf
	fi
	if ((${#stopped[@]} > 0)); then
		start_stopped
	fi
	trap - EXIT
}

start_stopped() {
	print_settings | write_file "$KITH_HOME/in-force.conf" 600
	make_keys
	find_postgres
	make_cluster
	alive postgresql || start_postgres
	migrate_database
	start_programs
	write_nginx_conf
	alive nginx || start_nginx
	wait_for_web
}

# Programs whose sockets somebody removed, by cleaning /tmp or /run, run and hear
# nothing: they are stopped, to be started like any other that does not run.
stop_deaf() {
	local name missing

	for name in "${stopped[@]}"; do
		[[ $name != kith-* || $name == kith-worker ]] || return 0
	done
	look_for_sockets
	((${#missing[@]} > 0)) || return 0
	say "sockets are gone (${missing[*]}): the programs start again"
	for name in "${running[@]}"; do
		[[ $name != kith-* || $name == kith-worker ]] || stop "$name" TERM 15
	done
	look
}

# nginx reads a certificate when it starts, and when it is told to.
renew_certificate() {
	local pid

	[[ $tls_cert -nt $KITH_HOME/pids/nginx ]] && alive nginx || return 0
	make_certificate
	kill -s HUP "$pid"
	touch "$KITH_HOME/pids/nginx"
}

# What runs was started with other settings: they would be only half in force.
same_settings() {
	local -A conf=()
	local name

	[[ -e $KITH_HOME/in-force.conf ]] || return 0
	read_conf "$KITH_HOME/in-force.conf"
	for name in $(setting_names); do
		[[ ${!name} == "${conf[$name]-}" ]] ||
			fail "already runs with another $name: kith down first"
	done
}

stop_instance() {
	local pid name

	# Requests in hand are finished first; then nobody needs the database.
	if alive nginx; then
		kill -s QUIT "$pid"
		wait_for 5 gone nginx || true
	fi
	stop nginx TERM 5
	for name in $(parts_of_instance); do
		if [[ $name == kith-* ]] && alive "$name"; then
			kill -s TERM "$pid"
		fi
	done
	for name in $(parts_of_instance); do
		case $name in
		kith-worker) stop "$name" TERM 75 ;; # a mail server may take a minute to answer
		kith-*) stop "$name" TERM 15 ;;
		esac
	done
	stop postgresql INT 60
	rm -rf "$run_dir" "$KITH_HOME/in-force.conf"
}

kith_run() {
	local name pid pids=() running stopped

	load_settings wanted
	look
	((${#running[@]} == 0)) || fail 'already runs: kith down stops it'
	start_instance
	trap stop_instance EXIT
	# A second Ctrl-C must not interrupt the stopping.
	trap 'trap "" INT TERM HUP; say stopping; exit 0' INT TERM HUP
	exec 9>&-
	print_usage
	for name in $(parts_of_instance); do
		alive "$name" && pids+=("$pid")
	done
	wait -n "${pids[@]}" || true
	look
	fail "${stopped[*]} ended: read $KITH_HOME/log"
}

print_usage() {
	cat <<-END

	Kith runs.  Ctrl-C stops it.

	  address      $url
	  with TLS     $https_url  (certificate: $tls_cert)
	  for apps     $public_url
	  anon key     $(<"$KITH_HOME/secrets/anon-key")
	  service key  $(<"$KITH_HOME/secrets/service-key")
	  logs         $KITH_HOME/log

	Try it:

	  curl '$url/rest/v1/plans?select=id,name' -H 'apikey: $(<"$KITH_HOME/secrets/anon-key")'

	END
}

kith_up() {
	[[ $# -eq 0 ]] || fail 'up takes no argument'
	load_settings wanted
	start_instance
	echo "Kith runs at $url and $https_url"
	[[ -z $KITH_PUBLIC_URL ]] || echo "Apps reach it at $public_url"
}

kith_down() {
	[[ $# -eq 0 ]] || fail 'down takes no argument'
	load_settings in-force
	[[ -e $KITH_HOME/pids ]] || return 0
	[[ -O $KITH_HOME/pids ]] || fail "cannot stop it: run as $(stat -c %U "$KITH_HOME/pids")"
	lock_home
	stop_instance
}

kith_status() {
	local name pid awake running stopped

	load_settings in-force
	look
	for name in "${running[@]}"; do
		alive "$name" && printf '%-20s runs, pid %d\n' "$name" "$pid"
	done
	for name in "${stopped[@]}"; do
		printf '%-20s does not run\n' "$name"
	done
	((${#running[@]} > 0)) || return 3
	for name in $(programs); do
		awake=$(processes_of "$name" | wc -l)
		((awake == 0)) || printf '  %-18s is awake, processes: %d\n' "$name" "$awake"
	done
	((${#stopped[@]} == 0)) || return 1
	if ! web_answers; then
		echo "$url does not answer: read $KITH_HOME/log"
		return 1
	fi
	echo "$url answers"
	[[ -z $KITH_PUBLIC_URL ]] || echo "Apps reach it at $public_url: kith doctor tells whether that works"
}

kith_env() {
	load_settings in-force
	[[ -r $KITH_HOME/secrets/service-key ]] ||
		fail 'there is no instance yet, or it belongs to somebody else: kith up'
	print_env
}

print_env() {
	local name

	cat <<-END
	KITH_URL=$url
	KITH_HTTPS_URL=$https_url
	KITH_API_URL=$public_url
	KITH_ANON_KEY=$(<"$KITH_HOME/secrets/anon-key")
	KITH_SERVICE_KEY=$(<"$KITH_HOME/secrets/service-key")
	KITH_CA_FILE=$tls_cert
	PGHOST=$PGHOST
	PGPORT=$PGPORT
	PGDATABASE=$PGDATABASE
	PGUSER=$PGUSER
	END
	[[ -z $KITH_JWT_SECRET ]] || printf 'KITH_JWT_SECRET=%q\n' "$KITH_JWT_SECRET"
	for name in $(setting_names h); do
		[[ $name != *_WEBHOOK_SECRET || -z ${!name} ]] || printf '%s=%q\n' "$name" "${!name}"
	done
}
