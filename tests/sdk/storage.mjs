#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// Goal: all of supabase.storage works unchanged, also where it is refused.

import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { anonKey, client, serviceKey, sql, unique, url, user } from './kith.mjs'

const service = client(serviceKey)
const anon = client()
const ana = user('ana')
const ben = user('ben')

const emptied = bucket => `set storage.allow_delete_query = 'true'; delete from storage.objects where bucket_id = '${bucket}'; delete from storage.buckets where id = '${bucket}'`
const bucket = unique('files', emptied)
const shown = unique('shown', emptied)
const made = unique('made', emptied)
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

// The data of an answer that must be no error.
async function good(answer) {
	const { data, error } = await answer
	assert.equal(error, null, JSON.stringify(error))
	return data
}

// What storage-js makes of a refusal: HTTP's status, and the one that is meant.
async function refused(answer, statusCode, message, status = 400) {
	const { data, error } = await answer
	assert.equal(data, null, JSON.stringify(data))
	assert.equal(error.name, 'StorageApiError')
	assert.deepEqual([error.status, error.statusCode], [status, statusCode], error.message)
	if (message instanceof RegExp) assert.match(error.message, message)
	else assert.equal(error.message, message)
}

const denied = 'new row violates row-level security policy'
const missing = 'Object not found'
const own = (name, who = ana) => `${who.id}/${name}`
const text = async (answer) => (await good(answer)).text()
const names = (entries) => entries.map(entry => entry.id ? entry.name : `${entry.name}/`)

await good(service.storage.createBucket(bucket, { public: false }))
await good(service.storage.createBucket(shown, { public: true }))

test('buckets: made, listed, changed, emptied and deleted by the service', async () => {
	assert.deepEqual(await good(service.storage.createBucket(made, { public: true, fileSizeLimit: '20KB', allowedMimeTypes: ['image/*', 'text/plain', ''] })), { name: made })
	const { created_at, updated_at, ...rest } = await good(service.storage.getBucket(made))
	assert.deepEqual(rest, { id: made, name: made, owner: '', public: true, file_size_limit: 20000, allowed_mime_types: ['image/*', 'text/plain'] })
	assert.match(created_at, time)
	assert.match(updated_at, time)
	await refused(service.storage.createBucket(made), '409', 'The resource already exists')

	assert.deepEqual((await good(service.storage.listBuckets({ search: made }))).map(b => [b.id, b.type]), [[made, 'STANDARD']])
	const all = (await good(service.storage.listBuckets())).map(b => b.id)
	for (const name of [bucket, shown, 'documents', 'training_clips', 'avatars']) assert.ok(all.includes(name), `${name} is there`)
	assert.deepEqual((await good(service.storage.listBuckets({ limit: 2, offset: 1, sortColumn: 'name', sortOrder: 'desc' }))).map(b => b.id), [...all].sort().reverse().slice(1, 3))

	assert.deepEqual(await good(service.storage.updateBucket(made, { public: false, fileSizeLimit: null, allowedMimeTypes: null })), { message: 'Successfully updated' })
	const changed = await good(service.storage.getBucket(made))
	assert.deepEqual([changed.public, changed.file_size_limit, changed.allowed_mime_types], [false, null, null])
	await good(service.storage.updateBucket(made, { public: true }))
	await good(service.storage.updateBucket(made, { public: true, fileSizeLimit: 5 }))
	assert.equal((await good(service.storage.getBucket(made))).file_size_limit, 5)

	await good(service.storage.from(made).upload('a/b.txt', 'five!'))
	await refused(service.storage.deleteBucket(made), '409', 'The bucket you tried to delete is not empty')
	assert.match((await good(service.storage.emptyBucket(made))).message, /^Empty bucket has been queued/)
	assert.deepEqual(await good(service.storage.from(made).list('a')), [])
	assert.deepEqual(await good(service.storage.deleteBucket(made)), { message: 'Successfully deleted' })
	await refused(service.storage.getBucket(made), '404', 'Bucket not found')
	await refused(service.storage.updateBucket(made, { public: true }), '404', 'Bucket not found')
	await refused(service.storage.deleteBucket(made), '404', 'Bucket not found')
	await refused(service.storage.emptyBucket(made), '404', 'Bucket not found')
})

