#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// A clip in one call, supabase.functions.invoke('clips'): file and row together or not at all.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { client, serviceKey, sql, user } from './kith.mjs'

const ana = user('ana')
const ben = user('ben')
// Two voices are more than the free plan keeps.
sql(`update public.subscriptions set plan = 'pro' where user_id = '${ana.id}'`)
const profile = (await ana.db.from('profiles').insert({ name: 'Anna', relation: 'self' }).select().single()).data
const webm = { type: 'audio/webm;codecs=opus' }
// What a recorder's file begins with, and something behind it.
const sound = (n = 5000) => new Blob([Buffer.from('1a45dfa39f4286810142f7810142f2810442f381084282847765626d', 'hex'), randomBytes(n)], webm)
const values = (prompt_index) => ({ profile_id: profile.id, prompt_index, prompt_text: `Prompt ${prompt_index}`, stage: 1 })

function form(fields, file, filename) {
	const data = new FormData()
	for (const [name, value] of Object.entries(fields)) data.append(name, value)
	if (file) data.append('file', file, ...(filename ? [filename] : []))
	return data
}

// { data, status, error }: the error as Kith tells it.
async function invoke(body, who = ana) {
	const { data, error } = await who.db.functions.invoke('clips', { body })
	if (!error) return { data, status: 200 }
	return { data, status: error.context.status, error: await error.context.json() }
}

async function taken(body, who) {
	const { data, error } = await invoke(body, who)
	assert.equal(error, undefined, JSON.stringify(error))
	return data
}

async function refused(body, status, code, told, who) {
	const answer = await invoke(body, who)
	assert.deepEqual([answer.status, answer.error?.code], [status, code], JSON.stringify(answer))
	for (const [part, pattern] of Object.entries(told)) assert.match(String(answer.error[part]), pattern)
}

const objects = (of = profile) => sql(`select name || ' ' || (metadata ->> 'size') from storage.objects where bucket_id = 'training_clips' and name like '%/${of.id}/%' order by name`).split('\n').filter(Boolean)
// Without what the worker finds out meanwhile.
const columns = 'id, user_id, profile_id, prompt_index, prompt_text, stage, audio_storage_path, mime_type, size_bytes, created_at'
const rows = async (of = profile) => (await ana.db.from('clips').select(columns).eq('profile_id', of.id).order('prompt_index')).data
const stored = (of, index) => sql(`select name from storage.objects where owner_id = '${of.id}' and name like '%/${index}.%'`).split('\n').filter(Boolean)
const download = async (path, who = ana) => (await who.db.storage.from('training_clips').download(path.replace('training_clips/', ''))).data

// Row and file of every clip of a profile say the same.
async function agree(of = profile) {
	assert.deepEqual((await rows(of)).map((row) => `${row.audio_storage_path.replace('training_clips/', '')} ${row.size_bytes}`).sort(), objects(of).sort())
}

test('file and row are stored by one call, which answers the row', async () => {
	const blob = sound()
	const clip = await taken(form(values(0), blob))
	assert.deepEqual(Object.fromEntries(columns.split(', ').map((name) => [name, clip[name]])), (await rows())[0])
	assert.deepEqual({ ...values(0), user_id: ana.id, mime_type: webm.type, size_bytes: blob.size, duration_ms: null, quality_status: 'unknown', created_by: 'user' },
		Object.fromEntries(['profile_id', 'prompt_index', 'prompt_text', 'stage', 'user_id', 'mime_type', 'size_bytes', 'duration_ms', 'quality_status', 'created_by'].map((name) => [name, clip[name]])))
	assert.equal(clip.audio_storage_path, `training_clips/${ana.id}/${profile.id}/0.webm`)
	const back = await download(clip.audio_storage_path)
	assert.deepEqual(Buffer.from(await back.arrayBuffer()), Buffer.from(await blob.arrayBuffer()))
	assert.equal(sql(`select owner_id from storage.objects where name = '${ana.id}/${profile.id}/0.webm'`), ana.id)
})

