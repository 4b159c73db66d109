#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// supabase-js functions.invoke('checkout') and ('portal'), with providers that
// answer as Stripe and Lemon Squeezy do; and the whole way, from a free plan to
// one that is paid for, and out of it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHmac, randomUUID } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { FunctionsHttpError } from '@supabase/supabase-js'
import Stripe from 'stripe'
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
		KITH_STRIPE_WEBHOOK_SECRET: secret('stripe-webhook', 'whsec_test\n'),
		KITH_LEMONSQUEEZY_API_KEY: secret('lemonsqueezy', 'lemon\n'),
		KITH_LEMONSQUEEZY_BASE_URL: `${base}/lemonsqueezy`,
		KITH_LEMONSQUEEZY_STORE_ID: '77',
		KITH_LEMONSQUEEZY_WEBHOOK_SECRET: secret('lemonsqueezy-webhook', 'squeezed\n'),
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

async function calls(provider) {
	const lines = (await (await fetch(`${base}/record`)).text()).trim().split('\n')
	return lines.map(line => JSON.parse(line)).filter(call => call.provider === provider)
}

async function until(condition) {
	const end = Date.now() + 20000
	for (;;) {
		const found = await condition()
		if (found || Date.now() > end) return found
		await new Promise(done => setTimeout(done, 50))
	}
}

async function send(provider, event, sign) {
	const body = JSON.stringify(event)
	const answer = await fetch(`${kith.url}/webhooks/${provider}`, { method: 'POST', body, headers: { 'content-type': 'application/json', ...sign(body) } })
	assert.equal(answer.status, 200)
	return (await answer.json()).outcome
}

const sendStripe = (type, object) => send('stripe',
	{ id: `evt_${randomUUID()}`, object: 'event', type, created: Math.floor(Date.now() / 1000), livemode: false, data: { object } },
	payload => ({ 'Stripe-Signature': new Stripe('sk_test_1').webhooks.generateTestHeaderString({ payload, secret: 'whsec_test' }) }))

const sendLemonSqueezy = (meta, data) => send('lemonsqueezy', { meta, data },
	body => ({ 'X-Signature': createHmac('sha256', 'squeezed').update(body).digest('hex') }))

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

test('from a free plan to one that is paid for, and out of it', async () => {
	const { client, id, email } = await member()
	const plan = async () => (await client.from('subscriptions').select('plan,status').single()).data
	assert.equal((await client.functions.invoke('checkout', { body: { plan: 'essential', ...back } })).error, null)
	const { form } = (await calls('stripe')).findLast(call => call.path === '/v1/checkout/sessions' && call.form.customer_email === email)
	const subscription = {
		id: 'sub_whole', object: 'subscription', customer: 'cus_whole', status: 'active', livemode: false, created: Math.floor(Date.now() / 1000),
		cancel_at: null, cancel_at_period_end: false, ended_at: null, metadata: form.subscription_data.metadata,
		items: { object: 'list', data: [{ id: 'si_1', quantity: 1, current_period_end: 4102444800, price: { id: form.line_items[0].price, object: 'price', metadata: {} } }] },
	}
	await tell('/objects/stripe', { sub_whole: subscription })
	// The subscription's event comes before the one that says whose it is: its metadata does.
	assert.equal(await sendStripe('customer.subscription.created', subscription), 'applied')
	assert.equal(await sendStripe('checkout.session.completed', {
		id: 'cs_whole', object: 'checkout.session', mode: 'subscription', status: 'complete', payment_status: 'paid', payment_link: null,
		customer: 'cus_whole', subscription: 'sub_whole', client_reference_id: form.client_reference_id, metadata: form.metadata,
	}), 'applied')
	assert.deepEqual(await plan(), { plan: 'essential', status: 'active' })
	assert.equal((await refusal(await client.functions.invoke('checkout', { body: { plan: 'essential', ...back } }))).status, 409)
	assert.equal((await client.functions.invoke('portal', { body: {} })).error, null)
	assert.equal((await calls('stripe')).findLast(call => call.path === '/v1/billing_portal/sessions').form.customer, 'cus_whole')
	assert.equal((await client.rpc('delete_my_account')).error, null)
	const end = await until(async () => (await calls('stripe')).find(call => call.method === 'POST' && call.path === '/v1/subscriptions/sub_whole'))
	assert.deepEqual(end?.form, { cancel_at_period_end: 'true' }, 'who is gone pays no more')
	assert.equal(kith.sql(`select count(*) from kith.billing_links where user_id = '${id}'`), '0')
})

test('from a free workspace to one that is paid for', async () => {
	const { client, id } = await member()
	const { data: workspace } = await client.from('workspaces').insert({ name: 'Desk' }).select('id').single()
	assert.equal((await client.functions.invoke('checkout', { body: { workspace_id: workspace.id, plan: 'pro', ...back } })).error, null)
	const { custom } = (await calls('lemonsqueezy')).findLast(call => call.path === '/v1/checkouts').body.data.attributes.checkout_data
	assert.deepEqual(custom, { user_id: id, workspace_id: workspace.id })
	const data = { type: 'subscriptions', id: '481223', attributes: {
		store_id: 77, customer_id: 90210, variant_id: 8, status: 'active', cancelled: false, pause: null, test_mode: false, trial_ends_at: null, ends_at: null,
		renews_at: '2099-12-04T10:00:00.000000Z', created_at: new Date().toISOString(), updated_at: new Date().toISOString(),
		urls: { customer_portal: 'https://store.lemonsqueezy.com/billing?signature=1' },
	} }
	await tell('/objects/lemonsqueezy', { 'subscriptions/481223': data })
	assert.equal(await sendLemonSqueezy({ event_name: 'subscription_created', test_mode: false, custom_data: custom }, data), 'applied')
	const { data: paid } = await client.from('workspaces').select('subscription_status,lemonsqueezy_subscription_id').eq('id', workspace.id).single()
	assert.deepEqual(paid, { subscription_status: 'pro', lemonsqueezy_subscription_id: '481223' })
	assert.equal((await refusal(await client.functions.invoke('checkout', { body: { workspace_id: workspace.id, plan: 'pro' } }))).status, 409)
	assert.equal((await client.functions.invoke('portal', { body: { workspace_id: workspace.id } })).data.url, data.attributes.urls.customer_portal)
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
