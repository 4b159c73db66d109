// The page of an app such as Essence: records, uploads, plays back.

let kith

function connect(url, key, token) {
	const auth = { persistSession: false, autoRefreshToken: false }
	kith = supabase.createClient(url, key, token ? { accessToken: async () => token } : { auth })
}

function took({ data, error }) {
	if (error) throw new Error(`${error.message} (${error.statusCode ?? error.code}; ${error.hint})`)
	return data
}

// About ms milliseconds of the microphone, in the browser's own format or in the one asked for.
async function record(ms, mimeType) {
	const stream = await navigator.mediaDevices.getUserMedia({ audio: true })
	const recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {})
	const parts = []
	recorder.ondataavailable = ({ data }) => parts.push(data)
	const stopped = new Promise((done) => (recorder.onstop = done))
	recorder.start()
	setTimeout(() => recorder.stop(), ms)
	await stopped
	for (const track of stream.getTracks()) track.stop()
	return new Blob(parts, { type: recorder.mimeType })
}

// The way of the document: the file into storage, then its row.
async function inTwoSteps(blob, { user_id, ...clip }) {
	const key = `${user_id}/${clip.profile_id}/${clip.prompt_index}.webm`
	took(await kith.storage.from('training_clips').upload(key, blob, { upsert: true }))
	const row = { ...clip, audio_storage_path: `training_clips/${key}`, mime_type: blob.type, size_bytes: blob.size }
	return took(await kith.from('clips').upsert(row, { onConflict: 'profile_id,prompt_index' }).select().single())
}

// Both in one call.
async function inOneCall(blob, clip) {
	const form = new FormData()
	for (const [name, value] of Object.entries(clip)) form.append(name, value)
	form.append('file', blob)
	return took(await kith.functions.invoke('clips', { body: form }))
}

function bucketAndKey(path) {
	const slash = path.indexOf('/')
	return [path.slice(0, slash), path.slice(slash + 1)]
}

async function download(path) {
	const [bucket, key] = bucketAndKey(path)
	return took(await kith.storage.from(bucket).download(key))
}

async function sign(path) {
	const [bucket, key] = bucketAndKey(path)
	return took(await kith.storage.from(bucket).createSignedUrl(key, 60)).signedUrl
}

async function digest(blob) {
	const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()))
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

// What the browser hears in a recording: its seconds, and its loudest sample.
async function listen(blob) {
	const sound = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(await blob.arrayBuffer())
	return { seconds: sound.duration, loudest: sound.getChannelData(0).reduce((most, sample) => Math.max(most, Math.abs(sample)), 0) }
}

// Plays a URL to its end, quickly; how far it came.
function play(url) {
	const player = document.querySelector('#player')
	return new Promise((done, failed) => {
		player.onended = () => done(player.currentTime)
		player.onerror = () => failed(new Error(player.error.message))
		player.src = url
		player.playbackRate = 4
		player.play().catch(failed)
	})
}

// Shows a picture; its width and height.
function show(url) {
	const picture = document.querySelector('#picture')
	return new Promise((done, failed) => {
		picture.onload = () => done([picture.naturalWidth, picture.naturalHeight])
		picture.onerror = () => failed(new Error('the picture does not load'))
		picture.src = url
	})
}
