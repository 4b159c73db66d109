#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// Resumable uploads, by tus-js-client as Supabase's documentation sets it up.
// C14 resumable overlap

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import * as tus from 'tus-js-client'
import { anonKey, serviceKey, sql, url, user } from './kith.mjs'

const ana = user('ana')
const ben = user('ben')
const endpoint = `${url}/storage/v1/upload/resumable`
const recording = randomBytes(300_000)
const name = (file) => `${ana.id}/${file}`
const announced = (objectName, more = {}) => ({ bucketName: 'documents', objectName, contentType: 'text/plain', ...more })
const signedIn = ({ token }) => ({ authorization: `Bearer ${token}`, apikey: anonKey })

// What is in storage, by the way of everybody.
async function stored(objectName, who = ana) {
	const { data } = await who.db.storage.from('documents').download(objectName)
	return data && Buffer.from(await data.arrayBuffer())
}

const row = (objectName) => JSON.parse(sql(`select to_jsonb(o) from storage.objects o where bucket_id = 'documents' and name = '${objectName}'`) || 'null')
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex')
const same = async (objectName, bytes, who) => assert.equal(digest(await stored(objectName, who)), digest(bytes))

// An upload to its end; what happens on the way goes to its options.
function upload(bytes, options, before = () => {}) {
	return new Promise((done, failed) => {
		const sent = new tus.Upload(bytes, {
			endpoint, headers: signedIn(ana), retryDelays: [0, 50, 100], chunkSize: 100_000, ...options,
			onSuccess: () => done(sent), onError: failed,
		})
		before(sent)
		sent.start()
	})
}

// The protocol itself, for what the client would never send.
async function send(method, address, headers, body, who = ana) {
	const answer = await fetch(address, { method, headers: { 'Tus-Resumable': '1.0.0', ...signedIn(who), ...headers }, body })
	const text = await answer.text()
	return { status: answer.status, headers: answer.headers, body: text ? JSON.parse(text) : null }
}
const base64 = (text) => Buffer.from(text).toString('base64')
const pairs = (metadata) => Object.entries(metadata).map(([key, value]) => `${key} ${base64(`${value}`)}`).join(',')
const piece = (offset) => ({ 'Content-Type': 'application/offset+octet-stream', 'Upload-Offset': `${offset}` })

async function begin(objectName, length, headers = {}, who = ana) {
	const answer = await send('POST', endpoint, { 'Upload-Length': `${length}`, 'Upload-Metadata': pairs(announced(objectName)), ...headers }, undefined, who)
	return { ...answer, address: answer.status === 201 ? new URL(answer.headers.get('location'), endpoint).href : null }
}

function refused(answer, status, code) {
	assert.deepEqual([answer.status, answer.body?.code, answer.body?.statusCode], [status, code, `${status}`], answer.body?.message)
	assert.equal(answer.headers.get('tus-resumable'), '1.0.0')
}

test('a file in pieces, with what is known of it', async () => {
	const key = name('pieces.txt')
	const sent = []
	const done = await upload(recording, {
		metadata: announced(key, { cacheControl: '3600', metadata: JSON.stringify({ from: 'phone' }) }),
		onChunkComplete: (size) => sent.push(size),
	})
	assert.match(done.url, /\/upload\/resumable\/[A-Za-z0-9_-]+$/)
	assert.deepEqual(sent, [100_000, 100_000, 100_000])
	await same(key, recording)
	const { metadata, user_metadata, owner_id, version } = row(key)
	assert.deepEqual([metadata.size, metadata.mimetype, metadata.cacheControl], [300_000, 'text/plain', 'max-age=3600'])
	assert.deepEqual([user_metadata, owner_id], [{ from: 'phone' }, ana.id])
	assert.match(version, /^[0-9a-f-]{36}$/)
})

test('the first piece may come with the creation, and be all of it', async () => {
	for (const [file, bytes] of [['small.txt', recording.subarray(0, 5000)], ['empty.txt', Buffer.alloc(0)]]) {
		await upload(bytes, { metadata: announced(name(file)), uploadDataDuringCreation: true })
		await same(name(file), bytes)
	}
})

