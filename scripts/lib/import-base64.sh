# import-base64.sh - recordings that an app kept as base64 in its tables.

help[import-base64]='move recordings kept as base64 in tables into storage

usage: kith import-base64 [--dry-run] [--schema NAME] [CONNINFO]

Takes column audioData of voice_recordings and of messages, as the first Essence
had them, with or without "data:...;base64," in front: from the database that
CONNINFO names as libpq reads it, or from this Kith, in schema NAME (public).
Columns are found by their names, profileId as well as profile_id:

    voice_recordings  id, profile_id, prompt_index, prompt_text, stage
    messages          id, profile_id, title, category, generated_text ...

A view with these names will do as well.  Users and profiles must be here, with
the ids that they had.  Each recording is decoded, uploaded, read back and
compared, and then gets its row in clips or voice_messages.  The old tables are
only read.  Rows that cannot be taken over are listed, and left alone; started
again it goes on where it was.  A column whose rows are all in storage is
reported as removable.

--dry-run decodes and looks for profiles, and writes nothing.

Exit status: 0 all rows are in storage, 1 some are not.'

kith_import_base64() {
	local dry_run=no schema=public from='' password=${PGPASSWORD-} tables source column failed=0 dir
	local -A imported=()

	while [[ $# -gt 0 ]]; do
		case $1 in
		--dry-run) dry_run=yes ;;
		--schema)
			schema=${2-}
			[[ -n $schema ]] || fail '--schema needs a name'
			shift
			;;
		-?*) fail "unknown option $1; see kith import-base64 --help" ;;
		*)
			[[ -z $from ]] || fail "one database only, not also \"$1\""
			from=$1
			;;
		esac
		shift
	done
	load_settings in-force
	alive postgresql && web_answers || fail 'the instance does not run: kith up'
	dir=$(mktemp -d)
	# shellcheck disable=SC2064 # dir is ours, and local
	trap "rm -rf '$dir'" EXIT
	tables=$(find_base64_columns) || fail 'could not read the tables'
	[[ -n $tables ]] ||
		fail "schema $schema has no table voice_recordings or messages with a column audioData"
	list_imported
	while IFS='|' read -r source column; do
		import_table || failed=1
	done <<<"$tables"
	return $failed
}

# psql on the database with the old tables, which it cannot change.
old_psql() {
	local PGOPTIONS='-c default_transaction_read_only=on -c client_min_messages=warning'

	if [[ -z $from ]]; then
		PGOPTIONS=$PGOPTIONS psql -XqAt -v ON_ERROR_STOP=1 "$@"
	else
		env -u PGHOST -u PGPORT -u PGDATABASE -u PGUSER ${password:+"PGPASSWORD=$password"} \
			PGOPTIONS="$PGOPTIONS" psql -XqAt -v ON_ERROR_STOP=1 -d "$from" "$@"
	fi
}

# Lines "TABLE|COLUMN".
find_base64_columns() {
	old_psql -v schema="$schema" <<-'END'
	select c.relname, a.attname
	from pg_class c
	join pg_namespace n on n.oid = c.relnamespace
	join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
	where n.nspname = :'schema'
	    and c.relname in ('voice_recordings', 'messages')
	    and c.relkind in ('r', 'p', 'v', 'm')
	    and lower(replace(a.attname, '_', '')) = 'audiodata'
	order by c.relname desc;
	END
}

# Fills imported: "TABLE/ID/MD5" of what was verified, and got its row, before.
list_imported() {
	local key

	while read -r key; do
		imported[$key]=1
	done < <(psql -XqAt -v ON_ERROR_STOP=1 <<-'END'
		select o.user_metadata ->> 'imported_from'
		from storage.objects o
		where o.user_metadata ? 'imported_from'
		    and o.bucket_id || '/' || o.name in (
		        select c.audio_storage_path from public.clips c
		        union all
		        select m.audio_storage_path from public.voice_messages m
		    );
		END
	)
}

# Lines "ID|MD5" of the rows with sound.
list_base64_rows() {
	old_psql -v FETCH_COUNT=1000 -v schema="$schema" -v source="$source" -v column="$column" <<-'END'
	select t.id, md5(t.:"column") from :"schema".:"source" t where t.:"column" <> '' order by t.id;
	END
}

import_table() {
	local id sum why total count=0 bad=0

	list_base64_rows >"$dir/rows" || fail "could not read $source"
	total=$(wc -l <"$dir/rows")
	while IFS='|' read -r id sum <&3; do
		count=$((count + 1))
		progress "$source: $count of $total"
		[[ ! -v imported[$source/$id/$sum] ]] || continue
		if ! why=$(import_base64_row); then
			[[ $why != stop:* ]] || fail "${why#stop:}"
			bad=$((bad + 1))
			progress ''
			printf 'bad    %s %s: %s\n' "$source" "$id" "${why:-it could not be read}"
		fi
	done 3<"$dir/rows"
	progress ''
	if [[ $dry_run == yes ]]; then
		echo "$source: $((total - bad)) of $total recordings could be taken over."
	else
		echo "$source: $((total - bad)) of $total recordings are in storage."
	fi
	((bad == 0)) || return 1
	[[ $dry_run == no ]] || return 0
	list_base64_rows | cmp -s - "$dir/rows" ||
		{ echo "$source: rows have changed meanwhile; run this again." && return 1; }
	echo "$source: column \"$column\" can be removed: alter table \"$schema\".$source drop column \"$column\";"
}

