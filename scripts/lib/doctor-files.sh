# doctor-files.sh - kith doctor --files: do the rows of storage and the files on
# the disk agree?

# What is told of one kind; the rest is counted.
files_shown=50

doctor_stored_files() {
	local dir storage problems=0

	alive postgresql || fail 'the instance does not run: kith up'
	storage=$(storage_dir)
	[[ -r $storage/objects ]] || fail "cannot read $storage/objects: run as its owner"
	dir=$(mktemp -d)
	# shellcheck disable=SC2064 # dir is ours, and local
	trap "rm -rf '$dir'" EXIT
	# Rows first: a file that is stored meanwhile is young, and no orphan yet.
	list_stored_rows >"$dir/rows"
	list_stored_files >"$dir/disk"
	tell_stray_files "$dir/disk"
	LC_ALL=C join -t '|' -a 1 -a 2 -e '' -o 0,1.2,1.3,2.2,2.3 "$dir/rows" \
		<(grep -E '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\|' "$dir/disk") >"$dir/both"
	awk -F '|' '$3 != "" && $2 != $4' "$dir/both" >"$dir/suspect"
	awk -F '|' '$3 == ""' "$dir/both" >"$dir/extra"
	tell_suspects "$dir/suspect"
	tell_unknown_files "$dir/extra"
	note "$(wc -l <"$dir/rows") objects, $(wc -l <"$dir/disk") files"
	rm -rf "$dir"
	trap - EXIT
	((problems > 0)) || echo 'Rows and files agree.'
	return $((problems > 0))
}

# Where the file of a version is, below objects/.
place_of() {
	echo "${1:0:2}/${1:2:2}/$1"
}

# Lines "VERSION|BYTES|BUCKET/NAME", in order.  No name holds a bar.
list_stored_rows() {
	psql -XqAt -F '|' -v ON_ERROR_STOP=1 -v FETCH_COUNT=10000 <<-'END' || fail 'could not read the rows'
	select o.version, coalesce(f.size, (o.metadata ->> 'size')::bigint, -1), o.bucket_id || '/' || o.name
	from storage.objects o
	left join kith.stored_files f using (version)
	where o.version is not null
	order by o.version collate "C";
	END
}

# Lines "NAME|BYTES|CHANGED|PATH", in order.
list_stored_files() {
	find "$storage/objects" ! -type d -printf '%f|%s|%C@|%P\n' | LC_ALL=C sort
}

# What is there, and yet could not be the file of any row.
tell_stray_files() {
	local path count=0

	while IFS='|' read -r _ _ _ path; do
		tell "objects/$path is in the place of no file of storage"
	done < <(grep -vE '^([0-9a-f]{2})([0-9a-f]{2})[0-9a-f]{4}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\|[^|]*\|[^|]*\|\1/\2/[^/]*$' "$1")
	tell_rest
}

# Rows whose file is missing, or has another size, unless they went or changed while we looked.
tell_suspects() {
	local version bytes path there count=0
	local -A found=()

	find_versions "select version from storage.objects where version = any ('$(array_of "$1")')"
	while IFS='|' read -r version bytes path there _; do
		[[ -v found[$version] ]] || continue
		if [[ -z $there ]]; then
			tell "$path: its file is missing ($(place_of "$version"))"
		else
			tell "$path: its file has $there bytes, and should have $bytes ($(place_of "$version"))"
		fi
	done <"$1"
	tell_rest
}

# Files that no row names: young ones may get a row, older ones the worker
# removes in its hourly round.
tell_unknown_files() {
	local version bytes changed old young=0 count=0
	local -A found=()

	old=$(($(date +%s) - 10#$KITH_ORPHAN_AGE - 7200))
	find_versions "select kith.unknown_files('$(array_of "$1")')"
	while IFS='|' read -r version _ _ bytes changed; do
		[[ -v found[$version] ]] || continue
		if ((${changed%.*} > old)); then
			young=$((young + 1))
		else
			tell "$(place_of "$version"): no row names it ($bytes bytes), and the worker has not removed it"
		fi
	done <"$1"
	tell_rest
	((young == 0)) || note "$young files that no row names: the worker removes them when they are older"
}

# Sets found to what a query finds.
find_versions() {
	local version versions

	versions=$(psql -XqAt -v ON_ERROR_STOP=1 <<<"$1;") || fail 'could not read the rows'
	while read -r version; do
		[[ -z $version ]] || found[$version]=1
	done <<<"$versions"
}

# The first column of a file, as PostgreSQL's array.
array_of() {
	printf '{%s}' "$(cut -d '|' -f 1 "$1" | paste -sd ,)"
}

tell() {
	count=$((count + 1))
	((count > files_shown)) || wrong "$*"
}

tell_rest() {
	((count <= files_shown)) || wrong "... and $((count - files_shown)) more of these"
}
