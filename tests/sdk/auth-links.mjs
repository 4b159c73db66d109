#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// supabase-js auth.*: what mails let their readers do, on a server that sends them.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { start } from './instance.mjs'

const app = 'https://app.example.org'
const password = 'a walk by the river'
let kith
let number = 0
const address = name => `${name}.${number++}@example.org`

before(async () => {
	kith = await start({
		KITH_SMTP_URL: 'smtp://127.0.0.1:1',
		KITH_MAIL_FROM: 'kith@example.org',
		KITH_MAILS_PER_HOUR: '0',
		KITH_SITE_URL: app,
		KITH_REDIRECT_URLS: 'myapp://callback,https://*.preview.example.net/**',
		KITH_VERIFY_GET: 'redirect',
		KITH_REAUTHENTICATE: '1',
		KITH_REVEAL_UNKNOWN: '1',
		KITH_ANONYMOUS_SIGN_INS: '1',
	})
})
after(() => kith?.stop())

const told = ({ error }) => [error?.status, error?.code]

// A user who has an address, a password and a session.
async function member(name, options = {}) {
	const email = address(name)
	const client = kith.client(options)
	await client.auth.signUp({ email, password })
	const { data, error } = await client.auth.verifyOtp({ type: 'signup', email, token: kith.mail(email).code })
	assert.equal(error, null)
	kith.wait()
	return { client, email, id: data.user.id }
}

// Where a browser ends that opens the link, with what is behind "?" and "#" there.
async function open(link, init = {}) {
	const answer = await fetch(link, { redirect: 'manual', ...init })
	assert.equal(answer.status, 303, await answer.text())
	const to = new URL(answer.headers.get('location'))
	return {
		to: `${to.protocol}//${to.host}${to.pathname}`,
		query: Object.fromEntries(to.searchParams),
		hash: Object.fromEntries(new URLSearchParams(to.hash.slice(1))),
	}
}

const storage = () => {
	const kept = new Map()
	return { getItem: key => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: key => kept.delete(key) }
}
const pkce = () => ({ flowType: 'pkce', storage: storage(), persistSession: true })

test('whoever signs up has to prove the address first', async () => {
	const client = kith.client()
	const email = address('ana')
	const { data, error } = await client.auth.signUp({ email, password, options: { data: { name: 'Ana' }, emailRedirectTo: `${app}/welcome` } })
	assert.equal(error, null)
	assert.equal(data.session, null)
	assert.equal(data.user.email, email)
	assert.equal(data.user.email_confirmed_at, undefined)
	assert.ok(data.user.confirmation_sent_at)
	assert.deepEqual(told(await client.auth.signInWithPassword({ email, password })), [400, 'email_not_confirmed'])

	const { template, code } = kith.mail(email)
	assert.equal(template, 'confirmation')
	const verified = await client.auth.verifyOtp({ type: 'email', email, token: code })
	assert.equal(verified.error, null)
	assert.equal(verified.data.user.id, data.user.id)
	assert.ok(verified.data.user.email_confirmed_at)
	assert.equal(verified.data.user.identities[0].identity_data.email_verified, true)
	assert.equal((await client.from('users').select('id')).data[0].id, data.user.id)
	assert.deepEqual(told(await client.auth.verifyOtp({ type: 'email', email, token: code })), [403, 'otp_expired'], 'once')
	assert.equal((await client.auth.signInWithPassword({ email, password })).error, null)
})

test('a link signs up as well, and ends where the app wants it', async () => {
	const email = address('ben')
	await kith.client().auth.signUp({ email, password, options: { emailRedirectTo: `${app}/welcome?from=mail` } })
	const { link } = kith.mail(email)
	assert.ok(link.startsWith(`${kith.url}/auth/v1/verify?token=`))
	const head = await fetch(link, { method: 'HEAD', redirect: 'manual' })
	assert.equal(head.status, 200, 'a HEAD uses nothing up')
	const { to, query, hash } = await open(link)
	assert.equal(to, `${app}/welcome`)
	assert.deepEqual(query, { from: 'mail' })
	assert.deepEqual(Object.keys(hash), ['access_token', 'expires_at', 'expires_in', 'refresh_token', 'token_type', 'type', 'sb'])
	assert.equal(hash.type, 'signup')
	const { data, error } = await kith.client().auth.setSession(hash)
	assert.equal(error, null)
	assert.equal(data.user.email, email)
	const again = await open(link)
	assert.deepEqual(again.hash, {
		error: 'access_denied', error_code: 'otp_expired', error_description: 'Email link is invalid or has expired',
	})
})

