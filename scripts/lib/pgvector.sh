# pgvector.sh - from the stand-in for vectors to pgvector's own type.

help[pgvector]='keep embeddings in pgvector, once it is installed

usage: kith pgvector

Where PostgreSQL has no pgvector, Kith keeps embeddings in a stand-in.  Install
the package (postgresql-17-pgvector on Debian 13) and run this once, while the
instance is up: the columns become vector(1536), and nothing changes for
clients.  Tables with embeddings are locked while they are rewritten.  A view of
your own on such a column must go before.'

kith_pgvector() {
	[[ $# -eq 0 ]] || fail "unknown argument \"$1\"; see kith pgvector --help"
	load_settings in-force
	alive postgresql || fail 'the instance does not run: kith up'
	[[ $(psql -XqAt -c "select count(*) from pg_available_extensions where name = 'vector'") != 0 ]] ||
		fail 'PostgreSQL has no pgvector: install its package, postgresql-NN-pgvector'
	psql -Xq -f "$parts/pgvector.sql" || fail 'nothing was changed'
	migrate_database
}
