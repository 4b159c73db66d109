# do-not-send.sh - addresses that get no mail any more.

help[do-not-send]='say who gets no mail and why, take an address off that list

usage: kith do-not-send [list]
       kith do-not-send remove ADDRESS...

Resend tells which addresses do not exist, and who calls a mail spam; no
scheduled message is sent to them any more.  Codes that somebody asked for go
to who only complained.  Resend keeps a list of its own.'

kith_do_not_send() {
	local what=${1-list}

	load_settings in-force
	alive postgresql || fail 'the instance does not run: kith up'
	shift || true
	case $what in
	list)
		psql -Xq -P pager=off -c "select address, reason, detail, date_trunc('second', created_at) as since
			from kith.do_not_send order by created_at desc, address"
		;;
	remove) remove_addresses "$@" ;;
	*) fail "unknown command \"do-not-send $what\"; see kith do-not-send --help" ;;
	esac
}

remove_addresses() {
	local address

	[[ $# -gt 0 ]] || fail 'say which addresses'
	for address; do
		[[ $(psql -XqAt -v address="$address" <<<"delete from kith.do_not_send where address = lower(:'address') returning 1") == 1 ]] ||
			fail "\"$address\" is not on the list"
	done
}
