#!/usr/bin/env -S node --test-reporter=./tests/lib/tap.mjs
// Essence: a client that knows only that document does all it says, by its names.

import { sql } from '../sdk/kith.mjs'
import { assert, describe, hidden, kept, nowhere, refused, system, test, touched, took } from './walk.mjs'

const { service, anon, user, shape } = system('essence')
const ana = user('ana')
const ben = user('ben')
const { db } = ana

const make = async (who, table, values) => took(await who.from(table).insert(values).select().single())
const set = async (table, { id }, values) => took(await service.from(table).update(values).eq('id', id).select().single())
const read = async (table, { id }, columns = '*') => took(await db.from(table).select(columns).eq('id', id).single())
const clip = (profile, prompt_index, owner = ana) => ({
	profile_id: profile.id, prompt_index, prompt_text: `Prompt ${prompt_index}`,
	audio_storage_path: `training_clips/${owner.id}/${profile.id}/${prompt_index}.webm`, mime_type: 'audio/webm',
})
const draft = (profile) => ({ profile_id: profile.id, title: 'For Mia', category: 'birthday', prompt_text: 'A birthday wish', generated_text: 'Happy birthday, Mia.' })
const recent = (time) => Math.abs(Date.now() - Date.parse(time)) < 3_600_000
const jobs = (owner) => sql(`select kind from kith.jobs where user_id = '${owner.id}' order by kind`).split('\n')

// What the rest of the document speaks of: one of each, and of Ben's.
const plan = took(await db.from('subscriptions').select().single())
await set('subscriptions', plan, { plan: 'family_archive' })
const profile = await make(db, 'profiles', { name: 'Anna', relation: 'self' })
const recording = await make(db, 'training_clips', clip(profile, 0))
const message = await make(db, 'messages', draft(profile))
const bens = await make(ben.db, 'profiles', { name: 'Ben', relation: 'self' })

describe('guiding principles', () => {
	test('store files in storage, not Postgres: rows hold metadata and storage paths', async () => {
		for (const [table, column] of [['training_clips', 'audioData'], ['messages', 'audioData'], ['profiles', 'avatar']]) {
			refused(await db.from(table).select(column), 400, '42703', { message: new RegExp(column) })
		}
		refused(await db.from('voice_recordings').select(), 404, 'PGRST205', { message: /'essence.voice_recordings'/ })
	})

	test('every row is owned: user-private rows include user_id, the caller\'s if none is said', () => {
		assert.deepEqual([profile, recording, message, plan].map((row) => row.user_id), Array(4).fill(ana.id))
	})

	test('a profile = one voice: it can have training clips and many messages', async () => {
		const second = await make(db, 'messages', draft(profile))
		const found = took(await db.from('profiles').select('name, training_clips(prompt_index), messages(title)').eq('id', profile.id).single())
		assert.deepEqual(found, { name: 'Anna', training_clips: [{ prompt_index: 0 }], messages: [{ title: 'For Mia' }, { title: 'For Mia' }] })
		took(await db.from('messages').delete().eq('id', second.id))
	})
})

describe('entity relationship overview', () => {
	test('users 1 → many profiles, and their clips and messages', async () => {
		const found = took(await db.from('users_public').select('id, profiles(id), training_clips(id), messages(id)').single())
		assert.deepEqual(found, { id: ana.id, profiles: [{ id: profile.id }], training_clips: [{ id: recording.id }], messages: [{ id: message.id }] })
	})

	test('profiles 1 → many training_clips, 1 → many messages, and back', async () => {
		for (const [table, row] of [['training_clips', recording], ['messages', message]]) {
			const up = took(await db.from(table).select('id, profiles(name), users_public(id)').eq('id', row.id).single())
			assert.deepEqual(up, { id: row.id, profiles: { name: 'Anna' }, users_public: { id: ana.id } })
		}
	})

	test('subscriptions: 1 per user_id', async () => {
		const found = took(await db.from('users_public').select('subscriptions(id)').single())
		assert.deepEqual(found, { subscriptions: { id: plan.id } })
		refused(await service.from('subscriptions').insert({ user_id: ana.id }), 409, '23505', { message: /user_id/ })
	})
})

