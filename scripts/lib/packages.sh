# packages.sh - the Debian packages that Kith needs, and installing them.

may_install=yes

# What for: run = build and run an instance, test = the tests on top.  ffmpeg is
# among these: an instance without recordings can do without.
declare -A packages=(
	[run]='gcc libc6-dev make pkg-config libfcgi-dev libpq-dev libyajl-dev
		libjwt-dev libssl-dev libcurl4-openssl-dev libmagic-dev postgresql nginx
		openssl curl'
	[test]='perl libcmocka-dev pgtap libtap-parser-sourcehandler-pgtap-perl
		chromium ffmpeg'
	[bench]='wrk'
	[fuzz]='clang'
)

# need run|test|bench|fuzz...: installs what is missing for these.
need() {
	local missing

	missing=$(missing_packages "$@")
	[[ -z $missing ]] || install_packages "$missing"
}

# Prints the packages that are not installed.
missing_packages() {
	local wanted=() use package
	local -A installed=()

	for use; do
		# shellcheck disable=SC2206 # a list of words
		wanted+=(${packages[$use]})
	done
	# Tests drive supabase-js; any Node of our own age will do.
	if [[ " $* " == *' test '* ]] && ! node_is_new_enough; then
		wanted+=(nodejs npm)
	fi
	while read -r package; do
		installed[$package]=1
	done < <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' \
		"${wanted[@]}" 2>/dev/null | sed -n 's/^installed //p')
	for package in "${wanted[@]}"; do
		[[ -v installed[$package] ]] || printf '%s ' "$package"
	done
}

node_is_new_enough() {
	local version

	command -v npm >/dev/null && version=$(node --version 2>/dev/null) &&
		version=${version#v} && ((${version%%.*} >= 18))
}

install_packages() {
	local root=() list

	read -ra list <<<"$1"
	if ((EUID != 0)); then
		root=(sudo)
		command -v sudo >/dev/null || may_install=no
	fi
	[[ $may_install == yes ]] ||
		fail "packages are missing; as root: apt-get install ${list[*]}"
	say "installing ${list[*]}"
	"${root[@]}" bash -s -- "${list[@]}" <<<"$(declare -f apt_install)
		set -eu; apt_install \"\$@\"" >&2 ||
		fail "could not install ${list[*]}"
}

# Runs as root, in a shell of its own.  Nothing that we install may start, now
# or at the next boot: the cluster and the nginx of an instance are private.
apt_install() {
	local apt policy=/usr/sbin/policy-rc.d had_nginx=no

	export DEBIAN_FRONTEND=noninteractive
	apt=(apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0)
	[[ ! -e /lib/systemd/system/nginx.service ]] || had_nginx=yes
	if [[ ! -e $policy ]]; then
		# shellcheck disable=SC2064 # policy is ours, and local
		trap "rm -f $policy" EXIT
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
	fi
	"${apt[@]}" update
	if [[ " $* " == *' postgresql '* ]]; then
		# Its package would make a system cluster.
		"${apt[@]}" install postgresql-common
		sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' \
			/etc/postgresql-common/createcluster.conf
	fi
	"${apt[@]}" install "$@"
	if [[ $had_nginx == no ]] && command -v systemctl >/dev/null; then
		systemctl --quiet disable nginx || true
	fi
}

# The PostgreSQL to use: the one that made the cluster, else the newest.
find_postgres() {
	local version='*'

	if [[ -e $KITH_HOME/data ]]; then
		version=$("${as[@]}" cat "$KITH_HOME/data/PG_VERSION" 2>/dev/null) ||
			fail "$KITH_HOME/data belongs to somebody else"
	fi
	# shellcheck disable=SC2086 # a pattern
	pg_bin=$(printf '%s\n' /usr/lib/postgresql/$version/bin/initdb |
		sort -V | tail -n 1)
	pg_bin=${pg_bin%/*}
	[[ -x $pg_bin/initdb ]] ||
		fail "PostgreSQL is not installed: $pg_bin is missing"
}
