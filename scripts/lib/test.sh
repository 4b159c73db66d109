# test.sh - all tests, against one instance made for them.

help[test]='run all tests

usage: kith test [--variant plain|san|cov] [PROVE-ARGUMENT...]

Installs what the tests need, builds, starts an instance of its own with a free
port, runs prove over tests/ and stops it.  Exit status: that of prove, or 1
when a log holds a report of a sanitizer or an alert of nginx.  Arguments go to
prove; naming files runs only these (kith test -v tests/http/messages.t).'

kith_test() {
	local status=0 failed=no arg targets=()

	[[ -n $checkout ]] || fail 'tests need a checkout'
	if [[ ${1-} == --variant ]]; then
		export KITH_VARIANT=${2-}
		shift 2 || fail '--variant needs a name'
	fi
	need run test
	for arg; do
		[[ $arg == -* || ! -e $arg ]] || targets+=("$arg")
	done
	cd "$checkout"
	test_home=$(mktemp -d /tmp/kith-test.XXXXXX)
	trap 'end_test' EXIT
	trap 'exit 130' INT TERM HUP
	export KITH_HOME=$test_home KITH_PORT
	KITH_PORT=$(free_port)
	unset KITH_HTTPS_PORT
	# All tests sign up and in from here.
	export KITH_AUTH_IP_LIMITS=${KITH_AUTH_IP_LIMITS-0}
	load_settings wanted
	export KITH_VARIANT
	sanitizer_options
	build "$KITH_VARIANT" all unit >&2
	install_node_modules
	start_instance
	trap 'end_test' EXIT
	exec 9>&-
	set -a
	eval "$(print_env)"
	set +a
	if [[ ${#targets[@]} -eq 0 ]]; then
		mapfile -t targets < <(test_files)
		set -- "$@" "${targets[@]}"
	fi
	prove "$@" || status=$?
	stop_instance # what leaked is said at the end of a program
	check_logs || failed=yes
	if ((status == 0)) && [[ $failed == yes ]]; then
		status=1
	fi
	return "$status"
}

# Quick ones first.  Not prove -r tests: that would run what npm brings along.
test_files() {
	local dir

	compgen -G "build/$KITH_VARIANT/tests/*.t"
	for dir in tests/{sql,http,sdk,browser,systems,fault}; do
		[[ ! -d $dir ]] || find "$dir" -name node_modules -prune -o \
			\( -name '*.t' -o -name '*.sql' -o -name '*.mjs' -executable \) \
			-print | LC_ALL=C sort
	done
}

end_test() {
	stop_instance
	rm -rf "$test_home" "$KITH_HOME"
}

sanitizer_options() {
	[[ $KITH_VARIANT == san ]] || return 0
	export ASAN_OPTIONS=${ASAN_OPTIONS-detect_leaks=1:detect_stack_use_after_return=1}
	export UBSAN_OPTIONS=${UBSAN_OPTIONS-print_stacktrace=1:halt_on_error=1}
}

# A port that is free, like the one behind it.
free_port() {
	local port

	while :; do
		port=$((20000 + RANDOM % 5000 * 2))
		if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null &&
			! (: <"/dev/tcp/127.0.0.1/$((port + 1))") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
}

# What the tests in Node need, once per package-lock.json.
install_node_modules() {
	local lock dir

	for lock in "$checkout"/tests/*/package-lock.json; do
		dir=${lock%/*}
		[[ -e $lock ]] || continue
		[[ $dir/node_modules/.package-lock.json -nt $lock ]] && continue
		npm ci --prefix "$dir" --no-audit --no-fund --loglevel=error >&2 ||
			fail "could not install the packages of $dir"
	done
}

# Nothing may have gone wrong behind the tests' back.
check_logs() {
	local reports

	reports=$(grep -E 'Sanitizer|runtime error:|\[(alert|emerg)\]' \
		"$KITH_HOME"/log/*.log | head -n 20) || return 0
	say 'the logs hold reports:'
	printf '%s\n' "$reports" >&2
	return 1
}