describe('table users_public', () => {
	test('its columns', () => shape('users_public', { id: 'uuid', email: 'text', name: 'text', created_at: 'timestamptz' }))

	test('id same as auth user id, email cached, name optional', async () => {
		const { created_at, id, email, name } = took(await db.from('users_public').select().single())
		assert.deepEqual({ id, email, name }, { id: ana.id, email: ana.email, name: null })
		assert.ok(recent(created_at))
	})

	test('users can read/update their own row only', async () => {
		const row = took(await db.from('users_public').select().single())
		const named = await touched({ db, table: 'users_public', row, change: { name: 'Ana' } })
		assert.equal(named.name, 'Ana')
		assert.equal(took(await db.from('users_public').upsert({ id: ana.id, name: 'Ana V.' }).select().single()).name, 'Ana V.')
		await hidden({ row: { id: ana.id, name: 'Ana V.' }, table: 'users_public', owner: ana, stranger: ben, anon, change: { name: 'x' }, remove: false })
		refused(await ben.db.from('users_public').upsert({ id: ana.id, name: 'x' }), 403, '42501')
		await kept({ db, table: 'users_public', row, values: { email: 'x@example.org' } })
	})
})

describe('table profiles', () => {
	test('its columns', () => shape('profiles', {
		id: 'uuid', user_id: 'uuid', name: 'text', relation: 'text', notes: 'text', voice_model_status: 'text', elevenlabs_voice_id: 'text',
		training_completed_at: 'timestamptz', voice_ready_at: 'timestamptz', avatar_storage_path: 'text', avatar_updated_at: 'timestamptz',
		created_at: 'timestamptz', updated_at: 'timestamptz', deleted_at: 'timestamptz',
	}))

	test('name and relation required, notes optional', async () => {
		refused(await db.from('profiles').insert({ relation: 'mother' }), 400, '23502', { message: /name/ })
		refused(await db.from('profiles').insert({ name: 'Vera' }), 400, '23502', { message: /relation/ })
		refused(await db.from('profiles').insert({ name: '', relation: 'mother' }), 400, '23514', { message: /profiles_name_length/ })
		assert.equal(profile.notes, null)
		assert.equal((await make(db, 'profiles', { name: 'Vera', relation: 'mother', notes: 'Speaks softly' })).notes, 'Speaks softly')
		assert.equal(took(await db.from('profiles').select('id')).length, 2, 'what was refused is not there')
	})

	test('voice_model_status: default not_submitted, and all of the voice null', () => {
		const { voice_model_status, elevenlabs_voice_id, training_completed_at, voice_ready_at, deleted_at } = profile
		assert.deepEqual([voice_model_status, elevenlabs_voice_id, training_completed_at, voice_ready_at, deleted_at], ['not_submitted', null, null, null, null])
	})

	test('status fields are server-controlled', () => kept({
		db, table: 'profiles', row: profile, insert: { name: 'x', relation: 'x' },
		values: { voice_model_status: 'ready', elevenlabs_voice_id: 'v1', training_completed_at: '2026-01-01', voice_ready_at: '2026-01-01', deleted_at: '2026-01-01' },
	}))

	test('the server goes not_submitted, training, ready, with training_completed_at and voice_ready_at', async () => {
		const own = await make(db, 'profiles', { name: 'Trained', relation: 'father' })
		refused(await service.from('profiles').update({ voice_model_status: 'ready', elevenlabs_voice_id: 'v' }).eq('id', own.id), 400, '23514',
			{ message: /cannot go from "not_submitted" to "ready"/, hint: /A voice is trained before it is ready/ })
		assert.deepEqual((await set('profiles', own, { voice_model_status: 'training' })).training_completed_at, null)
		refused(await service.from('profiles').update({ voice_model_status: 'ready' }).eq('id', own.id), 400, '23514', { message: /profiles_ready_has_voice/ })
		const ready = await set('profiles', own, { voice_model_status: 'ready', elevenlabs_voice_id: `voice-${own.id}` })
		assert.ok(recent(ready.training_completed_at) && recent(ready.voice_ready_at))
		assert.deepEqual(await read('profiles', own), ready)
		refused(await service.from('profiles').update({ voice_model_status: 'lost' }).eq('id', own.id), 400, '23514')
	})

	test('index (elevenlabs_voice_id): the server finds a profile by its voice', async () => {
		const [found] = took(await service.from('profiles').select('id, elevenlabs_voice_id').not('elevenlabs_voice_id', 'is', null).eq('user_id', ana.id))
		assert.deepEqual(took(await service.from('profiles').select('id').eq('elevenlabs_voice_id', found.elevenlabs_voice_id)), [{ id: found.id }])
	})

	test('counts are derived, not stored: training_clips(count), messages(count)', async () => {
		const counted = took(await db.from('profiles').select('training_clips(count), messages(count)').eq('id', profile.id).single())
		assert.deepEqual(counted, { training_clips: [{ count: 1 }], messages: [{ count: 1 }] })
	})

	test('avatar_storage_path: a path of one\'s own, dated by avatar_updated_at', async () => {
		assert.deepEqual([profile.avatar_storage_path, profile.avatar_updated_at], [null, null])
		const path = `avatars/${ana.id}/anna.png`
		const changed = took(await db.from('profiles').update({ avatar_storage_path: path }).eq('id', profile.id).select().single())
		assert.equal(changed.avatar_storage_path, path)
		assert.ok(recent(changed.avatar_updated_at))
		for (const foreign of [`avatars/${ben.id}/anna.png`, `avatars/${ana.id}/../${ben.id}/anna.png`, 'anna.png']) {
			refused(await db.from('profiles').update({ avatar_storage_path: foreign }).eq('id', profile.id), 400, '23514', { message: /avatar_storage_path_own/, hint: /your own folder/ })
		}
		assert.equal((await read('profiles', profile)).avatar_storage_path, path)
	})

	test('index (user_id, created_at): one\'s profiles in the order they were made', async () => {
		const names = took(await db.from('profiles').select('name').order('created_at')).map((row) => row.name)
		assert.deepEqual(names.slice(0, 2), ['Anna', 'Vera'])
	})

	test('updated_at moves', async () => touched({ db, table: 'profiles', row: await read('profiles', profile), change: { notes: 'Sings' } }))

	test('deleted_at, the soft delete, is the server\'s', async () => {
		const own = await make(db, 'profiles', { name: 'Old', relation: 'friend' })
		assert.ok(recent((await set('profiles', own, { deleted_at: new Date().toISOString() })).deleted_at))
		assert.deepEqual(took(await db.from('profiles').select('id').is('deleted_at', null).eq('id', own.id)), [])
	})

	test('RLS: select, insert, update, delete only where user_id = auth.uid()', async () => {
		await hidden({ row: await read('profiles', profile), table: 'profiles', owner: ana, stranger: ben, anon, change: { name: 'x' } })
		refused(await ben.db.from('profiles').insert({ user_id: ana.id, name: 'x', relation: 'x' }), 403, '42501')
		refused(await db.from('profiles').update({ user_id: ben.id }).eq('id', profile.id), 403, '42501')
		refused(await anon.from('profiles').insert({ name: 'x', relation: 'x' }), 401, '42501')
	})

	test('delete: clips and messages go along; the server deletes storage files + ElevenLabs voice', async () => {
		const cleo = user('cleo')
		const own = await make(cleo.db, 'profiles', { name: 'Gone', relation: 'self', avatar_storage_path: `avatars/${cleo.id}/gone.png` })
		const children = [['training_clips', await make(cleo.db, 'training_clips', clip(own, 0, cleo))], ['messages', await make(cleo.db, 'messages', draft(own))]]
		await set('profiles', own, { voice_model_status: 'training' })
		await set('profiles', own, { voice_model_status: 'ready', elevenlabs_voice_id: `voice-${own.id}` })
		assert.deepEqual(jobs(cleo), [''])
		took(await cleo.db.from('profiles').delete().eq('id', own.id))
		for (const [table, { id }] of children) assert.deepEqual(took(await service.from(table).select('id').eq('id', id)), [])
		assert.deepEqual([...new Set(jobs(cleo))], ['delete_files', 'delete_voice'])
	})
})