test('an address that is taken looks like a new one, and its owner is told', async () => {
	const { email, id } = await member('carl')
	const { data, error } = await kith.client().auth.signUp({ email, password: 'another one', options: { data: { name: 'X' } } })
	assert.equal(error, null)
	assert.equal(data.session, null)
	assert.notEqual(data.user.id, id)
	assert.deepEqual(data.user.identities, [])
	const mail = kith.mail(email)
	assert.equal(mail.template, 'account_exists')
	assert.equal(mail.link, undefined)
	assert.equal((await kith.client().auth.signInWithPassword({ email, password })).error, null)
})

test('a forgotten password is replaced by way of a mail', async () => {
	const { client, email, id } = await member('dora')
	const { error } = await kith.client().auth.resetPasswordForEmail(email, { redirectTo: `${app}/reset` })
	assert.equal(error, null)
	const { template, link } = kith.mail(email)
	assert.equal(template, 'recovery')
	const { to, hash } = await open(link)
	assert.equal(to, `${app}/reset`)
	assert.equal(hash.type, 'recovery')
	const other = kith.client()
	await other.auth.setSession(hash)
	assert.equal((await other.auth.updateUser({ password: 'by the sea' })).error, null)
	assert.equal((await client.auth.getUser()).error?.name, 'AuthSessionMissingError', 'and ends other sessions')
	const { data } = await kith.client().auth.signInWithPassword({ email, password: 'by the sea' })
	assert.equal(data.user.id, id)
})

test('a code of a mail to recover signs in too', async () => {
	const { email } = await member('dan')
	await kith.client().auth.resetPasswordForEmail(email)
	const client = kith.client()
	const events = []
	client.auth.onAuthStateChange(event => events.push(event))
	const { data, error } = await client.auth.verifyOtp({ type: 'recovery', email, token: kith.mail(email).code })
	assert.equal(error, null)
	assert.equal(data.user.email, email)
	assert.ok(events.includes('PASSWORD_RECOVERY'))
})

test('recover, resend and magic links answer alike for addresses that nobody has, and are as slow to come again', async () => {
	const { email } = await member('eva')
	for (const who of [email, address('nobody')]) {
		for (const ask of [
			auth => auth.resetPasswordForEmail(who),
			auth => auth.resend({ type: 'signup', email: who }),
			auth => auth.resend({ type: 'email_change', email: who }),
		]) {
			kith.wait()
			assert.equal((await ask(kith.client().auth)).error, null)
			const { error } = await ask(kith.client().auth)
			assert.deepEqual([error.status, error.code], [429, 'over_email_send_rate_limit'])
			assert.match(error.message, /^For security purposes, you can only request this after [1-9]\d? seconds\.$/)
		}
	}
	kith.wait()
	assert.equal(kith.sql(`select count(*) from auth.users where email like 'nobody%'`), '0')
})

test('a magic link signs in who is known, and signs up who is not', async () => {
	const { email, id } = await member('fay')
	assert.equal((await kith.client().auth.signInWithOtp({ email })).error, null)
	assert.equal(kith.mail(email).template, 'magic_link')
	const { data } = await kith.client().auth.verifyOtp({ type: 'magiclink', email, token: kith.mail(email).code })
	assert.equal(data.user.id, id)

	const fresh = address('new')
	assert.equal((await kith.client().auth.signInWithOtp({ email: fresh, options: { data: { name: 'New' } } })).error, null)
	assert.equal(kith.mail(fresh).template, 'confirmation')
	const signedUp = await kith.client().auth.verifyOtp({ type: 'email', email: fresh, token: kith.mail(fresh).code })
	assert.equal(signedUp.error, null)
	assert.deepEqual(signedUp.data.user.user_metadata, { name: 'New' })

	const stranger = address('stranger')
	const { error } = await kith.client().auth.signInWithOtp({ email: stranger, options: { shouldCreateUser: false } })
	assert.deepEqual([error.status, error.code], [422, 'otp_disabled'], 'KITH_REVEAL_UNKNOWN=1')
	assert.equal(kith.mail(stranger), null)
})

