/* auth as other people's libraries see it: oauth4webapi discovers it, trades and revokes tokens and
 * introspects them, jose verifies them by the published key set. One TAP line a step.
 *     node oauth.mjs ISSUER EMAIL PASSWORD SERVICE   (the service's secret on standard input) */

import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';

globalThis.crypto ??= webcrypto; // Node.js 18

const { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } = await import('jose');
const oauth = await import('oauth4webapi');

const [issuer, email, password, service] = process.argv.slice(2);
const secret = readFileSync(0, 'utf8').trim();
const plain = { [oauth.allowInsecureRequests]: true }; // the suite listens on loopback, without TLS
const app = { client_id: 'souk-app' };
const confidential = { client_id: service };

let tests = 0;
let failures = 0;
const test = async (sentence, run) => {
    tests += 1;
    try {
        const result = await run();
        console.log(`ok ${tests} - ${sentence}`);
        return result;
    } catch (error) {
        failures += 1;
        console.log(`not ok ${tests} - ${sentence}\n#   ${error.name}: ${error.message} ${JSON.stringify(error.cause ?? '')}`);
        return undefined;
    }
};
const must = (condition, what) => {
    if (!condition) throw new Error(what);
};
const refusedAs = async (code, run) => {
    try {
        await run();
    } catch (error) {
        must(error.error === code || error.code === code, `${error.code} ${error.error}, not ${code}`);
        return;
    }
    throw new Error('it was not refused');
};

const as = await test('oauth4webapi discovers the server', async () =>
    oauth.processDiscoveryResponse(new URL(issuer),
        await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oauth2', ...plain })));

const login = await test('a person logs in', async () => {
    const answer = await fetch(`${issuer}/api/v1/auth/login`, {
        method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ email, password }),
    });
    must(answer.status === 200, `status ${answer.status}`);
    return answer.json();
});

const keys = createRemoteJWKSet(new URL(as.jwks_uri));
const verify = (token, audience) => jwtVerify(token, keys, {
    issuer, audience, algorithms: ['RS256'], typ: 'JWT', requiredClaims: ['sub', 'exp', 'iat', 'nbf', 'jti'],
});
await test('jose verifies the access token by the published keys', async () => {
    const { payload } = await verify(login.accessToken, 'souk');
    must(payload.sub === login.user.userId, 'another subject');
    must(payload.roles.includes('user'), 'no role');
});
await test('and refuses it for another audience', () =>
    refusedAs('ERR_JWT_CLAIM_VALIDATION_FAILED', () => verify(login.accessToken, 'payment')));
await test('two keys or more are published, the signer among them', async () => {
    const { keys: published } = await (await fetch(as.jwks_uri)).json();
    must(published.length >= 2, `${published.length} keys`);
    must(published.some(({ kid }) => kid === decodeProtectedHeader(login.accessToken).kid), 'not the signer');
});

const refresh = async (token) => oauth.processRefreshTokenResponse(as, app,
    await oauth.refreshTokenGrantRequest(as, app, oauth.None(), token, plain));
const next = await test('oauth4webapi refreshes as the public client', () => refresh(login.refreshToken));
await test('the fresh access token verifies', () => verify(next.access_token, 'souk'));
await test('a lost answer is given again', async () => {
    const again = await refresh(login.refreshToken);
    must(again.refresh_token === next.refresh_token, 'another successor');
});

for (const [name, auth] of [['Basic', oauth.ClientSecretBasic(secret)], ['its form', oauth.ClientSecretPost(secret)]])
    await test(`a service gets a token for a callee by ${name}`, async () => {
        const token = await oauth.processClientCredentialsResponse(as, confidential,
            await oauth.clientCredentialsGrantRequest(as, confidential, auth, { resource: 'urn:souk:payment' }, plain));
        must(token.expires_in <= 300, `it lives for ${token.expires_in} s`);
        const { payload } = await verify(token.access_token, 'payment');
        must(payload.sub === service, 'another subject');
    });
await test('a wrong secret is an error of OAuth, with a challenge', async () => {
    try {
        await oauth.processClientCredentialsResponse(as, confidential,
            await oauth.clientCredentialsGrantRequest(as, confidential, oauth.ClientSecretBasic('wrong'), { audience: 'payment' }, plain));
    } catch (error) {
        must(error.code === 'OAUTH_WWW_AUTHENTICATE_CHALLENGE' || error.error === 'invalid_client', `${error.code} ${error.message}`);
        return;
    }
    throw new Error('it was not refused');
});

const introspect = async (token) => oauth.processIntrospectionResponse(as, confidential,
    await oauth.introspectionRequest(as, confidential, oauth.ClientSecretBasic(secret), token, plain));
await test('a service introspects a live token', async () => {
    const found = await introspect(next.access_token);
    must(found.active && found.sub === login.user.userId && found.iss === issuer && found.exp > Date.now() / 1000,
        JSON.stringify(found));
});
await test('the app revokes its login', async () =>
    oauth.processRevocationResponse(await oauth.revocationRequest(as, app, oauth.None(), next.refresh_token, plain)));
await test('after which the token is inactive', async () => must(!(await introspect(next.access_token)).active, 'active'));
await test('and the refresh token is an invalid grant', () => refusedAs('invalid_grant', () => refresh(next.refresh_token)));

console.log(`1..${tests}`);
process.exitCode = failures ? 1 : 0;