describe('table training_clips', () => {
	test('its columns', () => shape('training_clips', {
		id: 'uuid', user_id: 'uuid', profile_id: 'uuid', prompt_index: 'int', prompt_text: 'text', stage: 'int', audio_storage_path: 'text',
		mime_type: 'text', size_bytes: 'int', duration_ms: 'int', quality_status: 'text', created_by: 'text', created_at: 'timestamptz',
	}))

	test('quality_status default unknown, created_by default user, the optional ones null', () => {
		const { quality_status, created_by, stage, size_bytes, duration_ms } = recording
		assert.deepEqual({ quality_status, created_by, stage, size_bytes, duration_ms }, { quality_status: 'unknown', created_by: 'user', stage: null, size_bytes: null, duration_ms: null })
		assert.ok(recent(recording.created_at))
	})

	test('everything the document lists is kept as it was given', async () => {
		const full = { ...clip(profile, 1), stage: 1, size_bytes: 180000, duration_ms: 7200, quality_status: 'redo_suggested', created_by: 'system' }
		const made = await make(db, 'training_clips', full)
		for (const [name, value] of Object.entries(full)) assert.equal(made[name], value, name)
	})

	test('prompt_index, prompt_text, audio_storage_path, mime_type: required', async () => {
		for (const column of ['prompt_index', 'prompt_text', 'audio_storage_path', 'mime_type']) {
			refused(await db.from('training_clips').insert({ ...clip(profile, 2), [column]: null }), 400, '23502', { message: new RegExp(`"${column}"`) })
		}
	})

	test('check: prompt_index between 0 and 24, so there is no 26th clip', async () => {
		for (const wrong of [-1, 25]) refused(await db.from('training_clips').insert(clip(profile, wrong)), 400, '23514', { message: /clips_prompt_index_range/, hint: /A profile has 25 clips/ })
		assert.equal((await make(db, 'training_clips', clip(profile, 24))).prompt_index, 24)
	})

	test('unique: (profile_id, prompt_index); a clip recorded anew is an upsert', async () => {
		refused(await db.from('training_clips').insert(clip(profile, 0)), 409, '23505', { message: /clips_one_per_prompt/, hint: /upsert with on_conflict=profile_id,prompt_index/ })
		const anew = took(await db.from('training_clips').upsert({ ...clip(profile, 0), duration_ms: 5000 }, { onConflict: 'profile_id,prompt_index' }).select().single())
		assert.deepEqual([anew.id, anew.duration_ms], [recording.id, 5000])
	})

	test('stage 1/2/3, quality_status good, redo_suggested, unknown, created_by user, system', async () => {
		const allowed = { stage: [1, 2, 3], quality_status: ['good', 'redo_suggested', 'unknown'], created_by: ['system', 'user'] }
		for (const [column, values] of Object.entries(allowed)) {
			for (const value of values) {
				assert.equal(took(await db.from('training_clips').update({ [column]: value }).eq('id', recording.id).select().single())[column], value)
			}
		}
		for (const [column, wrong] of [['stage', 0], ['stage', 4], ['quality_status', 'bad'], ['created_by', 'robot'], ['size_bytes', -1], ['duration_ms', -1]]) {
			refused(await db.from('training_clips').update({ [column]: wrong }).eq('id', recording.id), 400, '23514',
				{ message: new RegExp(`clips_${column}`), hint: new RegExp(`^${column} `) })
		}
	})

	test('audio_storage_path: training_clips/{user_id}/{profile_id}/{prompt_index}.webm, and no other folder', async () => {
		const right = clip(profile, 3)
		for (const wrong of [`training_clips/${ben.id}/${profile.id}/3.webm`, `training_clips/${ana.id}/${bens.id}/3.webm`, `training_clips/${ana.id}/${profile.id}/4.webm`, '3.webm']) {
			refused(await db.from('training_clips').insert({ ...right, audio_storage_path: wrong }), 400, '23514', { message: /clips_audio_storage_path_own/, hint: /training_clips.<your id>/ })
		}
		assert.equal((await make(db, 'training_clips', right)).audio_storage_path, right.audio_storage_path)
	})

	test('indexes (user_id), (profile_id), (profile_id, prompt_index): a profile\'s clips in order, and one of them', async () => {
		const found = took(await db.from('training_clips').select('prompt_index').eq('profile_id', profile.id).order('prompt_index'))
		assert.deepEqual(found.map((row) => row.prompt_index), [0, 1, 3, 24])
		assert.equal(took(await db.from('training_clips').select('id').eq('profile_id', profile.id).eq('prompt_index', 0).single()).id, recording.id)
		assert.equal(took(await db.from('training_clips').select('id').eq('user_id', ana.id)).length, 4)
	})

	test('RLS: select/insert/update/delete allowed only where user_id = auth.uid()', async () => {
		await hidden({ row: await read('training_clips', recording), table: 'training_clips', owner: ana, stranger: ben, anon, change: { prompt_text: 'x' } })
		refused(await ben.db.from('training_clips').insert({ ...clip(bens, 0, ana), user_id: ana.id }), 403, '42501')
		took(await db.from('training_clips').delete().eq('profile_id', profile.id).eq('prompt_index', 24))
		assert.deepEqual(took(await service.from('training_clips').select().eq('profile_id', profile.id).eq('prompt_index', 24)), [])
	})

	test('profile_id belongs to same user_id, enforced', async () => {
		refused(await ben.db.from('training_clips').insert(clip(profile, 5, ben)), 403, '42501', { hint: /every row that it refers to, must be your own/ })
		refused(await db.from('training_clips').update({ profile_id: bens.id, audio_storage_path: `training_clips/${ana.id}/${bens.id}/0.webm` }).eq('id', recording.id), 403, '42501')
		refused(await db.from('training_clips').insert(clip({ id: nowhere }, 5)), 403, '42501')
		refused(await service.from('training_clips').insert({ ...clip(bens, 5), user_id: ana.id }), 409, '23503',
			{ message: /the profile belongs to another user/, hint: /user_id must be that of the profile/ })
	})
})