test('a token hash of a template of one\'s own is verified by the app', async () => {
	const { email, id } = await member('gus')
	await kith.client().auth.signInWithOtp({ email })
	const token_hash = new URL(kith.mail(email).link).searchParams.get('token')
	assert.deepEqual(told(await kith.client().auth.verifyOtp({ type: 'signup', token_hash })), [403, 'otp_expired'], 'as what it is only')
	const { data, error } = await kith.client().auth.verifyOtp({ type: 'email', token_hash })
	assert.equal(error, null)
	assert.equal(data.user.id, id)
	assert.deepEqual(told(await kith.client().auth.verifyOtp({ type: 'email', token_hash })), [403, 'otp_expired'])
})

test('a newer mail takes the place of an older one', async () => {
	const { email } = await member('hal')
	await kith.client().auth.signInWithOtp({ email })
	const first = kith.mail(email)
	kith.wait()
	await kith.client().auth.signInWithOtp({ email })
	const second = kith.mail(email)
	assert.equal((await open(first.link)).hash.error_code, 'otp_expired')
	assert.equal((await open(second.link)).hash.type, 'magiclink')
	assert.deepEqual(told(await kith.client().auth.verifyOtp({ type: 'email', email, token: second.code })), [403, 'otp_expired'],
		'the link used up the code')
})

test('five wrong codes end a token, and its link', async () => {
	const { email } = await member('ina')
	await kith.client().auth.signInWithOtp({ email })
	const { code, link } = kith.mail(email)
	const wrong = code === '000000' ? '111111' : '000000'
	for (let i = 0; i < 5; i++)
		assert.deepEqual(told(await kith.client().auth.verifyOtp({ type: 'email', email, token: wrong })), [403, 'otp_expired'])
	assert.deepEqual(told(await kith.client().auth.verifyOtp({ type: 'email', email, token: code })), [403, 'otp_expired'])
	assert.equal((await open(link)).hash.error_code, 'otp_expired')
})

test('four wrong ones do not', async () => {
	const { email } = await member('ian')
	await kith.client().auth.signInWithOtp({ email })
	const { code } = kith.mail(email)
	const wrong = code === '000000' ? '111111' : '000000'
	for (let i = 0; i < 4; i++) await kith.client().auth.verifyOtp({ type: 'email', email, token: wrong })
	assert.equal((await kith.client().auth.verifyOtp({ type: 'email', email, token: code })).error, null)
})

test('what is older than an hour has expired', async () => {
	const { email, id } = await member('jon')
	await kith.client().auth.signInWithOtp({ email })
	const { code, link } = kith.mail(email)
	kith.sql(`update auth.one_time_tokens set expires_at = expires_at - interval '1 hour' where user_id = '${id}'`)
	assert.deepEqual(told(await kith.client().auth.verifyOtp({ type: 'email', email, token: code })), [403, 'otp_expired'])
	assert.equal((await open(link)).hash.error_code, 'otp_expired')
})

test('a banned user is not let in by mail', async () => {
	const { email, id } = await member('kay')
	await kith.client().auth.signInWithOtp({ email })
	const { code } = kith.mail(email)
	kith.sql(`update auth.users set banned_until = now() + interval '1 hour' where id = '${id}'`)
	assert.deepEqual(told(await kith.client().auth.verifyOtp({ type: 'email', email, token: code })), [403, 'user_banned'])
	kith.wait()
	await kith.client().auth.signInWithOtp({ email })
	assert.equal((await open(kith.mail(email).link)).hash.error_code, 'user_banned')
})

