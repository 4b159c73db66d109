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

// The parts that are our own programs.
export function programs() {
	return readdirSync(`${home}/pids`).filter((name) => name.startsWith('kith-'));
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
