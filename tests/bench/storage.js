// Measures the instance that `storage` started, and prints the tables.
//
// As in measure.js nothing is judged by an absolute time: rounds of Kith and of
// whom it is compared with alternate, and the figures are ratios of medians.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { anonKey, asPrograms, home, sessionId, sql, token, url, userId } from './instance.js';
import { figure, figureTable, machine, median, missed } from './report.js';

const rounds = Number(process.env.BENCH_ROUNDS);
const seconds = Number(process.env.BENCH_SECONDS);
const peerUrl = `http://127.0.0.1:${process.env.BENCH_PEER_PORT}`;
const staticUrl = `http://127.0.0.1:${process.env.BENCH_STATIC_PORT}`;
const sizes = { '100 KB': 100_000, '20 MB': 20_000_000 };
const crowds = [1_000, 100_000]; // objects of a folder
const say = (text) => process.stderr.write(`${text}\n`);
const owner = userId(0);
const bearer = `Bearer ${token(0)}`;

// --- who is there --------------------------------------------------------------

function makeUser() {
	const service = { apikey: process.env.KITH_SERVICE_KEY, Authorization: `Bearer ${process.env.KITH_SERVICE_KEY}` };

	sql(`insert into auth.users (id, instance_id, aud, role, email, encrypted_password, email_confirmed_at, created_at, updated_at,
			raw_app_meta_data, raw_user_meta_data)
		values ('${owner}', '00000000-0000-0000-0000-000000000000', 'authenticated', 'authenticated', 'user0@example.com', '', now(),
			now(), now(), '{}', '{}')`);
	sql(`insert into auth.sessions (id, user_id, created_at, updated_at)
		values ('${sessionId(0)}', '${owner}', now(), now())`);
	// A plan with room for all that follows.
	sql(`update public.subscriptions set plan = 'pro' where user_id = '${owner}'`);
	return fetch(`${url}/storage/v1/bucket`, {
		method: 'POST',
		headers: { ...service, 'Content-Type': 'application/json' },
		body: JSON.stringify({ id: 'bench', name: 'bench' }),
	}).then(async (answer) => assert.equal(answer.status, 200, await answer.text()));
}

const children = [];

function launch(command, args, options) {
	children.push(spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'], ...asPrograms, ...options }));
}

async function answers(address) {
	for (let attempt = 0; attempt < 100; attempt++) {
		await new Promise((resolve) => setTimeout(resolve, 100));
		if (await fetch(address).catch(() => null))
			return;
	}
	throw new Error(`nobody answers at ${address}`);
}

function ownFolder(name) {
	const folder = `${home}/${name}`;

	mkdirSync(folder, { recursive: true });
	if (asPrograms.uid !== undefined)
		chownSync(folder, asPrograms.uid, asPrograms.gid);
	return folder;
}

// The peer's rows are under row-level security as ours are.
function startPeer() {
	sql(`create schema bench;
		create table bench.files (name text primary key, user_id uuid not null default auth.uid(), size bigint not null, mimetype text not null);
		alter table bench.files enable row level security;
		create policy own on bench.files to authenticated
			using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
		grant usage on schema bench to authenticated;
		grant select, insert, update on bench.files to authenticated`);
	launch(process.execPath, ['files.js'], {
		cwd: `${home}/peer`,
		env: {
			PATH: process.env.PATH,
			NODE_ENV: 'production',
			PORT: process.env.BENCH_PEER_PORT,
			JWT_SECRET: process.env.KITH_JWT_SECRET,
			FILES: ownFolder('storage/peer'),
			PGHOST: process.env.PGHOST,
			PGPORT: process.env.PGPORT,
			PGDATABASE: process.env.PGDATABASE,
			PGUSER: 'kith_api',
		},
	});
	return answers(peerUrl);
}

// nginx with nothing but the files as they lie there.
function startStatic() {
	const folder = ownFolder('static');

	writeFileSync(`${folder}/nginx.conf`, `
		worker_processes auto; pid ${folder}/pid; error_log ${folder}/error.log; daemon off;
		events { worker_connections 1024; }
		http {
			access_log ${folder}/access.log combined buffer=32k flush=1s;
			client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
			uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
			sendfile on; keepalive_requests 1000; default_type audio/webm;
			server { listen 127.0.0.1:${process.env.BENCH_STATIC_PORT}; root ${home}/storage/objects; }
		}`);
	launch('nginx', ['-c', `${folder}/nginx.conf`, '-e', `${folder}/error.log`], {
		env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
	});
	return answers(staticUrl);
}

// --- requests ------------------------------------------------------------------

let written = 0;

// A request in a file of its own, for storage.lua.
function request(method, path, headers, body = '') {
	const file = `${home}/request-${written++}`;
	const head = { Host: '127.0.0.1', ...headers, ...(method === 'POST' && { 'Content-Length': Buffer.byteLength(body) }) };
	const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`).join('');

	writeFileSync(file, Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines}\r\n`), Buffer.from(body)]));
	return file;
}