describe('files: audio and images live in storage', () => {
	// What a recorder's file begins with, and so many bytes behind it.
	const sound = (n) => new Blob([Buffer.from('1a45dfa39f4286810142f7810142f2810442f381084282847765626d', 'hex'), Buffer.alloc(n, n)], { type: 'audio/webm;codecs=opus' })
	const picture = new Blob([Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), Buffer.alloc(500)], { type: 'image/png' })
	const dora = user('dora')
	const clips = dora.db.storage.from('training_clips')
	const bytes = async (blob) => Buffer.from(await blob.arrayBuffer())
	const sizes = async () => Object.fromEntries(took(await clips.list(`${dora.id}/${voice.id}`)).map((file) => [file.name, file.metadata.size]))
	const said = async () => Object.fromEntries(took(await dora.db.from('training_clips').select().eq('profile_id', voice.id))
		.map((row) => [row.audio_storage_path.split('/').pop(), row.size_bytes]))
	let voice

	test('the 25 clips, in the two steps of the document: upload to {user_id}/{profile_id}/{prompt_index}.webm, then the row', async () => {
		voice = await make(dora.db, 'profiles', { name: 'Dora', relation: 'self' })
		await Promise.all(Array.from({ length: 25 }, async (_, index) => {
			const blob = sound(4000 + index)
			const { path } = took(await clips.upload(`${dora.id}/${voice.id}/${index}.webm`, blob))
			const row = await make(dora.db, 'training_clips', { ...clip(voice, index, dora), mime_type: blob.type, size_bytes: blob.size })
			assert.equal(row.audio_storage_path, `training_clips/${path}`)
		}))
		const files = await sizes()
		assert.equal(Object.keys(files).length, 25)
		assert.deepEqual(await said(), files, 'rows and files agree')
	})

	test('what was recorded is heard again: downloaded, and by a signed URL, in parts too', async () => {
		const key = `${dora.id}/${voice.id}/7.webm`
		const recorded = await bytes(sound(4007))
		assert.deepEqual(await bytes(took(await clips.download(key))), recorded)
		const { signedUrl } = took(await clips.createSignedUrl(key, 60))
		const part = await fetch(signedUrl, { headers: { Range: 'bytes=100-199' } })
		assert.deepEqual([part.status, part.headers.get('content-type')], [206, 'audio/webm;codecs=opus'])
		assert.deepEqual(Buffer.from(await part.arrayBuffer()), recorded.subarray(100, 200))
	})

	test('recorded anew: file and row are replaced, in two steps or in one call', async () => {
		const key = `${dora.id}/${voice.id}/0.webm`
		assert.equal((await clips.upload(key, sound(5000))).error.statusCode, '409', 'not by mistake')
		took(await clips.upload(key, sound(5000), { upsert: true }))
		const values = { ...clip(voice, 0, dora), size_bytes: sound(5000).size }
		const again = took(await dora.db.from('training_clips').upsert(values, { onConflict: 'profile_id,prompt_index' }).select().single())
		assert.deepEqual(await bytes(took(await clips.download(key))), await bytes(sound(5000)))

		const form = new FormData()
		for (const [name, value] of Object.entries({ profile_id: voice.id, prompt_index: 0, prompt_text: 'Prompt 0', stage: 1 })) form.append(name, value)
		form.append('file', sound(6000))
		const { data: one, error } = await dora.db.functions.invoke('clips', { body: form })
		assert.equal(error, null)
		assert.deepEqual([one.id, one.stage, one.size_bytes], [again.id, 1, sound(6000).size])
		assert.deepEqual(await bytes(took(await clips.download(key))), await bytes(sound(6000)))
		assert.deepEqual(await said(), await sizes(), 'rows and files agree')
	})

	test('a picture of the profile: avatar_storage_path names it', async () => {
		const key = `${dora.id}/dora.png`
		took(await dora.db.storage.from('avatars').upload(key, picture))
		const changed = took(await dora.db.from('profiles').update({ avatar_storage_path: `avatars/${key}` }).eq('id', voice.id).select().single())
		assert.ok(recent(changed.avatar_updated_at))
		const shown = took(await dora.db.storage.from('avatars').download(key))
		assert.deepEqual([shown.type, await bytes(shown)], ['image/png', await bytes(picture)])
	})

	test('every file is owned: nobody else reads, signs, lists, overwrites or deletes it', async () => {
		const key = `${dora.id}/${voice.id}/1.webm`
		for (const stranger of [ben.db, anon]) {
			const theirs = stranger.storage.from('training_clips')
			assert.equal((await theirs.download(key)).data, null)
			assert.equal((await theirs.createSignedUrl(key, 60)).data, null)
			assert.deepEqual((await theirs.list(`${dora.id}/${voice.id}`)).data ?? [], [])
			assert.equal((await theirs.upload(key, sound(1), { upsert: true })).data, null)
			assert.deepEqual((await theirs.remove([key])).data ?? [], [])
		}
		assert.deepEqual(await bytes(took(await clips.download(key))), await bytes(sound(4001)))
	})

	test('server cleanup deletes storage files: with the profile go its rows, and its files are queued', async () => {
		took(await dora.db.from('profiles').delete().eq('id', voice.id))
		assert.deepEqual(took(await service.from('training_clips').select('id').eq('profile_id', voice.id)), [])
		// The worker may have done some of it by now: a file is queued or gone.
		const left = sql(`select count(*) from storage.objects o where o.owner_id = '${dora.id}' and not exists (
			select from kith.jobs j where j.kind = 'delete_files' and strpos(j.payload::text, o.bucket_id || '/' || o.name) > 0)`)
		assert.equal(left, '0')
	})
})

