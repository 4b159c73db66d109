// What is measured: Kith and the peer under wrk, PostgreSQL alone under pgbench.
//
// Each of kith(), pgbench() and peer() puts load on for some seconds and
// answers { requests, perSecond, cpu: { GROUP: microseconds per request },
// strangers: share of the machine that others used }; under wrk also { p50, p99 }
// in microseconds, { refused, failed } in requests.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { anonKey, asPrograms, executables, home, pidOf, token, url, users } from './instance.js';
import { cpu, cpuOfChildren, cpuOfMachine } from './processes.js';
import { pgbenchScript } from './statements.js';

const loadScript = fileURLToPath(new URL('load.lua', import.meta.url));
const tokens = `${home}/tokens`;
const peerUrl = `http://127.0.0.1:${process.env.BENCH_PEER_PORT}`;
// A load generator of one thread keeps two cores busy.
const threads = Math.max(1, Math.floor(availableParallelism() / 2));

// Runs to the end, as what we are or as the options say; answers all it printed.
function run(command, args, options) {
	return new Promise((resolve, reject) => {
		const child = spawn(command, args.map(String), { stdio: ['ignore', 'pipe', 'pipe'], ...options });
		let out = '';

		for (const stream of [child.stdout, child.stderr])
			stream.on('data', (data) => { out += data; });
		child.on('error', reject);
		child.on('close', (status) => {
			if (status === 0)
				resolve(out);
			else
				reject(new Error(`${command} ended with ${status}: ${out}`));
		});
	});
}

// Adds to what work() answers how much CPU each group used; each is named by
// the processes that it descends from.
async function withCpu(groups, work) {
	const used = () => [...Object.entries(groups).map(([name, roots]) => [name, cpu(roots)]), ['load', cpuOfChildren()]];
	const [before, busy, began] = [new Map(used()), cpuOfMachine(), performance.now()];
	const result = await work();
	const spent = used().map(([name, now]) => [name, now - before.get(name)]);
	const others = cpuOfMachine() - busy - spent.reduce((sum, [, us]) => sum + us, 0);

	result.cpu = Object.fromEntries(spent.map(([name, us]) => [name, us / result.requests]));
	result.strangers = others / ((performance.now() - began) * 1000 * availableParallelism());
	return result;
}

async function wrk(whom, address, what, connections, seconds) {
	const out = await run('wrk', [
		'-c', connections, '-t', Math.min(threads, connections), '-d', `${seconds}s`, '--timeout', '10s',
		'-s', loadScript, address, '--', what, whom, tokens, users, anonKey,
	]);
	const result = JSON.parse(out.trim().split('\n').pop());

	if (!result.requests)
		throw new Error(`${whom} answered nothing for ${seconds} s`);
	result.perSecond = result.requests / result.seconds;
	result.failed = Object.values(result.errors).reduce((sum, n) => sum + n, 0);
	return result;
}

// The tokens of all users, a line each: those of one purpose come last.
export function writeTokens() {
	const lines = Array.from({ length: users + 2 }, (_, user) => `${token(user)}\n`);

	writeFileSync(tokens, lines.join(''), { mode: 0o600 });
}

export function kith(what, connections, seconds) {
	const groups = { kith: executables().map(pidOf), nginx: [pidOf('nginx')], postgresql: [pidOf('postgresql')] };

	return withCpu(groups, () => wrk('kith', url, what, connections, seconds));
}

const scripts = new Map();

// statements: what Kith sends for this kind of request.
export function preparePgbench(what, statements) {
	const { script, variables } = pgbenchScript(statements, users);
	const file = `${home}/pgbench-${what}`;

	writeFileSync(file, script, { mode: 0o644 });
	scripts.set(what, ['-f', file, ...Object.entries(variables).flatMap(([name, value]) => ['-D', `${name}=${value}`])]);
}

// Its connections are new in each round, where Kith's and the peer's are warm:
// the first second, in which their back ends fill caches, is left out of
// perSecond (but not of the CPU time).
export function pgbench(what, connections, seconds) {
	return withCpu({ postgresql: [pidOf('postgresql')] }, async () => {
		const out = await run(process.env.BENCH_PGBENCH, [
			'-n', '-M', 'prepared', '-U', 'kith_api', '-c', connections, '-j', Math.min(threads, connections),
			'-T', seconds + 1, '-P', 1, ...scripts.get(what),
		], { ...asPrograms, env: { ...process.env, PGOPTIONS: '-c plan_cache_mode=force_generic_plan -c jit=off' } });
		const warm = [...out.matchAll(/^progress: [0-9.]+ s, ([0-9.]+) tps/gm)].slice(1, seconds + 1).map(([, n]) => Number(n));

		return {
			requests: Number(/actually processed: (\d+)/.exec(out)[1]),
			perSecond: warm.reduce((sum, n) => sum + n, 0) / warm.length,
		};
	});
}

let peerProcess;

// Where an answer of the peer comes from: paths below this.
export async function startPeer() {
	const environment = {
		PATH: process.env.PATH,
		NODE_ENV: 'production',
		PORT: process.env.BENCH_PEER_PORT,
		JWT_SECRET: process.env.KITH_JWT_SECRET,
		PGHOST: process.env.PGHOST,
		PGPORT: process.env.PGPORT,
		PGDATABASE: process.env.PGDATABASE,
		PGUSER: 'kith_api',
	};

	peerProcess = spawn(process.execPath, ['server.js'],
		{ cwd: `${home}/peer`, env: environment, stdio: ['ignore', 'inherit', 'inherit'], ...asPrograms });
	for (let attempt = 0; attempt < 100; attempt++) {
		await new Promise((resolve) => setTimeout(resolve, 100));
		if (await fetch(peerUrl).catch(() => null))
			return peerUrl;
	}
	throw new Error('the peer did not start within 10 s');
}

export function stopPeer() {
	peerProcess?.kill();
}

export function peer(what, connections, seconds) {
	const groups = { node: [peerProcess.pid], postgresql: [pidOf('postgresql')] };

	return withCpu(groups, () => wrk('peer', peerUrl, what, connections, seconds));
}
