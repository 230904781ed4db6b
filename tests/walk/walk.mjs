/* Every route of every service, asked by everybody: nobody, a user, a seller and an admin who have no
 * business with the thing, its owner, a service with a token for this service, and one with a token
 * for another. What each must get follows from the route table (--describe): 401 without a role, 403
 * with another one, 404 for what is somebody else's, else the success that the table names.
 *     node tests/walk/walk.mjs      in the environment of tests/env.sh; tests as TAP lines
 * First all that must be refused, with the databases' digests before and after; then strangers do
 * what they may, and the owners must see the same as before; then owners, admins and services. */

import { execFileSync } from 'node:child_process';

import { builtin, rows } from './routes.mjs';
import * as world from './world.mjs';

const { SERVICES, ask, serviceUrl } = world;
const KINDS = ['anonymous', 'foreign', 'user', 'seller', 'admin', 'service', 'owner'];
const STRANGERS = ['anonymous', 'foreign', 'user', 'seller'];

let tests = 0;
function tell(sentence, faults) {
    console.log(`${faults.length ? 'not ok' : 'ok'} ${++tests} - ${sentence}`);
    for (const fault of faults) console.log(`    ${fault.slice(0, 1000)}`);
    if (faults.length) process.exitCode = 1;
}

/* ---- what there is ---- */

function describe(service) {
    const text = execFileSync(`${process.env.SOUK_BUILD}/src/souk-${service}`, ['--describe'],
        { encoding: 'utf8', maxBuffer: 1 << 24 });
    return JSON.parse(text).routes.map((route) => {
        const name = `${route.method} ${route.path}`;
        const internal = route.path.startsWith('/internal/') || name in builtin;
        return { ...route, service, name, internal, row: rows[service][name] ?? builtin[name] };
    });
}

function checkRows(routes) {
    for (const service of SERVICES) {
        const known = routes.filter((r) => r.service === service);
        const names = new Set(known.map((r) => r.name));
        tell(`each route of ${service} has a row in tests/walk/routes.mjs, and each row a route`, [
            ...known.filter((r) => !r.row).map((r) => `no row for ${r.name}`),
            ...Object.keys(rows[service]).filter((name) => !names.has(name)).map((name) => `no route ${name}`),
        ]);
    }
}

async function people() {
    const admin = await world.account('admin', ['admin']);
    const w = {
        admin, buyer: await world.register('buyer'), vendor: await world.register('vendor', 'seller'),
        visitor: await world.register('visitor'),
        user: await world.account('stranger', ['user'], admin), seller: await world.account('rival', ['seller'], admin),
    };
    await world.profile(w.vendor);
    await world.profile(w.seller);
    w.sku = await world.product(w.vendor);
    w.wares = await world.product(w.seller); /* what the callers buy */
    w.bought = await world.order(w.buyer, w.sku);
    w.methodId = await world.card(w.buyer);
    w.addressId = await world.address(w.buyer);
    w.sessionId = await world.session(w.buyer);
    w.guest = await world.cart(null, w.wares);
    await world.cart(w.buyer.token, w.sku);
    w.deliveryId = await world.delivery(w.buyer);
    w.services = {};
    for (const service of SERVICES)
        w.services[service] = {
            own: await world.serviceToken(service === 'cart' ? 'order' : 'cart', service),
            other: await world.serviceToken('cart', service === 'order' ? 'seller' : 'order'),
        };
    return w;
}

/* ---- who gets what ---- */

const rolesOf = (kind, route) => ({
    anonymous: [], foreign: [], user: ['user'], seller: ['seller'], admin: ['admin'], service: ['service'],
    owner: route.row.of === 'vendor' ? ['user', 'seller'] : ['user'],
})[kind];

function caller(kind, route, w) {
    const who = {
        anonymous: {}, foreign: { token: w.services[route.service].other }, service: { token: w.services[route.service].own },
        owner: w[route.row.of],
    }[kind] ?? w[kind];
    return { ...who, kind };
}

/* The status that the table promises; 'hidden' for what is somebody else's. */
function promised(route, kind) {
    const roles = rolesOf(kind, route), meets = (set) => set.includes('anyone') || set.some((r) => roles.includes(r));
    if (!roles.length && !route.roles.includes('anyone')) return 401;
    if (!meets(route.roles)) return 403;
    if (route.row.strict && ['foreign', 'service'].includes(kind)) return 401;
    if (route.row.of && kind !== 'owner' && !meets(route.others)) return 'hidden';
    const { status } = route.row;
    return (typeof status === 'object' ? status[kind] : status) ?? route.status;
}

