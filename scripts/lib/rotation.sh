# rotation.sh - other keys, while everything runs.

help[keys]='list, replace and withdraw the keys that sign tokens

usage: kith keys [list]
       kith keys rotate
       kith keys retire

rotate makes a new signing key.  Tokens of the old one are good until they
expire, and API keys stay what they are: nobody notices.  Once a year is enough.

retire withdraws the old keys at once, with every token that they signed, and
makes new API keys in place of those that they signed: put these into your app.
After a theft: kith keys rotate, then kith keys retire.  Users stay signed in,
since their apps fetch a new token.

Nothing is restarted.  With KITH_JWT_SECRET there is nothing to rotate: tokens
are signed with that.'

kith_keys() {
	load_settings in-force
	[[ $# -le 1 ]] || fail "\"$*\": one command only; see kith keys --help"
	[[ -r $KITH_HOME/secrets/signing-key.pem ]] ||
		fail 'there is no instance yet, or it belongs to somebody else: kith up'
	lock_home
	case ${1-list} in
	list) list_keys ;;
	rotate) rotate_keys ;;
	retire) retire_keys ;;
	*) fail "unknown command \"keys $1\"; see kith keys --help" ;;
	esac
}

list_keys() {
	local kid until now current role signer

	current=$(<"$KITH_HOME/secrets/kid")
	printf -v now '%(%s)T' -1
	if [[ -n $KITH_JWT_SECRET ]]; then
		printf '%-43s  %s\n' KITH_JWT_SECRET 'signs tokens'
		echo "$current  is kept for API keys"
	else
		echo "$current  signs tokens"
	fi
	[[ ! -e $KITH_HOME/secrets/old-keys ]] || while read -r kid _ _ until; do
		[[ $kid == "$current" ]] || ((until < now)) ||
			printf '%s  is believed until %(%F %T)T\n' "$kid" "$until"
	done <"$KITH_HOME/secrets/old-keys"
	for role in anon service; do
		signer=$(api_key_kid "$role")
		[[ $signer == "$current" ]] || echo "the $role key was signed by $signer"
	done
}

# The kid in the header of an API key.
api_key_kid() {
	local header

	header=$(cut -d . -f 1 "$KITH_HOME/secrets/$1-key" | tr -- -_ +/)
	while ((${#header} % 4)); do
		header+='='
	done
	base64 -d <<<"$header" | sed 's/.*"kid":"\([^"]*\)".*/\1/'
}

# The new key is known everywhere before the first token bears its name.
rotate_keys() {
	local secrets=$KITH_HOME/secrets old until now line

	[[ -z $KITH_JWT_SECRET ]] || fail 'tokens are signed with KITH_JWT_SECRET: there is nothing to rotate'
	printf -v now '%(%s)T' -1
	until=$((now + KITH_JWT_EXPIRY + KITH_JWT_LEEWAY + 60))
	(umask 077 && new_key "$secrets/next-key.pem")
	write_keys_json
	write_auth_files
	sleep 0.5 # a program looks for other keys ten times a second
	old=$(describe_key "$secrets/signing-key.pem")
	{
		[[ ! -e $secrets/old-keys ]] || while read -r line; do
			((${line##* } < now)) || echo "$line"
		done <"$secrets/old-keys"
		echo "$old $until"
	} | write_file "$secrets/old-keys" 600
	mv "$secrets/next-key.pem" "$secrets/signing-key.pem"
	note_kid
	write_keys_json
	write_auth_files
	echo "$(<"$secrets/kid") signs tokens; ${old%% *} is believed until $(printf '%(%F %T)T' "$until")"
}

retire_keys() {
	local secrets=$KITH_HOME/secrets current

	current=$(<"$secrets/kid")
	rm -f "$secrets/old-keys"
	if [[ $(api_key_kid anon) != "$current" || $(api_key_kid service) != "$current" ]]; then
		(umask 077 && make_api_keys)
		echo 'There are new API keys, and the old ones are good for nothing: kith env prints them.'
	fi
	write_keys_json
	write_auth_files
	echo "Only $current is believed."
}
