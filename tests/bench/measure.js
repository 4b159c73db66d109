// Measures the instance that `run` started, and prints the tables.
//
// Nothing here is judged by an absolute time: rounds of Kith, pgbench and the
// peer alternate, so that whatever else the machine does falls on all three,
// and the figures are ratios of their medians.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { kith, peer, pgbench, preparePgbench, startPeer, stopPeer, writeTokens } from './drivers.js';
import { anonKey, conversationId, executables, pathOfEach, pidOf, restart, sql, token, url, users } from './instance.js';
import { descendants, pss, resident } from './processes.js';
import { costTable, figure, figureTable, machine, median, megabytes, missed } from './report.js';
import { allowPgbench, capture } from './statements.js';

const rounds = Number(process.env.BENCH_ROUNDS);
const seconds = Number(process.env.BENCH_SECONDS);
const quick = process.env.BENCH_QUICK === 'yes';

const say = (text) => process.stderr.write(`${text}\n`);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const headers = (user) => ({ Apikey: anonKey, Authorization: `Bearer ${token(user)}`, 'Content-Type': 'application/json' });
const message = (number) => JSON.stringify({ conversation_id: conversationId(number), role: 'user', content: 'Good morning.' });

const newest = (number) => `${url}/rest/v1/messages?select=*&conversation_id=eq.${conversationId(number)}&order=created_at.desc&limit=20`;

const get = () => fetch(newest(0), { headers: headers(0) });
const post = () => fetch(`${url}/rest/v1/messages?select=*`,
	{ method: 'POST', headers: { ...headers(0), Prefer: 'return=representation' }, body: message(0) });

// --- memory ------------------------------------------------------------------

const ours = () => descendants(executables().map(pidOf));

async function until(what, condition) {
	for (let tries = 0; !condition(); tries++) {
		assert.ok(tries < 300, `${what}: not within 60 s`);
		await pause(200);
	}
}

// So many at once that each process of a program answers some.
async function use(paths) {
	for (const path of paths)
		await Promise.all(Array.from({ length: 50 }, () =>
			fetch(`${url}${path}?limit=1`, { headers: { apikey: anonKey } }).then((r) => r.text())));
}

// Afterwards they close their connections.
async function useAndLeave(paths) {
	await use(paths);
	await until('connections are closed', () =>
		sql("select count(*) from pg_stat_activity where usename in ('kith_api', 'kith_service')") === '0');
	await pause(1000);
}

// Before there are rows: PostgreSQL's buffers fill with them.
async function measureIdle() {
	const four = ['kith-users', 'kith-conversations', 'kith-messages', 'kith-memories'];
	const asleep = () => ours().length === executables().length;
	const paths = pathOfEach();

	// Long enough for every program to be used before the first goes to sleep.
	restart({ KITH_IDLE_DISCONNECT: '2', KITH_IDLE_STOP: '20' });
	await until('programs sleep', asleep);
	await useAndLeave(four.map((name) => paths[name]));
	const programs = descendants([pidOf('kith-programs')]);
	figure(`four programs idle, ${programs.length - 1} processes and their parent, PSS`,
		pss(programs), 'most', 8 * 1048576, megabytes);
	await useAndLeave(Object.values(paths));
	const all = ours();
	for (const name of Object.keys(paths))
		assert.ok(all.some((process) => process.name === name), `${name} sleeps already`);
	figure(`all ${Object.keys(paths).length} programs idle, ${all.length - executables().length} processes and their parents, PSS`,
		pss(all), 'most', 25 * 1048576, megabytes);
	figure('whole server idle, with nginx and PostgreSQL, PSS',
		pss(descendants([...executables(), 'kith-worker', 'nginx', 'postgresql'].map(pidOf))), 'most', 100 * 1048576, megabytes);
	await until('programs sleep', asleep);
	figure('all programs asleep, a parent, PSS', pss(ours()) / executables().length, 'most', 2 * 1048576, megabytes);
	restart({});
}

