#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// supabase-js functions.invoke('checkout') and ('portal'), with providers that
// answer as Stripe and Lemon Squeezy do.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { FunctionsHttpError } from '@supabase/supabase-js'
import { start } from './instance.mjs'

const app = 'https://app.example.org'
const password = 'a walk by the river'
const dir = mkdtempSync(join(tmpdir(), 'kith-checkout-'))
let kith, stub, base
let number = 0

function secret(name, text) {
	const file = join(dir, name)
	writeFileSync(file, text, { mode: 0o600 })
	return file
}

before(async () => {
	chmodSync(dir, 0o755)
	stub = spawn(fileURLToPath(new URL('../lib/stub', import.meta.url)), { stdio: ['pipe', 'pipe', 'inherit'] })
	const { value: line } = await createInterface({ input: stub.stdout })[Symbol.asyncIterator]().next()
	base = `http://127.0.0.1:${JSON.parse(line).http}`
	kith = await start({
		KITH_SITE_URL: app,
		KITH_STRIPE_API_KEY: secret('stripe', 'sk_test_1\n'),
		KITH_STRIPE_BASE_URL: `${base}/stripe`,
		KITH_LEMONSQUEEZY_API_KEY: secret('lemonsqueezy', 'lemon\n'),
		KITH_LEMONSQUEEZY_BASE_URL: `${base}/lemonsqueezy`,
		KITH_LEMONSQUEEZY_STORE_ID: '77',
	})
	kith.sql(`insert into kith.plan_prices (provider, price_id, plan) values
		('stripe', 'price_1', 'essential'), ('lemonsqueezy', '8', 'pro')`)
})
after(() => {
	stub?.stdin.end()
	kith?.stop()
	rmSync(dir, { recursive: true, force: true })
})

async function member() {
	const client = kith.client()
	const email = `user.${number++}@example.org`
	const { data, error } = await client.auth.signUp({ email, password })
	assert.equal(error, null)
	return { client, email, id: data.user.id }
}

const tell = (path, value) => fetch(`${base}${path}`, { method: 'PUT', body: JSON.stringify(value) })

// What an app does with a refusal: read the body of the answer.
async function refusal({ data, error }) {
	assert.equal(data, null)
	assert.ok(error instanceof FunctionsHttpError, String(error))
	const { code, message, hint } = await error.context.json()
	return { status: error.context.status, code, message, hint }
}

const back = { success_url: `${app}/done?session={CHECKOUT_SESSION_ID}`, cancel_url: `${app}/plans` }

test('a plan leads to the page to pay on', async () => {
	const { client } = await member()
	const { data, error } = await client.functions.invoke('checkout', { body: { plan: 'essential', ...back } })
	assert.equal(error, null)
	assert.match(data.url, /^https:\/\/checkout\.stripe\.com\/c\/pay\/cs_test_\w+$/)
})

test('a click too many is the same session', async () => {
	const { client } = await member()
	const clicks = () => Promise.all([1, 2, 3].map(() => client.functions.invoke('checkout', { body: { price: 'price_1', ...back } })))
	let answers, window
	// Within ten minutes of the clock; again when they are over meanwhile.
	do {
		window = Math.floor(Date.now() / 600000)
		answers = await clicks()
	} while (Math.floor(Date.now() / 600000) !== window)
	for (const { data, error } of answers) {
		assert.equal(error, null)
		assert.equal(data.url, answers[0].data.url)
	}
})

test('a customer gets to the portal, nobody else', async () => {
	const { client, id } = await member()
	assert.deepEqual(await refusal(await client.functions.invoke('portal', { body: {} })), {
		status: 404, code: 'PT404', message: 'there is no customer yet', hint: 'Whoever buys something becomes one: POST /functions/v1/checkout.',
	})
	kith.sql(`update public.subscriptions set stripe_customer_id = 'cus_1' where user_id = '${id}'`)
	const { data, error } = await client.functions.invoke('portal', { body: { return_url: `${app}/plans` } })
	assert.equal(error, null)
	assert.match(data.url, /^https:\/\/billing\.stripe\.com\/p\/session\/\w+$/)
})

test('a workspace is paid for at Lemon Squeezy', async () => {
	const { client } = await member()
	const { data: workspace } = await client.from('workspaces').insert({ name: 'Desk' }).select('id').single()
	const { data, error } = await client.functions.invoke('checkout', { body: { workspace_id: workspace.id, plan: 'pro', ...back } })
	assert.equal(error, null)
	assert.match(data.url, /^https:\/\/store\.lemonsqueezy\.com\//)
	const stranger = await member()
	assert.equal((await refusal(await stranger.client.functions.invoke('checkout', { body: { workspace_id: workspace.id, plan: 'pro' } }))).status, 404)
})

test('who has a subscription is told of the portal', async () => {
	const { client, id } = await member()
	kith.sql(`update public.subscriptions set stripe_subscription_id = 'sub_1', plan = 'essential' where user_id = '${id}'`)
	assert.deepEqual(await refusal(await client.functions.invoke('checkout', { body: { plan: 'essential', ...back } })), {
		status: 409, code: 'PT409', message: 'there is a subscription already', hint: 'The portal changes, resumes or ends it: POST /functions/v1/portal.',
	})
})

test('nobody pays without signing in, or after signing out', async () => {
	assert.equal((await refusal(await kith.client().functions.invoke('checkout', { body: { plan: 'essential' } }))).status, 401)
	const { client } = await member()
	const { data: { session } } = await client.auth.getSession()
	await client.auth.signOut()
	const headers = { Authorization: `Bearer ${session.access_token}` }
	assert.equal((await refusal(await kith.client().functions.invoke('checkout', { headers, body: { plan: 'essential' } }))).status, 401)
})

test('a provider that is away is told in one form', async () => {
	const { client } = await member()
	await tell('/script/stripe', [{ status: 500, body: { error: { message: 'words' } } }])
	const { error } = await client.functions.invoke('checkout', { body: { plan: 'essential', ...back } })
	assert.equal(error.context.status, 503)
	assert.equal(error.context.headers.get('retry-after'), '30')
	assert.equal((await error.context.json()).code, 'KITH503')
	assert.equal((await client.functions.invoke('checkout', { body: { plan: 'essential', ...back } })).error, null, 'and then it is there again')
})

test('a browser may ask', async () => {
	for (const name of ['checkout', 'portal']) {
		const answer = await fetch(`${kith.url}/functions/v1/${name}`, {
			method: 'OPTIONS',
			headers: { origin: app, 'access-control-request-method': 'POST', 'access-control-request-headers': 'apikey,authorization,content-type,x-client-info' },
		})
		assert.ok(answer.ok)
		assert.equal(answer.headers.get('access-control-allow-origin'), '*')
		assert.match(answer.headers.get('access-control-allow-headers'), /x-client-info|\*/i)
	}
})
