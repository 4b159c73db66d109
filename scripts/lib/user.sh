# user.sh - users, as whoever runs the instance sees them.
#
# All of it goes through the auth program, with the service key, so that what a
# user may be is decided in one place.

help[user]='list, make, ban and delete users, and set their passwords

usage: kith user list [--page N] [--per-page N] [FILTER]
       kith user add [--invite] EMAIL
       kith user password USER
       kith user ban [--for DURATION] USER...
       kith user unban USER...
       kith user delete [--soft] [--yes] USER...

USER is an address or an id.  A password is asked for, or read from standard
input as its only line; it is never an argument, which everybody could see.

list prints the newest first, 50 to a page; FILTER is part of an address or a
name.  add makes a user whose address counts as proved; with --invite, one who
sets the password by a link in a mail.  A new password signs the user out
everywhere.  A ban is for ever or for a DURATION as 24h or 1h30m, and counts at
once.  delete takes all that is theirs along, from every table, and asks first;
with --soft, rows of apps stay, and nothing tells whose they were.'

kith_user() {
	local what=${1-list}

	case $what in
	list | add | password | ban | unban | delete) ;;
	*) fail "unknown command \"user $what\"; see kith user --help" ;;
	esac
	shift || true
	load_settings in-force
	alive nginx && alive kith-auth && alive postgresql || fail 'the instance does not run: kith up'
	[[ -r $KITH_HOME/secrets/service-key ]] || fail "cannot read the service key: run as $(stat -c %U "$KITH_HOME/secrets")"
	"${what}_user" "$@"
}

# ask_auth METHOD PATH [LINE...]: asks the auth program as the service.  Sets
# answer, and total to how many there are in all.  Further lines are of a curl
# configuration, which nobody sees.
ask_auth() {
	local method=$1 path=$2 status

	shift 2
	answer=$(printf '%s\n' "url = \"$url/auth/v1/$path\"" "request = \"$method\"" \
		"header = \"apikey: $(<"$KITH_HOME/secrets/service-key")\"" \
		'header = "content-type: application/json"' \
		'header = "x-supabase-api-version: 2024-01-01"' "$@" |
		curl -q -sS -m 60 --noproxy '*' -K - -w '\n%{http_code} %header{x-total-count}') ||
		fail 'the auth program does not answer: kith status'
	read -r status total <<<"${answer##*$'\n'}" || true
	answer=${answer%$'\n'*}
	[[ $status == 2* ]] || fail "$(member message)"
}

