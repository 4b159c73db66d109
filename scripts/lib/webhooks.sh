# webhooks.sh - events of providers: the ledger, and whether an endpoint works.

help[webhooks]='say what providers told, apply it again, test an endpoint

usage: kith webhooks [list [PROVIDER] [OUTCOME] [USER] [N]]
       kith webhooks show ID
       kith webhooks replay ID... | failed | unmatched | unmapped
       kith webhooks test PROVIDER [URL]

list prints the newest N events (50); PROVIDER is stripe, lemonsqueezy, resend,
telegram or elevenlabs, OUTCOME applied, stale, ignored, unmatched, conflict or
failed, USER an address or an id.  show prints one event, with its payload if
it was kept, which it is for payments only.

replay applies events again that failed, belonged to nobody, were in conflict,
or had a price that buys no plan (unmapped; see kith plans).  It is harmless:
what is older than what is known changes nothing.

test sends an event to the running instance, signed with the newest secret of
the provider, and one with a wrong signature; the first must be in the ledger,
the second refused.  URL is where the provider sends events, if you want to
know whether these come through: https://api.example.org/webhooks/stripe.'

webhook_providers=(stripe lemonsqueezy resend telegram elevenlabs)

kith_webhooks() {
	local what=${1-list}

	load_settings in-force
	alive postgresql || fail 'the instance does not run: kith up'
	shift || true
	case $what in
	list) list_events "$@" ;;
	show) show_event "$@" ;;
	replay) replay_events "$@" ;;
	test) test_webhook "$@" ;;
	*) fail "unknown command \"webhooks $what\"; see kith webhooks --help" ;;
	esac
}

check_event() {
	[[ $1 =~ ^[0-9]{1,18}$ ]] || fail "\"$1\" is no number of an event"
}

list_events() {
	local word n=50 where=true

	for word; do
		case $word in
		stripe | lemonsqueezy | resend | telegram | elevenlabs) where+=" and e.provider = '$word'" ;;
		applied | stale | ignored | unmatched | conflict | failed) where+=" and e.outcome = '$word'" ;;
		*@* | *-*-*-*-*) where+=" and :'user' in (lower(u.email), e.user_id::text)" user=${word,,} ;;
		*)
			[[ $word =~ ^[1-9][0-9]{0,5}$ ]] || fail "\"$word\" is no provider, outcome, user or number; see kith webhooks --help"
			n=$word
			;;
		esac
	done
	psql -Xq -P pager=off -v user="${user-}" <<-END
	select e.id, e.provider, e.event_type as type, date_trunc('second', e.received_at) as received, e.outcome, e.detail,
	    e.object_id as about, u.email as "user"
	from kith.webhook_events e
	left join public.users u on u.id = e.user_id
	where $where
	order by e.id desc
	limit $n;
	END
}

