// The benchmark's peer: the two requests as one writes them with Fastify and
// pg, against the same tables under the same row-level security.
//
// Environment: PORT, JWT_SECRET, and libpq's PG*.

import cluster from 'node:cluster';
import { availableParallelism } from 'node:os';
import Fastify from 'fastify';
import jwt from '@fastify/jwt';
import pg from 'pg';

// As Kith prints times: a Date would lose the microseconds.
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => `${text.replace(' ', 'T')}:00`);

const newest = 'select * from messages where conversation_id = $1 order by created_at desc limit $2';
const append = 'insert into messages (conversation_id, role, content) values ($1, $2, $3) returning *';
const becomeUser = "select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)";

const conversation = { type: 'object', properties: { id: { type: 'string', format: 'uuid' } } };
const page = { type: 'object', properties: { limit: { type: 'integer', minimum: 1, maximum: 1000, default: 20 } } };
const message = {
	type: 'object',
	required: ['role', 'content'],
	properties: { role: { type: 'string' }, content: { type: 'string' } },
};

function serve() {
	const app = Fastify();
	const pool = new pg.Pool({ max: 10 });

	pool.on('error', (error) => app.log.error(error));

	async function asUser(claims, text, values) {
		const client = await pool.connect();
		try {
			await client.query('begin');
			await client.query(becomeUser, [JSON.stringify(claims)]);
			const { rows } = await client.query(text, values);
			await client.query('commit');
			return rows;
		} catch (error) {
			await client.query('rollback');
			throw error;
		} finally {
			client.release();
		}
	}

	app.register(jwt, { secret: process.env.JWT_SECRET });
	app.addHook('onRequest', (request) => request.jwtVerify());

	app.get('/conversations/:id/messages', { schema: { params: conversation, querystring: page } }, (request) =>
		asUser(request.user, newest, [request.params.id, request.query.limit]));

	app.post('/conversations/:id/messages', { schema: { params: conversation, body: message } }, (request, reply) => {
		reply.code(201);
		return asUser(request.user, append, [request.params.id, request.body.role, request.body.content]);
	});

	app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
}

if (cluster.isPrimary) {
	for (let i = 0; i < availableParallelism(); i++)
		cluster.fork();
} else {
	serve();
}
