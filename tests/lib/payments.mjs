// Stripe and Lemon Squeezy for the stub: what Kith calls there, in their real
// formats, with the refusals that they are known for.
//
// A test tells by PUT /objects/NAME what exists: {"sub_1": {...}} as the provider
// would answer it.  By PUT /clock/NAME {ahead_s} it sets the provider's clock.

import crypto from 'node:crypto';

export const objects = { stripe: {}, lemonsqueezy: {} };
export const clocks = {};

const random = (prefix) => prefix + crypto.randomBytes(12).toString('hex');
const isAddress = (text) => /^[^@\s<>"]+@[^@\s<>"]+\.[^@\s.<>"]+$/.test(text);
const isWeb = (text) => /^https?:\/\/[^\s/]/.test(text ?? '');

// --- Stripe ------------------------------------------------------------------

// a[b][0][c]=1 as an object; anything but such names and pairs is refused, as it is there.
export function parseForm(text) {
	const form = {};

	for (const [name, value] of new URLSearchParams(text)) {
		const path = /^[a-z_]+(\[[a-z0-9_]+\])*$/.test(name) && name.split(/[[\]]+/).filter(Boolean);
		if (!path) return undefined;
		let at = form;
		for (const step of path.slice(0, -1)) at = at[step] ??= {};
		if (path.at(-1) in at) return undefined;
		at[path.at(-1)] = value;
	}
	return form;
}

const wrong = (status, code, param, type = 'invalid_request_error') => ({
	status,
	body: { error: { type, code, param, message: `words of Stripe about ${param ?? code}`, request_log_url: 'https://dashboard.stripe.com/logs/x' } },
});

function session(form) {
	const price = form.line_items?.[0]?.price;

	if (form.mode !== 'subscription' || form.line_items?.[0]?.quantity !== '1') return wrong(400, 'parameter_missing', 'mode');
	if (!/^price_/.test(price) || price === 'price_gone') return wrong(400, 'resource_missing', 'line_items[0][price]');
	if (!isWeb(form.success_url)) return wrong(400, 'url_invalid', 'success_url');
	if (form.cancel_url && !isWeb(form.cancel_url)) return wrong(400, 'url_invalid', 'cancel_url');
	if (form.customer && form.customer_email) return wrong(400, 'parameter_invalid', 'customer_email');
	if (form.customer && objects.stripe[form.customer] === null) return wrong(400, 'resource_missing', 'customer');
	if (form.customer_email !== undefined && !isAddress(form.customer_email)) return wrong(400, 'email_invalid', 'customer_email');
	const id = random('cs_test_');
	return {
		body: { id, object: 'checkout.session', mode: form.mode, status: 'open', livemode: false, client_reference_id: form.client_reference_id,
			metadata: form.metadata ?? {}, expires_at: Math.floor(Date.now() / 1000) + 86400, url: `https://checkout.stripe.com/c/pay/${id}` },
	};
}

function portalSession(form) {
	if (!form.customer || objects.stripe[form.customer] === null) return wrong(400, 'resource_missing', 'customer');
	if (!isWeb(form.return_url)) return wrong(400, 'url_invalid', 'return_url');
	const id = random('bps_');
	return { body: { id, object: 'billing_portal.session', livemode: false, url: `https://billing.stripe.com/p/session/${id}` } };
}

function stripeSubscription(request, id) {
	const found = objects.stripe[id];

	if (!found) return wrong(404, 'resource_missing', 'id');
	if (request.method === 'GET') return { body: found };
	if (found.status === 'canceled') return wrong(400, undefined, undefined);
	if (request.form.cancel_at_period_end === 'true') found.cancel_at_period_end = true;
	return { body: found };
}

function stripeDo(request) {
	const id = /^\/v1\/subscriptions\/(\w+)$/.exec(request.path)?.[1];

	if (request.method === 'POST' && request.path === '/v1/checkout/sessions') return session(request.form);
	if (request.method === 'POST' && request.path === '/v1/billing_portal/sessions') return portalSession(request.form);
	if (request.method === 'GET' && request.path === '/v1/subscriptions?limit=1') return { body: { object: 'list', data: [], has_more: false } };
	if (id) return stripeSubscription(request, id);
	return wrong(404, undefined, undefined);
}

// A key is known for a day: the same request is answered as the first time,
// another one is refused.  What failed its checks left no trace.
const keys = new Map();

export function stripe(request) {
	const key = request.headers['idempotency-key'];
	const known = key && keys.get(key);

	if (!/^Bearer [sr]k_(test|live)_\w+$/.test(request.headers.authorization ?? '')) return wrong(401, undefined, undefined);
	if (!/^(20\d\d-\d\d-\d\d\.\w+)?$/.test(request.headers['stripe-version'] ?? '')) return wrong(400, undefined, 'Stripe-Version');
	if (request.method === 'POST') {
		request.form = request.headers['content-type'] === 'application/x-www-form-urlencoded' ? parseForm(request.text) : undefined;
		if (!request.form) return wrong(400, 'parameter_unknown', undefined);
		if (key?.length > 255) return wrong(400, undefined, 'Idempotency-Key');
	}
	const same = `${request.path}\n${request.text}`;
	if (known && known.same !== same) return wrong(400, undefined, undefined, 'idempotency_error');
	if (known) return { ...known.reply, headers: { 'idempotent-replayed': 'true' }, replayed: true };
	const reply = stripeDo(request);
	reply.headers = { 'request-id': random('req_') };
	if (request.method === 'POST' && key && !reply.status) keys.set(key, { same, reply });
	return reply;
}

// --- Lemon Squeezy -----------------------------------------------------------

const api = 'application/vnd.api+json';
const invalid = (pointer) => ({
	status: 422,
	headers: { 'content-type': api },
	body: { jsonapi: { version: '1.0' }, errors: [{ detail: 'words of Lemon Squeezy', source: { pointer }, status: '422', title: 'Unprocessable Entity' }] },
});
const missing = () => ({
	status: 404,
	headers: { 'content-type': api },
	body: { jsonapi: { version: '1.0' }, errors: [{ detail: 'The related resource does not exist.', status: '404', title: 'Not Found' }] },
});

function lemonCheckout({ data }) {
	const { checkout_data: buyer, product_options: product, expires_at: expires } = data?.attributes ?? {};
	const { store, variant } = data?.relationships ?? {};

	if (data?.type !== 'checkouts') return invalid('/data/type');
	if (store?.data?.type !== 'stores' || typeof store.data.id !== 'string') return invalid('/data/relationships/store');
	if (variant?.data?.type !== 'variants' || typeof variant.data.id !== 'string' || variant.data.id === '404') return invalid('/data/relationships/variant');
	if (Object.values(buyer?.custom ?? {}).some((value) => typeof value !== 'string')) return invalid('/data/attributes/checkout_data/custom');
	if (buyer?.email !== undefined && !isAddress(buyer.email)) return invalid('/data/attributes/checkout_data/email');
	if (!isWeb(product?.redirect_url)) return invalid('/data/attributes/product_options/redirect_url');
	if (!product.enabled_variants?.every(Number.isInteger)) return invalid('/data/attributes/product_options/enabled_variants');
	if (!(Date.parse(expires) > Date.now())) return invalid('/data/attributes/expires_at');
	const id = crypto.randomUUID();
	return {
		status: 201,
		headers: { 'content-type': api },
		body: { data: { type: 'checkouts', id, attributes: { store_id: Number(store.data.id), variant_id: Number(variant.data.id),
			expires_at: expires, url: `https://store.lemonsqueezy.com/checkout/custom/${id}?signature=x` } } },
	};
}

export function lemonsqueezy(request) {
	const [, kind, id] = /^\/v1\/(subscriptions|customers|stores)\/(\w+)$/.exec(request.path) ?? [];
	const found = objects.lemonsqueezy[`${kind}/${id}`];

	if (!/^Bearer \S+$/.test(request.headers.authorization ?? '')) {
		return { status: 401, body: { errors: [{ detail: 'Unauthenticated.', status: '401', title: 'Unauthorized' }] } };
	}
	if (request.headers.accept !== api || request.headers['content-type'] !== api) return { status: 415, body: { errors: [{ status: '415' }] } };
	if (request.method === 'POST' && request.path === '/v1/checkouts') return lemonCheckout(request.body ?? {});
	if (!found) return missing();
	if (request.method === 'DELETE') {
		if (['cancelled', 'expired'].includes(found.attributes.status)) return invalid('/data/attributes/cancelled');
		Object.assign(found.attributes, { status: 'cancelled', cancelled: true, ends_at: found.attributes.renews_at });
	}
	return { headers: { 'content-type': api }, body: { jsonapi: { version: '1.0' }, data: found } };
}

// How each says that it was asked too often.
export const tooMany = {
	stripe: { headers: (ms) => ({ 'retry-after': String(Math.ceil(ms / 1000)) }), body: wrong(429, 'rate_limit').body },
	lemonsqueezy: { headers: (ms) => ({ 'retry-after': String(Math.ceil(ms / 1000)) }), body: { errors: [{ status: '429', title: 'Too Many Requests' }] } },
};