describe('function train_voice', () => {
	let own

	test('not without all 25 clips: says how many there are, and which are missing', async () => {
		own = await make(db, 'profiles', { name: 'Voice', relation: 'grandmother' })
		const all = Array.from({ length: 25 }, (_, index) => clip(own, index))
		took(await db.from('training_clips').insert(all.slice(0, 24)))
		refused(await db.rpc('train_voice', { profile_id: own.id, consent: true }), 409, 'PT409',
			{ message: /could not start training: 24 of 25 clips recorded/, details: /prompt_index 24/, hint: /Record the missing clip first/ })
		took(await db.from('training_clips').insert(all[24]))
	})

	test('nor without consent', async () => {
		refused(await db.rpc('train_voice', { profile_id: own.id, consent: false }), 400, '22023',
			{ message: /without consent/, hint: /Ask the person whose voice it is/ })
		assert.equal((await read('profiles', own)).voice_model_status, 'not_submitted')
	})

	test('the allowed transition: not_submitted to training, consent recorded, the work queued', async () => {
		const training = took(await db.rpc('train_voice', { profile_id: own.id, consent: true }))
		assert.deepEqual([training.id, training.voice_model_status], [own.id, 'training'])
		assert.ok(recent(training.voice_consent_at))
		assert.ok(jobs(ana).includes('train_voice'))
	})

	test('not twice, and nobody else\'s', async () => {
		const busy = await set('profiles', await make(db, 'profiles', { name: 'Busy', relation: 'self' }), { voice_model_status: 'training' })
		refused(await db.rpc('train_voice', { profile_id: busy.id, consent: true }), 409, 'PT409', { message: /being trained already/, hint: /Wait until voice_model_status is ready/ })
		refused(await ben.db.rpc('train_voice', { profile_id: own.id, consent: true }), 404, 'PT404', { message: /profile not found/ })
		refused(await anon.rpc('train_voice', { profile_id: own.id, consent: true }), 401, '42501')
	})
})

