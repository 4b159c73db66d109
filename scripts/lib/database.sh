# database.sh - the private PostgreSQL cluster of an instance.
#
# It listens on a Unix socket only and knows no password: who may be whom is
# said by the operating system's user (peer) and by pg_ident.conf.

help[migrate]='bring the database to the newest schema

usage: kith migrate [ARGUMENT...]

Applies what is new in sql/ to the running instance, and makes the buckets of
KITH_BUCKETS that are missing; kith up does so as well.
Arguments go to kith-migrate, which says more with kith-migrate --help.'

# The database logins of the programs.
logins=(kith_api kith_service kith_auth kith_storage kith_webhooks kith_checkout kith_worker)

make_cluster() {
	local data=$KITH_HOME/data

	[[ ! -e $data ]] || return 0
	say 'making the database cluster'
	# Under another name until it is whole: killed half way, it is made again.
	rm -rf "$data.new"
	install -d -o "$instance_user" -m 700 "$data.new"
	"${as[@]}" "$pg_bin/initdb" -D "$data.new" --username=postgres \
		--auth=peer --data-checksums --encoding=UTF8 --locale=C.UTF-8 \
		>"$KITH_HOME/log/initdb.log" 2>&1 9>&- ||
		fail "could not make the cluster: read $KITH_HOME/log/initdb.log"
	mv "$data.new" "$data"
}

# Ours, written anew at each start since the sockets may have moved; what a
# person wants to change goes into $KITH_HOME/postgresql.conf, read last.
write_cluster_conf() {
	local data=$KITH_HOME/data

	write_file "$data/postgresql.conf" 640 <<-END
	# Written by kith up; your own settings go into $KITH_HOME/postgresql.conf.
	listen_addresses = ''
	unix_socket_directories = '$run_dir'
	unix_socket_permissions = 0770
	ident_file = '$data/pg_ident.conf'
	max_connections = 100
	shared_buffers = 128MB
	work_mem = 8MB
	max_wal_size = 1GB
	random_page_cost = 1.1
	jit = off
	idle_in_transaction_session_timeout = 60s
	timezone = 'UTC'
	log_timezone = 'UTC'
	# Values of users stay out of the log: an error's DETAIL quotes them.
	log_error_verbosity = terse
	log_parameter_max_length = 0
	log_parameter_max_length_on_error = 0
	log_min_error_statement = panic
	log_checkpoints = off
	log_lock_waits = on
	log_line_prefix = '%m [%p] %q%u %a '
	include = '$KITH_HOME/postgresql.conf'
	END
	write_file "$data/pg_hba.conf" 640 <<-END
	local all all peer map=kith
	local replication all peer map=kith
	END
	# Who started the instance may be anybody; the programs, when they run as
	# a user of their own, are never the superuser.
	{
		printf "kith $(id -un) %s\n" postgres "${logins[@]}"
		((EUID != 0)) || printf "kith $instance_user %s\n" "${logins[@]}"
	} | write_file "$data/pg_ident.conf" 640
}

# write_file FILE MODE: what is read from standard input, in one step and only
# when it is new.  The file is ours, and readable for the instance's group.
write_file() {
	local text

	text=$(cat)
	if [[ -e $1 && $(cat "$1") == "$text" ]]; then
		return
	fi
	printf '%s\n' "$text" >"$1.new"
	chgrp "$(id -gn "$instance_user")" "$1.new"
	chmod "$2" "$1.new"
	mv -f "$1.new" "$1"
}

# PostgreSQL does not start while the process that its lock files name exists,
# if only as a zombie: in a container whose first process reaps nobody, a
# killed one stays.  Nobody may be left in the data directory either.
drop_zombies_lock() {
	local lock=$KITH_HOME/data/postmaster.pid pid

	{ read -r pid <"$lock"; } 2>/dev/null || return 0
	[[ -e /proc/$pid ]] && ! start_time "$pid" >/dev/null || return 0
	wait_for 20 nobody_works_in "$KITH_HOME/data" || return 0
	rm -f "$lock" "$run_dir"/.s.PGSQL.*
}

nobody_works_in() {
	local cwd

	for cwd in /proc/[0-9]*/cwd; do
		[[ ! $cwd -ef $1 ]] || return 1
	done
}

start_postgres() {
	write_cluster_conf
	drop_zombies_lock
	launch postgresql "${as[@]}" "$pg_bin/postgres" -D "$KITH_HOME/data"
	wait_for 60 postgres_settled
	alive postgresql || start_failed postgresql 'did not start'
	prepare_database
}

# Answers, or will not: recovery after a crash takes its time.
postgres_settled() {
	! alive postgresql || "$pg_bin/pg_isready" -q -d postgres
}

# Makes the database, and refuses settings that lose acknowledged writes.
prepare_database() {
	local unsafe

	unsafe=$(psql -XqAt -v ON_ERROR_STOP=1 -d postgres <<-'END'
		select 'create database kith template template0'
		where not exists (select from pg_database where datname = 'kith') \gexec
		select name || '=' || setting from pg_settings
		where name in ('fsync', 'full_page_writes', 'synchronous_commit') and setting = 'off'
		union all
		select s from pg_db_role_setting, unnest(setconfig) s
		where s like 'synchronous_commit=off'
		END
	) || start_failed postgresql 'does not answer'
	[[ -z $unsafe ]] ||
		fail "PostgreSQL would lose acknowledged writes: ${unsafe//$'\n'/, }"
}

# The one installed with the programs, beside the schema they need.
migrate_command() {
	echo "$app/share/kith/scripts/kith-migrate"
}

migrate_database() {
	local log=$KITH_HOME/log/migrate.log

	"$(migrate_command)" >"$log" 2>&1 9>&- || {
		tail -n 20 "$log" >&2
		fail "could not bring the schema up to date: read $log"
	}
	make_buckets
}

# Apps take it that the buckets they name are there.
make_buckets() {
	psql -XqAt -v ON_ERROR_STOP=1 -v buckets="$KITH_BUCKETS" >/dev/null <<-'END' || fail 'could not make the buckets'
		select kith.make_buckets(:'buckets')
	END
}

kith_migrate() {
	load_settings in-force
	alive postgresql || fail 'the instance does not run: kith up'
	"$(migrate_command)" "$@"
	[[ " $* " == *" --status "* ]] || make_buckets
}