test('buckets: what cannot be', async () => {
	for (const name of ['a/b', ' a', 'ä', 'x'.repeat(101), '']) await refused(service.storage.createBucket(name), '400', /./)
	await refused(service.storage.createBucket('x', { fileSizeLimit: '20 MB' }), '400', /file_size_limit/)
	await refused(service.storage.createBucket('x', { fileSizeLimit: -1 }), '400', /file_size_limit/)
	await refused(service.storage.createBucket('x', { fileSizeLimit: '1GB' }), '413', 'The object exceeded the maximum allowed size')
	await refused(service.storage.createBucket('x', { allowedMimeTypes: ['image'] }), '415', 'mime type image is not supported')
	await refused(service.storage.createBucket('x', { type: 'ANALYTICS' }), '400', /type/)
})

test('buckets: for users they are not there, but by their names', async () => {
	for (const { db } of [ana, { db: anon }]) {
		assert.deepEqual(await good(db.storage.listBuckets()), [])
		await refused(db.storage.getBucket(bucket), '404', 'Bucket not found')
		await refused(db.storage.createBucket('mine'), '403', denied)
		await refused(db.storage.updateBucket(bucket, { public: true }), '404', 'Bucket not found')
		await refused(db.storage.deleteBucket(bucket), '404', 'Bucket not found')
		await refused(db.storage.emptyBucket(bucket), '403', 'Access denied: Invalid role', 403)
	}
})

test('upload, download, replace', async () => {
	const files = ana.db.storage.from(bucket)
	const stored = await good(files.upload(own('notes/a.txt'), 'first', { contentType: 'text/plain', cacheControl: '60', metadata: { mood: 'fine' } }))
	assert.match(stored.id, uuid)
	assert.deepEqual({ ...stored, id: '' }, { id: '', path: own('notes/a.txt'), fullPath: `${bucket}/${own('notes/a.txt')}` })
	assert.equal(await text(files.download(own('notes/a.txt'))), 'first')

	await refused(files.upload(own('notes/a.txt'), 'second'), '409', 'The resource already exists')
	assert.equal(await text(files.download(own('notes/a.txt'))), 'first', 'what was there stays')
	assert.equal((await good(files.upload(own('notes/a.txt'), 'second', { upsert: true }))).id, stored.id, 'the id stays')
	assert.equal(await text(files.download(own('notes/a.txt'))), 'second')
	assert.equal((await good(files.update(own('notes/a.txt'), 'third', { contentType: 'text/plain' }))).id, stored.id)
	assert.equal(await text(files.download(own('notes/a.txt'))), 'third')

	const bytes = randomBytes(300000)
	for (const [name, body] of Object.entries({
		blob: new Blob([bytes], { type: 'audio/webm;codecs=opus' }), file: new File([bytes], 'x.webm', { type: 'audio/webm' }), buffer: bytes,
		arraybuffer: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
	})) {
		await good(files.upload(own(`bodies/${name}`), body))
		const back = await good(files.download(own(`bodies/${name}`)))
		assert.deepEqual(Buffer.from(await back.arrayBuffer()), bytes, name)
	}
	assert.equal((await good(files.download(own('bodies/blob')))).type, 'audio/webm;codecs=opus', 'a recording keeps its type')
	const stream = await good(files.download(own('bodies/file')).asStream())
	let length = 0
	for await (const chunk of stream) length += chunk.length
	assert.equal(length, bytes.length, 'as a stream')
})