test('an upload that was interrupted is gone on with where it stopped', async () => {
	const key = name('interrupted.txt')
	const address = await new Promise((stopped, failed) => {
		const first = new tus.Upload(recording, {
			endpoint, headers: signedIn(ana), chunkSize: 100_000, metadata: announced(key), onError: failed,
			onChunkComplete: async () => {
				await first.abort()
				stopped(first.url)
			},
		})
		first.start()
	})
	assert.equal(row(key), null, 'there is no half of it')
	const asked = await send('HEAD', address)
	const there = Number(asked.headers.get('upload-offset'))
	assert.ok(there >= 100_000 && there < 300_000, `${there} bytes are there`)
	assert.deepEqual([asked.status, asked.headers.get('upload-length'), asked.headers.get('cache-control')], [200, '300000', 'no-store'])
	assert.equal(asked.headers.get('upload-metadata'), pairs(announced(key)))
	assert.ok(Date.parse(asked.headers.get('upload-expires')) > Date.now())

	const begun = []
	await upload(recording, { uploadUrl: address, onProgress: (sent) => begun.push(sent) })
	assert.ok(begun[0] >= there, 'what was there is not sent again')
	await same(key, recording)
})

test('whoever has not heard of the end asks, and is told', async () => {
	const { address } = await begin(name('end.txt'), 5)
	const last = await send('PATCH', address, piece(0), 'hello')
	assert.deepEqual([last.status, last.headers.get('upload-offset')], [204, '5'])
	const asked = await send('HEAD', address)
	assert.deepEqual([asked.status, asked.headers.get('upload-offset'), asked.headers.get('upload-length')], [200, '5', '5'])
	assert.equal((await send('PATCH', address, piece(5), '')).status, 204)
	refused(await send('PATCH', address, piece(0), 'hello'), 409, 'UploadOffsetConflict')
	refused(await send('PATCH', address, piece(5), 'more'), 413, 'EntityTooLarge')
	await same(name('end.txt'), Buffer.from('hello'))
})

test('a piece that does not belong at its place is refused, and nothing of it stays', async () => {
	const key = name('offset.txt')
	const { address } = await begin(key, 10)
	refused(await send('PATCH', address, piece(3), 'lo'), 409, 'UploadOffsetConflict')
	assert.equal((await send('PATCH', address, piece(0), 'hello')).status, 204)
	refused(await send('PATCH', address, piece(0), 'HELLO'), 409, 'UploadOffsetConflict')
	refused(await send('PATCH', address, piece(5), 'too long'), 413, 'EntityTooLarge')
	for (const offset of ['-1', 'x', '', '99999999999999999999', '5 ']) refused(await send('PATCH', address, { ...piece(0), 'Upload-Offset': offset === '5 ' ? '5x' : offset }, 'x'), 400, 'InvalidRequest')
	refused(await send('PATCH', address, { ...piece(5), 'Content-Type': 'text/plain' }, 'there'), 415, 'InvalidMimeType')
	assert.equal((await send('PATCH', address, piece(5), 'there')).status, 204)
	await same(key, Buffer.from('hellothere'))
})

test('of two requests with the same piece one counts', async () => {
	const key = name('overlap.txt')
	const half = 4_000_000
	const { address } = await begin(key, 2 * half)
	const sent = [1, 2, 3, 4].map((n) => Buffer.alloc(half, n))
	const answers = await Promise.all(sent.map((bytes) => send('PATCH', address, piece(0), bytes)))
	const winners = answers.flatMap(({ status }, i) => (status === 204 ? [i] : []))
	assert.equal(winners.length, 1, answers.map(({ status }) => status).join())
	for (const { status } of answers) assert.ok([204, 409, 423].includes(status), `${status}`)
	assert.equal((await send('PATCH', address, piece(half), sent[0])).status, 204)
	await same(key, Buffer.concat([sent[winners[0]], sent[0]]))
})

test('nobody else goes on with an upload, asks for it or deletes it', async () => {
	const key = name('mine.txt')
	const { address } = await begin(key, 5)
	const service = { token: serviceKey }
	for (const who of [ben, service]) {
		for (const [method, headers, body] of [['HEAD', {}], ['PATCH', piece(0), 'taken'], ['DELETE', {}]]) {
			const answer = await send(method, address, headers, body, who)
			assert.equal(answer.status, 404, `${method} ${answer.status}`)
			if (method !== 'HEAD') refused(answer, 404, 'NoSuchUpload')
		}
	}
	const nobody = await fetch(address, { method: 'PATCH', headers: { 'Tus-Resumable': '1.0.0', apikey: anonKey, ...piece(0) }, body: 'taken' })
	assert.equal(nobody.status, 400, 'without a token')
	// By the other address neither, though its id is right.
	refused(await send('PATCH', address.replace('/resumable/', '/resumable/sign/'), piece(0), 'taken'), 404, 'NoSuchUpload')
	assert.equal((await send('PATCH', address, piece(0), 'still')).status, 204)
	await same(key, Buffer.from('still'))
})