// Mixed requests, refusals included; the first ones fill caches.
async function measureGrowth() {
	const wanted = quick ? 10000 : 100000;
	const mixed = async (count) => {
		for (let done = 0; done < count;) {
			const result = await kith('mixed', 8, 5);
			done += result.requests;
			assert.equal(result.failed, 0, 'a mixed request got no answer');
			say(`  ${done} of ${count} mixed requests`);
		}
	};
	// Those that the mixed requests do not call may go to sleep meanwhile.
	const called = ['kith-users', 'kith-conversations', 'kith-messages', 'kith-memories', 'kith-rest'];

	await use(called.map((name) => pathOfEach()[name]));
	await mixed(wanted / 10);
	const processes = ours().filter(({ name }) => called.includes(name));
	const before = resident(processes);
	await mixed(wanted);
	const after = resident(processes);
	const growth = [...before].map(([pid, bytes]) => (after.get(pid) ? after.get(pid) - bytes : Infinity));
	figure(`growth of a process over ${wanted.toLocaleString('en')} mixed requests`,
		Math.max(...growth), 'most', 2 * 1048576, megabytes);
}

// --- speed -------------------------------------------------------------------

function loadData() {
	const script = openSync(fileURLToPath(new URL('data.psql', import.meta.url)));
	const psql = spawn('psql', ['-Xq', '-v', `users=${users}`], { stdio: [script, 'ignore', 'inherit'] });

	return new Promise((resolve, reject) => {
		psql.on('close', (status) => (status ? reject(new Error('could not load the data')) : resolve()));
	});
}

// Kith and the peer must say the same before it counts who says it faster.
async function compareAnswers(peerUrl) {
	for (const number of [0, 7, users * 20 - 1]) {
		const options = { headers: headers(Math.floor(number / 20)) };
		const [ours, theirs] = await Promise.all([
			fetch(newest(number), options),
			fetch(`${peerUrl}/conversations/${conversationId(number)}/messages?limit=20`, options),
		]);
		const rows = await ours.json();
		assert.equal(rows.length, 20);
		// As text: the order of the keys counts.
		assert.equal(JSON.stringify(rows), JSON.stringify(await theirs.json()));
	}
	const [ours, theirs] = [await post(), await fetch(`${peerUrl}/conversations/${conversationId(0)}/messages`,
		{ method: 'POST', headers: headers(0), body: message(0) })];
	const [[first], [second]] = [await ours.json(), await theirs.json()];
	assert.equal(ours.status, 201);
	assert.equal(theirs.status, 201);
	assert.equal(second.sequence_number, first.sequence_number + 1);
	assert.deepEqual({ ...second, id: first.id, created_at: first.created_at, sequence_number: first.sequence_number }, first);
}

// One unmeasured run each; and does pgbench really do what Kith does?
async function warmUp(what) {
	const [counter, each] = what === 'get' ? ['idx_tup_fetch', 20] : ['n_tup_ins', 1];
	const count = () => Number(sql(`select ${counter} from pg_stat_user_tables where relid = 'public.messages'::regclass`));

	const [ours, theirs] = [await kith(what, 8, 2), await peer(what, 8, 5)]; // JavaScript takes time to become fast
	assert.equal(ours.refused + theirs.refused, 0, `${what} was refused`);
	await pause(1500); // PostgreSQL's counters come late
	const before = count();
	const { requests } = await pgbench(what, 8, 1);
	await pause(1500);
	assert.ok(count() - before >= each * requests, `pgbench does not do what Kith does: ${what}`);
}

let failures = 0; // of Kith, in all rounds
const strangers = []; // of each round