describe('table messages', () => {
	test('its columns', () => shape('messages', {
		id: 'uuid', user_id: 'uuid', profile_id: 'uuid', title: 'text', category: 'text', recipient_label: 'text', moment_label: 'text', prompt_text: 'text',
		generated_text: 'text', audio_storage_path: 'text', mime_type: 'text', duration_ms: 'int', size_bytes: 'int', status: 'text', error_message: 'text',
		play_count: 'int', last_played_at: 'timestamptz', created_at: 'timestamptz', updated_at: 'timestamptz',
	}))

	test('title, category, prompt_text, generated_text: required', async () => {
		for (const column of ['title', 'category', 'prompt_text', 'generated_text', 'profile_id']) {
			const { status, error } = await db.from('messages').insert({ ...draft(profile), [column]: null })
			// Without a profile there is no owner of it: the policy comes first.
			assert.deepEqual([status, error.code], column === 'profile_id' ? [403, '42501'] : [400, '23502'], column)
		}
	})

	test('category: birthday, encouragement, apology, gratitude, other; recipient_label and moment_label', async () => {
		for (const category of ['birthday', 'encouragement', 'apology', 'gratitude', 'other']) {
			const labels = { category, recipient_label: 'My daughter', moment_label: 'When you need courage' }
			const made = await make(db, 'messages', { ...draft(profile), ...labels })
			assert.deepEqual([made.category, made.recipient_label, made.moment_label], Object.values(labels))
			took(await db.from('messages').delete().eq('id', made.id))
		}
	})

	test('mime_type default audio/mpeg, status default draft, play_count default 0, audio nullable initially', () => {
		const { mime_type, status, play_count, audio_storage_path, error_message, last_played_at } = message
		assert.deepEqual({ mime_type, status, play_count, audio_storage_path, error_message, last_played_at },
			{ mime_type: 'audio/mpeg', status: 'draft', play_count: 0, audio_storage_path: null, error_message: null, last_played_at: null })
	})

	test('server controls transitions: a client makes drafts', () => kept({
		db, table: 'messages', row: message, insert: draft(profile),
		values: {
			audio_storage_path: `messages/${ana.id}/x.mp3`, mime_type: 'audio/wav', duration_ms: 1, size_bytes: 1, status: 'ready', error_message: 'x',
			play_count: 1000, last_played_at: '2026-01-01',
		},
	}))

	test('status: draft, generating, ready; audio_storage_path required once generated', async () => {
		const own = await make(db, 'messages', draft(profile))
		refused(await service.from('messages').update({ status: 'ready' }).eq('id', own.id), 400, '23514')
		await set('messages', own, { status: 'generating' })
		refused(await service.from('messages').update({ status: 'ready' }).eq('id', own.id), 400, '23514', { message: /ready_has_audio/, hint: /ready when audio_storage_path/ })
		const audio = { audio_storage_path: `messages/${ana.id}/${own.id}.mp3`, duration_ms: 9000, size_bytes: 144000, mime_type: 'audio/mpeg' }
		await set('messages', own, { status: 'ready', ...audio })
		const ready = await read('messages', own, ['status', ...Object.keys(audio)].join())
		assert.deepEqual(ready, { status: 'ready', ...audio })
		refused(await service.from('messages').update({ status: 'lost' }).eq('id', own.id), 400, '23514')
	})

	test('failed: error_message; and from there again', async () => {
		const own = await make(db, 'messages', draft(profile))
		await set('messages', own, { status: 'generating' })
		await set('messages', own, { status: 'failed', error_message: 'no voice left' })
		assert.equal((await read('messages', own)).error_message, 'no voice left')
		assert.equal((await set('messages', own, { status: 'generating' })).error_message, null)
	})

	test('update only to certain fields: the words of a draft are free, those that are spoken are not', async () => {
		const own = await make(db, 'messages', draft(profile))
		const change = (values) => db.from('messages').update(values).eq('id', own.id).select().single()
		assert.equal(took(await change({ generated_text: 'Happy birthday, dear Mia.' })).generated_text, 'Happy birthday, dear Mia.')
		await set('messages', own, { status: 'generating' })
		refused(await change({ generated_text: 'x' }), 409, 'PT409', { message: /the words of a message that is generating cannot change/, hint: /make another message/ })
		assert.equal(took(await change({ title: 'For Mia, 18' })).title, 'For Mia, 18')
	})

	test('playback analytics: play_count and last_played_at, by the server', async () => {
		const played = await set('messages', message, { play_count: 1, last_played_at: '2026-02-01T10:00:00Z' })
		assert.deepEqual([played.play_count, Date.parse(played.last_played_at)], [1, Date.parse('2026-02-01T10:00:00Z')])
	})

	test('indexes (profile_id, created_at) and (user_id, last_played_at): the newest of a profile, the last played', async () => {
		const created = took(await db.from('messages').select('created_at').eq('profile_id', profile.id).order('created_at', { ascending: false })).map((row) => row.created_at)
		assert.ok(created.length === 4 && created.every((time, i) => i === 0 || time <= created[i - 1]))
		const played = took(await db.from('messages').select('id').eq('user_id', ana.id).order('last_played_at', { ascending: false, nullsFirst: false }).limit(1))
		assert.deepEqual(played, [{ id: message.id }])
	})

	test('updated_at moves', async () => touched({ db, table: 'messages', row: await read('messages', message), change: { title: 'For Mia and Leo' } }))

	test('RLS: user can read/write only their own messages', async () => {
		await hidden({ row: await read('messages', message), table: 'messages', owner: ana, stranger: ben, anon, change: { title: 'x' } })
		refused(await ben.db.from('messages').insert({ ...draft(bens), user_id: ana.id }), 403, '42501')
		refused(await ben.db.from('messages').insert(draft(profile)), 403, '42501')
		refused(await db.from('messages').update({ profile_id: bens.id }).eq('id', message.id), 403, '42501')
		refused(await service.from('messages').insert({ ...draft(bens), user_id: ana.id }), 409, '23503', { message: /the profile belongs to another user/ })
	})
})