test('what is no upload is not found', async () => {
	const { address } = await begin(name('deleted.txt'), 5)
	assert.equal((await send('DELETE', address)).status, 204)
	const ids = [address.split('/').pop(), base64('00000000-0000-4000-8000-000000000000').replace(/=+$/, ''), base64('../../etc/passwd').replace(/=+$/, ''), 'x', '%41', '..%2f..']
	for (const id of ids) refused(await send('PATCH', `${endpoint}/${id}`, piece(0), 'hello'), 404, 'NoSuchUpload')
	assert.equal((await send('HEAD', address)).status, 404)
	assert.equal(row(name('deleted.txt')), null)
})

test('an hour later it is forgotten', async () => {
	const { address } = await begin(name('late.txt'), 5)
	const id = Buffer.from(address.split('/').pop(), 'base64url').toString()
	sql(`update kith.uploads set expires_at = now() - interval '1 second' where id = '${id}'`)
	refused(await send('PATCH', address, piece(0), 'hello'), 404, 'NoSuchUpload')
	await begin(name('next.txt'), 5)
	assert.equal(sql(`select count(*) from kith.uploads where id = '${id}'`), '0', 'the next one clears it away')
})

test('x-upsert: without it what is there stays, with it the object keeps its id', async () => {
	const key = name('twice.txt')
	await upload(Buffer.from('first'), { metadata: announced(key) })
	const { id } = row(key)
	await assert.rejects(upload(Buffer.from('second'), { metadata: announced(key), retryDelays: [] }), (error) => {
		assert.equal(error.originalResponse.getStatus(), 409)
		assert.equal(JSON.parse(error.originalResponse.getBody()).code, 'KeyAlreadyExists')
		return true
	})
	await same(key, Buffer.from('first'))
	await upload(Buffer.from('third'), { metadata: announced(key), headers: { ...signedIn(ana), 'x-upsert': 'true' } })
	await same(key, Buffer.from('third'))
	assert.equal(row(key).id, id)
})

test('of two uploads that were begun without x-upsert the first to end has the name', async () => {
	const key = name('race.txt')
	const [first, second] = [await begin(key, 5), await begin(key, 5)]
	const answers = await Promise.all([[first, 'first'], [second, 'other']].map(([{ address }, text]) => send('PATCH', address, piece(0), text)))
	assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 409])
	await same(key, Buffer.from(answers[0].status === 204 ? 'first' : 'other'))
})

test('policies decide: no upload into another\'s folder, none of a signed-out user', async () => {
	refused(await begin(`${ben.id}/x.txt`, 5), 403, 'AccessDenied')
	refused(await begin(name('x.txt'), 5, {}, { token: anonKey }), 403, 'AccessDenied')
	refused(await begin(name('x.txt'), 5, {}, { token: 'x.y.z' }), 403, 'AccessDenied')
	const cleo = user('cleo')
	const { address } = await begin(`${cleo.id}/x.txt`, 5, {}, cleo)
	sql(`delete from auth.sessions where user_id = '${cleo.id}'`)
	refused(await send('PATCH', address, piece(0), 'hello', cleo), 403, 'AccessDenied')
	assert.equal((await send('HEAD', address, {}, undefined, cleo)).status, 403)
	assert.equal(row(`${cleo.id}/x.txt`), null)
})

