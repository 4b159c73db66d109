// The benchmark's peer for files: an upload as one writes it with Fastify and
// @fastify/multipart, which is kept when it is on disk and its row is written.
//
// Environment: PORT, JWT_SECRET, FILES (a directory), and libpq's PG*.

import cluster from 'node:cluster';
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { pipeline } from 'node:stream/promises';
import Fastify from 'fastify';
import jwt from '@fastify/jwt';
import multipart from '@fastify/multipart';
import pg from 'pg';

const becomeUser = "select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)";
const keep = `insert into bench.files (name, size, mimetype) values ($1, $2, $3)
	on conflict (name) do update set size = excluded.size, mimetype = excluded.mimetype`;

// Until it is on disk, a file is not there: neither its bytes nor its name.
async function sync(path) {
	const handle = await open(path);
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}

function serve() {
	const app = Fastify();
	const pool = new pg.Pool({ max: 10 });
	const folder = process.env.FILES;

	async function asUser(claims, text, values) {
		const client = await pool.connect();
		try {
			await client.query('begin');
			await client.query(becomeUser, [JSON.stringify(claims)]);
			await client.query(text, values);
			await client.query('commit');
		} catch (error) {
			await client.query('rollback');
			throw error;
		} finally {
			client.release();
		}
	}

	app.register(jwt, { secret: process.env.JWT_SECRET });
	app.register(multipart, { limits: { fileSize: 52428800, files: 1 } });
	app.addHook('onRequest', (request) => request.jwtVerify());

	app.post('/files/:name', async (request) => {
		const { name } = request.params;
		const part = await request.file();
		const arriving = `${folder}/${randomUUID()}`;
		const out = createWriteStream(arriving, { flush: true }); // fsync before it is closed
		await pipeline(part.file, out);
		await rename(arriving, `${folder}/${name}`);
		await sync(folder);
		await asUser(request.user, keep, [name, out.bytesWritten, part.mimetype]);
		return { name, size: out.bytesWritten };
	});

	app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
}

if (cluster.isPrimary) {
	for (let i = 0; i < availableParallelism(); i++)
		cluster.fork();
} else {
	serve();
}