test('info and exists', async () => {
	const files = ana.db.storage.from(bucket)
	await good(files.upload(own('info.txt'), 'hello', { contentType: 'text/plain', cacheControl: '60', metadata: { mood: 'fine' } }))
	const { id, version, etag, createdAt, lastModified, ...rest } = await good(files.info(own('info.txt')))
	assert.match(id, uuid)
	assert.match(version, uuid)
	assert.match(etag, /^".+"$/)
	assert.match(createdAt, /^\d{4}-/)
	assert.match(lastModified, /^\d{4}-/)
	assert.deepEqual(rest, { name: own('info.txt'), bucketId: bucket, size: 5, contentType: 'text/plain', cacheControl: 'max-age=60', metadata: { mood: 'fine' } })
	assert.equal((await files.exists(own('info.txt'))).data, true)
	assert.equal((await files.exists(own('nothing.txt'))).data, false)
	assert.equal((await ben.db.storage.from(bucket).exists(own('info.txt'))).data, false, 'a stranger is not told')
	await refused(files.info(own('nothing.txt')), '404', missing)
	await refused(ben.db.storage.from(bucket).info(own('info.txt')), '404', missing)
})

test('a stranger, and nobody, read, replace and remove nothing', async () => {
	const name = own('private.txt')
	await good(ana.db.storage.from(bucket).upload(name, 'mine'))
	for (const db of [ben.db, anon]) {
		const files = db.storage.from(bucket)
		const { error } = await files.download(name)
		assert.ok(error, 'not downloaded')
		await refused(files.upload(name, 'theirs'), '403', denied)
		await refused(files.upload(name, 'theirs', { upsert: true }), '403', denied)
		await refused(files.update(name, 'theirs'), '403', denied)
		await refused(files.upload(own('new.txt'), 'theirs'), '403', denied)
		await refused(files.createSignedUrl(name, 60), '404', missing)
		await refused(files.createSignedUploadUrl(own('new.txt')), '403', denied)
		await refused(files.move(name, own('private2.txt')), '404', missing)
		await refused(files.copy(name, own('private2.txt')), '404', missing)
		assert.deepEqual(await good(files.remove([name])), [])
		assert.deepEqual(await good(files.list(ana.id)), [])
		assert.deepEqual((await good(files.listV2({ prefix: ana.id }))).objects, [])
		assert.equal((await good(files.createSignedUrls([name], 60)))[0].signedUrl, null)
	}
	await refused(ben.db.storage.from(bucket).move(own('private.txt', ben), own('x', ben)), '404', missing)
	assert.equal(await text(ana.db.storage.from(bucket).download(name)), 'mine')
})

test('public buckets are read by everybody, and written by policy', async () => {
	const files = ana.db.storage.from(shown)
	await good(files.upload(own('me.png'), new Blob(['not really'], { type: 'image/png' })))
	const { data: { publicUrl } } = anon.storage.from(shown).getPublicUrl(own('me.png'))
	const answer = await fetch(publicUrl)
	assert.deepEqual([answer.status, answer.headers.get('content-type'), await answer.text()], [200, 'image/png', 'not really'])
	const { data: { publicUrl: attached } } = files.getPublicUrl(own('me.png'), { download: 'Ana & me.png' })
	assert.match((await fetch(attached)).headers.get('content-disposition'), /^attachment; filename=.*Ana%20%26%20me\.png/)
	assert.equal(await text(anon.storage.from(shown).download(own('me.png'))), 'not really')
	await refused(ben.db.storage.from(shown).upload(own('you.png'), 'x'), '403', denied)
	assert.deepEqual(await good(anon.storage.from(shown).list(ana.id)), [], 'a list is asked of policies')
	const closed = await fetch(ana.db.storage.from(bucket).getPublicUrl(own('private.txt')).data.publicUrl)
	assert.deepEqual([closed.status, (await closed.json()).code], [400, 'NoSuchBucket'])
})