test('bucket, name, length and kind are checked before a byte is taken', async () => {
	const length = { 'Upload-Length': '5' }
	const metadata = (values) => ({ ...length, 'Upload-Metadata': pairs(values) })
	for (const [headers, status, code] of [
		[{ 'Upload-Metadata': pairs(announced(name('x.txt'))) }, 400, 'InvalidRequest'],
		[{ ...metadata(announced(name('x.txt'))), 'Upload-Length': '-5' }, 400, 'InvalidRequest'],
		[{ ...metadata(announced(name('x.txt'))), 'Upload-Length': '1e3' }, 400, 'InvalidRequest'],
		[{ ...metadata(announced(name('x.txt'))), 'Upload-Length': '9007199254740993' }, 413, 'EntityTooLarge'],
		[length, 400, 'InvalidRequest'],
		[{ ...length, 'Upload-Metadata': 'bucketName ???' }, 400, 'InvalidRequest'],
		[{ ...length, 'Upload-Metadata': `bucketName ${base64('\0')}` }, 400, 'InvalidRequest'],
		[metadata({ objectName: name('x.txt') }), 400, 'InvalidRequest'],
		[metadata({ ...announced(name('x.txt')), bucketName: 'nowhere' }), 404, 'NoSuchBucket'],
		[metadata(announced(name('../x.txt'))), 400, 'InvalidKey'],
		[metadata(announced(name('ü.txt'))), 400, 'InvalidKey'],
		[metadata(announced(`${ana.id}/${'x'.repeat(1024)}`)), 400, 'InvalidKey'],
		[metadata({ ...announced(name('x.txt')), bucketName: 'avatars', contentType: 'application/x-msdownload' }), 415, 'InvalidMimeType'],
		[{ ...metadata(announced(name('x.txt'))), 'Tus-Resumable': '0.2.2' }, 412, 'UnsupportedVersion'],
	]) refused(await send('POST', endpoint, headers), status, code)
	refused(await send('POST', endpoint, { ...metadata(announced(name('long.txt'))), 'Content-Type': 'application/offset+octet-stream' }, 'longer'), 413, 'EntityTooLarge')
	for (const file of ['x.txt', 'long.txt']) assert.equal(row(name(file)), null)
})

test('without PATCH and DELETE: POST that says what it means', async () => {
	const key = name('override.txt')
	await upload(recording, { metadata: announced(key), overridePatchMethod: true })
	await same(key, recording)
	const { address } = await begin(name('unwanted.txt'), 5)
	assert.equal((await send('POST', address, { 'X-HTTP-Method-Override': 'DELETE' })).status, 204)
	assert.equal((await send('HEAD', address)).status, 404)
	refused(await send('POST', address), 400, 'InvalidRequest')
})

test('a signed URL lets somebody else send one file, and nothing but it', async () => {
	const key = name('signed.txt')
	const { data: { token } } = await ana.db.storage.from('documents').createSignedUploadUrl(key)
	const signed = { endpoint: `${endpoint}/sign`, headers: { 'x-signature': token } }
	await assert.rejects(upload(recording, { ...signed, metadata: announced(name('another.txt')), retryDelays: [] }), /InvalidSignature/)
	const done = await upload(recording, { ...signed, metadata: announced(key) })
	assert.match(done.url, /\/upload\/resumable\/sign\/[A-Za-z0-9_-]+$/)
	await same(key, recording)
	assert.equal(row(key).owner_id, ana.id, 'it is of whoever signed')

	const other = (await ana.db.storage.from('documents').createSignedUploadUrl(name('other.txt'))).data.token
	const begun = await send('POST', `${endpoint}/sign`, { 'x-signature': other, 'Upload-Length': '5', 'Upload-Metadata': pairs(announced(name('other.txt'))) })
	const address = new URL(begun.headers.get('location'), endpoint).href
	refused(await send('PATCH', address, { 'x-signature': token, ...piece(0) }, 'hello'), 400, 'InvalidSignature')
	refused(await send('PATCH', address.replace('/sign/', '/'), piece(0), 'hello'), 404, 'NoSuchUpload')
	assert.equal((await send('PATCH', address, { 'x-signature': other, ...piece(0) }, 'hello')).status, 204)
})

test('what is under way is bounded', async () => {
	const dora = user('dora')
	const place = (n) => `${dora.id}/${n}.txt`
	sql(`insert into kith.uploads (id, caller, owner, bucket, name, length, upsert, announced)
		select gen_random_uuid(), 'authenticated', '${dora.id}', 'documents', 'x' || n, 1, false, '' from generate_series(1, 99) n`)
	const answers = await Promise.all([1, 2, 3, 4].map((n) => begin(place(n), 5, {}, dora)))
	assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 403, 403, 403])
	refused(answers.find(({ status }) => status === 403), 403, 'QuotaExceeded')
})

test('what is on disk under tmp/ is what is under way, and nothing of what has ended', async () => {
	const kept = new Set(readdirSync(`${process.env.KITH_HOME}/storage/tmp`))
	const ids = (condition) => sql(`select id from kith.uploads where owner = '${ana.id}' and ${condition}`).split('\n').filter(Boolean)
	const [open, ended] = [ids('finished_at is null'), ids('finished_at is not null')]
	assert.ok(open.length > 0 && ended.length > 0)
	assert.deepEqual(open.filter((id) => !kept.has(id)), [])
	assert.deepEqual(ended.filter((id) => kept.has(id)), [])
})