const kindsFor = (route) => KINDS.filter((kind) => kind !== 'owner' || route.row.of);
const refused = (route, kind) => [401, 403, 'hidden'].includes(promised(route, kind));

function request(route, who, sent, base = serviceUrl(route.service)) {
    const path = route.path.replace(/\{(\w+)\}/g, (all, name) => {
        if (!sent.path?.[name]) throw new Error(`${route.name}: its row has no ${name}`);
        return encodeURIComponent(sent.path[name]);
    });
    const query = sent.query ? `?${new URLSearchParams(sent.query)}` : '';
    return ask(base, route.method, path + query, { ...sent, token: who.token });
}

/* ---- refusals ---- */

const CODES = { 401: 'unauthenticated', 403: 'forbidden' };

function problemFaults(answer, status) {
    const faults = [];
    if (answer.status !== status) return [`${answer.status}, not ${status}: ${answer.text}`];
    if (answer.body?.status !== status) faults.push(`no problem document: ${answer.text}`);
    if (CODES[status] && answer.body?.code !== CODES[status]) faults.push(`its code is ${answer.body?.code}`);
    if (status === 401 && !answer.headers.get('www-authenticate')) faults.push('no WWW-Authenticate');
    return faults;
}

/* The same request for a thing that there is not. */
function invented(sent) {
    const swap = (values) => values && Object.fromEntries(Object.entries(values).map(([name, value]) =>
        [name, /^[0-9a-f]{8}-/.test(value) ? world.uuid() : world.unique('NONE')]));
    return { ...sent, path: swap(sent.path), query: swap(sent.query) };
}

/* What is said, without what was asked for. */
function plain(answer, sent) {
    let text = JSON.stringify({ ...answer.body, correlationId: '' });
    for (const id of Object.values({ ...sent.path, ...sent.query })) text = text.replaceAll(id, 'ID');
    return text;
}

async function hiddenFaults(route, who, sent) {
    const answer = await request(route, who, sent), none = invented(sent), nowhere = await request(route, who, none);
    const faults = route.row.hides !== 'empty' ? problemFaults(answer, 404)
        : answer.status === 200 && answer.body.data.length === 0 ? [] : [`${answer.status}: ${answer.text}`];
    if (plain(answer, sent) !== plain(nowhere, none)) faults.push(`shows that it exists: ${answer.text} / ${nowhere.text}`);
    return faults;
}

async function tryRefusals(route, w) {
    const kinds = kindsFor(route).filter((kind) => refused(route, kind)), faults = [];
    const told = await Promise.all(kinds.map(async (kind) => {
        const who = caller(kind, route, w), sent = await route.row.send(w, who, false), status = promised(route, kind);
        const found = status === 'hidden' ? await hiddenFaults(route, who, sent)
            : problemFaults(await request(route, who, sent), status);
        faults.push(...found.map((fault) => `${kind}: ${fault}`));
        return `${kind} ${status === 'hidden' ? (route.row.hides ?? 404) : status}`;
    }));
    if (told.length) tell(`${route.service} ${route.name} refuses: ${told.join(', ')}`, faults);
}

/* ---- what may be done ---- */

async function tryOne(route, kind, w, secrets) {
    let who = caller(kind, route, w);
    if (route.row.alone && who.id)
        who = { ...await world.account(kind, rolesOf(kind, route), w.admin), kind };
    const sent = await route.row.send(w, who, true), answer = await request(route, who, sent);
    const status = promised(route, kind);
    if (answer.status !== status) return [`${kind}: ${answer.status}, not ${status}: ${answer.text}`];
    if (route.row.after && status < 300) await route.row.after(w, answer);
    return route.row.tells ? [] : secrets.filter((s) => answer.text.includes(s)).map((s) => `${kind}: is shown ${s}: ${answer.text}`);
}

async function tryAllowed(route, kinds, w, secrets) {
    const may = kindsFor(route).filter((kind) => kinds.includes(kind) && !refused(route, kind)), faults = [];
    for (const kind of may) faults.push(...await tryOne(route, kind, w, secrets));
    if (may.length) tell(`${route.service} ${route.name} serves: ${may.map((k) => `${k} ${promised(route, k)}`).join(', ')}`, faults);
}