const signedIn = { Apikey: anonKey, Authorization: bearer };

// What a browser sends for a Blob.
function form(bytes) {
	const boundary = '----WebKitFormBoundary7MA4YWxkTrZu0gW2';
	const part = (head, body) => [Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; ${head}\r\n\r\n`), Buffer.from(body), Buffer.from('\r\n')];

	return {
		type: `multipart/form-data; boundary=${boundary}`,
		body: Buffer.concat([
			...part('name="cacheControl"', '3600'),
			...part('name=""; filename="blob"\r\nContent-Type: audio/webm', bytes),
			Buffer.from(`--${boundary}--\r\n`),
		]),
	};
}

const folder = (name) => `/storage/v1/object/bench/${owner}/${name}`;

// The same bytes for both, over several names, each written again and again.
function uploads(name, bytes) {
	const { type, body } = form(bytes);
	const names = Array.from({ length: bytes.length > 1e6 ? 2 : 16 }, (_, i) => `${name}.${i}.webm`.replace(' ', '-'));
	const send = (path) => request('POST', path, { ...signedIn, 'Content-Type': type, 'X-Upsert': 'true' }, body);

	return { kith: names.map((n) => send(folder(n))), peer: names.map((n) => send(`/files/${n}`)) };
}

async function run(address, files, connections, length = seconds) {
	const child = spawn('wrk', ['-c', connections, '-t', 1, '-d', `${length}s`, '--timeout', '20s', '-s',
		fileURLToPath(new URL('storage.lua', import.meta.url)), address, '--', ...files], { stdio: ['ignore', 'pipe', 'inherit'] });
	let out = '';

	child.stdout.on('data', (data) => { out += data; });
	const status = await new Promise((resolve) => child.on('close', resolve));
	assert.equal(status, 0, `wrk ended with ${status}`);
	const result = JSON.parse(out.trim().split('\n').pop());
	assert.equal(result.failed, 0, `${address}: ${result.failed} requests failed`);
	assert.ok(result.requests, `${address} answered nothing for ${length} s`);
	return { ...result, perSecond: result.requests / result.seconds };
}

// Rounds of each in turn, after one that is not counted: { NAME: [result ...] }.
async function alternate(title, contestants) {
	const results = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));

	for (const work of Object.values(contestants))
		await work(seconds);
	for (let round = 1; round <= rounds; round++) {
		for (const [name, work] of Object.entries(contestants)) {
			results[name].push(await work(seconds));
			say(`${title}, ${name}: round ${round} of ${rounds}, ${results[name].at(-1).perSecond.toFixed(1)} per second`);
		}
	}
	return results;
}

const rate = (results) => median(results.map((r) => r.perSecond));
const lines = [];

function row(what, whom, results, bytes) {
	const ms = (pick) => (median(results.map(pick)) / 1000).toFixed(1);
	const perSecond = rate(results);

	lines.push([what, whom, perSecond.toFixed(perSecond < 100 ? 1 : 0), ms((r) => r.p50), ms((r) => r.p99),
		bytes ? ((perSecond * bytes) / 1e6).toFixed(0) : '']);
}

// --- what is measured ----------------------------------------------------------

const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
const bytesOf = async (address, headers) => {
	const answer = await fetch(address, { headers });
	const bytes = Buffer.from(await answer.arrayBuffer());

	assert.equal(answer.status, 200, bytes.subarray(0, 500).toString());
	return bytes;
};

async function measureDownload(name, bytes, least) {
	const key = `play-${bytes.length}.webm`;
	const { type, body } = form(bytes);
	const stored = await fetch(`${url}${folder(key)}`, { method: 'POST', headers: { ...signedIn, 'Content-Type': type }, body });

	assert.equal(stored.status, 200, await stored.text());
	const version = sql(`select version from storage.objects where bucket_id = 'bench' and name = '${owner}/${key}'`);
	const path = `/${version.slice(0, 2)}/${version.slice(2, 4)}/${version}`;
	const ours = folder(key).replace('/object/', '/object/authenticated/');

	// Before it counts who sends them faster: the same bytes.
	assert.equal(digest(await bytesOf(`${url}${ours}`, signedIn)), digest(bytes));
	assert.equal(digest(await bytesOf(`${staticUrl}${path}`)), digest(bytes));
	const files = { kith: [request('GET', ours, signedIn)], nginx: [request('GET', path, {})] };
	const results = await alternate(`download of ${name}`, {
		Kith: (s) => run(url, files.kith, 8, s),
		nginx: (s) => run(staticUrl, files.nginx, 8, s),
	});
	for (const whom of ['Kith', 'nginx'])
		row(`download of ${name}`, whom, results[whom], bytes.length);
	figure(`download of ${name}: of nginx serving the same file`, rate(results.Kith) / rate(results.nginx), 'least', least);
}

async function measureUpload(name, bytes) {
	const files = uploads(name, bytes);
	const results = await alternate(`upload of ${name}`, {
		Kith: (s) => run(url, files.kith, 8, s),
		Fastify: (s) => run(peerUrl, files.peer, 8, s),
	});

	for (const whom of ['Kith', 'Fastify'])
		row(`upload of ${name}`, whom, results[whom], bytes.length);
	figure(`upload of ${name}: times Fastify`, rate(results.Kith) / rate(results.Fastify), 'least', 1.5);
}

async function measureSigning() {
	const json = { ...signedIn, 'Content-Type': 'application/json' };
	const path = folder('play-100000.webm').replace('/object/', '/object/sign/');
	const results = await alternate('signed URL', {
		Kith: (s) => run(url, [request('POST', path, json, '{"expiresIn":3600}')], 8, s),
	});

	row('a signed URL', 'Kith', results.Kith);
}

// Rows alone, without what triggers count of them: a list looks at nothing else.
function makeObjects(count) {
	sql(`set session_replication_role = replica;
		insert into storage.objects (bucket_id, name, owner, owner_id, version, metadata)
		select 'bench', '${owner}/of-${count}/' || lpad(n::text, 6, '0') || '.webm', '${owner}', '${owner}', gen_random_uuid(),
			'{"size": 1000, "mimetype": "audio/webm", "eTag": "\\"x\\"", "cacheControl": "no-cache", "contentLength": 1000}'
		from generate_series(1, ${count}) n; analyze storage.objects`);
}

async function measureLists() {
	const json = { ...signedIn, 'Content-Type': 'application/json' };
	const lists = {};

	for (const count of crowds) {
		const prefix = `${owner}/of-${count}`;
		const page = JSON.stringify({ prefix, limit: 100, offset: 0, sortBy: { column: 'name', order: 'asc' }, search: '' });
		const answer = await fetch(`${url}/storage/v1/object/list/bench`, { method: 'POST', headers: json, body: page });
		const names = (await answer.json()).map(({ name }) => name);

		assert.deepEqual([names.length, names[0], names[99]], [100, '000001.webm', '000100.webm']);
		const file = request('POST', '/storage/v1/object/list/bench', json, page);
		lists[`100 of ${count.toLocaleString('en')} objects`] = (s) => run(url, [file], 8, s);
	}
	const results = await alternate('list', lists);
	for (const [what, of] of Object.entries(results))
		row(`list: ${what}`, 'Kith', of);
	const [few, many] = Object.values(results);
	figure('list of 100 of 100,000 objects / of 1,000, time', rate(few) / rate(many), 'most', 1.5);
}

function table() {
	const header = ['what', 'by', 'per second', 'p50 ms', 'p99 ms', 'MB/s'];

	return [header, ['---', '---', '--:', '--:', '--:', '--:'], ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const stop = () => children.forEach((child) => child.kill());

process.on('SIGTERM', () => {
	stop();
	process.exit(143);
});
try {
	await makeUser();
	await startStatic();
	await startPeer();
	const [small, large] = Object.values(sizes).map((size) => randomBytes(size));
	await measureDownload('100 KB', small, 0.3);
	await measureDownload('20 MB', large, 0.9);
	await measureUpload('100 KB', small);
	await measureUpload('20 MB', large);
	await measureSigning();
	for (const count of crowds)
		makeObjects(count);
	await measureLists();
	console.log(`${figureTable()}\n\n${table()}\n\n${machine()}. 8 connections, medians of ${rounds} rounds of ${seconds} s. ` +
		'Of an upload both have written its row and made the file durable (fsync) before they answer.');
	if (process.env.BENCH_CHECK === 'yes' && missed().length)
		process.exitCode = 1;
} finally {
	stop();
}