describe('function generate_voice_message', () => {
	const speak = (who, { id }) => who.rpc('generate_voice_message', { id })

	test('not before the voice is ready', async () => {
		refused(await speak(db, message), 409, 'PT409', { message: /the voice of "Anna" is not ready/, hint: /Record the 25 clips and train the voice first/ })
		assert.equal((await read('messages', message)).status, 'draft')
	})

	test('draft to generating, and the work is queued', async () => {
		const own = await make(db, 'profiles', { name: 'Speaker', relation: 'self' })
		await set('profiles', own, { voice_model_status: 'training' })
		await set('profiles', own, { voice_model_status: 'ready', elevenlabs_voice_id: `voice-${own.id}` })
		const wish = await make(db, 'messages', draft(own))
		const spoken = took(await speak(db, wish))
		assert.deepEqual([spoken.id, spoken.profile_id, spoken.status, spoken.title], [wish.id, own.id, 'generating', 'For Mia'])
		assert.ok(jobs(ana).includes('generate_voice_message'))

		const busy = await set('messages', await make(db, 'messages', draft(own)), { status: 'generating' })
		refused(await speak(db, busy), 409, 'PT409', { message: /the voice message is generating already/, hint: /A draft, or a message that failed/ })
	})

	test('nobody else\'s', async () => {
		refused(await speak(ben.db, message), 404, 'PT404', { message: /voice message not found/ })
		refused(await speak(anon, message), 401, '42501')
	})
})

