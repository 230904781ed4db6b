/* Forges tokens and shows each to every service.
 *     node forged-tokens.mjs KEY.pem KID OTHER-KID OTHER-KEY.pem GOOD-TOKEN URL...   (a URL of each service)
 * Signed with the real key, so a row differs from a good token in the one thing that it names. One
 * line a row: "401 name" when every service answered 401 with the same body (but for the
 * correlation id), else what they said. The first row is the good token. */

import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';

const [keyFile, kid, nextKid, nextFile, good, ...urls] = process.argv.slice(2);
const key = createPrivateKey(readFileSync(keyFile));
const nextKey = createPrivateKey(readFileSync(nextFile));
const publicKey = createPublicKey(key);
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });

const b64 = (data) => Buffer.from(data).toString('base64url');
const header = { alg: 'RS256', typ: 'JWT', kid };
const claims = JSON.parse(Buffer.from(good.split('.')[1], 'base64url'));
const now = Math.floor(Date.now() / 1000);

const text = (value) => (typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value));
const input = (h, c) => `${b64(text(h))}.${b64(text(c))}`;
const rs256 = (data, k = key) => sign('sha256', Buffer.from(data), k).toString('base64url');
const token = (h, c = claims, k = key) => `${input(h, c)}.${rs256(input(h, c), k)}`;
const head = (change, c) => token({ ...header, ...change }, c);
const claim = (change) => token(header, { ...claims, ...change });
const without = (object, name) => Object.fromEntries(Object.entries(object).filter(([n]) => n !== name));
/* An object's text with more members in front of its own. */
const more = (object, members) => `{${members},${JSON.stringify(object).slice(1)}`;
const hs256 = (secret, alg = 'HS256') => {
    const data = input({ ...header, alg }, claims);
    return `${data}.${createHmac('sha256', secret).update(data).digest('base64url')}`;
};
/* The same bytes in another spelling: the last letter's unused bits are set. */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const respelled = (part) => part.slice(0, -1) + alphabet[alphabet.indexOf(part.at(-1)) + 1];

const fine = token(header);
const [h, c, s] = fine.split('.');
const rows = [['the good one, made by hand', fine]];
const row = (name, forged) => rows.push([name, forged]);

for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
    row(`alg ${alg || 'empty'}, no signature`, `${input({ ...header, alg }, claims)}.`);
    row(`alg ${alg || 'empty'}, the signature of RS256`, head({ alg }));
}
row('HS256 with the public key in PEM', hs256(publicKey.export({ type: 'spki', format: 'pem' })));
row('HS256 with the public key in PKCS #1', hs256(publicKey.export({ type: 'pkcs1', format: 'pem' })));
row('HS256 with the public key in DER', hs256(publicKey.export({ type: 'spki', format: 'der' })));
row('HS256 with the modulus', hs256(Buffer.from(publicKey.export({ format: 'jwk' }).n, 'base64url')));
row('HS256 with nothing', hs256(''));
row('HMAC under the name of RS256', hs256(publicKey.export({ type: 'spki', format: 'pem' }), 'RS256'));
for (const alg of ['rs256', 'Rs256', 'RS256 ', 'RS384', 'RS512', 'PS256', 'ES256', 'EdDSA', 256, null, ['RS256']])
    row(`alg ${JSON.stringify(alg)}`, head({ alg }));
row('no alg', token(without(header, 'alg')));
for (const typ of ['at+jwt', 'jwt', 'JOSE', '', null, 7]) row(`typ ${JSON.stringify(typ)}`, head({ typ }));
row('no typ', token(without(header, 'typ')));

row('a stranger\'s key', token(header, claims, stranger.privateKey));
row('the next key under the name of this one', token(header, claims, nextKey));
row('this key under the name of the next one', head({ kid: nextKid }));
for (const bad of ['unknown', '', '../keys', '../../../../etc/passwd', '/dev/null', `${kid}.pem`, `${kid}\u0000`, `${kid} `,
    kid.toUpperCase(), "' OR 1=1 --", '$(id)', 'http://127.0.0.1:1/', 'k'.repeat(64), 'k'.repeat(2000), 7, null, [kid]])
    row(`kid ${JSON.stringify(bad).slice(0, 40)}`, head({ kid: bad }));
row('no kid', token(without(header, 'kid')));
const evil = stranger.publicKey.export({ format: 'jwk' });
row('jwk with the key that signed', token({ ...header, jwk: evil }, claims, stranger.privateKey));
row('jwk beside the real key', head({ jwk: evil }));
row('jku', head({ jku: 'http://127.0.0.1:1/jwks.json' }));
row('x5u', head({ x5u: 'http://127.0.0.1:1/cert.pem' }));
row('x5c', head({ x5c: ['AAAA'] }));
row('crit', head({ crit: ['exp'] }));
row('crit of nothing', head({ crit: [] }));
row('b64 false', `${b64(JSON.stringify({ ...header, b64: false, crit: ['b64'] }))}.${c}.${rs256(`${b64(JSON.stringify({ ...header, b64: false, crit: ['b64'] }))}.${JSON.stringify(claims)}`)}`);
row('b64 false, encoded all the same', head({ b64: false, crit: ['b64'] }));
row('zip', head({ zip: 'DEF' }));
row('alg twice, none first', token(more(header, '"alg":"none"')));
row('alg twice, none last', token(JSON.stringify(header).replace(/}$/, ',"alg":"none"}')));
row('kid twice', token(more(header, '"kid":"unknown"')));
row('a header that is a list', token([header]));
row('a header with more behind it', token(`${JSON.stringify(header)}{}`));
row('a header with a byte order mark', token(`\ufeff${JSON.stringify(header)}`));

