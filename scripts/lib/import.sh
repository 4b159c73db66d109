# import.sh - users that come from Supabase, and go back.

help[import-supabase]='take users and their sessions over from Supabase

usage: kith import-supabase [--dry-run] [--without-second-factor] DUMP

DUMP is SQL, also compressed with gzip; - is standard input.  On the other side:

    pg_dump --data-only -t auth.users -t auth.identities -t auth.sessions \
        -t auth.refresh_tokens -t auth.mfa_amr_claims -t auth.mfa_factors

or supabase db dump --data-only; of larger dumps the rest is skipped.  Nothing in
DUMP is executed.  Everything is loaded, or nothing: with a user or an address
that is here already, nothing.  Users keep their ids, passwords and sessions:
apps with their old refresh token stay signed in.  For old access tokens, and
the old API keys, set KITH_JWT_SECRET to the old secret.

--dry-run tells what would happen.  Second factors are not asked for here: who
had one is banned, unless --without-second-factor says that a password is enough.'

help[export-supabase]='print users and their sessions as Supabase loads them

usage: kith export-supabase [--all] >DUMP

Data only, for psql -1 -v ON_ERROR_STOP=1 -f DUMP on the other side.  --all adds
the rows of schema public, whose tables must be there.  Left out are pending
links, and sessions whose refresh tokens only this Kith can check; their users
sign in again.  DUMP holds hashes of passwords: keep it like a secret.'

kith_import_supabase() {
	local dry_run=false without=false dump='' said

	while [[ $# -gt 0 ]]; do
		case $1 in
		--dry-run) dry_run=true ;;
		--without-second-factor) without=true ;;
		-?*) fail "unknown option $1; see kith import-supabase --help" ;;
		*)
			[[ -z $dump ]] || fail "one dump only, not also \"$1\""
			dump=$1
			;;
		esac
		shift
	done
	[[ -n $dump ]] || fail 'which dump?  see kith import-supabase --help'
	[[ $dump == - || -r $dump ]] || fail "cannot read $dump"
	load_settings in-force
	alive postgresql || fail 'the instance does not run: kith up'
	said=$(import_script "$dump" |
		PGCLIENTENCODING=UTF8 psql -Xq -v ON_ERROR_STOP=1 -v VERBOSITY=terse \
			-v dry_run=$dry_run -v without_second_factor=$without) ||
		fail 'nothing was taken over'
	[[ ${said%$'\n'*} == "$said" ]] || printf '%s\n' "${said%$'\n'*}"
	case ${said##*$'\n'} in
	'taken over') ;;
	tried) echo 'Nothing was changed: this was a dry run.' ;;
	*) fail 'nothing was taken over' ;;
	esac
}

# What psql is told.  When the dump is broken the end is missing, and with it
# the commit.
import_script() {
	[[ $1 == - ]] || exec <"$1"
	cat "$parts/import-begin.sql"
	# -f: what is not compressed is passed on as it is.
	gzip -dcf | perl "$parts/import.pl" <(wanted_columns) && cat "$parts/import.sql"
}

# Lines "TABLE COLUMN...": what there is to be filled, and what is only looked at.
wanted_columns() {
	psql -XqAt -F ' ' -v ON_ERROR_STOP=1 <<-'END'
	select c.relname, string_agg(a.attname, ' ')
	from pg_class c
	join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
	where c.relnamespace = 'auth'::regnamespace
	    and c.relname in ('users', 'identities', 'sessions', 'refresh_tokens', 'mfa_amr_claims')
	group by c.relname
	union all
	values ('mfa_factors', 'user_id status');
	END
}

kith_export_supabase() {
	local all=false

	if [[ ${1-} == --all ]]; then
		all=true
		shift
	fi
	[[ $# -eq 0 ]] || fail "unknown argument \"$1\"; see kith export-supabase --help"
	load_settings in-force
	alive postgresql || fail 'the instance does not run: kith up'
	find_postgres
	cat <<-'END'
	-- PostgreSQL database dump
	-- Users of a Kith, for Supabase.

	SET client_encoding = 'UTF8';
	SET standard_conforming_strings = on;
	-- No trigger of the app fires.
	SET session_replication_role = replica;

	END
	PGCLIENTENCODING=UTF8 PG_DUMP=$pg_bin/pg_dump \
		psql -XqAt -v ON_ERROR_STOP=1 -v all=$all -f "$parts/export.sql" 3>&1 ||
		fail 'the dump is not complete'
}
