# process.sh - start, watch and stop the processes of an instance.
#
# A process is known by a file pids/NAME that holds its pid and its start time:
# both must match before it is believed or signalled, since pids are reused.

# Prints when process PID started, in clock ticks since boot; fails if it is
# gone or only waits to be reaped.
start_time() {
	local stat

	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	# The name in brackets may hold anything, so count from behind it.
	read -ra stat <<<"${stat##*) }"
	[[ ${stat[0]} != Z ]] && echo "${stat[19]}"
}

# Sets pid when NAME runs.
alive() {
	local started

	[[ -e $KITH_HOME/pids/$1 ]] || return 1
	{ read -r pid started <"$KITH_HOME/pids/$1"; } 2>/dev/null || return 1
	[[ $(start_time "$pid") == "$started" ]]
}

# launch NAME COMMAND...: starts it in a session of its own, so that Ctrl-C
# reaches only us; its output goes to log/NAME.log.  Descriptor 9 is our lock.
launch() {
	local name=$1

	shift
	setsid "$@" </dev/null >>"$KITH_HOME/log/$name.log" 2>&1 9>&- &
	printf '%s %s\n' $! "$(start_time $! || echo 0)" >"$KITH_HOME/pids/$name"
}

# stop NAME SIGNAL SECONDS: asks it to end, and kills its whole session when it
# has not done so in time.
stop() {
	local pid

	if alive "$1"; then
		kill -s "$2" "$pid" 2>/dev/null || true
		if ! wait_for "$3" gone "$1"; then
			say "$1 did not end within $3 seconds: killed"
			kill -s KILL -- "-$pid" 2>/dev/null || true
			wait_for 5 gone "$1" || true
		fi
	fi
	sweep "$1"
	rm -f "$KITH_HOME/pids/$1"
}

gone() {
	! alive "$1"
}

# sweep NAME: ends what outlived it, after a kill -9 (workers of nginx, processes
# of programs).  They are in the process group that has its number, and the
# kernel gives that number to nobody while the group lives.
sweep() {
	local pid started

	[[ -e $KITH_HOME/pids/$1 ]] && ! alive "$1" || return 0
	read -r pid started <"$KITH_HOME/pids/$1" || return 0
	# Alive with another start time: a stranger.
	if ! start_time "$pid" >/dev/null && ! group_gone "$pid" &&
		kill -s TERM -- "-$pid" 2>/dev/null; then
		wait_for 10 group_gone "$pid" || kill -s KILL -- "-$pid" || true
	fi
	rm -f "$KITH_HOME/pids/$1"
}

# Has this process group no member but zombies, which nobody may ever reap?
group_gone() {
	local file stat

	for file in /proc/[0-9]*/stat; do
		{ read -r stat <"$file"; } 2>/dev/null || continue
		read -ra stat <<<"${stat##*) }"
		[[ ${stat[2]} != "$1" || ${stat[0]} == Z ]] || return 1
	done
}

# wait_for SECONDS COMMAND...: until it succeeds; fails at the deadline.
wait_for() {
	local deadline=$(($(now_ms) + $1 * 1000))

	shift
	until "$@"; do
		(($(now_ms) < deadline)) || return 1
		sleep 0.02
	done
}

now_ms() {
	local us=${EPOCHREALTIME/[.,]/}

	echo "${us%???}"
}

# Something did not start: says so, shows the end of its log, and where it is.
start_failed() {
	local log=$KITH_HOME/log/$1.log

	say "$1 $2; the end of $log:"
	tail -n 5 "$log" >&2 || true
	exit 1
}