# One row, from source to storage.  Says why not; "stop:" in front when no other
# row would fare better.
import_base64_row() {
	local ending type bytes path

	[[ $id =~ ^[A-Za-z0-9_-]{1,64}$ ]] || { echo 'its id is no number and no uuid' && return 1; }
	: >"$dir/row"
	read_row >"$dir/base64" 2>"$dir/error" || { first_error && return 1; }
	decode_base64 || return 1
	bytes=$(stat -c %s "$dir/sound")
	place_recording place || return 1
	path=$(<"$dir/path")
	[[ $dry_run == no ]] || return 0
	upload_recording || return 1
	read_back || return 1
	place_recording keep
}

# Prints the sound; the rest of the row, as JSON, is in a file.
read_row() {
	old_psql -v schema="$schema" -v source="$source" -v column="$column" -v id="$id" <<-END
	\\o $dir/row
	select to_jsonb(t) - :'column' from :"schema".:"source" t where t.id::text = :'id';
	\\o
	select t.:"column" from :"schema".:"source" t where t.id::text = :'id';
	END
}

# Makes sound of base64; sets type and ending.
decode_base64() {
	local head declared=''

	head=$(head -c 300 "$dir/base64" | tr -d '\0')
	if [[ $head =~ ^data:([^,]*)\;base64, ]]; then
		declared=${BASH_REMATCH[1]}
		tail -c "+$((${#BASH_REMATCH[0]} + 1))" "$dir/base64" >"$dir/bare"
	elif [[ $head == data:* ]]; then
		echo 'it is a data: URL, but not of base64' && return 1
	else
		mv "$dir/base64" "$dir/bare"
	fi
	# As written for URLs, and without padding, it is base64 too.
	tr -d '[:space:]=' <"$dir/bare" | tr -- '-_' '+/' >"$dir/base64"
	case $(($(stat -c %s "$dir/base64") % 4)) in
	2) printf '==' >>"$dir/base64" ;;
	3) printf '=' >>"$dir/base64" ;;
	esac
	base64 -d "$dir/base64" >"$dir/sound" 2>/dev/null || { echo 'it is not base64' && return 1; }
	sniff_recording || { echo 'it is no recording in a form that is known' && return 1; }
	[[ ! $declared =~ ^audio/[A-Za-z0-9.+-]+(\;[A-Za-z0-9=,.\;\ -]*)?$ ]] || type=$declared
}

# Sets type and ending by the first bytes.
sniff_recording() {
	case $(head -c 12 "$dir/sound" | od -An -v -tx1 | tr -d ' \n') in
	1a45dfa3*) type=audio/webm ending=webm ;;
	4f676753*) type=audio/ogg ending=ogg ;;
	52494646????????57415645) type=audio/wav ending=wav ;;
	????????66747970*) type=audio/mp4 ending=m4a ;;
	494433* | fff[23ab]* | ffe[23ab]*) type=audio/mpeg ending=mp3 ;;
	fff[0189]*) type=audio/aac ending=aac ;;
	664c6143*) type=audio/flac ending=flac ;;
	*) return 1 ;;
	esac
}

# Finds the path of the recording, or makes its row: see import-base64.sql.
place_recording() {
	ROW=$dir/row psql -XqAt -v VERBOSITY=terse -v step="$1" -v source="$source" -v id="$id" -v ending="$ending" \
		-v type="$type" -v bytes="$bytes" -f "$parts/import-base64.sql" >"$dir/path" 2>"$dir/error" ||
		{ first_error && return 1; }
}

first_error() {
	sed -n '1s/^.*ERROR: *//p' "$dir/error"
}

# What is there already may be from a run that was interrupted: it is compared.
upload_recording() {
	local metadata code

	metadata=$(printf '{"imported_from":"%s/%s/%s"}' "$source" "$id" "$sum" | base64 -w 0)
	code=$(storage_call --request POST -H "content-type: $type" -H 'x-upsert: false' -H "x-metadata: $metadata" \
		--data-binary "@$dir/sound" "object/$path")
	case $code in
	200) return 0 ;;
	400) ;;
	*) echo "stop:storage does not answer (status $code)" && return 1 ;;
	esac
	if grep -q '"statusCode":"409"' "$dir/answer"; then
		return 0
	fi
	echo "storage refuses it: $(sed -n 's/.*"message":"\([^"]*\)".*/\1/p' "$dir/answer")"
	return 1
}

read_back() {
	local code

	code=$(storage_call "object/authenticated/$path")
	[[ $code == 200 ]] || { echo "stop:$path cannot be read back (status $code)" && return 1; }
	cmp -s "$dir/answer" "$dir/sound" || { echo "another file is there: $path" && return 1; }
}

# storage_call ARGUMENT... PATH: calls with the service key, which no argument
# holds; prints the status, the answer is in a file.
storage_call() {
	curl -sS -q --noproxy '*' -m 300 -K - -o "$dir/answer" -w '%{http_code}' \
		"${@:1:$#-1}" "$url/storage/v1/${*: -1}" 2>/dev/null <<-END || true
	header = "apikey: $(<"$KITH_HOME/secrets/service-key")"
	header = "Authorization: Bearer $(<"$KITH_HOME/secrets/service-key")"
	END
}

# A line that is written over, for whoever sits and watches.
progress() {
	[[ ! -t 2 ]] || printf '\r\033[K%s' "$1" >&2
}