# member NAME: a member of the answer.
member() {
	perl -MJSON::PP -0777 -CO -e '
		my $v = decode_json(<STDIN> // "{}")->{ $ARGV[0] } // "";
		print $v =~ s/[[:cntrl:]]/?/gr, "\n"' "$1" <<<"$answer"
}

# The curl line that sends NAME VALUE NAME VALUE... as a JSON object; a value
# is text, unless its name ends with "=", which makes it what it is.
json_body() {
	local object='' value

	while [[ $# -gt 0 ]]; do
		value=$2
		[[ $1 == *= ]] || value=$(json_text "$2")
		object+=",\"${1%=}\":$value"
		shift 2
	done
	printf 'data-raw = "%s"' "$(curl_quote "{${object#,}}")"
}

json_text() {
	local text=${1//\\/\\\\} code hex char

	text=${text//\"/\\\"}
	if [[ $text == *[[:cntrl:]]* ]]; then
		for code in {1..31}; do
			printf -v hex %02x "$code"
			printf -v char %b "\\x$hex"
			text=${text//"$char"/\\u00$hex}
		done
	fi
	printf '"%s"' "$text"
}

# Sets id to that of a user, named by it or by an address.
find_user() {
	id=$1
	[[ $id != *@* ]] || id=$(psql -XqAt -v ON_ERROR_STOP=1 -v email="$1" <<<"select (kith.find_user(:'email')).id") ||
		fail 'the database does not answer: kith status'
	[[ -n $id ]] || fail "there is no user $1"
	[[ $id =~ ^[0-9A-Fa-f-]{36}$ ]] || fail "\"$1\" is neither an address nor the id of a user"
	id=${id,,}
}

# Sets password: asked for twice at a terminal, else the line of standard input.
read_password() {
	local again

	if [[ -t 0 ]]; then
		IFS= read -rs -p "New password of $1: " password || fail 'no password'
		echo >&2
		IFS= read -rs -p 'Once more: ' again || fail 'no password'
		echo >&2
		[[ $password == "$again" ]] || fail 'these are two different passwords'
	else
		! IFS= read -rd '' password || fail 'the password holds a NUL byte'
		password=${password%$'\n'}
		[[ $password != *$'\n'* ]] || fail 'standard input has more than one line: it must be the password and nothing else'
	fi
	[[ -n $password ]] || fail 'the password is empty'
}

list_user() {
	local page=1 per_page=50 lines answer total pages

	while [[ ${1-} == --* ]]; do
		[[ ${2-} =~ ^[1-9][0-9]{0,8}$ ]] || fail "$1 needs a number from 1"
		case $1 in
		--page) page=$2 ;;
		--per-page) per_page=$(($2 > 1000 ? 1000 : $2)) ;;
		*) fail "unknown option $1; see kith user --help" ;;
		esac
		shift 2
	done
	[[ $# -le 1 ]] || fail 'one filter only'
	lines=(get "data-urlencode = \"page=$page\"" "data-urlencode = \"per_page=$per_page\"")
	[[ -z ${1-} ]] || lines+=("data-urlencode = \"filter=$(curl_quote "$1")\"")
	ask_auth GET admin/users "${lines[@]}"
	print_users
	pages=$(((total + per_page - 1) / per_page))
	if ((page > 1 || pages > 1)); then
		say "page $page of $pages; users in all: $total"
	fi
}

# The users in the answer as a table.  Whatever a terminal might take for a
# command goes.
print_users() {
	perl -MJSON::PP -MPOSIX=strftime -0777 -CO -e '
		my $now = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime);
		my $time = sub { ($_[0] // "never") =~ s/^(.{10})T(.{5}).*/$1 $2/r };
		my @rows = (["ID", "ADDRESS", "SIGNED UP", "LAST SIGN-IN", "STATE"]);
		for my $u (@{ decode_json(<STDIN>)->{users} }) {
			my @state;
			push @state, "deleted" if $u->{deleted_at};
			push @state, "banned until " . $time->($u->{banned_until}) if ($u->{banned_until} // "") gt $now;
			push @state, "guest" if $u->{is_anonymous};
			push @state, "not confirmed" unless $u->{confirmed_at} || $u->{is_anonymous};
			push @rows, [map { s/[[:cntrl:]]/?/gr } $u->{id}, $u->{email} || $u->{phone} || "-",
				$time->($u->{created_at}), $time->($u->{last_sign_in_at}), join ", ", @state];
		}
		my $wide = (sort { $b <=> $a } map { length $_->[1] } @rows)[0];
		printf "%-36s  %-${wide}s  %-16s  %-16s  %s\n", @$_ for @rows' <<<"$answer" | sed 's/ *$//'
}

add_user() {
	local invite=no password answer total

	if [[ ${1-} == --invite ]]; then
		invite=yes
		shift
	fi
	[[ $# -eq 1 && $1 == *@* ]] || fail 'add takes one address; see kith user --help'
	if [[ $invite == yes ]]; then
		ask_auth POST invite "$(json_body email "$1")"
	else
		read_password "$1"
		ask_auth POST admin/users "$(json_body email "$1" password "$password" email_confirm= true)"
	fi
	member id
}

password_user() {
	local id password answer total

	[[ $# -eq 1 ]] || fail 'password takes one user; it is read from standard input'
	find_user "$1"
	read_password "$1"
	ask_auth PUT "admin/users/$id" "$(json_body password "$password")"
	echo "$1 has a new password and is signed out everywhere"
}

ban_user() {
	local id duration=876000h until answer total user

	if [[ ${1-} == --for ]]; then
		duration=${2-}
		[[ -n $duration && $duration != none ]] || fail '--for needs a duration, such as 24h'
		shift 2
	fi
	[[ $# -gt 0 && $1 != --* ]] || fail 'which user?  see kith user --help'
	for user; do
		find_user "$user"
		ask_auth PUT "admin/users/$id" "$(json_body ban_duration "$duration")"
		until=$(member banned_until)
		echo "$user is banned until ${until:0:10} ${until:11:5}"
	done
}

unban_user() {
	local id answer total user

	[[ $# -gt 0 ]] || fail 'which user?  see kith user --help'
	for user; do
		find_user "$user"
		ask_auth PUT "admin/users/$id" "$(json_body ban_duration none)"
		echo "$user is not banned"
	done
}

delete_user() {
	local id soft=false sure=no answer total user ids=()

	while [[ ${1-} == --* ]]; do
		case $1 in
		--soft) soft=true ;;
		--yes) sure=yes ;;
		*) fail "unknown option $1; see kith user --help" ;;
		esac
		shift
	done
	[[ $# -gt 0 ]] || fail 'which user?  see kith user --help'
	for user; do
		find_user "$user"
		ids+=("$id")
	done
	if [[ $sure == no ]]; then
		[[ -t 0 ]] || fail 'what is deleted does not come back: say --yes'
		read -r -p "Delete $*, with all that is theirs?  Type yes: " sure || true
		[[ $sure == yes ]] || fail 'nothing was deleted'
	fi
	for id in "${ids[@]}"; do
		ask_auth DELETE "admin/users/$id" "$(json_body should_soft_delete= $soft)"
		echo "$1 is deleted"
		shift
	done
}
