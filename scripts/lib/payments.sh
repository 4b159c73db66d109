# payments.sh - what kith doctor says of Stripe and Lemon Squeezy.

doctor_payments() {
	if [[ -n $KITH_STRIPE_API_KEY ]]; then
		check_payments stripe Stripe "${KITH_STRIPE_BASE_URL%/}/v1/subscriptions?limit=1"
	fi
	if [[ -n $KITH_LEMONSQUEEZY_API_KEY ]]; then
		check_payments lemonsqueezy 'Lemon Squeezy' \
			"${KITH_LEMONSQUEEZY_BASE_URL%/}/v1/stores/$KITH_LEMONSQUEEZY_STORE_ID" \
			"has no store $KITH_LEMONSQUEEZY_STORE_ID: look at KITH_LEMONSQUEEZY_STORE_ID"
	fi
}

# check_payments PROVIDER NAME URL [WITHOUT]: is our key taken, and is there
# anything to buy?  WITHOUT says what it means when there is nothing at the URL.
check_payments() {
	local setting=KITH_${1^^}_API_KEY config said status=0

	# By standard input: arguments are seen by everybody.
	config="url = \"$3\""$'\n'
	config+="header = \"Authorization: Bearer $(curl_quote "$(head -n 1 "${!setting}")")\""$'\n'
	config+=$'header = "Accept: application/vnd.api+json"\nheader = "Content-Type: application/vnd.api+json"\n'
	[[ -z $KITH_CA_CERTIFICATES ]] || config+="cacert = \"$KITH_CA_CERTIFICATES\""$'\n'
	said=$(curl -sS -q --noproxy '*' --connect-timeout 5 -m 20 -o /dev/null -w '%{http_code}' -K - <<<"$config" 2>&1) || status=$?
	if ((status != 0)); then
		wrong "$2 cannot be reached: ${said%%$'\n'*}"
	elif [[ $said == 40[13] ]]; then
		wrong "$2 does not take the key in $setting"
	elif [[ $said == 404 && -n ${4-} ]]; then
		wrong "$2 $4"
	elif [[ $said != 200 ]]; then
		note "$2 answers $said: try again later"
	fi
	[[ $(psql -XqAt -c "select exists (select from kith.plan_prices where provider = '$1')") == t ]] ||
		note "nothing can be bought with $2: kith plans map $1 PRICE PLAN"
}
