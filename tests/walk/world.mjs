/* People, and things that are theirs, in a running suite: what a walk over all routes needs to ask
 * for something real. Requests go to the services themselves; the gateway has a test of its own. */

import { execFileSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

export const SERVICES = ['auth', 'cart', 'order', 'payment', 'seller', 'notification', 'aibuddy'];
export const ADDRESS = {
    name: 'Marta Owner', line1: '7 Nobody Else Street', city: 'Ulm', postalCode: '89073', country: 'DE',
};
export const ELSEWHERE = { name: 'Otto Other', line1: '8 Other Road', city: 'Bonn', country: 'DE' };

const env = (service, what) => process.env[`${service.toUpperCase()}_${what}`];
export const serviceUrl = (service) => env(service, 'SERVICE_URL');

const run = randomBytes(4).toString('hex');
let count = 0;
export const unique = (word) => `${word}-${run}-${++count}`;
export const password = `a walk of ${run}`;

/* { status, headers, body }: body as JSON when it is, else as text. */
export async function ask(base, method, path, { token, body, headers = {}, form } = {}) {
    const head = { ...headers };
    if (token) head.authorization = `Bearer ${token}`;
    if (body !== undefined) head['content-type'] = 'application/json';
    if (form !== undefined) head['content-type'] = 'application/x-www-form-urlencoded';
    const answer = await fetch(base + path, {
        method, headers: head, body: form ?? (body === undefined ? undefined : JSON.stringify(body)),
        redirect: 'manual', signal: AbortSignal.timeout(20000),
    });
    const text = await answer.text();
    let json = null;
    try {
        json = JSON.parse(text);
    } catch { /* pages and metrics */ }
    return { status: answer.status, headers: answer.headers, text, body: json };
}

async function must(status, service, method, path, options) {
    const answer = await ask(serviceUrl(service), method, path, options);
    if (answer.status !== status)
        throw new Error(`${method} ${path} of ${service}: ${answer.status}, not ${status}: ${answer.text}`);
    return answer;
}

export async function until(seconds, what, question) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
        const answer = await question();
        if (answer) return answer;
        if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
        await new Promise((done) => setTimeout(done, 50));
    }
}

export const sql = (service, query, role = 'AUDIT') => execFileSync('psql',
    ['-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-d', env(service, `${role}_DATABASE_URL`), '-c', query],
    { encoding: 'utf8' }).trim();

/* One line a table: its digest. What the housekeeping of a running service writes is left out. */
const HOUSEKEEPING = ['schema_migrations', 'suspects', 'replays'];
export const stateOf = (service) => sql(service, `SELECT relname, (xpath('/row/h/text()', query_to_xml(
    format('SELECT md5(coalesce(string_agg(t::text, E''\\n'' ORDER BY t::text), '''')) AS h FROM %I t', relname),
    false, true, '')))[1]::text FROM pg_stat_user_tables
    WHERE relname <> ALL ('{${HOUSEKEEPING}}') ORDER BY 1`);
export const state = () => SERVICES.map((s) => stateOf(s).replace(/^/gm, `${s}.`)).join('\n');

/* ---- people ---- */

export async function register(name, role = 'user') {
    const email = `${unique(name)}@people.example`;
    const { body } = await must(201, 'auth', 'POST', '/api/v1/auth/register',
        { body: { email, password, name: `${name} of the walk`, role } });
    return { name, email, id: body.user.userId, token: body.accessToken, refresh: body.refreshToken };
}

export async function login(who) {
    const { body } = await must(200, 'auth', 'POST', '/api/v1/auth/login',
        { body: { email: who.email, password } });
    return { ...who, token: body.accessToken, refresh: body.refreshToken };
}

/* An account with exactly these roles. The first admin is made by the database's owner. */
export async function account(name, roles, admin) {
    const who = await register(name);
    if (admin)
        await must(200, 'auth', 'PUT', `/api/v1/auth/users/${who.id}/roles`, { token: admin.token, body: { roles } });
    else
        sql('auth', `UPDATE users SET roles = '{${roles}}' WHERE id = '${who.id}'`, 'MIGRATE');
    return login(who);
}

export const serviceKey = (service) => readFileSync(env(service, 'API_KEY_FILE'), 'utf8').trim();

/* A form for /oauth2, with the service's name and secret. */
export const clientForm = (service, values) => new URLSearchParams(
    { ...values, client_id: service, client_secret: serviceKey(service) }).toString();

export async function serviceToken(caller, callee) {
    const { body } = await must(200, 'auth', 'POST', '/oauth2/token',
        { form: clientForm(caller, { grant_type: 'client_credentials', audience: callee }) });
    return body.access_token;
}

