#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// A browser records a voice, uploads it through supabase-js, and plays it back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { client, open, serviceKey, sql, user } from './browser.mjs'

const ana = user('ana')
const ben = user('ben')
const made = (await ana.db.from('profiles').insert({ name: 'Anna', relation: 'self' }).select().single()).data
const clip = (prompt_index) => ({ profile_id: made.id, prompt_index, prompt_text: 'I walked by the river.', stage: 1 })
const app = await open(ana.token)
const { page } = app

// The object of a row: its size and type, as storage has them.
const stored = (path) => JSON.parse(sql(`select metadata from storage.objects where bucket_id || '/' || name = '${path}'`))

// Records, stores by the function of app.js that is named, and reads back what was stored.
const recorded = (way, ms, values, type) => page.evaluate(async ([name, length, row, mimeType]) => {
	const blob = await record(length, mimeType)
	const saved = await window[name](blob, row)
	const back = await download(saved.audio_storage_path)
	return {
		saved, size: blob.size, type: blob.type, same: (await digest(blob)) === (await digest(back)), back: back.type,
		first: await listen(blob), heard: await listen(back),
		played: await play(await sign(saved.audio_storage_path)),
	}
}, [way, ms, values, type])

for (const [way, index, values] of [['inTwoSteps', 0, { user_id: ana.id, ...clip(0) }], ['inOneCall', 1, clip(1)]]) {
	test(`${way}: what the microphone heard is stored, read and played`, async () => {
		const { saved, size, type, same, back, first, heard, played } = await recorded(way, 1500, values)
		assert.equal(type, 'audio/webm;codecs=opus')
		assert.equal(saved.audio_storage_path, `training_clips/${ana.id}/${made.id}/${index}.webm`)
		assert.deepEqual([saved.user_id, saved.prompt_index, saved.mime_type, saved.size_bytes], [ana.id, index, type, size])
		const { size: bytes, mimetype } = stored(saved.audio_storage_path)
		assert.deepEqual([bytes, mimetype], [size, type], 'row and file agree')
		assert.ok(same, 'the bytes come back')
		assert.match(back, /^audio\/webm/)
		assert.deepEqual(heard, first)
		assert.ok(heard.seconds > 1 && heard.loudest > 0.1, `${heard.seconds} s, loudest ${heard.loudest}`)
		assert.ok(Math.abs(played - heard.seconds) < 0.5, `played ${played} of ${heard.seconds} s`)
	})

	test(`${way}: recorded anew it is one row and one file, the later ones`, async () => {
		const { saved, size, same } = await recorded(way, 700, values)
		const rows = (await ana.db.from('clips').select('id, size_bytes').eq('profile_id', made.id).eq('prompt_index', index)).data
		assert.deepEqual(rows, [{ id: saved.id, size_bytes: size }])
		assert.ok(same)
		assert.equal(stored(saved.audio_storage_path).size, size)
	})
}

test('a recording as Safari makes them, audio/mp4, too', async () => {
	const { saved, type, same, heard } = await recorded('inOneCall', 1000, clip(2), 'audio/mp4')
	assert.match(type, /^audio\/mp4/)
	assert.equal(saved.audio_storage_path, `training_clips/${ana.id}/${made.id}/2.mp4`)
	assert.ok(same && heard.seconds > 0.5)
})

test('what is refused tells the page why', async () => {
	const refused = await page.evaluate(async (row) => {
		const form = new FormData()
		for (const [name, value] of Object.entries(row)) form.append(name, value)
		form.append('file', await record(300))
		const { data, error } = await kith.functions.invoke('clips', { body: form })
		return { data, status: error.context.status, body: await error.context.json() }
	}, { ...clip(3), prompt_index: 25 })
	assert.deepEqual([refused.data, refused.status], [null, 400])
	assert.match(refused.body.hint, /25 clips/)
})

test('another user of the browser hears nothing of it', async () => {
	const stranger = await open(ben.token)
	const path = `${ana.id}/${made.id}/0.webm`
	const [read, signed] = await stranger.page.evaluate(async (key) => {
		const bucket = kith.storage.from('training_clips')
		const answers = [await bucket.download(key), await bucket.createSignedUrl(key, 60)]
		return answers.map(({ data, error }) => [data, error.statusCode])
	}, path)
	assert.deepEqual([read, signed], [[null, '404'], [null, '404']])
})

test('a picture of the profile is uploaded and shown', async () => {
	const size = await page.evaluate(async (owner) => {
		const canvas = Object.assign(document.createElement('canvas'), { width: 12, height: 8 })
		canvas.getContext('2d').fillRect(0, 0, 6, 8)
		const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'))
		const key = `${owner}/anna.png`
		took(await kith.storage.from('avatars').upload(key, blob))
		took(await kith.from('profiles').update({ avatar_storage_path: `avatars/${key}` }).eq('user_id', owner))
		return show(await sign(`avatars/${key}`))
	}, ana.id)
	assert.deepEqual(size, [12, 8])
})

test('a page that somebody stored is text, and no script of it runs', async () => {
	const bucket = `pages-${process.pid}`
	const { error } = await client(serviceKey).storage.createBucket(bucket)
	assert.equal(error, null)
	const signed = await page.evaluate(async ([into, owner]) => {
		const written = new Blob(['<!doctype html><title>stored</title><script>document.title = "ran"</script>'], { type: 'text/html' })
		took(await kith.storage.from(into).upload(`${owner}/page.html`, written))
		return sign(`${into}/${owner}/page.html`)
	}, [bucket, ana.id])
	const opened = await page.context().newPage()
	const answer = await opened.goto(signed)
	assert.match(answer.headers()['content-type'], /^text\/plain/)
	assert.notEqual(await opened.title(), 'ran')
	await opened.close()
})

test('the browser had nothing to complain of but what was refused', () => {
	assert.deepEqual(app.complaints.filter((text) => !/status of 4\d\d/.test(text)), [])
})