test('another address counts when both have confirmed it', async () => {
	const { client, email, id } = await member('lea')
	const other = address('lea.new')
	const { data, error } = await client.auth.updateUser({ email: other })
	assert.equal(error, null)
	assert.equal(data.user.email, email)
	assert.equal(data.user.new_email, other)
	const asked = { old: kith.mail(email), new: kith.mail(other) }
	assert.equal(asked.old.template, 'email_change')

	const half = await client.auth.verifyOtp({ type: 'email_change', email: other, token: asked.new.code })
	assert.equal(half.error, null)
	assert.equal(half.data.session, null)
	assert.equal((await client.auth.getUser()).data.user.email, email)
	kith.wait()
	await kith.client().auth.resend({ type: 'email_change', email })
	assert.deepEqual(kith.mail(other).code, asked.new.code, 'who confirmed is not asked again, or could answer for both')
	assert.notEqual(kith.mail(email).code, asked.old.code)
	const { to, hash } = await open(kith.mail(email).link)
	assert.equal(to, `${app}/`)
	assert.equal(hash.type, 'email_change')
	const after = (await client.auth.getUser()).data.user
	assert.deepEqual([after.id, after.email, after.new_email], [id, other, undefined])
	assert.equal(after.identities[0].identity_data.email, other)
	assert.equal((await kith.client().auth.signInWithPassword({ email: other, password })).error, null)
	assert.equal((await client.from('users').select('email').single()).data.email, other)
})

test('the first of two links tells that the other is missing', async () => {
	const { client, email } = await member('leo')
	const other = address('leo.new')
	await client.auth.updateUser({ email: other })
	const { hash } = await open(kith.mail(email).link)
	assert.match(hash.message, /^Confirmation link accepted/)
	assert.equal(hash.access_token, undefined)
	assert.equal((await open(kith.mail(other).link)).hash.type, 'email_change')
})

test('an address that is taken cannot be had', async () => {
	const { email } = await member('mia')
	const { client } = await member('max')
	assert.deepEqual(told(await client.auth.updateUser({ email })), [422, 'email_exists'])
	const other = address('max.new')
	await client.auth.updateUser({ email: other })
	const [first, second] = [kith.mail(other), kith.mail(kith.sql(`select email from auth.users where email_change = '${other}'`))]
	await open(first.link)
	kith.sql(`insert into auth.users (id, email) values (gen_random_uuid(), '${other}')`)
	assert.equal((await open(second.link)).hash.error_code, 'email_exists', 'nor one that was taken meanwhile')
})

test('a guest who gives an address has only that to confirm', async () => {
	const client = kith.client()
	const { data: { user } } = await client.auth.signInAnonymously()
	const email = address('guest')
	assert.equal((await client.auth.updateUser({ email })).data.user.new_email, email)
	const { data, error } = await client.auth.verifyOtp({ type: 'email_change', email, token: kith.mail(email).code })
	assert.equal(error, null)
	assert.deepEqual([data.user.id, data.user.email, data.user.is_anonymous], [user.id, email, false])
	assert.deepEqual(data.user.app_metadata.providers, ['email'])
})

test('a new password ends pending links', async () => {
	const { client, email } = await member('ned')
	await kith.client().auth.resetPasswordForEmail(email)
	const { link } = kith.mail(email)
	assert.equal((await client.auth.updateUser({ password: 'another river' })).error, null)
	assert.equal((await open(link)).hash.error_code, 'otp_expired')
})

test('a day after signing in a new password wants a code', async () => {
	const { client, email, id } = await member('oda')
	kith.sql(`update auth.sessions set created_at = created_at - interval '25 hours' where user_id = '${id}'`)
	assert.deepEqual(told(await client.auth.updateUser({ password: 'by the sea' })), [400, 'reauthentication_needed'])
	assert.equal((await client.auth.reauthenticate()).error, null)
	const { template, code, link } = kith.mail(email)
	assert.equal(template, 'reauthentication')
	assert.equal(link, undefined)
	const wrong = code === '000000' ? '111111' : '000000'
	assert.deepEqual(told(await client.auth.updateUser({ password: 'by the sea', nonce: wrong })), [422, 'reauthentication_not_valid'])
	assert.equal((await client.auth.updateUser({ password: 'by the sea', nonce: code })).error, null)
	assert.deepEqual(told(await client.auth.updateUser({ password: 'by a lake', nonce: code })), [422, 'reauthentication_not_valid'])
	assert.equal((await client.auth.updateUser({ data: { a: 1 } })).error, null, 'nothing else does')
})