test('signed URLs open one file for a while, to whoever has them', async () => {
	const files = ana.db.storage.from(bucket)
	await good(files.upload(own('signed/a b.txt'), 'for you'))
	const { signedUrl } = await good(files.createSignedUrl(own('signed/a b.txt'), 60))
	assert.equal(await (await fetch(signedUrl)).text(), 'for you')
	const attached = await good(files.createSignedUrl(own('signed/a b.txt'), 60, { download: 'b.txt' }))
	assert.match((await fetch(attached.signedUrl)).headers.get('content-disposition'), /^attachment; filename=b\.txt/)

	const many = await good(files.createSignedUrls([own('signed/a b.txt'), own('none'), own('signed/a b.txt'), '../x', ''], 60))
	assert.deepEqual(many.map(u => [u.path, u.error, u.signedUrl !== null]), [
		[own('signed/a b.txt'), null, true], [own('none'), 'Either the object does not exist or you do not have access to it', false],
		[own('signed/a b.txt'), null, true], ['../x', 'Either the object does not exist or you do not have access to it', false],
		['', 'Either the object does not exist or you do not have access to it', false],
	])
	assert.equal(await (await fetch(many[2].signedUrl)).text(), 'for you')
	await refused(files.createSignedUrl(own('none'), 60), '404', missing)
	for (const seconds of [0, -1, 1.5, 'x', null]) await refused(files.createSignedUrl(own('signed/a b.txt'), seconds), '400', /expiresIn/)
	await good(files.remove([own('signed/a b.txt')]))
	const gone = await fetch(signedUrl)
	assert.deepEqual([gone.status, (await gone.json()).code], [400, 'NoSuchKey'], 'what is gone is gone')
})

test('signed uploads need no user', async () => {
	const files = ana.db.storage.from(bucket)
	const { token, path, signedUrl } = await good(files.createSignedUploadUrl(own('from-elsewhere.txt')))
	assert.equal(path, own('from-elsewhere.txt'))
	assert.ok(signedUrl.includes(`token=${token}`))
	assert.deepEqual(await good(anon.storage.from(bucket).uploadToSignedUrl(path, token, 'sent', { contentType: 'text/plain' })), { path, fullPath: `${bucket}/${path}` })
	assert.equal(await text(files.download(path)), 'sent')
	assert.equal(sql(`select owner_id from storage.objects where bucket_id = '${bucket}' and name = '${path}'`), ana.id, 'it belongs to who signed')
	await refused(anon.storage.from(bucket).uploadToSignedUrl(path, token, 'again'), '409', 'The resource already exists')
	await refused(anon.storage.from(bucket).uploadToSignedUrl(own('other.txt'), token, 'x'), '400', /signature/i)
	await refused(files.createSignedUploadUrl(path), '409', 'The resource already exists')
	const over = await good(files.createSignedUploadUrl(path, { upsert: true }))
	await good(anon.storage.from(bucket).uploadToSignedUrl(path, over.token, 'over'))
	assert.equal(await text(files.download(path)), 'over')
})

test('move and copy', async () => {
	const files = ana.db.storage.from(bucket)
	const { id } = await good(files.upload(own('way/a.txt'), 'on the way', { metadata: { mood: 'fine' } }))
	assert.deepEqual(await good(files.move(own('way/a.txt'), own('way/b.txt'))), { message: 'Successfully moved' })
	assert.equal((await good(files.info(own('way/b.txt')))).id, id, 'the id stays')
	await refused(files.move(own('way/a.txt'), own('way/c.txt')), '404', missing)
	assert.deepEqual(await good(files.copy(own('way/b.txt'), own('way/c.txt'))), { path: `${bucket}/${own('way/c.txt')}` })
	const copy = await good(files.info(own('way/c.txt')))
	assert.notEqual(copy.id, id)
	assert.deepEqual(copy.metadata, { mood: 'fine' })
	await good(files.update(own('way/b.txt'), 'changed'))
	assert.equal(await text(files.download(own('way/c.txt'))), 'on the way', 'a copy has a life of its own')
	await refused(files.copy(own('way/b.txt'), own('way/c.txt')), '409', 'The resource already exists')
	await refused(files.move(own('way/b.txt'), own('way/c.txt')), '409', 'The resource already exists')
	await refused(files.copy(own('way/b.txt'), own('x.txt', ben)), '403', denied)
	await refused(files.move(own('way/b.txt'), own('x.txt', ben)), '403', denied)
	await refused(files.move(own('way/b.txt'), own('../x.txt')), '400', `Invalid key: ${own('../x.txt')}`)

	await good(files.copy(own('way/b.txt'), own('b.txt'), { destinationBucket: shown }))
	assert.equal(await text(anon.storage.from(shown).download(own('b.txt'))), 'changed')
	await good(files.move(own('way/b.txt'), own('moved.txt'), { destinationBucket: shown }))
	assert.equal(await text(anon.storage.from(shown).download(own('moved.txt'))), 'changed')
	for (const way of ['move', 'copy']) {
		await refused(files[way](own('way/c.txt'), own('c.txt'), { destinationBucket: 'nowhere' }), '404', 'Bucket not found')
		await refused(files[way](own('way/c.txt'), own('c.txt'), { destinationBucket: 'avatars' }), '415', /^mime type text\/plain.* is not supported$/)
	}
})

