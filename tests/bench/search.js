// Measures searches of the instance that `search` started, and prints the tables.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { anonKey, executables, pidOf, sql, token, url, userId } from './instance.js';
import { descendants, pss } from './processes.js';
import { figure, figureTable, machine, median, megabytes, missed } from './report.js';

const rounds = Number(process.env.BENCH_ROUNDS);
const sizes = [1000, 10000];	// of user 0 and user 1
const say = (text) => process.stderr.write(`${text}\n`);
const percentile = (numbers, p) => [...numbers].sort((a, b) => a - b)[Math.ceil(numbers.length * p) - 1];
const milliseconds = (ms) => `${ms.toFixed(1)} ms`;

// A query is near a memory of the user, as a question is near its answer.
const queries = (user) => sql(`select json_agg(q) from (
	select array(select (x + 0.4 * (random() - 0.5))::real from unnest(v) as x where id is not null) as q
	from bench.vectors where user_id = '${userId(user)}' order by id limit 20) as s`);

async function search(user, query, select) {
	const started = performance.now();
	const answer = await fetch(`${url}/rest/v1/rpc/search_memories${select}`, {
		method: 'POST',
		headers: { Apikey: anonKey, Authorization: `Bearer ${token(user)}`, 'Content-Type': 'application/json' },
		body: JSON.stringify({ query_embedding: query, match_count: 20 }),
	});
	const rows = await answer.json();

	assert.equal(answer.status, 200, JSON.stringify(rows));
	assert.equal(rows.length, 20);
	return { ms: performance.now() - started, ids: rows.map(({ id }) => id) };
}

async function time(user, list, select, count) {
	const times = [];

	await search(user, list[0], select);
	for (let i = 0; i < count; i++)
		times.push((await search(user, list[i % list.length], select)).ms);
	return times;
}

const ranked = (user, similarity, from, count) => `select id from (
		select m.id, 0.7 * (${similarity}) + 0.3 * m.importance as relevance from ${from} m where m.user_id = '${userId(user)}'
	) as s order by relevance desc, id limit ${count}`;
const array = (query) => `'{${query.join(',')}}'::real[]`;
const cosine = (query) => `select sum(x::float8 * y) / sqrt(sum(x::float8 * x) * sum(y::float8 * y)) from unnest(m.v, ${array(query)}) as u (x, y)`;
const distance = (query) => `1 - (m.embedding operator(extensions.<=>) '[${query.join(',')}]'::extensions.vector)`;

// Milliseconds that PostgreSQL takes, without sending anything.
function explain(text) {
	const [plan] = JSON.parse(sql(`explain (analyze, timing off, format json) ${text}`));

	return plan['Execution Time'];
}

say('making 11,000 memories');
execFileSync('psql', ['-Xq', '-f', fileURLToPath(new URL('search.psql', import.meta.url))], { stdio: ['ignore', 'ignore', 'inherit'] });
const pgvector = sql("select count(*) from pg_extension where extname = 'vector'") === '1';
const table = [];

const memories = [];

for (const [user, size] of sizes.entries())
	memories.push({ user, size, list: JSON.parse(queries(user)) });
// First all requests, then all SQL: what psql takes does not keep a connection to nginx waiting.
for (const run of memories) {
	say(`searching ${run.size}`);
	run.times = await time(run.user, run.list, '?select=id,content,similarity,relevance', rounds);
	run.whole = await time(run.user, run.list, '', Math.ceil(rounds / 5));
	run.best = [];
	for (const query of run.list)
		run.best.push((await search(run.user, query, '?select=id')).ids.slice(0, 10).join('\n'));
}
const memory = pss(descendants(executables().map(pidOf)));

for (const { user, size, list, times, whole, best } of memories) {
	say(`searching ${size} in SQL alone`);
	const alone = list.slice(0, 5).map((query) => explain(ranked(user, cosine(query), 'bench.vectors', 20)));
	const exact = pgvector && list.map((query) => explain(ranked(user, distance(query), 'public.memories', 20)));
	const same = list.filter((query, i) => sql(ranked(user, cosine(query), 'bench.vectors', 10)) === best[i]).length;

	table.push([size, milliseconds(median(times)), milliseconds(percentile(times, 0.99)), milliseconds(median(whole)),
		milliseconds(median(alone)), exact ? milliseconds(median(exact)) : 'not there', `${same} of ${list.length}`]);
	figure(`${size} memories: the ten best are SQL's, of ${list.length} queries`, same, 'least', list.length, String);
	figure(`${size} memories: SQL alone takes so many times as long`, median(alone) / median(times), 'least', 5);
	if (size === 1000)
		figure('1000 memories: a search, p50', median(times), 'most', 10, milliseconds);
}
figure('all programs after the searches, PSS', memory, 'most', 25 * 1048576, megabytes);

process.stdout.write(`Searches with 1536 numbers each, one at a time: ${machine()}.

| memories | p50 | p99 | p50 with embeddings | SQL alone | pgvector exact, without sending | ten best as in SQL |
| --: | --: | --: | --: | --: | --: | --: |
${table.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}

${figureTable()}
`);
process.exitCode = process.env.BENCH_CHECK === 'yes' && missed().length ? 1 : 0;