show_event() {
	[[ $# -eq 1 ]] || fail 'show takes the number of an event'
	check_event "$1"
	[[ $(psql -XqAt -c "select count(*) from kith.webhook_events where id = $1") == 1 ]] || fail "there is no event $1"
	psql -Xqx -P pager=off <<-END
	select e.id, e.provider, e.event_id, e.event_type, e.occurred_at, e.received_at, e.outcome, e.detail, e.object_id,
	    e.customer_ref, e.user_id, u.email, e.workspace_id, encode(e.body_sha256, 'hex') as body_sha256,
	    jsonb_pretty(e.payload) as payload
	from kith.webhook_events e
	left join public.users u on u.id = e.user_id
	where e.id = $1;
	END
}

# Each in a transaction of its own, in the order in which they happened.
replay_events() {
	local id which="(outcome in ('failed', 'unmatched', 'conflict') or detail = 'unmapped_price')" events failed=0 all=yes

	[[ $# -gt 0 ]] || fail 'say which events, or: failed, unmatched, unmapped'
	case $* in
	failed | unmatched) which="outcome = '$1'" ;;
	unmapped) which="detail = 'unmapped_price'" ;;
	*)
		all=no
		for id; do
			check_event "$id"
		done
		which+=" and id in ($(IFS=,; echo "$*"))"
		;;
	esac
	mapfile -t events < <(psql -XqAt -v ON_ERROR_STOP=1 -c "select id from kith.webhook_events
		where $which and payload is not null order by occurred_at, kith.event_rank(event_type), id")
	for id in "${events[@]}"; do
		psql -XqAt -F ' ' -v ON_ERROR_STOP=1 -c "select 'event', $id, kith.replay_event($id)" ||
			failed=$((failed + 1))
	done
	echo "events applied again: $((${#events[@]} - failed))"
	[[ $all == yes || ${#events[@]} -eq $# ]] ||
		fail 'the others were applied, or their payload was not kept'
	((failed == 0)) || fail "could not be applied: $failed"
}

# webhook_secret PROVIDER: the newest of its secrets; nothing when it has none.
webhook_secret() {
	local name=KITH_${1^^}_WEBHOOK_SECRET

	[[ -z ${!name-} ]] || tr ',[:space:]' '\n' <"${!name}" | grep -m 1 . || true
}

# webhook_mac TEXT FORMAT SECRET: HMAC-SHA256, as hex or base64; Resend's secrets
# are base64 behind their prefix.
webhook_mac() {
	printf %s "$1" | FORMAT=$2 SECRET=$3 perl -MDigest::SHA=hmac_sha256 -MMIME::Base64 -0777 -ne '
		my $key = $ENV{FORMAT} eq "hex" ? $ENV{SECRET} : decode_base64($ENV{SECRET} =~ s/^whsec_//r);
		my $mac = hmac_sha256($_, $key);
		print $ENV{FORMAT} eq "hex" ? unpack("H*", $mac) : encode_base64($mac, "");
	'
}

# test_event PROVIDER: sets body, and event_id to what the ledger knows it by: an
# event of a type that means nothing.
test_event() {
	local nonce now

	nonce=$(openssl rand -hex 12)
	printf -v now '%(%s)T' -1
	event_id=
	case $1 in
	stripe)
		event_id=evt_kith_test_$nonce
		body='{"id":"'$event_id'","object":"event","type":"kith.test","created":'$now',"data":{"object":{}}}'
		;;
	lemonsqueezy) body='{"meta":{"event_name":"kith_test","webhook_id":"'$nonce'"},"data":{"type":"kith","id":"test","attributes":{}}}' ;;
	resend)
		event_id=msg_kith_test_$nonce
		body='{"type":"kith.test","created_at":"'$(date -u -d "@$now" +%FT%TZ)'","data":{}}'
		;;
	telegram)
		# Beyond what Telegram counts to, so never one of its own.
		event_id=9$((16#${nonce:0:10}))
		body='{"update_id":'$event_id'}'
		;;
	elevenlabs) body='{"type":"kith_test","event_timestamp":'$now',"data":{"nonce":"'$nonce'"}}' ;;
	esac
	if [[ -z $event_id ]]; then
		event_id=$(printf %s "$body" | sha256sum)
		event_id=${event_id%% *}
	fi
}

# webhook_headers PROVIDER SECRET: lines of a curl configuration.
webhook_headers() {
	local now

	printf -v now '%(%s)T' -1
	case $1 in
	stripe) printf 'header = "Stripe-Signature: t=%s,v1=%s"\n' "$now" "$(webhook_mac "$now.$body" hex "$2")" ;;
	lemonsqueezy) printf 'header = "X-Signature: %s"\n' "$(webhook_mac "$body" hex "$2")" ;;
	telegram) printf 'header = "X-Telegram-Bot-Api-Secret-Token: %s"\n' "$2" ;;
	resend)
		printf 'header = "svix-id: %s"\nheader = "svix-timestamp: %s"\n' "$event_id" "$now"
		printf 'header = "svix-signature: v1,%s"\n' "$(webhook_mac "$event_id.$now.$body" base64 "$2")"
		;;
	elevenlabs) printf 'header = "ElevenLabs-Signature: t=%s,v0=%s"\n' "$now" "$(webhook_mac "$now.$body" hex "$2")" ;;
	esac
}

# post_event PROVIDER SECRET URL: the answer, and its status in the last line.
# The signature goes by standard input: arguments are seen by everybody.
post_event() {
	curl -sS -q -m 20 -w '\n%{http_code}' -K - "$3" 2>&1 <<-END || true
	header = "Content-Type: application/json"
	$(webhook_headers "$1" "$2")
	data-raw = "$(curl_quote "$body")"
	END
}