test('an app that waits (PKCE) fetches the session by a code, once', async () => {
	const client = kith.client(pkce())
	const email = address('pia')
	await client.auth.signUp({ email, password, options: { emailRedirectTo: `${app}/cb?x=1` } })
	const { to, query, hash } = await open(kith.mail(email).link)
	assert.equal(to, `${app}/cb`)
	assert.deepEqual(Object.keys(query), ['x', 'code'])
	assert.deepEqual(hash, {})
	assert.deepEqual(told(await kith.client(pkce()).auth.exchangeCodeForSession(query.code)), [400, 'pkce_code_verifier_not_found'])
	const { data, error } = await client.auth.exchangeCodeForSession(query.code)
	assert.equal(error, null)
	assert.equal(data.user.email, email)
	const { data: claims } = await client.auth.getClaims()
	assert.equal(claims.claims.amr[0].method, 'email/signup')
	const replay = await exchange({ auth_code: query.code, code_verifier: 'x'.repeat(43) })
	assert.deepEqual(replay, [404, 'flow_state_not_found'])
})

async function exchange(body) {
	const answer = await fetch(`${kith.url}/auth/v1/token?grant_type=pkce`, {
		method: 'POST',
		headers: { apikey: kith.anonKey, 'content-type': 'application/json', 'x-supabase-api-version': '2024-01-01' },
		body: JSON.stringify(body),
	})
	return [answer.status, (await answer.json()).code]
}

test('a stolen code is worth nothing without its verifier, or after five minutes', async () => {
	const options = pkce()
	const { email, client } = await member('quin', options)
	await client.auth.resetPasswordForEmail(email, { redirectTo: 'myapp://callback' })
	const { link } = kith.mail(email)
	assert.match(new URL(link).searchParams.get('token'), /^pkce_/)
	const { to, query } = await open(link)
	assert.equal(to, 'myapp://callback')
	assert.deepEqual(await exchange({ auth_code: query.code, code_verifier: 'x'.repeat(43) }), [400, 'bad_code_verifier'])
	assert.deepEqual(await exchange({ auth_code: 'x'.repeat(43), code_verifier: 'x'.repeat(43) }), [404, 'flow_state_not_found'])
	assert.deepEqual(await exchange({ auth_code: query.code }), [400, 'validation_failed'])
	kith.sql(`update auth.flow_state set auth_code_issued_at = auth_code_issued_at - interval '6 minutes' where auth_code is not null`)
	assert.deepEqual(told(await client.auth.exchangeCodeForSession(query.code)), [422, 'flow_state_expired'])
	const again = await open(link)
	assert.equal(again.query.error_code, 'otp_expired', 'an error is told before the "#" too')
	assert.equal(again.hash.error_code, 'otp_expired')
})

test('a code typed into an app that waits signs in there', async () => {
	const client = kith.client(pkce())
	const email = address('rob')
	await client.auth.signInWithOtp({ email })
	const { data, error } = await client.auth.verifyOtp({ type: 'email', email, token: kith.mail(email).code })
	assert.equal(error, null)
	assert.equal(data.user.email, email)
})

test('whoever is invited has an account, and no password yet', async () => {
	const email = address('sue')
	const { data, error } = await kith.service().auth.admin.inviteUserByEmail(email, { data: { team: 'blue' }, redirectTo: `${app}/join` })
	assert.equal(error, null)
	assert.ok(data.user.invited_at)
	assert.deepEqual(data.user.user_metadata, { team: 'blue' })
	assert.equal(data.user.email_confirmed_at, undefined)
	assert.equal(kith.mail(email).template, 'invite')
	assert.equal((await kith.service().auth.admin.inviteUserByEmail(email)).error, null, 'again, until they come')
	const { to, hash } = await open(kith.mail(email).link)
	assert.equal(to, `${app}/`)
	assert.equal(hash.type, 'invite')
	const client = kith.client()
	await client.auth.setSession(hash)
	assert.equal((await client.auth.updateUser({ password })).error, null)
	assert.equal((await kith.client().auth.signInWithPassword({ email, password })).error, null)
	assert.deepEqual(told(await kith.service().auth.admin.inviteUserByEmail(email)), [422, 'email_exists'])
	assert.deepEqual(told(await kith.client().auth.admin.inviteUserByEmail(address('x'))), [403, 'not_admin'])
})

