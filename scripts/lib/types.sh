# types.sh - the schema as types of a programming language.

help[types]='print the TypeScript type of the schema

usage: kith types [--schema NAME[,NAME...]]

Prints the Database type that createClient<Database>() of supabase-js takes,
made from the running instance; the default schema if none is named.  With
several, Tables<"name"> and the like mean the first.

    kith types --schema essence >database.types.ts'

kith_types() {
	local schemas='' wanted=() exposed name text

	case ${1-} in
	--schema)
		schemas=${2-}
		[[ -n $schemas ]] || fail '--schema needs a name'
		shift 2
		;;
	--schema=*)
		schemas=${1#*=}
		shift
		;;
	esac
	[[ $# -eq 0 ]] || fail "unknown argument \"$1\"; see kith types --help"
	load_settings in-force
	exposed=${KITH_SCHEMAS// /}
	IFS=, read -ra wanted <<<"${schemas:-${exposed%%,*}}"
	for name in "${wanted[@]}"; do
		[[ -n $name && ",$exposed," == *",$name,"* ]] ||
			fail "schema \"$name\" is not exposed; these are: ${exposed//,/, }"
	done
	schemas=$(IFS=, && echo "${wanted[*]}")
	text=$(psql -XqAt -v ON_ERROR_STOP=1 -v schemas="$schemas" \
		<<<"select kith.typescript(string_to_array(:'schemas', ',')::name[])") ||
		fail 'could not read the schema: is the instance up (kith status)?'
	[[ -n $text ]] || fail "the database has no such schema: ${schemas//,/, }"
	printf '%s\n' "$text"
}
