#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// Events that the providers' own SDKs sign are believed, and what these refuse is refused.

import assert from 'node:assert/strict'
import { createHmac, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import Stripe from 'stripe'
import { Webhook } from 'svix'
import { start } from './instance.mjs'

const password = 'a walk by the river'
const secrets = {
	STRIPE: ['whsec_bmV3ZXN0', 'whsec_b2xkZXN0'],
	RESEND: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'],
	LEMONSQUEEZY: ['squeezed'],
}
const stripe = new Stripe('sk_test_none')
const now = () => Math.floor(Date.now() / 1000)
let kith, directory

before(async () => {
	directory = mkdtempSync(join(tmpdir(), 'kith-secrets-'))
	const settings = { KITH_AUTOCONFIRM: '1' }
	for (const [provider, list] of Object.entries(secrets)) {
		const file = settings[`KITH_${provider}_WEBHOOK_SECRET`] = join(directory, provider)
		writeFileSync(file, list.join('\n'), { mode: 0o600 })
	}
	kith = await start(settings)
	kith.sql("insert into kith.plan_prices (provider, price_id, plan) values ('stripe', 'price_m', 'essential')")
})
after(() => {
	kith?.stop()
	rmSync(directory, { recursive: true })
})

async function send(provider, body, headers) {
	const answer = await fetch(`${kith.url}/webhooks/${provider}`, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } })
	return [answer.status, await answer.json()]
}
const received = outcome => [200, { received: true, outcome }]
const refused = [400, { code: 'bad_signature' }]

const sign = (payload, options = {}) => ({ 'Stripe-Signature': stripe.webhooks.generateTestHeaderString({ payload, secret: secrets.STRIPE[0], ...options }) })
const sendStripe = (event, options) => send('stripe', JSON.stringify(event), sign(JSON.stringify(event), options))
const subscription = (user, change = {}) => ({
	id: `sub_${user}`, object: 'subscription', customer: `cus_${user}`, status: 'active', created: now() - 60, cancel_at: null, cancel_at_period_end: false,
	metadata: { user_id: user }, items: { object: 'list', data: [{ id: 'si_1', current_period_end: 1999999999, price: { id: 'price_m', metadata: {} } }] }, ...change,
})
const event = (type, object, created = now()) => ({ id: `evt_${randomUUID()}`, object: 'event', api_version: '2026-10-28.endive', type, created, livemode: false, data: { object } })

async function signUp() {
	const client = kith.client()
	const { data: { user }, error } = await client.auth.signUp({ email: `${randomUUID()}@example.org`, password })
	assert.equal(error, null)
	return { client, id: user.id, plan: async () => (await client.from('subscriptions').select('plan,status,current_period_end,cancel_at_period_end').single()).data }
}

test('a subscription at Stripe is the plan that supabase-js reads', async () => {
	const ana = await signUp(), ben = await signUp()
	assert.equal((await ana.plan()).plan, 'free')
	assert.deepEqual(await sendStripe(event('customer.subscription.created', subscription(ana.id), now() - 10)), received('applied'))
	assert.deepEqual(await ana.plan(), { plan: 'essential', status: 'active', current_period_end: '2033-05-18T03:33:19+00:00', cancel_at_period_end: false })
	assert.equal((await ben.plan()).plan, 'free')
	const late = event('customer.subscription.updated', subscription(ana.id, { status: 'past_due' }), now() - 20)
	assert.deepEqual(await sendStripe(late), received('stale'))
	assert.deepEqual(await sendStripe(late), received('duplicate'))
	const end = event('customer.subscription.deleted', subscription(ana.id, { status: 'canceled', ended_at: now() }))
	assert.deepEqual(await Promise.all(Array.from({ length: 5 }, async () => (await sendStripe(end))[1].outcome)).then(all => all.sort()),
		['applied', 'duplicate', 'duplicate', 'duplicate', 'duplicate'])
	assert.equal((await ana.plan()).plan, 'free')
	assert.equal((await ana.plan()).status, 'canceled')
})