/* What owners see of their things, by all GET routes that show them any. */
async function views(routes, w) {
    const seen = {};
    for (const route of routes.filter((r) => r.method === 'GET' && !r.internal && !r.row.shared))
        for (const kind of ['buyer', 'vendor']) {
            const who = w[kind], sent = await route.row.send(w, who, false);
            if (route.roles.includes('anyone') && !route.row.of && route.path !== '/api/v1/cart') continue;
            const answer = await request(route, who, sent);
            if (answer.status === 200) seen[`${kind} ${route.name}`] = answer.text;
        }
    return seen;
}

/* ---- the gateway ---- */

const CROOKED = ['/api/v1/..', '/orders/../..', '/api/v1/%2e%2e/%2e%2e', '/', '/api/v1/products/..%2f..%2f..'];

async function tryGateway(routes, w) {
    const faults = [], lost = [];
    for (const route of routes.filter((r) => r.internal)) {
        const path = route.path.replace(/\{\w+\}/g, w.bought.orderId);
        for (const token of [undefined, w.admin.token, w.services[route.service].own])
            for (const before of ['', ...CROOKED]) {
                const answer = await rawAsk(route.method, before + path, token);
                if (![400, 404].includes(answer)) faults.push(`${route.method} ${before}${path}: ${answer}`);
            }
    }
    tell(`the gateway leads to none of the ${routes.filter((r) => r.internal).length} internal routes, however they are spelt`, faults);
    for (const route of routes.filter((r) => !r.internal && refused(r, 'anonymous'))) {
        const sent = await route.row.send(w, caller('anonymous', route, w), false);
        const answer = await request(route, {}, sent, process.env.PUBLIC_URL);
        lost.push(...problemFaults(answer, 401).map((fault) => `${route.name}: ${fault}`));
    }
    tell('and to all that need a login', lost);
}

/* Whoever says to be somebody else is still counted as who they are. */
async function tryForgedAddress() {
    const left = await Promise.all(Array.from({ length: 40 }, async (none, i) => {
        const answer = await ask(process.env.PUBLIC_URL, 'POST', '/api/v1/auth/email-verifications/confirm',
            { body: { token: 'none' }, headers: { 'x-forwarded-for': `203.0.113.${i}`, forwarded: `for=203.0.113.${i}` } });
        return Number(/"address";r=(\d+)/.exec(answer.headers.get('ratelimit'))?.[1]);
    }));
    tell('an address that the client makes up does not count', Math.min(...left) < 990 ? [] : [`left: ${left}`]);
}

/* fetch() would straighten the path. */
async function rawAsk(method, path, token) {
    const { request: open } = await import('node:http');
    const { hostname, port } = new URL(process.env.PUBLIC_URL);
    return new Promise((done, fail) => {
        const req = open({ hostname, port, method, path, headers: token ? { authorization: `Bearer ${token}` } : {} },
            (res) => res.resume().on('end', () => done(res.statusCode)));
        req.on('error', fail).end();
    });
}

/* ---- the walk ---- */

function difference(before, after) {
    const old = new Map(before.split('\n').map((line) => line.split('|')));
    return after.split('\n').map((line) => line.split('|')).filter(([t, h]) => old.get(t) !== h).map(([t]) => `${t} changed`);
}

const quiet = () => world.until(60, 'nothing is under way', () => {
    try {
        execFileSync('tools/audit', ['--wait', '1'], { stdio: 'ignore' });
        return true;
    } catch {
        return false;
    }
});

const routes = SERVICES.flatMap(describe);
checkRows(routes);
const known = routes.filter((r) => r.row);
const w = await people();
await quiet();

const before = world.state();
for (const route of known) await tryRefusals(route, w);
await tryGateway(known, w);
await tryForgedAddress();
tell('whatever was refused has changed nothing in any database', difference(before, world.state()));

const secrets = [w.buyer.email, w.buyer.id, w.vendor.email, w.addressId, w.methodId, w.sessionId, w.deliveryId,
    ...Object.values(w.bought), world.ADDRESS.line1];
const seen = await views(known, w);
for (const route of known) await tryAllowed(route, STRANGERS, w, secrets);
const now = await views(known, w);
tell(`what strangers may do changes nothing in the ${Object.keys(seen).length} views that the owners have`,
    Object.keys(seen).filter((name) => seen[name] !== now[name]).map((name) => `${name}: ${seen[name]} / ${now[name]}`));
for (const route of known) await tryAllowed(route, ['admin', 'service', 'owner'], w, []);
console.log(`1..${tests}`);
