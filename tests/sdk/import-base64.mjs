#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// kith import-base64: recordings that were text in tables become files, none is lost, none is taken for another.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { start } from './instance.mjs'

// What recorders write begins like this; the rest is noise.
const begins = {
	webm: [0x1a, 0x45, 0xdf, 0xa3], ogg: [...Buffer.from('OggS')], wav: [...Buffer.from('RIFF\0\0\0\0WAVE')],
	m4a: [0, 0, 0, 24, ...Buffer.from('ftypM4A ')], mp3: [0xff, 0xfb, 0x90, 0], aac: [0xff, 0xf1, 0x50], flac: [...Buffer.from('fLaC')],
}
const sound = (ending, bytes = 1000) => Buffer.concat([Buffer.from(begins[ending]), randomBytes(bytes)])
const quote = value => (value == null ? 'null' : typeof value === 'number' ? `${value}` : `'${value.replaceAll("'", "''")}'`)

describe('an app that kept its recordings in tables', () => {
	let kith, socket, ana, ben, webm
	const anna = randomUUID()
	const bens = randomUUID()
	const old = text => execFileSync('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-h', socket, '-U', 'postgres', '-d', 'old'], { input: text, encoding: 'utf8' }).trim()
	const insert = (table, row) => old(`insert into ${table} (${Object.keys(row).map(name => `"${name}"`).join(', ')}) values (${Object.values(row).map(quote).join(', ')})`)
	const conninfo = () => `host=${socket} user=postgres dbname=old`
	const take = (...more) => kith.kith(['import-base64', ...more, conninfo()])
	const file = async (path, bucket = 'training_clips') => {
		const { data, error } = await kith.service().storage.from(bucket).download(path)
		return error ?? Buffer.from(await data.arrayBuffer())
	}
	const path = (prompt, ending) => `${ana}/${anna}/${prompt}.${ending}`
	const clips = () => JSON.parse(kith.sql(`select coalesce(json_agg(json_build_array(prompt_index, prompt_text, mime_type, size_bytes) order by prompt_index), '[]')
		from public.clips where user_id = '${ana}'`))
	const recordings = {}

	before(async () => {
		// Nobody listens to the noise, and corrects what is said of it.
		kith = await start({ KITH_FFMPEG: '/nonexistent' })
		socket = kith.sql('show unix_socket_directories')
		kith.sql('create database old')
		for (const name of ['ana', 'ben']) {
			const { data } = await kith.service().auth.admin.createUser({ email: `${name}@example.org`, email_confirm: true })
			if (name === 'ana') ana = data.user.id
			else ben = data.user.id
		}
		kith.sql(`insert into public.profiles (id, user_id, name, relation) values ('${anna}', '${ana}', 'Anna', 'mother'), ('${bens}', '${ben}', 'Ben', 'self')`)
		kith.sql(`insert into storage.buckets (id, name) values ('training_clips', 'training_clips'), ('voice_messages', 'voice_messages') on conflict do nothing`)
		old(`create table voice_recordings (id serial primary key, "profileId" varchar, "promptIndex" integer, "promptText" text, stage integer,
				"audioData" text, "createdAt" timestamp);
			create table messages (id varchar primary key default gen_random_uuid(), "profileId" varchar, title text, category text, content text, "audioData" text)`)
		webm = sound('webm', 300_000)
		const forms = {
			0: ['webm', `data:audio/webm;codecs=opus;base64,${webm.toString('base64')}`, webm, 'audio/webm;codecs=opus'],
		}
		Object.keys(begins).forEach((ending, i) => {
			const bytes = sound(ending)
			forms[i + 1] = [ending, i % 2 ? `data:audio/x-own;base64,${bytes.toString('base64')}` : bytes.toString('base64'), bytes, i % 2 ? 'audio/x-own' : null]
		})
		const lines = sound('webm', 5001)
		forms[8] = ['webm', lines.toString('base64').replace(/.{76}/g, '$&\r\n') + '\n', lines, 'audio/webm']
		const url = sound('webm', 4999)
		forms[9] = ['webm', url.toString('base64url'), url, 'audio/webm']
		for (const [prompt, [ending, text, bytes, type]] of Object.entries(forms)) {
			recordings[prompt] = { ending, bytes, type }
			insert('voice_recordings', { profileId: anna, promptIndex: Number(prompt), promptText: `Tell ${prompt}: it's "so"\n\ta day\\`, stage: 1, audioData: text, createdAt: '2024-05-01 10:00' })
		}
		insert('voice_recordings', { profileId: anna, promptIndex: 24, promptText: 'not recorded' })
		insert('voice_recordings', { profileId: anna, promptIndex: 23, promptText: 'nothing', audioData: '' })
	})
	after(() => kith?.stop())

	test('a dry run writes nothing', () => {
		const { status, said, complaint } = take('--dry-run')
		assert.deepEqual([status, complaint], [0, ''])
		assert.equal(said, 'voice_recordings: 10 of 10 recordings could be taken over.\nmessages: 0 of 0 recordings could be taken over.\n')
		assert.deepEqual(clips(), [])
		assert.equal(kith.sql('select count(*) from storage.objects'), '0')
	})

	test('interrupted, it goes on where it was', () => {
		const fifth = old(`select "audioData" from voice_recordings where "promptIndex" = 5`)
		old(`update voice_recordings set "audioData" = 'x' where "promptIndex" = 5`)
		const first = take()
		assert.equal(first.status, 1)
		assert.match(first.said, /^bad {4}voice_recordings 6: it is not base64$/m)
		assert.match(first.said, /^voice_recordings: 9 of 10 recordings are in storage\.$/m)
		assert.doesNotMatch(first.said, /voice_recordings.*can be removed/)
		old(`update voice_recordings set "audioData" = '${fifth}' where "promptIndex" = 5`)
		// As if it had been killed between a file and its row: neither that file nor any other is stored again.
		kith.sql('set session_replication_role = replica; delete from public.clips where prompt_index = 3')
		const versions = () => kith.sql(`select string_agg(version, ' ' order by name) from storage.objects where name !~ '/5[.]'`)
		const before = versions()
		const { status, said, complaint } = take()
		assert.deepEqual([status, complaint], [0, ''])
		assert.equal(said, `voice_recordings: 10 of 10 recordings are in storage.
voice_recordings: column "audioData" can be removed: alter table "public".voice_recordings drop column "audioData";
messages: 0 of 0 recordings are in storage.
messages: column "audioData" can be removed: alter table "public".messages drop column "audioData";
`)
		assert.equal(versions(), before)
	})

	test('every file is what was recorded, and has its row', async () => {
		const types = { webm: 'audio/webm', ogg: 'audio/ogg', wav: 'audio/wav', m4a: 'audio/mp4', mp3: 'audio/mpeg', aac: 'audio/aac', flac: 'audio/flac' }
		for (const [prompt, { ending, bytes }] of Object.entries(recordings))
			assert.equal(Buffer.compare(await file(path(prompt, ending)), bytes), 0, `${prompt}.${ending}`)
		assert.deepEqual(clips(), Object.entries(recordings).map(([prompt, { ending, bytes, type }]) =>
			[Number(prompt), `Tell ${prompt}: it's "so"\n\ta day\\`, type ?? types[ending], bytes.length]))
		assert.equal(kith.sql(`select distinct stage || ' ' || created_at from public.clips`), '1 2024-05-01 10:00:00+00')
		assert.equal(kith.sql(`select bytes from kith.storage_usage where user_id = '${ana}'`),
			`${Object.values(recordings).reduce((sum, { bytes }) => sum + bytes.length, 0)}`, 'they count as hers')
		assert.equal(kith.sql(`select distinct owner_id from storage.objects`), ana)
		assert.equal(old('select count(*) from voice_recordings'), '12', 'what was there is there')
	})

	test('rows that cannot be taken over are told one by one, and left alone', async () => {
		const good = sound('webm').toString('base64')
		const bad = [
			[{ audioData: 'not base64!' }, 'it is not base64'],
			[{ audioData: 'data:audio/webm,plain' }, 'it is a data: URL, but not of base64'],
			[{ audioData: Buffer.from('<html>no sound</html>').toString('base64') }, 'it is no recording in a form that is known'],
			[{ audioData: 'undefined' }, 'it is not base64'],
			[{ profileId: null }, 'it names no profile: there is no column profile_id, or it is empty'],
			[{ profileId: "x'; drop table voice_recordings; --" }, "there is no profile x'; drop table voice_recordings; --"],
			[{ promptIndex: 25 }, 'prompt_index is "25", and should be 0 to 24'],
			[{ promptIndex: null }, 'prompt_index is missing, and should be 0 to 24'],
			[{ promptText: null }, 'it does not say what was read: there is no column prompt_text, or it is empty'],
			[{ promptIndex: 0 }, `another file is there: training_clips/${path(0, 'webm')}`],
			[{ promptIndex: 0, audioData: sound('mp3').toString('base64') }, `another recording has taken its place: training_clips/${path(0, 'webm')}`],
		]
		const ids = bad.map(([change]) => old(`insert into voice_recordings ("profileId", "promptIndex", "promptText", "audioData")
			values (${['profileId', 'promptIndex', 'promptText', 'audioData'].map(name => quote({ profileId: anna, promptIndex: 20, promptText: 'x', audioData: good, ...change }[name])).join(', ')}) returning id`))
		const before = clips()
		const { status, said, complaint } = take()
		assert.deepEqual([status, complaint], [1, ''])
		assert.deepEqual(said.split('\n').filter(line => line.startsWith('bad')), bad.map(([, why], i) => `bad    voice_recordings ${ids[i]}: ${why}`))
		assert.match(said, /^voice_recordings: 10 of 21 recordings are in storage\.$/m)
		assert.deepEqual(clips(), before)
		assert.equal(Buffer.compare(await file(path(0, 'webm')), webm), 0, 'the file is as it was')
		old(`delete from voice_recordings where id in (${ids.join(', ')})`)
	})

	test('messages get their recording, whether they are here already or not', async () => {
		const spoken = sound('mp3', 20_000)
		const [here, ready, later] = [randomUUID(), randomUUID(), randomUUID()]
		kith.sql(`insert into public.voice_messages (id, user_id, profile_id, title, category, prompt_text, generated_text) values
			('${here}', '${ana}', '${anna}', 'For Mia', 'birthday', 'kind words', 'Happy birthday.')`)
		insert('messages', { id: here, profileId: anna, title: 'other', content: 'other', audioData: spoken.toString('base64') })
		insert('messages', { id: ready, profileId: anna, title: 'For Tom', category: 'gratitude', content: 'Thank you.', audioData: `data:audio/mpeg;base64,${spoken.toString('base64')}` })
		insert('messages', { id: '17', profileId: bens, content: 'No id of its own.', audioData: spoken.toString('base64') })
		insert('messages', { id: later, profileId: anna, title: 'x', audioData: spoken.toString('base64') })
		const { status, said } = take()
		assert.equal(status, 1)
		assert.match(said, new RegExp(`^bad {4}messages ${later}: it has no words: there is no column generated_text, or it is empty$`, 'm'))
		assert.match(said, /^messages: 3 of 4 recordings are in storage\.$/m)
		old(`delete from messages where id = '${later}'`)
		const again = take()
		assert.equal(again.status, 0)
		assert.match(again.said, /^messages: column "audioData" can be removed/m)
		assert.deepEqual(kith.sql(`select concat_ws('|', title, category, generated_text, status, mime_type, size_bytes, user_id = '${ana}') from public.voice_messages order by title`).split('\n'), [
			`For Mia|birthday|Happy birthday.|ready|audio/mpeg|${spoken.length}|t`, `For Tom|gratitude|Thank you.|ready|audio/mpeg|${spoken.length}|t`,
			`No id of its own.|other|No id of its own.|ready|audio/mpeg|${spoken.length}|f`])
		for (const stored of kith.sql('select audio_storage_path from public.voice_messages').split('\n'))
			assert.equal(Buffer.compare(await file(stored.replace('voice_messages/', ''), 'voice_messages'), spoken), 0, stored)
	})

	test('from a schema of its own database too', async () => {
		kith.sql(`create schema essence_1; create table essence_1.voice_recordings (id uuid, profile_id uuid, prompt_index int, prompt_text text, audio_data text)`)
		const bytes = sound('ogg')
		kith.sql(`insert into essence_1.voice_recordings values (gen_random_uuid(), '${bens}', 7, 'Tell.', '${bytes.toString('base64')}')`)
		const { status, said } = kith.kith(['import-base64', '--schema', 'essence_1'])
		assert.equal(said, `voice_recordings: 1 of 1 recordings are in storage.
voice_recordings: column "audio_data" can be removed: alter table "essence_1".voice_recordings drop column "audio_data";
`)
		assert.equal(status, 0)
		assert.equal(Buffer.compare(await file(`${ben}/${bens}/7.ogg`), bytes), 0)
	})

	test('what it is told wrongly it says', () => {
		for (const [args, why] of [
			[['--everything'], /unknown option --everything/], [['a', 'b'], /one database only, not also "b"/], [['--schema'], /--schema needs a name/],
			[[], /schema public has no table voice_recordings or messages with a column audioData/],
			[[`host=${socket} user=postgres dbname=nowhere`], /could not read the tables/],
		]) {
			const { status, complaint } = kith.kith(['import-base64', ...args])
			assert.equal(status, 1)
			assert.match(complaint, why)
		}
		assert.match(kith.kith(['import-base64', '--help']).said, /^usage: kith import-base64/m)
	})
})
