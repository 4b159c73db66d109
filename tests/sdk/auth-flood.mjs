#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// A flood from one address, which nginx turns away: the SDK takes it for a server
// that is busy, and keeps the session.

import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { after, before, describe, test } from 'node:test'
import { start } from './instance.mjs'

// This machine itself has no limit: the flood comes by an address of its own that is not loopback.
const outside = Object.values(networkInterfaces()).flat().find(({ family, internal }) => family === 'IPv4' && !internal)?.address

describe('a flood', { skip: outside ? false : 'the machine has no address but loopback' }, () => {
	let kith, url
	before(async () => {
		kith = await start({ KITH_LISTEN: 'all', KITH_PUBLIC_URL: `http://${outside}` })
		url = kith.url.replace('127.0.0.1', outside)
	})
	after(() => kith?.stop())

	test('is refused by 503 with JSON, and nobody loses a session', async () => {
		const client = kith.client({}, kith.anonKey, url)
		const { data: { session } } = await client.auth.signUp({ email: 'ana@example.org', password: 'a walk by the river' })
		const flood = () => Promise.all(Array.from({ length: 150 }, () => fetch(`${url}/auth/v1/token?grant_type=refresh_token`, {
			method: 'POST', headers: { apikey: kith.anonKey, 'content-type': 'application/json' }, body: '{"refresh_token":"x"}',
		})))
		const refused = (await flood()).filter(({ status }) => status !== 400)
		assert.ok(refused.length > 0, 'some are refused')
		for (const reply of refused) {
			assert.equal(reply.status, 503)
			assert.match(reply.headers.get('retry-after'), /^\d+$/)
			assert.equal(reply.headers.get('access-control-allow-origin'), '*')
			const { code, message } = await reply.json()
			assert.equal(code, 'KITH503')
			assert.equal(typeof message, 'string')
		}
		// While the flood goes on: again until the SDK is among those who are refused.
		let error
		for (let turn = 0; turn < 50 && !error; turn++) {
			const flooding = flood();
			({ error } = await client.auth.getUser())
			await flooding
		}
		assert.deepEqual([error?.name, error?.status], ['AuthRetryableFetchError', 503])
		assert.equal((await client.auth.getSession()).data.session.access_token, session.access_token)
		const refreshed = await client.auth.refreshSession()
		assert.equal(refreshed.error, null)
		assert.notEqual(refreshed.data.session.refresh_token, session.refresh_token)
	})
})