test('links for one\'s own mails', async t => {
	const { admin } = kith.service().auth
	const generate = async params => {
		const { data, error } = await admin.generateLink(params)
		assert.equal(error, null, JSON.stringify(params))
		assert.equal(kith.mail(params.email), null, 'nothing is sent')
		assert.equal(data.properties.redirect_to, params.options?.redirectTo ?? app)
		assert.match(data.properties.email_otp, /^\d{6}$/)
		assert.equal(new URL(data.properties.action_link).searchParams.get('token'), data.properties.hashed_token)
		return data
	}
	await t.test('signup', async () => {
		const email = address('tom')
		const data = await generate({ type: 'signup', email, password, options: { data: { a: 1 }, redirectTo: `${app}/x` } })
		assert.equal(data.user.email, email)
		assert.deepEqual(data.user.user_metadata, { a: 1 })
		assert.equal(data.properties.verification_type, 'signup')
		assert.equal((await open(data.properties.action_link)).to, `${app}/x`)
		assert.equal((await kith.client().auth.signInWithPassword({ email, password })).error, null)
		assert.deepEqual(told(await admin.generateLink({ type: 'signup', email, password })), [422, 'email_exists'])
		assert.deepEqual(told(await admin.generateLink({ type: 'invite', email })), [422, 'email_exists'])
		assert.deepEqual(told(await admin.generateLink({ type: 'signup', email: address('y') })), [400, 'validation_failed'])
	})
	await t.test('magiclink, which signs up whoever is not known', async () => {
		const email = address('una')
		const data = await generate({ type: 'magiclink', email })
		assert.equal(data.properties.verification_type, 'signup')
		const verify = ({ properties: { email_otp: token, verification_type: type } }) => kith.client().auth.verifyOtp({ type, email, token })
		assert.equal((await verify(data)).error, null)
		const known = await generate({ type: 'magiclink', email })
		assert.equal(known.properties.verification_type, 'magiclink')
		assert.equal((await verify(known)).data.user.id, data.user.id)
	})
	await t.test('recovery and invite', async () => {
		assert.deepEqual(told(await admin.generateLink({ type: 'recovery', email: address('z') })), [404, 'user_not_found'])
		const email = address('vic')
		const { properties } = await generate({ type: 'invite', email })
		assert.equal((await kith.client().auth.verifyOtp({ type: 'invite', token_hash: properties.hashed_token })).error, null)
		const recovery = await generate({ type: 'recovery', email })
		assert.equal((await open(recovery.properties.action_link)).hash.type, 'recovery')
	})
	await t.test('both halves of another address', async () => {
		const { data: { user } } = await admin.createUser({ email: address('wim'), email_confirm: true })
		const newEmail = address('wim.new')
		const halves = []
		for (const type of ['email_change_current', 'email_change_new'])
			halves.push((await generate({ type, email: user.email, newEmail })).properties)
		assert.equal(halves[1].verification_type, 'email_change_new')
		assert.ok((await open(halves[0].action_link)).hash.message)
		assert.equal((await open(halves[1].action_link)).hash.type, 'email_change')
		assert.equal((await admin.getUserById(user.id)).data.user.email, newEmail)
		assert.deepEqual(told(await admin.generateLink({ type: 'email_change_new', email: newEmail, newEmail: newEmail })), [422, 'email_exists'])
	})
	await t.test('only for the service', async () => {
		const { client, email } = await member('xi')
		assert.deepEqual(told(await client.auth.admin.generateLink({ type: 'magiclink', email })), [403, 'not_admin'])
	})
})
