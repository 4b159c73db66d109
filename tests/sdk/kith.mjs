// What the SDK tests start from: clients of the real supabase-js, against the
// instance that `scripts/kith test` has exported.

import { createClient } from '@supabase/supabase-js'
import { execFileSync } from 'node:child_process'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import WebSocket from 'ws'

export const url = process.env.KITH_URL
export const anonKey = process.env.KITH_ANON_KEY
export const serviceKey = process.env.KITH_SERVICE_KEY
if (!url || !anonKey) throw new Error('run by: scripts/kith test tests/sdk/...')

// Realtime is not used, but before Node 22 createClient wants its class.
const realtime = { transport: WebSocket }

export function client(key = anonKey, options = {}) {
	return createClient(url, key, { realtime, auth: { persistSession: false, autoRefreshToken: false }, ...options })
}

// A fresh user with a client that is signed in.
export function user(name, options = {}) {
	const email = `${name}.sdk.${process.pid}.${Date.now()}.${Math.floor(Math.random() * 1e6)}@example.org`
	const token = execFileSync(fileURLToPath(new URL('../../scripts/kith', import.meta.url)), ['token', email], { encoding: 'utf8' }).trim()
	const { sub: id } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))
	return { id, email, token, db: client(anonKey, { accessToken: async () => token, ...options }) }
}

// SQL as superuser, for tables that only a test needs.
export function sql(text) {
	return execFileSync('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', text], { encoding: 'utf8' }).trim()
}

// A name that no other test uses.  drop is run at the end.
export function unique(name, drop) {
	const made = `${name}_${process.pid}_${Date.now() % 100000}`
	after(() => sql(drop(made)))
	return made
}