for (const iss of ['', 'souk-auth', 'https://evil.example', `${claims.iss}/`, claims.iss.toUpperCase(), null, [claims.iss]])
    row(`iss ${JSON.stringify(iss)}`, claim({ iss }));
for (const aud of ['', 'souk2', 'SOUK', 'nobody', null, ['souk'], ['souk', 'payment'], { souk: true }])
    row(`aud ${JSON.stringify(aud)}`, claim({ aud }));
for (const exp of [now - 61, now - 86400, 0, -1, -(2 ** 53), now + 0.5, String(now + 600), null, true, [now + 600]])
    row(`exp ${JSON.stringify(exp)}`, claim({ exp }));
for (const exp of ['1e300', '1e12', '99999999999999999999', '-99999999999999999999', '0x7fffffff', '+1', 'NaN'])
    row(`exp ${exp}`, token(header, JSON.stringify(claims).replace(/"exp":\d+/, `"exp":${exp}`)));
row('not valid yet', claim({ nbf: now + 120 }));
row('issued in the future', claim({ iat: now + 120 }));
row('ends before it begins', claim({ nbf: now, exp: now - 1 }));
for (const name of ['iss', 'aud', 'sub', 'exp', 'nbf', 'iat', 'roles']) row(`no ${name}`, token(header, without(claims, name)));
for (const roles of ['admin', 'user admin', { admin: true }, [['admin']], [7], null]) row(`roles ${JSON.stringify(roles)}`, claim({ roles }));
for (const sub of [7, null, ['x']]) row(`sub ${JSON.stringify(sub)}`, claim({ sub }));
row('exp twice, the good one last', token(header, more(claims, '"exp":1')));
row('exp twice, the good one first', token(header, JSON.stringify(claims).replace(/}$/, ',"exp":1}')));
row('roles twice', token(header, more(claims, '"roles":["admin"]')));
row('sub twice, once escaped', token(header, more(claims, '"\\u0073ub":"x"')));
row('claims that are a list', token(header, [claims]));
row('claims that are a text', token(header, '"x"'));
row('claims with more behind them', token(header, `${JSON.stringify(claims)} {}`));
row('claims that are not UTF-8', token(header, Buffer.concat([Buffer.from('{"x":"'), Buffer.from([0xff]), Buffer.from(`",${JSON.stringify(claims).slice(1)}`)])));
row('claims nested very deeply', token(header, more(claims, `"x":${'['.repeat(500)}${']'.repeat(500)}`)));
row('5 KiB', claim({ filler: 'x'.repeat(3700) }));

row('without a signature', `${h}.${c}.`);
row('two parts', `${h}.${c}`);
row('one part', h);
row('no part', '.');
row('dots', '..');
row('four parts', `${fine}.${s}`);
row('five parts', `${fine}.${s}.${s}`);
row('an empty part more', `${fine}.`);
row('an empty part before', `.${fine}`);
row('no header', `.${c}.${s}`);
row('no claims', `${h}..${s}`);
for (const n of [1, 2, 4, 100]) row(`${n} letters short`, fine.slice(0, -n));
row('one letter more', `${fine}A`);
row('the signature of another token', `${h}.${c}.${claim({ jti: 'x' }).split('.')[2]}`);
row('other claims under the signature', `${h}.${b64(JSON.stringify({ ...claims, roles: ['admin'] }))}.${s}`);
row('a signature of zeros', `${h}.${c}.${b64(Buffer.alloc(256))}`);
row('the signature respelled', `${h}.${c}.${respelled(s)}`);
row('padding', `${fine}==`);
row('padding of one', `${fine}=`);
row('padding inside', `${h}==.${c}.${s}`);
row('base64 instead of base64url', `${h}.${c}.${s.replaceAll('-', '+').replaceAll('_', '/')}${/[-_]/.test(s) ? '' : '+'}`);
row('blanks around the dots', `${h} . ${c} . ${s}`);
row('a blank inside', `${fine.slice(0, 40)} ${fine.slice(40)}`);
row('a tab inside', `${fine.slice(0, 40)}\t${fine.slice(40)}`);
row('something behind', `${fine} x`);
row('a comma and another', `${fine}, ${fine}`);
row('in quotes', `"${fine}"`);
row('nothing but letters', 'x');
row('letters from far away', '\u00e9\u00e8');

const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
const show = (url, forged) => new Promise((resolve) => {
    const request = http.request(url, { agent, headers: { Authorization: `Bearer ${forged}` } }, (answer) => {
        const pieces = [];
        answer.on('data', (piece) => pieces.push(piece));
        answer.on('end', () => resolve({ status: answer.statusCode, body: Buffer.concat(pieces).toString() }));
    });
    request.on('error', (error) => resolve({ status: error.code, body: '' }));
    request.end();
});

let refusal;
for (const [name, forged] of rows) {
    const answers = await Promise.all(urls.map((url) => show(url, forged)));
    const bodies = answers.map(({ status, body }) => {
        try {
            return status === 401 ? JSON.stringify(without(JSON.parse(body), 'correlationId')) : `status ${status}`;
        } catch {
            return `no JSON: ${body}`;
        }
    });
    if (name === rows[0][0]) {
        console.log(`${answers.some(({ status }) => status >= 400 && status !== 404) ? bodies.join(' ') : 'taken'} ${name}`);
        continue;
    }
    refusal ??= bodies[0];
    const same = refusal.startsWith('{') && bodies.every((body) => body === refusal);
    console.log(`${same ? '401' : bodies.map((b, i) => `[${new URL(urls[i]).port}: ${b}]`).join('').replaceAll(' ', '_')} ${name}`);
}
agent.destroy();