test('lists', async () => {
	const files = ana.db.storage.from(bucket)
	for (const name of ['b.txt', 'a.txt', 'inner/x.txt', 'inner/deep/y.txt']) await good(files.upload(own(`list/${name}`), name))
	const entries = await good(files.list(own('list')))
	assert.deepEqual(names(entries), ['a.txt', 'b.txt', 'inner/'])
	assert.deepEqual(entries[2], { name: 'inner', id: null, updated_at: null, created_at: null, last_accessed_at: null, metadata: null })
	const { name, id, updated_at, created_at, last_accessed_at, metadata, ...more } = entries[0]
	assert.deepEqual(more, {})
	for (const at of [updated_at, created_at, last_accessed_at]) assert.match(at, time)
	assert.deepEqual({ ...metadata, eTag: '', lastModified: '' }, { eTag: '', lastModified: '', size: 5, mimetype: 'text/plain;charset=UTF-8', cacheControl: 'max-age=3600', contentLength: 5, httpStatusCode: 200 })
	assert.deepEqual(names(await good(files.list(own('list/inner/')))), ['deep/', 'x.txt'])
	assert.deepEqual(names(await good(files.list(own('list'), { search: 'B' }))), ['b.txt'])
	assert.deepEqual(names(await good(files.list(own('list'), { limit: 1, offset: 1 }))), ['b.txt'])
	assert.deepEqual(names(await good(files.list(own('list'), { sortBy: { column: 'name', order: 'desc' } }))), ['inner/', 'b.txt', 'a.txt'])
	assert.deepEqual(names(await good(files.list(own('list'), { sortBy: { column: 'created_at', order: 'asc' } }))), ['inner/', 'b.txt', 'a.txt'])
	assert.deepEqual(names(await good(files.list())), [`${ana.id}/`], 'a user sees the own folder')
	assert.deepEqual(await good(files.list('nowhere')), [])
	assert.deepEqual(await good(ana.db.storage.from('nowhere').list()), [])
	await refused(files.list('', { limit: 0 }), '400', /limit/)
	await refused(files.list('', { sortBy: { column: 'version' } }), '400', /sortBy/)

	const page = await good(files.listV2({ prefix: own('list/'), with_delimiter: true, limit: 2 }))
	assert.deepEqual([page.hasNext, page.folders, page.objects.map(o => [o.name, o.key])], [true, [], [[own('list/a.txt'), 'a.txt'], [own('list/b.txt'), 'b.txt']]])
	const last = await good(files.listV2({ prefix: own('list/'), with_delimiter: true, limit: 2, cursor: page.nextCursor }))
	assert.deepEqual(last, { hasNext: false, folders: [{ name: own('list/inner/'), key: 'inner' }], objects: [] })
	assert.deepEqual((await good(files.listV2({ prefix: own('list/'), sortBy: { column: 'name', order: 'desc' } }))).objects.map(o => o.key), ['inner/x.txt', 'inner/deep/y.txt', 'b.txt', 'a.txt'])
	await refused(files.listV2({ cursor: '?' }), '400', /cursor/)
})

