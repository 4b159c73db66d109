// A Kith of one's own, for settings that differ, and what it would have mailed.

import { createClient } from '@supabase/supabase-js'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import WebSocket from 'ws'

const kith = fileURLToPath(new URL('../../scripts/kith', import.meta.url))

// A port that is free, like the one behind it; below those that the kernel gives
// to connections, of which one could take it while the instance is down.
async function freePort() {
	for (;;) {
		const port = 10_000 + 2 * Math.floor(Math.random() * 5_000)
		const servers = await Promise.all([port, port + 1].map(p => listen(p).catch(() => null)))
		for (const server of servers) if (server) await new Promise(done => server.close(done))
		if (servers.every(Boolean)) return port
	}
}

function listen(port) {
	return new Promise((resolve, reject) => {
		const server = createServer().on('error', reject).listen(port, '127.0.0.1', () => resolve(server))
	})
}

export async function start(settings = {}) {
	const home = mkdtempSync(join(tmpdir(), 'kith-test-'))
	const outside = Object.entries(process.env).filter(([name]) => !/^(KITH_(?!VARIANT)|PG)/.test(name))
	const env = { ...Object.fromEntries(outside), KITH_AUTH_IP_LIMITS: '0', ...settings, KITH_HOME: home, KITH_PORT: `${await freePort()}` }
	const run = (command, ...args) => execFileSync(command, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
	const stop = () => {
		run(kith, 'down')
		rmSync(home, { recursive: true, force: true })
	}
	try {
		run(kith, 'up')
		for (const line of run(kith, 'env').trim().split('\n')) {
			const [, name, value] = line.match(/^(\w+)=(.*)$/)
			env[name] = value
		}
	} catch (error) {
		stop()
		throw new Error(`no instance: ${error.stderr}`)
	}
	const sql = text => run('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', text).trim()
	return {
		url: env.KITH_URL,
		anonKey: env.KITH_ANON_KEY,
		serviceKey: env.KITH_SERVICE_KEY,
		sql,
		stop,

		// A command, with what it reads: its status, what it said, and what it complained of.
		kith(args, input = '') {
			const { status, stdout, stderr } = spawnSync(kith, args, { env, input, encoding: 'utf8', maxBuffer: 1 << 28 })
			return { status, said: stdout, complaint: stderr }
		},
		client: (options = {}, key = env.KITH_ANON_KEY, url = env.KITH_URL) => createClient(url, key, {
			realtime: { transport: WebSocket },
			auth: { persistSession: false, autoRefreshToken: false, ...options },
		}),
		service() {
			return this.client({}, env.KITH_SERVICE_KEY)
		},

		// The newest mail to an address, as the queue holds it: before the worker saw it, or after.
		mail(address) {
			const found = sql(`select payload from kith.jobs where kind = 'mail'
				and '${address}' in (payload ->> 'to', payload -> 'mail' ->> 'to') order by id desc limit 1`)
			if (!found) return null
			const { template, data, mail } = JSON.parse(found)
			if (data) return { template, data, link: data.ConfirmationURL, code: data.Token }
			return { template, link: mail.text.match(/http\S+\/verify\?\S+/)?.[0], code: mail.text.match(/\b\d{6}\b/)?.[0] }
		},

		// As if time had passed: the next mail may go to the same address.
		wait() {
			sql('delete from kith.rate_limits')
		},
	}
}
