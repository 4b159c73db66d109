# token.sh - users and access tokens for whoever develops or tests.

help[token]='make a user if missing and print an access token

usage: kith token [--expires SECONDS] EMAIL...

One token per line, each of a new session, valid for SECONDS (3600).  The users
have no password.'

kith_token() {
	local seconds=3600 inputs=() input email

	if [[ ${1-} == --expires ]]; then
		seconds=${2-}
		shift 2 || fail '--expires needs a number of seconds'
	fi
	[[ $# -gt 0 && $1 != -* ]] || fail 'which e-mail address?  see kith token --help'
	# A negative number makes a token that has expired.
	[[ $seconds =~ ^-?[0-9]{1,9}$ ]] || fail "\"$seconds\" is no number of seconds"
	for email; do
		[[ $email =~ ^[^@[:cntrl:]]+@[^@[:cntrl:]]+$ && ${#email} -le 255 ]] ||
			fail "\"$email\" is no e-mail address"
	done
	load_settings in-force
	# Somebody else may make the same user just now: then it is there next time.
	wait_for 5 get_inputs "$seconds" "$@" || fail 'could not make the user'
	for input in "${inputs[@]}"; do
		sign "$input"
	done
}

# Sets inputs; true when there is one for each address.
get_inputs() {
	inputs=$(token_inputs "$@") ||
		fail 'could not make the session: is the instance up (kith status)?'
	mapfile -t inputs <<<"$inputs"
	((${#inputs[@]} == $# - 1)) && [[ -n ${inputs[0]} ]]
}

# Prints header.payload of a token for each address, in their order.
token_inputs() {
	local seconds=$1

	shift
	psql -XqAt -v ON_ERROR_STOP=1 -v seconds="$seconds" -v issuer="$public_url/auth/v1" \
		-v header="$(jwt_header)" -v emails="$(printf '%s\n' "$@")" \
		-f "$parts/token.sql"
}