test('remove', async () => {
	const files = ana.db.storage.from(bucket)
	for (const name of ['a', 'b']) await good(files.upload(own(`gone/${name}`), name, { metadata: { mood: 'fine' } }))
	await good(ben.db.storage.from(bucket).upload(own('stays', ben), 'x'))
	const removed = await good(files.remove([own('gone/b'), own('gone/a'), own('gone'), own('stays', ben)]))
	assert.deepEqual(removed.map(o => o.name), [own('gone/a'), own('gone/b')])
	assert.deepEqual(Object.keys(removed[0]).sort(), ['bucket_id', 'created_at', 'id', 'last_accessed_at', 'metadata', 'name', 'owner', 'owner_id', 'updated_at', 'user_metadata', 'version'])
	assert.deepEqual([removed[0].bucket_id, removed[0].owner, removed[0].owner_id, removed[0].user_metadata], [bucket, ana.id, ana.id, { mood: 'fine' }])
	assert.deepEqual(await good(files.remove([own('gone/a')])), [])
	assert.deepEqual(await good(files.list(own('gone'))), [])
	assert.equal(await text(ben.db.storage.from(bucket).download(own('stays', ben))), 'x')
	assert.equal(sql(`select count(*) from kith.released_files where version = '${removed[0].version}'`), '1', 'the file is let go')
})

test('names that no file has', async () => {
	const files = ana.db.storage.from(bucket)
	for (const name of ['../up.txt', 'a/./b', 'a/../b', 'tab\there', 'ü.txt', 'a\\b', 'x'.repeat(1100)]) {
		await refused(files.move(own(name), own('x')), '400', /^Invalid key/)
		await refused(files.copy(own('x'), own(name)), '400', /^Invalid key/)
		assert.deepEqual(await good(files.remove([own(name)])), [], `${name} is not there`)
	}
	// fetch() changes the others before they are sent.
	for (const name of ['ü.txt', 'x'.repeat(1100)]) {
		await refused(files.upload(own(name), 'x'), '400', /^Invalid key/)
		await refused(files.createSignedUploadUrl(own(name)), '400', /^Invalid key/)
		await refused(files.createSignedUrl(own(name), 60), '400', /^Invalid key/)
	}
})

test('storage that is full says which plan has more', async () => {
	const cleo = user('cleo')
	const files = cleo.db.storage.from(bucket)
	sql(`insert into kith.storage_usage (user_id, bytes) values ('${cleo.id}', 104857500)`)
	await good(files.upload(own('a', cleo), 'x'.repeat(100)))
	assert.deepEqual(await good(cleo.db.rpc('storage_usage').single()), { bytes: 104857600, allowed: 104857600 })
	await refused(files.upload(own('b', cleo), 'x'), '403', /^Storage quota exceeded: the plan allows 100 MB/)
	await refused(files.upload(own('b', cleo), new Blob(['x'])), '403', /^Storage quota exceeded/)
	await refused(files.copy(own('a', cleo), own('b', cleo)), '403', /^Storage quota exceeded/)
	assert.deepEqual(names(await good(files.list(cleo.id))), ['a'])
	const answer = await fetch(`${url}/storage/v1/object/${bucket}/${own('b', cleo)}`, { method: 'POST', body: 'x', headers: { apikey: anonKey, authorization: `Bearer ${cleo.token}` } })
	assert.deepEqual({ ...await answer.json(), message: '' }, { statusCode: '403', error: 'Quota exceeded', code: 'QuotaExceeded', message: '', hint: 'The plan pro allows 5120 MB.' })
	await good(files.remove([own('a', cleo)]))
	await good(files.upload(own('b', cleo), 'x'))
})

test('an account takes its files along', async () => {
	const dora = user('dora')
	await good(dora.db.storage.from(bucket).upload(own('a', dora), 'x'))
	assert.deepEqual((await good(dora.db.rpc('export_my_data', { tables: [] }))).files, [`${bucket}/${own('a', dora)}`])
	const { signedUrl } = await good(dora.db.storage.from(bucket).createSignedUrl(own('a', dora), 60))
	await good(dora.db.rpc('delete_my_account'))
	assert.equal((await fetch(signedUrl)).status, 400, 'at once')
	assert.deepEqual(await good(service.storage.from(bucket).list(dora.id)), [])
})

test('a bucket that is not there', async () => {
	const files = ana.db.storage.from(randomUUID())
	await refused(files.upload(own('a'), 'x'), '404', 'Bucket not found')
	await refused(files.createSignedUploadUrl(own('a')), '404', 'Bucket not found')
	await refused(files.createSignedUrl(own('a'), 60), '404', missing)
	assert.deepEqual(await good(files.remove(['a'])), [])
})
