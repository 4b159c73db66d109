# jobs.sh - the queue of what waits for the worker, and mails that could not be sent.

help[jobs]='say what waits for the worker, and do again what failed

usage: kith jobs [list [all]]
       kith jobs show ID
       kith jobs retry ID... | failed

list prints what waits and what failed, and why, with "all" also what was done;
retry puts failed jobs back into the queue, "failed" all of them.  What a job
holds is not printed: a mail may hold a code that signs in.'

kith_jobs() {
	local what=${1-list}

	load_settings in-force
	alive postgresql || fail 'the instance does not run: kith up'
	shift || true
	case $what in
	list) list_jobs "$@" ;;
	show) show_job "$@" ;;
	retry) retry_jobs "$@" ;;
	*) fail "unknown command \"jobs $what\"; see kith jobs --help" ;;
	esac
}

check_job() {
	[[ $1 =~ ^[0-9]{1,18}$ ]] || fail "\"$1\" is no number of a job"
}

list_jobs() {
	local statuses="'pending', 'running', 'failed'"

	[[ $# -eq 0 || ( $# -eq 1 && $1 == all ) ]] || fail "\"$*\": list takes nothing, or all"
	[[ $# -eq 0 ]] || statuses="$statuses, 'done'"
	psql -Xq -P pager=off <<-END
	select id, concat_ws(' ', kind, payload ->> 'template') as job, status, attempts as tried,
	    case
	        when status = 'pending' and run_at > now() then 'in ' || date_trunc('second', run_at - now())
	        when status = 'pending' then 'now'
	    end as next,
	    last_error as reason
	from kith.jobs
	where status in ($statuses)
	order by id;
	END
	[[ -n $KITH_SMTP_URL$KITH_RESEND_API_KEY ]] ||
		note 'mails wait: neither KITH_SMTP_URL nor KITH_RESEND_API_KEY is set'
	[[ -x $KITH_FFMPEG ]] || note 'recordings wait: there is no ffmpeg'
}

show_job() {
	[[ $# -eq 1 ]] || fail 'show takes the number of a job'
	check_job "$1"
	[[ $(psql -XqAt -c "select count(*) from kith.jobs where id = $1") == 1 ]] || fail "there is no job $1"
	psql -Xqx -P pager=off <<-END
	select id, kind, payload ->> 'template' as template, user_id, status, attempts, max_attempts, created_at, run_at,
	    leased_until, finished_at, last_error
	from kith.jobs
	where id = $1;
	END
}

retry_jobs() {
	local id which="status = 'failed'" n

	[[ $# -gt 0 ]] || fail 'say which jobs, or: failed'
	if [[ $* != failed ]]; then
		for id; do
			check_job "$id"
		done
		which+=" and id in ($(IFS=,; echo "$*"))"
	fi
	n=$(psql -XqAt -v ON_ERROR_STOP=1 <<-END
		with again as (
		    update kith.jobs
		    set status = 'pending', finished_at = null, run_at = now(), max_attempts = attempts + 5
		    where $which
		    returning 1
		)
		select count(*) from again, lateral (select pg_notify('kith_jobs', 'retry')) n;
		END
	)
	echo "jobs put back: $n"
	[[ $* == failed || $n -eq $# ]] || fail 'the others have not failed'
}