describe('table subscriptions', () => {
	test('its columns', () => shape('subscriptions', {
		id: 'uuid', user_id: 'uuid', plan: 'text', status: 'text', current_period_end: 'timestamptz', cancel_at_period_end: 'boolean',
		stripe_customer_id: 'text', stripe_subscription_id: 'text', stripe_price_id: 'text', created_at: 'timestamptz', updated_at: 'timestamptz',
	}))

	test('plan default free, status default active, cancel_at_period_end default false; one from sign-up on', () => {
		const { id, user_id, created_at, updated_at, ...rest } = plan
		assert.deepEqual(rest, {
			plan: 'free', status: 'active', current_period_end: null, cancel_at_period_end: false, stripe_customer_id: null, stripe_subscription_id: null,
			stripe_price_id: null,
		})
	})

	test('plan: free, essential, family_archive; status: active, trialing, canceled, past_due', async () => {
		for (const name of ['free', 'essential', 'family_archive']) assert.equal((await set('subscriptions', plan, { plan: name })).plan, name)
		for (const status of ['trialing', 'canceled', 'past_due', 'active']) assert.equal((await set('subscriptions', plan, { status })).status, status)
		refused(await service.from('subscriptions').update({ plan: 'gold' }).eq('id', plan.id), 409, '23503', { message: /plan/ })
		refused(await service.from('subscriptions').update({ status: 'unpaid' }).eq('id', plan.id), 400, '23514', { message: /subscriptions_status_known/, hint: /active, trialing, past_due, canceled/ })
	})

	test('only the server updates Stripe fields + status, and finds a row by them', async () => {
		const stripe = { stripe_customer_id: `cus_${ana.id}`, stripe_subscription_id: `sub_${ana.id}`, stripe_price_id: 'price_1' }
		const paid = await set('subscriptions', plan, { ...stripe, current_period_end: '2999-01-01T00:00:00Z', cancel_at_period_end: true })
		assert.ok(Date.parse(paid.updated_at) > Date.parse(plan.updated_at))
		assert.deepEqual(await read('subscriptions', plan), paid, 'the user can read their own subscription row')
		for (const column of ['stripe_customer_id', 'stripe_subscription_id']) {
			assert.deepEqual(took(await service.from('subscriptions').select('user_id').eq(column, stripe[column])), [{ user_id: ana.id }])
		}
	})

	test('user cannot write subscription status fields directly', async () => {
		const row = await read('subscriptions', plan)
		await kept({
			db, table: 'subscriptions', row, insert: { user_id: ana.id },
			values: {
				plan: 'free', status: 'trialing', current_period_end: '2998-01-01', cancel_at_period_end: false, stripe_customer_id: 'x',
				stripe_subscription_id: 'x', stripe_price_id: 'x',
			},
		})
		refused(await db.from('subscriptions').delete().eq('id', plan.id), 403, '42501')
	})

	test('RLS: select allowed for owner', async () => {
		await hidden({ row: await read('subscriptions', plan), table: 'subscriptions', owner: ana, stranger: ben, anon, change: { plan: 'pro' }, update: false, remove: false })
	})
})
