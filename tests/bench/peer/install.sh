# install.sh - the benchmark's peers in $KITH_HOME/peer.

# install_peers: their packages are fetched once per package-lock.json and kept
# in build/, since prove would look for tests in them.
install_peers() {
	local from=$here/peer packages=$checkout/build/bench/peer

	mkdir -p "$packages"
	if ! cmp -s "$from/package-lock.json" "$packages/installed"; then
		echo 'installing the peer' >&2
		cp "$from"/package*.json "$packages"
		npm ci --prefix "$packages" --no-audit --no-fund --silent >&2 ||
			fail 'could not install the packages of the peer'
		cp "$packages/package-lock.json" "$packages/installed"
	fi
	rm -rf "$KITH_HOME/peer"
	cp -R "$packages" "$KITH_HOME/peer"
	cp "$from"/*.js "$KITH_HOME/peer"
	chmod -R a+rX "$KITH_HOME/peer"
}