test('Kith and the SDK of Stripe believe the same', async () => {
	const payload = JSON.stringify(event('charge.refunded', { object: 'charge', text: 'Zoë 😀 \\u0000' }))
	const at = now(), other = `${payload}\n`
	const header = (options, body = payload) => sign(body, options)['Stripe-Signature']
	const mac = header().split('v1=')[1]
	const headers = [
		header(), header({ timestamp: at - 290 }), header({ timestamp: at - 310 }), header({ secret: secrets.STRIPE[1] }), header({ secret: 'whsec_other' }), header({ scheme: 'v0' }),
		header({}, other), `${header()},v0=${'0'.repeat(64)}`, `${header()},v1=${'0'.repeat(64)}`, `t=${at},v1=${'0'.repeat(64)}`, `t=${at}`, `v1=${mac}`, `t=${at + 1},v1=${mac}`, 'x',
	]
	for (const signature of headers) {
		const believed = secrets.STRIPE.some(secret => {
			try {
				return stripe.webhooks.constructEvent(payload, signature, secret)
			} catch {
				return false
			}
		})
		const [status] = await send('stripe', payload, { 'Stripe-Signature': signature })
		assert.equal(status === 200, Boolean(believed), signature)
	}
})

test('Kith and Svix, by which Resend signs, believe the same', async () => {
	const payload = JSON.stringify({ type: 'contact.created', created_at: new Date().toISOString(), data: { name: 'Zoë 😀' } })
	const signed = (at = new Date(), secret = secrets.RESEND[0], id = `msg_${randomUUID()}`, body = payload) =>
		({ 'svix-id': id, 'svix-timestamp': `${Math.floor(at / 1000)}`, 'svix-signature': new Webhook(secret).sign(id, at, body) })
	const aside = seconds => new Date(Date.now() + seconds * 1000)
	const { 'svix-id': id, 'svix-timestamp': timestamp, 'svix-signature': signature } = signed()
	const all = [
		signed(), signed(aside(-290)), signed(aside(-310)), signed(aside(290)), signed(aside(310)), signed(new Date(), secrets.RESEND[1]), signed(new Date(), 'whsec_b3RoZXI='),
		signed(new Date(), secrets.RESEND[0], 'msg_x', `${payload} `), { ...signed(), 'svix-id': 'msg_other' },
		{ 'svix-id': id, 'svix-timestamp': timestamp, 'svix-signature': `v1a,xx v1,${'A'.repeat(43)}= ${signature}` },
		{ 'svix-id': id, 'svix-timestamp': timestamp, 'svix-signature': signature.replace('v1,', 'v2,') }, { 'svix-id': id, 'svix-timestamp': timestamp },
		{ 'svix-timestamp': timestamp, 'svix-signature': signature }, { 'svix-id': id, 'svix-signature': signature },
		{ 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature },
	]
	for (const headers of all) {
		const believed = secrets.RESEND.some(secret => {
			try {
				return new Webhook(secret).verify(payload, headers)
			} catch {
				return false
			}
		})
		const [status] = await send('resend', payload, headers)
		assert.equal(status === 200, Boolean(believed), JSON.stringify(headers))
	}
})

test("a workspace is pro when Lemon Squeezy says so, signed as its documentation shows", async () => {
	const ana = await signUp()
	const { data: workspace } = await ana.client.from('workspaces').insert({ name: 'Mine' }).select().single()
	const payload = JSON.stringify({
		meta: { event_name: 'subscription_created', test_mode: false, custom_data: { workspace_id: workspace.id } },
		data: { type: 'subscriptions', id: '481223', attributes: { store_id: 77, customer_id: 90210, status: 'active', renews_at: '2099-12-04T10:00:00.000000Z', ends_at: null,
			created_at: '2026-11-04T10:00:00.000000Z', updated_at: '2026-11-20T08:00:01.000000Z', test_mode: false } },
	})
	const digest = createHmac('sha256', secrets.LEMONSQUEEZY[0]).update(payload).digest('hex')
	assert.deepEqual(await send('lemonsqueezy', payload, { 'X-Signature': digest.replace(/^./, c => (c === '0' ? '1' : '0')) }), refused)
	assert.deepEqual(await send('lemonsqueezy', payload, { 'X-Signature': digest }), received('applied'))
	const { data } = await ana.client.from('workspaces').select('subscription_status,subscription_expires_at,lemonsqueezy_subscription_id').single()
	assert.deepEqual(data, { subscription_status: 'pro', subscription_expires_at: '2099-12-04T10:00:00+00:00', lemonsqueezy_subscription_id: '481223' })
	const { data: events } = await ana.client.from('subscription_events').select('event_type,payload')
	assert.deepEqual(events, [{ event_type: 'subscription_created', payload: JSON.parse(payload) }])
})