test('fields come in any order, stage may be missing, the file may have any name', async () => {
	const data = new FormData()
	data.append('recording', sound(), '../../etc/passwd.exe')
	for (const [name, value] of Object.entries({ ...values(1), stage: '' }).reverse()) data.append(name, value)
	const clip = await taken(data)
	assert.deepEqual([clip.audio_storage_path, clip.stage], [`training_clips/${ana.id}/${profile.id}/1.webm`, null])
})

test('recorded anew it replaces both: the row keeps its id, what was known of the old recording is forgotten', async () => {
	const first = (await rows())[0]
	await ana.db.from('clips').update({ duration_ms: 7000, quality_status: 'good' }).eq('id', first.id)
	const before = sql(`select id || ' ' || version from storage.objects where name = '${ana.id}/${profile.id}/0.webm'`).split(' ')
	const again = await taken(form({ ...values(0), prompt_text: 'Again', stage: 2 }, sound(7000)))
	assert.deepEqual([again.id, again.prompt_text, again.stage, again.duration_ms, again.quality_status], [first.id, 'Again', 2, null, 'unknown'])
	const after = sql(`select id || ' ' || version from storage.objects where name = '${ana.id}/${profile.id}/0.webm'`).split(' ')
	assert.equal(after[0], before[0], 'the object keeps its id')
	assert.notEqual(after[1], before[1])
	assert.equal(sql(`select count(*) from kith.released_files where version = '${before[1]}'`), '1', 'the old file is let go')
	await agree()
})

test('another type is another name: the row has the new one, and the old file goes', async () => {
	const old = `training_clips/${ana.id}/${profile.id}/1.webm`
	const clip = await taken(form(values(1), new Blob([await sound().arrayBuffer()], { type: 'audio/mp4' })))
	assert.equal(clip.audio_storage_path, `training_clips/${ana.id}/${profile.id}/1.mp4`)
	assert.equal((await rows()).length, 2)
	// The worker may have done it by now.
	const queued = () => sql(`select exists (select from kith.jobs where kind = 'delete_files' and payload::text like '%${old}%')`) === 't'
	const there = () => sql(`select exists (select from storage.objects where bucket_id || '/' || name = '${old}')`) === 't'
	assert.ok(queued() || !there())
})

test('the endings of what browsers and telephones record', async () => {
	const kinds = { 'audio/webm': 'webm', 'video/webm': 'webm', 'audio/ogg; codecs=opus': 'ogg', 'audio/mp4;codecs=mp4a.40.2': 'mp4', 'AUDIO/MPEG': 'mp3', 'audio/x-m4a': 'm4a', 'audio/aac': 'aac', 'audio/wav': 'wav', 'audio/x-wav': 'wav', 'audio/flac': 'flac' }
	for (const [type, ending] of Object.entries(kinds)) {
		const clip = await taken(form(values(2), new Blob([await sound(100).arrayBuffer()], { type })))
		assert.equal(clip.audio_storage_path, `training_clips/${ana.id}/${profile.id}/2.${ending}`, type)
	}
})

test('what is wrong with a form is told, and nothing is stored', async () => {
	const before = await rows()
	const without = (name) => form(Object.fromEntries(Object.entries(values(3)).filter(([key]) => key !== name)), sound())
	const fields = { hint: /profile_id, prompt_index, prompt_text, perhaps stage/ }
	for (const name of ['profile_id', 'prompt_index', 'prompt_text']) await refused(without(name), 400, 'KITH400', { message: new RegExp(`no ${name}`), ...fields })
	await refused(form(values(3)), 400, 'KITH400', { message: /no file/, ...fields })
	await refused(form({ ...values(3), promptText: 'x' }, sound()), 400, 'KITH400', { message: /unknown field "promptText"/, ...fields })
	const twice = form(values(3), sound())
	twice.append('prompt_index', 4)
	await refused(twice, 400, 'KITH400', { message: /prompt_index twice/ })
	const files = form(values(3), sound())
	files.append('second', sound())
	await refused(files, 400, 'KITH400', { message: /two files/ })
	await refused({ profile_id: profile.id }, 400, 'KITH400', { message: /no multipart/ })
	await refused(form({ ...values(3), prompt_index: 25 }, sound()), 400, '23514', { hint: /A profile has 25 clips/ })
	await refused(form({ ...values(3), prompt_index: 'three' }, sound()), 400, '22P02', { message: /"three"/ })
	await refused(form({ ...values(3), stage: 4 }, sound()), 400, '23514', { hint: /^stage / })
	await refused(form({ ...values(3), prompt_text: 'x'.repeat(4001) }, sound()), 400, '23514', { hint: /prompt_text/ })
	for (const type of ['', 'text/html', 'image/png', 'audio/x-unknown']) await refused(form(values(3), new Blob(['x'], { type })), 415, 'InvalidMimeType', { hint: /audio\/webm/ })
	await refused(form(values(3), new Blob(['<!doctype html><script>alert(1)</script>'], webm)), 415, 'InvalidMimeType', {})
	await refused(form({ ...values(3), prompt_text: 'a\0b' }, sound()), 400, 'KITH400', { message: /not UTF-8/ })
	assert.deepEqual(await rows(), before)
	assert.deepEqual(stored(ana, 3), [])
})

