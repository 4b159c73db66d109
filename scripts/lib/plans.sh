# plans.sh - what can be subscribed to, what it allows, and which price buys it.

help[plans]='list the plans, and say which price of a payment provider buys which

usage: kith plans [list]
       kith plans map PROVIDER PRICE PLAN
       kith plans unmap PROVIDER PRICE

list prints each plan with its limits ("-" is no limit) and the prices that buy
it.  PROVIDER is stripe or lemonsqueezy; PRICE is the id of a price at Stripe
(price_...), or the number of a variant at Lemon Squeezy, as its dashboard shows
it.  Events that came before their price was mapped are applied by
kith webhooks replay unmapped.

A limit is changed in the database: update public.plans set limits = limits ||
{"documents": 20} where id = "pro", with the quotes of SQL.  It counts from the
next row on; nothing that is there goes.'

kith_plans() {
	local what=${1-list}

	load_settings in-force
	alive postgresql || fail 'the instance does not run: kith up'
	shift || true
	case $what in
	list) list_plans "$@" ;;
	map) map_price "$@" ;;
	unmap) unmap_price "$@" ;;
	*) fail "unknown command \"plans $what\"; see kith plans --help" ;;
	esac
}

list_plans() {
	[[ $# -eq 0 ]] || fail 'list takes no argument'
	psql -Xq -P pager=off -P null=- <<-'END'
	select p.id as plan, p.name, p.limits ->> 'active_memories' as memories, p.limits ->> 'profiles' as profiles,
	    p.limits ->> 'voice_messages_per_month' as "voice/month", p.limits ->> 'documents' as documents,
	    pg_size_pretty((p.limits ->> 'storage_bytes')::bigint) as storage,
	    (select count(*) from public.subscriptions s where s.plan = p.id) as users,
	    (select string_agg(m.provider || ' ' || m.price_id, ', ' order by m.provider, m.price_id)
	     from kith.plan_prices m where m.plan = p.id) as prices
	from public.plans p
	order by (p.limits ->> 'storage_bytes')::bigint nulls last, p.id;
	END
}

check_price() {
	[[ $1 == stripe || $1 == lemonsqueezy ]] || fail "\"$1\" is neither stripe nor lemonsqueezy"
	[[ $2 =~ ^[A-Za-z0-9_.-]{1,150}$ ]] || fail "\"$2\" is no id of a price"
	[[ $1 != stripe || $2 == price_* || $2 == plan_* ]] ||
		fail "a price of Stripe begins with price_: \"$2\" does not"
	[[ $1 != lemonsqueezy || $2 =~ ^[0-9]+$ ]] || fail "a variant of Lemon Squeezy is a number: \"$2\" is none"
}

map_price() {
	local plans before

	[[ $# -eq 3 ]] || fail 'map takes a provider, a price and a plan'
	check_price "$1" "$2"
	plans=$(psql -XqAt -c 'select id from public.plans order by id')
	grep -qxF -- "$3" <<<"$plans" || fail "there is no plan \"$3\"; there are ${plans//$'\n'/, }"
	before=$(psql -XqAt -v ON_ERROR_STOP=1 -v provider="$1" -v price="$2" -v plan="$3" <<-'END'
		with before as (select plan from kith.plan_prices where provider = :'provider' and price_id = :'price'),
		written as (
		    insert into kith.plan_prices (provider, price_id, plan) values (:'provider', :'price', :'plan')
		    on conflict (provider, price_id) do update set plan = excluded.plan
		)
		select plan from before;
		END
	)
	echo "$1 $2 buys $3${before:+, no longer $before}"
}

unmap_price() {
	[[ $# -eq 2 ]] || fail 'unmap takes a provider and a price'
	check_price "$1" "$2"
	[[ $(psql -XqAt -v ON_ERROR_STOP=1 -v provider="$1" -v price="$2" <<-'END'
		delete from kith.plan_prices where provider = :'provider' and price_id = :'price' returning 1;
		END
	) == 1 ]] || fail "$1 $2 buys no plan"
	echo "$1 $2 buys nothing any more"
}
