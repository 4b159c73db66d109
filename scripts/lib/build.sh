# build.sh - building Kith, and what is built by others: bench and fuzz.

help[bench]='measure the speed against pgbench and Fastify

usage: kith bench [--quick] [ARGUMENT...]

Starts an instance of its own, fills it with a million messages and prints the
table of ratios.  --quick is for development.'

help[fuzz]='run each fuzz target for a while

usage: kith fuzz [SECONDS]

SECONDS (60) is the time for each target.'

# Copies what is run into $KITH_HOME/app: the instance's users need not reach
# the checkout, and a build does not pull the programs from under it.
install_app() {
	local log=$KITH_HOME/log/build.log

	[[ -n $checkout ]] || return 0
	rm -rf "$app"
	build "$KITH_VARIANT" install "prefix=$app" >"$log" 2>&1 9>&- || {
		tail -n 20 "$log" >&2
		fail "could not build Kith: read $log"
	}
}

# build VARIANT TARGET...: runs make.
build() {
	local variant=()

	case $1 in
	san) variant=('SANITIZE=address,undefined') ;;
	cov) variant=(COVERAGE=1) ;;
	esac
	shift
	# One build at a time in a checkout, whoever starts it.
	mkdir -p "$checkout/build"
	(
		flock 8
		make -s -C "$checkout" -j "$(nproc)" "${variant[@]}" "$@" 8>&-
	) 8>"$checkout/build/lock"
}

kith_bench() {
	need run test bench
	[[ -n $checkout ]] || fail 'bench needs a checkout'
	exec "$checkout/tests/bench/run" "$@"
}

kith_fuzz() {
	[[ -n $checkout ]] || fail 'fuzz needs a checkout'
	[[ ${1-60} =~ ^[0-9]+$ ]] || fail "\"$1\" is no number of seconds"
	need run fuzz
	exec make -C "$checkout" fuzz FUZZ_SECONDS="${1-60}"
}