test('a recording that is larger than allowed is refused, and nothing of it stays', async () => {
	const before = await rows()
	await refused(form(values(4), new Blob([Buffer.alloc(52_428_801)], webm)), 413, 'EntityTooLarge', { message: /maximum allowed size/ })
	assert.deepEqual(await rows(), before)
	assert.deepEqual(stored(ana, 4), [])
})

test('nobody else stores a clip of a profile, nor learns that there is one', async () => {
	const before = await rows()
	await refused(form(values(0), sound()), 404, 'PT404', { message: /profile not found/, hint: /a profile of yours/ }, ben)
	await refused(form({ ...values(0), profile_id: '00000000-0000-0000-0000-00000000dead' }, sound()), 404, 'PT404', { message: /profile not found/ }, ben)
	await refused(form({ ...values(0), profile_id: 'x' }, sound()), 400, '22P02', {}, ben)
	await refused(form(values(0), sound()), 401, '42501', {}, { db: client() })
	assert.equal(await download((await rows())[0].audio_storage_path, ben), null)
	assert.deepEqual(await rows(), before)
	assert.deepEqual(stored(ben, 0), [])
})

test('a server of the app stores clips of its users', async () => {
	const clip = await taken(form(values(5), sound()), { db: client(serviceKey) })
	assert.deepEqual([clip.user_id, clip.audio_storage_path], [ana.id, `training_clips/${ana.id}/${profile.id}/5.webm`])
	assert.ok(await download(clip.audio_storage_path), 'and they have them')
})

test('of many recordings of one prompt at once one is left, and row and file are of the same', async () => {
	const sizes = Array.from({ length: 8 }, (_, i) => 20_000 + i)
	const clips = await Promise.all(sizes.map((size) => taken(form(values(6), sound(size)))))
	assert.equal(new Set(clips.map(({ id }) => id)).size, 1)
	const [row] = (await rows()).filter(({ prompt_index }) => prompt_index === 6)
	const back = await download(row.audio_storage_path)
	assert.equal(back.size, row.size_bytes)
})

test('a policy of the app counts here too: where files are refused there is no row either', async () => {
	sql(`create policy "no clip 7" on storage.objects as restrictive for insert to authenticated with check (name not like '%/7.webm')`)
	try {
		await refused(form(values(7), sound()), 403, '42501', { message: /no clip 7/ })
	} finally {
		sql('drop policy "no clip 7" on storage.objects')
	}
	assert.deepEqual((await rows()).filter(({ prompt_index }) => prompt_index === 7), [])
})

test('all 25, and the voice can be trained', async () => {
	const own = (await ana.db.from('profiles').insert({ name: 'Voice', relation: 'mother' }).select().single()).data
	await Promise.all(Array.from({ length: 25 }, (_, index) => taken(form({ ...values(index), profile_id: own.id }, sound()))))
	assert.deepEqual((await rows(own)).map(({ prompt_index }) => prompt_index), Array.from({ length: 25 }, (_, index) => index))
	await agree(own)
	const { data: training } = await ana.db.rpc('train_voice', { profile_id: own.id, consent: true })
	assert.equal(training.voice_model_status, 'training')
})