test_webhook() {
	local provider=${1-} to secret name body event_id answer status event

	[[ " ${webhook_providers[*]} " == *" $provider "* && $# -le 2 ]] ||
		fail "test takes one of: ${webhook_providers[*]}; and perhaps a URL"
	to=${2-$url/webhooks/$provider}
	name=KITH_${provider^^}_WEBHOOK_SECRET
	[[ -n ${!name-} ]] || fail "events of $provider are not taken: set $name to a file that holds the secret"
	secret=$(webhook_secret "$provider")
	[[ -n $secret ]] || fail "${!name} holds no secret"

	test_event "$provider"
	answer=$(post_event "$provider" "$secret" "$to")
	status=${answer##*$'\n'}
	case $status in
	200) ;;
	400 | 401) fail "$to does not take the secret in ${!name}: kith down; kith up" ;;
	404) fail "$to is not there: kith down; kith up" ;;
	000) fail "$to does not answer: ${answer%%$'\n'*}" ;;
	*) fail "$to answered $status: ${answer%$'\n'*}" ;;
	esac
	event=$(psql -XqAt -c "select id from kith.webhook_events where provider = '$provider' and event_id = '$event_id'")
	[[ -n $event ]] || fail "$to answered 200, but the event is not in the ledger: is that this instance?"
	test_event "$provider"
	answer=$(post_event "$provider" "$(openssl rand -hex 16)" "$to")
	[[ ${answer##*$'\n'} == 40[01] ]] || fail "$to takes what has a wrong signature"
	echo "$to takes events of $provider: event $event is in the ledger, and one with a wrong signature was refused"
}

# For kith doctor.
doctor_webhooks() {
	local provider name heard failed parked unmapped without=()

	for provider in "${webhook_providers[@]}"; do
		name=KITH_${provider^^}_WEBHOOK_SECRET
		if [[ -z ${!name-} ]]; then
			without+=("$provider")
			name=KITH_${provider^^}_API_KEY
			[[ $provider == resend || -z ${!name-} ]] ||
				wrong "$name is set, but events of $provider are not taken: set KITH_${provider^^}_WEBHOOK_SECRET"
			continue
		fi
		[[ -r ${!name} ]] || { wrong "cannot read ${!name}" && continue; }
		[[ -n $(webhook_secret "$provider") ]] || { wrong "${!name} holds no secret" && continue; }
		heard=$(psql -XqAt -c "select exists (select from kith.webhook_events where provider = '$provider'
			and event_type not in ('kith.test', 'kith_test'))")
		[[ $heard == t ]] || note "$provider has sent nothing yet; $(webhook_hint "$provider")"
	done
	((${#without[@]} == 0)) || note "endpoints without a secret, which answer 404: ${without[*]}"
	# What was not kept cannot be applied again: it is news for a week.
	failed=$(psql -XqAt -c "select count(*) from kith.webhook_events
		where outcome = 'failed' and (payload is not null or received_at > now() - interval '7 days')")
	((failed == 0)) || wrong "events that failed: $failed; kith webhooks list failed says why, kith webhooks replay failed applies them again"
	parked=$(psql -XqAt -c "select count(*) from kith.webhook_events
		where outcome = 'unmatched' and payload is not null and received_at < now() - interval '10 minutes'")
	((parked == 0)) || note "events of payments that belong to nobody: $parked; kith webhooks list unmatched"
	unmapped=$(psql -XqAt -c "select count(*) from kith.webhook_events where detail = 'unmapped_price'")
	((unmapped == 0)) || wrong "events with a price that buys no plan: $unmapped; kith plans map, then kith webhooks replay unmapped"
}

# Where the provider is told about us.
webhook_hint() {
	local to=$public_url/webhooks/$1

	case $1 in
	telegram)
		# shellcheck disable=SC2016 # for the reader to fill in
		printf %s 'tell it to: curl "https://api.telegram.org/bot$TOKEN/setWebhook"' \
			" -d url=$to -d secret_token=\"\$(head -n 1 $KITH_TELEGRAM_WEBHOOK_SECRET)\"" \
			" -d 'allowed_updates=[\"message\",\"edited_message\",\"my_chat_member\"]'"
		;;
	*) printf '%s' "its dashboard wants to know $to; kith webhooks test $1 tells whether that works" ;;
	esac
}