/* ---- things ---- */

export async function profile(who) {
    await must(201, 'seller', 'POST', '/api/v1/sellers', { token: who.token, body: { name: unique('Shop') } });
}

export async function product(who, initialStock = 1000) {
    const sku = unique('WALK');
    await must(201, 'seller', 'POST', '/api/v1/products', {
        token: who.token,
        body: { sku, name: `Thing ${sku}`, category: 'walks', price: { amount: 1200, currency: 'USD' }, initialStock },
    });
    return sku;
}

export async function card(who) {
    const { body } = await must(201, 'payment', 'POST', '/api/v1/payment-methods',
        { token: who.token, body: { token: 'tok_visa', label: unique('card') } });
    return body.paymentMethodId;
}

export async function address(who) {
    const { body } = await must(201, 'auth', 'POST', `/api/v1/users/${who.id}/addresses`,
        { token: who.token, body: ADDRESS });
    return body.addressId;
}

/* The bearer's cart, or a guest's, with one of `sku` in it: the headers that lead to it. */
export async function cart(token, sku) {
    const { body } = await must(200, 'cart', 'POST', '/api/v1/cart/items', { token, body: { sku, quantity: 1 } });
    return body.cartToken ? { 'x-cart-token': body.cartToken } : {};
}

/* An order that is confirmed, and so paid: { orderId, paymentId, checkoutId }. */
export async function order(who, sku) {
    await cart(who.token, sku);
    const paymentMethodId = await card(who);
    const { body } = await must(201, 'cart', 'POST', '/api/v1/cart/checkout', {
        token: who.token, body: { paymentMethodId, shippingAddress: ADDRESS }, headers: { 'idempotency-key': unique('buy') },
    });
    const [paymentId, checkoutId] = await until(20, 'an order is confirmed', () =>
        sql('order', `SELECT payment_id FROM orders WHERE id = '${body.orderId}' AND status = 'confirmed'`))
        .then((id) => [id, sql('cart', `SELECT id FROM checkouts WHERE order_id = '${body.orderId}'`)]);
    return { orderId: body.orderId, paymentId, checkoutId };
}

export async function session(who) {
    const other = await login(who);
    return JSON.parse(Buffer.from(other.token.split('.')[1], 'base64url')).sid;
}

export const delivery = (who) => until(20, 'a mail to the owner', () =>
    sql('notification', `SELECT id FROM deliveries WHERE user_id = '${who.id}' AND status = 'sent' LIMIT 1`));

export async function hold(sku) {
    const orderId = uuid();
    await must(201, 'seller', 'POST', '/internal/v1/holds',
        { token: await serviceToken('cart', 'seller'), body: { orderId, items: [{ sku, quantity: 1 }] } });
    return orderId;
}

export const release = async (orderId) => must(204, 'seller', 'DELETE', `/internal/v1/holds/${orderId}`,
    { token: await serviceToken('cart', 'seller') });

export const authorizationBody = (who, paymentMethodId, orderId = uuid()) => ({
    orderId, userId: who.id, userEmail: who.email, paymentMethodId, amount: { amount: 1200, currency: 'USD' },
});

/* The id of an order that there will not be, its money reserved. */
export async function authorization(who, paymentMethodId) {
    const body = authorizationBody(who, paymentMethodId);
    await must(201, 'payment', 'POST', '/internal/v1/authorizations', { token: await serviceToken('cart', 'payment'), body });
    return body.orderId;
}

export const giveUp = async (orderId) => must(200, 'payment', 'POST', `/internal/v1/authorizations/${orderId}/void`,
    { token: await serviceToken('cart', 'payment'), body: { reason: 'walked' } });

export const cancel = (admin, orderId) =>
    must(200, 'order', 'DELETE', `/api/v1/orders/${orderId}`, { token: admin.token });

export const orderBody = (who, vendor, sku) => ({
    userId: who.id, userEmail: who.email, orderId: uuid(),
    items: [{ sku, name: 'Thing', sellerId: vendor.id, quantity: 1, unitPrice: { amount: 1200, currency: 'USD' } }],
    total: { amount: 1200, currency: 'USD' },
});

/* The row's version, as If-Match wants it. */
export async function version(who, service, path) {
    const answer = await must(200, service, 'GET', path, { token: who.token });
    return { 'if-match': answer.headers.get('etag') };
}

/* A version 7 UUID, which is what services make. */
export const uuid = () => randomUUID().replace(/^(.{14})./, '$17');
