# keys.sh - the keys of an instance: signing, API keys, TLS.
#
# secrets/ holds what only `kith` and nginx's master read; keys.json is the
# public part, which is all that the programs see, unless HS256 is on.

base64url() {
	basenc --base64url -w 0 | tr -d =
}

# es256 TEXT: its signature with the key of the instance, as JOSE writes it.
# OpenSSL prints DER (30 len 02 len r 02 len s), JOSE wants 32 bytes of each.
es256() {
	local der r s length zeros

	der=$(printf %s "$1" |
		openssl dgst -sha256 -sign "$KITH_HOME/secrets/signing-key.pem" |
		od -A n -v -t x1 | tr -d ' \n')
	printf -v zeros %064d 0
	length=$((16#${der:6:2} * 2))
	r=$zeros${der:8:length}
	s=$zeros${der:12 + length}
	printf %s "${r: -64}${s: -64}" | tr a-f A-F | basenc --base16 -d | base64url
}

# hs256 TEXT: its signature with KITH_JWT_SECRET, which no argument may show.
hs256() {
	printf %s "$1" | KITH_JWT_SECRET=$KITH_JWT_SECRET \
		perl -MDigest::SHA=hmac_sha256 -0777 -ne \
		'print hmac_sha256($_, $ENV{KITH_JWT_SECRET})' | base64url
}

# The JWT header and the signature of the algorithm in force.
jwt_header() {
	if [[ -n $KITH_JWT_SECRET ]]; then
		printf '{"alg":"HS256","typ":"JWT"}'
	else
		printf '{"alg":"ES256","typ":"JWT","kid":"%s"}' \
			"$(cat "$KITH_HOME/secrets/kid")"
	fi | base64url
}

# sign TEXT: header.payload with its signature.
sign() {
	local signature

	if [[ -n $KITH_JWT_SECRET ]]; then
		signature=$(hs256 "$1")
	else
		signature=$(es256 "$1")
	fi
	printf '%s.%s\n' "$1" "$signature"
}

# describe_key FILE: "KID X Y" of a private key.  An uncompressed point is the end
# of what OpenSSL prints.
describe_key() {
	local point x y kid

	point=$(openssl pkey -in "$1" -pubout -outform DER | tail -c 64 | od -A n -v -t x1 | tr -d ' \n')
	x=$(tr a-f A-F <<<"${point:0:64}" | basenc --base16 -d | base64url)
	y=$(tr a-f A-F <<<"${point:64}" | basenc --base16 -d | base64url)
	# RFC 7638: these members, in this order, without blanks.
	kid=$(printf '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' "$x" "$y" | openssl dgst -sha256 -binary | base64url)
	echo "$kid $x $y"
}

# Lines "KID X Y": the key that signs, and those whose tokens are believed: the
# next one, and old ones until the last token that they signed has expired.
public_keys() {
	local secrets=$KITH_HOME/secrets current kid x y until now

	current=$(describe_key "$secrets/signing-key.pem")
	echo "$current"
	[[ ! -e $secrets/next-key.pem ]] || describe_key "$secrets/next-key.pem"
	printf -v now '%(%s)T' -1
	[[ ! -e $secrets/old-keys ]] || while read -r kid x y until; do
		[[ $kid == "${current%% *}" ]] || ((until < now)) || echo "$kid $x $y"
	done <"$secrets/old-keys"
}

make_keys() {
	(
		umask 077
		[[ -e $KITH_HOME/secrets/service-key ]] || make_signing_key
		note_kid # a rotation may have been interrupted
		make_certificate
	)
	write_keys_json
	write_auth_files
	write_storage_secret
	write_secret_files
}

# What only the auth program reads, and the public keys that nginx serves.
write_auth_files() {
	local secrets=$KITH_HOME/secrets auth=$KITH_HOME/auth kid x y keys=

	install -d -g "$(id -gn "$instance_user")" -m 750 "$auth"
	[[ -e $secrets/auth-secret ]] ||
		(umask 077 && openssl rand -base64 48 | tr -d '\n' >"$secrets/auth-secret")
	write_file "$auth/secret" 640 <"$secrets/auth-secret"
	if [[ -n $KITH_JWT_SECRET ]]; then
		printf '%s\n' "$KITH_JWT_SECRET" | write_file "$auth/signing-key" 640
		echo '{"keys":[]}' | write_file "$auth/jwks.json" 644
		return
	fi
	while read -r kid x y; do
		keys+=$(printf ',\n  {"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","key_ops":["verify"],"kid":"%s","x":"%s","y":"%s"}' \
			"$kid" "$x" "$y")
	done < <(public_keys)
	printf '{"keys":[%s]}\n' "${keys#,}" | write_file "$auth/jwks.json" 644
	write_file "$auth/signing-key" 640 <"$secrets/signing-key.pem"
}

# What URLs of files are signed with, which only the storage program reads.
write_storage_secret() {
	local secret=$KITH_HOME/secrets/storage-secret

	[[ -e $secret ]] ||
		(umask 077 && openssl rand -base64 48 | tr -d '\n' >"$secret")
	write_file "$KITH_HOME/storage-secret" 640 <"$secret"
}

# Settings that name a file with a secret, and what our copy is called: the
# instance's user need not be able to read the file itself.  Each program has
# those that it reads, by the letter of its settings, in a directory of its own.
declare -A secret_files=(
	[KITH_SMTP_PASSWORD]=smtp-password [KITH_RESEND_API_KEY]=resend-key
	[KITH_STRIPE_API_KEY]=stripe-key [KITH_LEMONSQUEEZY_API_KEY]=lemonsqueezy-key
	[KITH_STRIPE_WEBHOOK_SECRET]=stripe [KITH_LEMONSQUEEZY_WEBHOOK_SECRET]=lemonsqueezy
	[KITH_RESEND_WEBHOOK_SECRET]=resend [KITH_TELEGRAM_WEBHOOK_SECRET]=telegram
	[KITH_ELEVENLABS_WEBHOOK_SECRET]=elevenlabs
)
declare -A secret_dirs=([c]=checkout [h]=webhooks [w]=worker)

write_secret_files() {
	local reader

	for reader in "${!secret_dirs[@]}"; do
		write_secrets_for "$reader" "$KITH_HOME/${secret_dirs[$reader]}"
	done
}

write_secrets_for() {
	local dir=$2 name file

	install -d -g "$(id -gn "$instance_user")" -m 750 "$dir"
	for name in $(setting_names "$1"); do
		[[ -v secret_files[$name] ]] || continue
		file=$dir/${secret_files[$name]}
		if [[ -z ${!name} ]]; then
			rm -f "$file"
			continue
		fi
		[[ -r ${!name} ]] || fail "$name: cannot read ${!name}"
		(((8#$(stat -L -c %a "${!name}") & 8#7) == 0)) || fail "$name: others may read ${!name}: chmod o= ${!name}"
		write_file "$file" 640 <"${!name}"
	done
}

make_signing_key() {
	local secrets=$KITH_HOME/secrets

	say 'making keys'
	new_key "$secrets/signing-key.pem"
	note_kid
	make_api_keys
}

new_key() {
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null
}

# So that a token can be made without asking OpenSSL for it.
note_kid() {
	local key

	key=$(describe_key "$KITH_HOME/secrets/signing-key.pem")
	echo "${key%% *}" >"$KITH_HOME/secrets/kid"
}

make_api_keys() {
	local secrets=$KITH_HOME/secrets

	make_api_key anon >"$secrets/anon-key"
	# Last, and in one step: its presence says that all are there.
	make_api_key service_role >"$secrets/service-key.new"
	mv "$secrets/service-key.new" "$secrets/service-key"
}

# An API key is a token of ten years that names a role and nobody.
make_api_key() {
	local KITH_JWT_SECRET='' now

	printf -v now '%(%s)T' -1
	sign "$(jwt_header).$(printf '{"role":"%s","iss":"kith","iat":%d,"exp":%d}' \
		"$1" "$now" $((now + 10 * 365 * 86400)) | base64url)"
}

# Self-signed, for the names of this machine; a new one a month before it ends.
make_certificate() {
	local key=$KITH_HOME/secrets/tls-key.pem cert=$KITH_HOME/secrets/tls-cert.pem

	if [[ -n $KITH_TLS_CERT ]]; then
		[[ -r $KITH_TLS_CERT ]] || fail "KITH_TLS_CERT: cannot read $KITH_TLS_CERT"
		[[ -r $KITH_TLS_KEY ]] || fail "KITH_TLS_KEY: cannot read $KITH_TLS_KEY"
		(((8#$(stat -L -c %a "$KITH_TLS_KEY") & 8#7) == 0)) ||
			fail "KITH_TLS_KEY: others may read $KITH_TLS_KEY: chmod o= $KITH_TLS_KEY"
	fi
	if [[ -e $cert ]] && openssl x509 -in "$cert" -noout -checkend 2592000 >/dev/null; then
		return
	fi
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout "$key" -out "$cert" -days 397 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1 2>/dev/null
}

# The addresses under which tokens were issued: the one in force first, and
# those of before, whose tokens are good until they expire.
issuers() {
	local known=$KITH_HOME/secrets/issuers

	[[ -e $known ]] && grep -qxF "$public_url" "$known" || echo "$public_url" >>"$known"
	printf '%s\n' "$public_url" "$url" "$(tail -n 4 "$known")" | awk '!seen[$0]++'
}

# Names the file and what each key may do; the programs read it again when it
# changes.
write_keys_json() {
	local secrets=$KITH_HOME/secrets kid x y keys='' secret='' state=sign issuer issuers

	mapfile -t issuers < <(issuers)
	while read -r kid x y; do
		for issuer in "${issuers[@]/%//auth/v1}"; do
			keys+=$(printf ',\n  {"kty":"EC","crv":"P-256","alg":"ES256","kid":"%s","state":"%s","x":"%s","y":"%s",\n   "issuer":"%s","roles":["anon","authenticated","service_role"],"sessions":"%s"}' \
				"$kid" "$state" "$x" "$y" "$issuer" "$issuer")
			state=verify
		done
	done < <(public_keys)
	if [[ -n $KITH_JWT_SECRET ]]; then
		# The last one is for tokens of others who know the secret.
		for issuer in "${issuers[@]/%//auth/v1}" ''; do
			secret+=$(printf ',\n  {"kty":"oct","alg":"HS256","k":"%s","roles":["anon","authenticated","service_role"]%s}' \
				"$(printf %s "$KITH_JWT_SECRET" | base64url)" "${issuer:+,\"issuer\":\"$issuer\",\"sessions\":\"$issuer\"}")
		done
	fi
	write_file "$KITH_HOME/keys.json" 640 <<-END
	{"keys":[${keys#,}$secret],
	 "api_keys":[
	  {"role":"anon","sha256":"$(digest "$secrets/anon-key")"},
	  {"role":"service_role","sha256":"$(digest "$secrets/service-key")"}]}
	END
}

# SHA-256 of the key in a file, without the line break behind it.
digest() {
	local sum

	sum=$(tr -d '\n' <"$1" | sha256sum)
	echo "${sum%% *}"
}
