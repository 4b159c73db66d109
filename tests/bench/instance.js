// The instance under test, as `kith env` describes it, and its users.

import { createHmac } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';

export const home = process.env.KITH_HOME;
export const url = process.env.KITH_URL;
export const anonKey = process.env.KITH_ANON_KEY;
export const users = Number(process.env.BENCH_USERS);

// Who runs the programs: only that user may log in to the database as they do.
const { uid, gid } = statSync(`${home}/tmp`);
export const asPrograms = process.getuid() === uid ? {} : { uid, gid };

// The numbers of data.psql.
export const userId = (user) => `0a000000-0000-4000-8000-${userNumber(user)}`;
export const sessionId = (user) => `0b000000-0000-4000-8000-${userNumber(user)}`;
export const conversationId = (number) => `0c000000-0000-4000-8000-${conversationNumber(number)}`;
export const userNumber = (user) => 100000000000 + user;
export const conversationNumber = (number) => 200000000000 + number;

export function sql(text) {
	return execFileSync('psql', ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-c', text], { encoding: 'utf8' }).trim();
}

// The process of a part of the instance: postgresql, nginx, kith-messages ...
export function pidOf(part) {
	return Number(readFileSync(`${home}/pids/${part}`, 'utf8').split(' ')[0]);
}

// The parts that are our own executables, parents of the processes that serve: not the worker, which nobody calls.
export function executables() {
	return readdirSync(`${home}/pids`).filter((name) => name.startsWith('kith-') && name !== 'kith-worker');
}

// A table, function or path of each program, as { 'kith-users': '/rest/v1/users', ... }; not of one that shares the
// paths of another.
export function pathOfEach() {
	const paths = {};

	for (const name of executables()) {
		const routes = execFileSync(`${home}/app/libexec/kith/${name}`, ['--routes'], { encoding: 'utf8' });
		for (const [program, kind, route] of routes.trim().split('\n').map((line) => line.split(' ')))
			if (kind !== 'beside')
				paths[program] ??= { table: `/rest/v1/${route}`, function: `/rest/v1/rpc/${route}`, mount: route, fallback: '/rest/v1/none' }[kind];
	}
	return paths;
}

// Stops the instance and starts it again, with these settings besides those of our environment.
export function restart(settings) {
	for (const command of ['down', 'up'])
		execFileSync(process.env.BENCH_KITH, [command], { env: { ...process.env, ...settings }, stdio: ['ignore', 'ignore', 'inherit'] });
}

const base64url = (text) => Buffer.from(text).toString('base64url');

// An access token as signing in gives it, valid for a day.
export function token(user) {
	const now = Math.floor(Date.now() / 1000);
	const head = base64url('{"alg":"HS256","typ":"JWT"}');
	const claims = base64url(JSON.stringify({
		iss: `${url}/auth/v1`,
		sub: userId(user),
		aud: 'authenticated',
		exp: now + 86400,
		iat: now,
		email: `user${user}@example.com`,
		phone: '',
		app_metadata: { provider: 'email', providers: ['email'] },
		user_metadata: {},
		role: 'authenticated',
		aal: 'aal1',
		amr: [{ method: 'password', timestamp: now }],
		session_id: sessionId(user),
		is_anonymous: false,
	}));
	const signature = createHmac('sha256', process.env.KITH_JWT_SECRET).update(`${head}.${claims}`).digest('base64url');

	return `${head}.${claims}.${signature}`;
}