// runners: { NAME: (seconds) => result }; answers { NAME: [result of each round] }.
async function alternate(title, runners) {
	const results = Object.fromEntries(Object.keys(runners).map((name) => [name, []]));

	for (let round = 0; round < rounds; round++) {
		for (const [name, measure] of Object.entries(runners)) {
			const result = await measure(seconds);
			if (name !== 'pgbench' && name !== 'Fastify')
				failures += result.failed + result.refused;
			results[name].push(result);
			strangers.push(result.strangers);
		}
		say(`  ${title}, round ${round + 1}: ` +
			Object.entries(results).map(([name, r]) => `${name} ${r.at(-1).perSecond.toFixed(0)}/s`).join(', '));
	}
	return results;
}

const rate = (results) => median(results.map((r) => r.perSecond));

async function measureRequests(what, ofCeiling, ofPeer) {
	const runs = [];

	await warmUp(what);
	for (const connections of [8, 64]) {
		const title = `${what.toUpperCase()}, ${connections} connections`;
		const results = await alternate(title, {
			Kith: (s) => kith(what, connections, s),
			pgbench: (s) => pgbench(what, connections, s),
			Fastify: (s) => peer(what, connections, s),
		});
		figure(`${title}: Kith / pgbench`, rate(results.Kith) / rate(results.pgbench), 'least', ofCeiling);
		figure(`${title}: Kith / Fastify`, rate(results.Kith) / rate(results.Fastify), 'least', ofPeer);
		for (const [whom, of] of Object.entries(results))
			runs.push({ what: what.toUpperCase(), connections, whom, results: of });
	}
	return runs;
}

function figuresOfGet(runs) {
	const [at8, at64] = runs.filter(({ whom }) => whom === 'Kith').map(({ results }) => results);

	figure('own CPU per GET', median(at8.map((r) => r.cpu.kith)), 'most', 90, (v) => `${v.toFixed(0)} µs`);
	figure('GET, 64 connections: p99 / p50', median(at64.map((r) => r.p99 / r.p50)), 'most', 2.5);
}

async function measureCrowd() {
	const { failed, refused } = await kith('get', 512, seconds * 2);

	figure('errors at 512 connections', failed + refused, 'most', 0, String);
	figure('errors in all other rounds', failures, 'most', 0, String);
}

// What must not depend on how much there is.
async function measureScale() {
	for (const [large, small, title] of [
		['long', 'short', 'newest 20 of 100,000 messages / of 50'],
		['many', 'few', 'newest 20 of a user with 2,000 conversations / with 20'],
	]) {
		const results = await alternate(title, { [large]: (s) => kith(large, 8, s), [small]: (s) => kith(small, 8, s) });
		figure(`${title}, time`, rate(results[small]) / rate(results[large]), 'most', 1.2);
	}
}

process.on('SIGTERM', () => {
	stopPeer();
	process.exit(143);
});

try {
	say('memory, idle');
	await measureIdle();
	say('loading the data');
	await loadData();
	writeTokens();
	allowPgbench();
	preparePgbench('get', await capture(get));
	preparePgbench('post', await capture(post));
	await compareAnswers(await startPeer());
	say(`${rounds} rounds of ${seconds} s each`);
	const ofGet = await measureRequests('get', 0.7, 2.5);
	figuresOfGet(ofGet);
	const ofPost = await measureRequests('post', 0.65, 1.6);
	stopPeer();
	await measureScale();
	await measureCrowd();
	await measureGrowth();
	console.log(`${figureTable()}\n\n${costTable([...ofGet, ...ofPost])}\n\n` +
		`${machine()}. ${ours().filter(({ name }) => name === 'kith-messages').length} processes of messages, ${((users * 20 + 2001) * 50 + 100000).toLocaleString('en')} messages, ` +
		`medians of ${rounds} rounds of ${seconds} s; µs are CPU per request.`);
	// Who has the fewest processes loses most to strangers: the ratios would be too low.
	if (median(strangers) > 0.05)
		console.log(`\nThe machine was not quiet: others used ${(100 * median(strangers)).toFixed(0)} % of it. Measure again.`);
	if (process.env.BENCH_CHECK === 'yes' && missed().length)
		process.exitCode = 1;
} finally {
	stopPeer();
}
