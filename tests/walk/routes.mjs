/* How to ask each route for something real. The walk takes the routes from the services' --describe,
 * and fails for one that has no row here:
 *     of      whose thing the path or the query leads to: 'buyer' or 'vendor'. None: the caller's
 *             own things, or nobody's.
 *     send    (w, who, fresh) => what to send: path: values of its variables, query, body, headers,
 *             form. `w` is the world of walk.mjs, `who` the caller. `fresh` says that the request will
 *             be carried out and may use its thing up; without it nothing may be changed on the way.
 *     after   (w, answer) => tidies up what was made
 *     status  of success where that isn't the table's, for all or by kind of caller
 *     alone   the caller is an account of its own, as what happens is not to be undone
 *     strict  a token that isn't a person's is refused, though no token is needed
 *     tells   its answer names whom it was asked about, to whom has the secret that is sent
 *     shared  everybody's orders show in it
 *     hides   'empty': what is not there is an empty list instead of 404 */

import * as world from './world.mjs';

const { ADDRESS, ELSEWHERE, unique } = world;
const nothing = () => ({});
const bought = (change) => ({
    of: 'buyer', send: (w) => ({ path: { orderId: w.bought.orderId }, ...change }),
});
const boughtAnew = (change) => ({
    of: 'buyer',
    send: async (w, who, fresh) => ({
        path: { orderId: fresh ? (await world.order(w.buyer, w.sku)).orderId : w.bought.orderId }, ...change,
    }),
});
const stocked = (send = nothing) => ({
    of: 'vendor',
    send: async (w) => ({ path: { sku: w.sku }, ...await send(w) }),
});
const placed = (send) => ({
    of: 'buyer',
    send: async (w, who, fresh) => ({
        path: { userId: w.buyer.id, addressId: fresh ? await world.address(w.buyer) : w.addressId }, ...send,
    }),
});
/* Changing a product needs its version; whom it is hidden from must not learn even that. */
const changed = (body) => stocked(async (w) => ({
    body, headers: await world.version(w.vendor, 'seller', `/api/v1/products/${w.sku}`),
}));
const PRODUCT = { name: 'Thing', category: 'walks', price: { amount: 1200, currency: 'USD' }, status: 'active' };
/* A cart route: with something in the caller's cart when it is carried out. Whose login has ended must
 * not shop on as a guest without being told. */
const carted = (send) => ({
    strict: true,
    send: async (w, who, fresh) => ({ headers: fresh ? await world.cart(who.token, w.wares) : {}, ...send(w) }),
});
/* A link that was never mailed: the answer is about the link, to whoever asks. */
const deadLink = { token: 'x'.repeat(43) };
const orders = { send: nothing };
const createOrder = {
    send: (w) => ({ body: world.orderBody(w.buyer, w.vendor, w.sku) }),
    after: (w, answer) => world.cancel(w.admin, answer.body.orderId),
};

export const rows = {
    auth: {
        'POST /api/v1/auth/register': {
            send: () => ({ body: { email: `${unique('new')}@people.example`, password: world.password, name: 'New' } }),
        },
        'POST /api/v1/auth/login': {
            send: (w) => ({ body: { email: w.visitor.email, password: world.password } }),
        },
        'POST /api/v1/auth/refresh': {
            send: async (w) => ({ body: { refreshToken: (await world.login(w.visitor)).refresh } }),
        },
        'POST /api/v1/auth/logout': { alone: true, send: nothing },
        'POST /api/v1/auth/password': {
            alone: true, send: () => ({ body: { currentPassword: world.password, newPassword: `${world.password} now` } }),
        },
        'POST /api/v1/auth/password-resets': { send: () => ({ body: { email: 'nobody@people.example' } }) },
        'POST /api/v1/auth/password-resets/confirm': {
            status: 400, send: () => ({ body: { ...deadLink, newPassword: `${world.password} now` } }),
        },
        'GET /api/v1/auth/password-resets/page': { send: () => ({ query: deadLink }) },
        'POST /api/v1/auth/password-resets/page': {
            status: 400, send: () => ({ form: `token=${deadLink.token}&newPassword=quite+long+enough` }),
        },
        'POST /api/v1/auth/email-verifications': { alone: true, send: nothing },
        'POST /api/v1/auth/email-verifications/confirm': { status: 400, send: () => ({ body: deadLink }) },
        'GET /api/v1/auth/email-verifications/page': { send: () => ({ query: deadLink }) },
        'POST /api/v1/auth/email-verifications/page': { status: 400, send: () => ({ form: `token=${deadLink.token}` }) },
        'GET /api/v1/auth/audit': { send: nothing },
        'GET /api/v1/auth/sessions': { send: nothing },
        'DELETE /api/v1/auth/sessions/{sessionId}': {
            of: 'buyer', send: async (w, who, fresh) => ({
                path: { sessionId: fresh ? await world.session(w.buyer) : w.sessionId },
            }),
        },
        'GET /api/v1/auth/users/{userId}/roles': { of: 'buyer', send: (w) => ({ path: { userId: w.buyer.id } }) },
        'PUT /api/v1/auth/users/{userId}/roles': {
            of: 'buyer', send: (w, who, fresh) => ({
                path: { userId: fresh ? w.visitor.id : w.buyer.id }, body: { roles: ['user'] },
            }),
        },
        'GET /api/v1/users/{userId}': { of: 'buyer', send: (w) => ({ path: { userId: w.buyer.id } }) },
        'PATCH /api/v1/users/{userId}': {
            of: 'buyer', send: (w) => ({ path: { userId: w.buyer.id }, body: { name: 'Marta Owner' } }),
        },
        'DELETE /api/v1/users/{userId}': {
            of: 'buyer', alone: true, send: async (w, who, fresh) => ({
                path: { userId: !fresh ? w.buyer.id : who.kind === 'owner' ? who.id : (await world.register('leaver')).id },
            }),
        },
        'GET /api/v1/users/{userId}/addresses': { of: 'buyer', send: (w) => ({ path: { userId: w.buyer.id } }) },
        'POST /api/v1/users/{userId}/addresses': {
            of: 'buyer', send: (w) => ({ path: { userId: w.buyer.id }, body: ADDRESS }),
        },
        'GET /api/v1/users/{userId}/addresses/{addressId}': placed(),
        'PUT /api/v1/users/{userId}/addresses/{addressId}': placed({ body: ADDRESS }),
        'DELETE /api/v1/users/{userId}/addresses/{addressId}': placed(),
        'GET /.well-known/jwks.json': { send: nothing },
        'GET /.well-known/oauth-authorization-server': { send: nothing },
        'POST /oauth2/token': { send: () => ({ form: world.clientForm('cart', { grant_type: 'client_credentials', audience: 'order' }) }) },
        'POST /oauth2/revoke': { send: () => ({ form: `client_id=souk-app&token=${deadLink.token}` }) },
        'POST /oauth2/introspect': { send: (w) => ({ form: world.clientForm('cart', { token: w.buyer.token }) }), tells: true },
        'GET /internal/v1/revocations': { send: () => ({ query: { since: new Date().toISOString() } }) },
        'POST /internal/v1/tokens/introspect': { send: (w) => ({ body: { token: w.buyer.token } }) },
        'GET /internal/v1/users/{userId}': { of: 'buyer', send: (w) => ({ path: { userId: w.buyer.id } }) },
        'GET /internal/v1/users/{userId}/addresses/{addressId}': placed(),
    },
    cart: {
        'GET /api/v1/cart': { strict: true, send: nothing },
        'POST /api/v1/cart/items': { strict: true, send: (w) => ({ body: { sku: w.wares, quantity: 1 } }) },
        'PUT /api/v1/cart/items/{sku}': carted((w) => ({ path: { sku: w.wares }, body: { quantity: 2 } })),
        'DELETE /api/v1/cart/items/{sku}': carted((w) => ({ path: { sku: w.wares } })),
        'DELETE /api/v1/cart': carted(nothing),
        'POST /api/v1/cart/merge': {
            send: async (w, who, fresh) => ({
                body: { cartToken: (fresh ? await world.cart(null, w.wares) : w.guest)['x-cart-token'], policy: 'sum' },
            }),
        },
        'POST /api/v1/cart/checkout': {
            send: async (w, who, fresh) => {
                if (fresh) await world.cart(who.token, w.wares);
                return {
                    body: { paymentMethodId: fresh ? await world.card(who) : w.methodId, shippingAddress: ELSEWHERE },
                    headers: { 'idempotency-key': unique('walk') },
                };
            },
        },
        'GET /api/v1/checkouts/{checkoutId}': {
            of: 'buyer', send: (w) => ({ path: { checkoutId: w.bought.checkoutId } }),
        },
    },
    order: {
        'POST /api/v1/orders': createOrder,
        'POST /orders': createOrder,
        'GET /api/v1/orders': orders,
        'GET /orders': orders,
        'GET /api/v1/orders/{orderId}': bought(),
        'GET /orders/{orderId}': bought(),
        'GET /api/v1/orders/{orderId}/items': bought(),
        'GET /api/v1/orders/{orderId}/history': bought(),
        'PUT /api/v1/orders/{orderId}': bought({ body: { shippingAddress: ADDRESS } }),
        'DELETE /api/v1/orders/{orderId}': boughtAnew(),
        'PATCH /api/v1/orders/{orderId}/status': { ...boughtAnew({ body: { status: 'shipped' } }), of: 'vendor' },
        'POST /api/v1/orders/{orderId}/cancellation': boughtAnew({ body: { reason: 'second thoughts' } }),
        'GET /api/v1/customers/{customerId}/orders': {
            of: 'buyer', send: (w) => ({ path: { customerId: w.buyer.id } }),
        },
        'POST /internal/v1/orders/{orderId}/abandon': bought(),
    },
    payment: {
        'POST /api/v1/payment-methods': { send: () => ({ body: { token: 'tok_visa' } }) },
        'GET /api/v1/payment-methods': { send: nothing },
        'DELETE /api/v1/payment-methods/{paymentMethodId}': {
            of: 'buyer', send: async (w, who, fresh) => ({
                path: { paymentMethodId: fresh ? await world.card(w.buyer) : w.methodId },
            }),
        },
        'POST /api/v1/payment-methods/{paymentMethodId}/validation': {
            of: 'buyer', send: (w) => ({ path: { paymentMethodId: w.methodId } }),
        },
        'GET /api/v1/payments/{paymentId}': {
            of: 'buyer', send: (w) => ({ path: { paymentId: w.bought.paymentId } }),
        },
        'GET /api/v1/payments': {
            of: 'buyer', hides: 'empty', send: (w) => ({ query: { orderId: w.bought.orderId } }),
        },
        'POST /api/v1/payments/{paymentId}/refunds': {
            of: 'buyer', send: (w) => ({
                path: { paymentId: w.bought.paymentId }, headers: { 'idempotency-key': unique('walk') },
                body: { amount: { amount: 1, currency: 'USD' }, reason: 'a scratch' },
            }),
        },
        'POST /internal/v1/authorizations': {
            send: (w) => ({ body: world.authorizationBody(w.buyer, w.methodId) }),
            after: (w, answer) => world.giveUp(answer.body.orderId),
        },
        'POST /internal/v1/authorizations/{orderId}/void': {
            of: 'buyer', send: async (w, who, fresh) => ({ 
                path: { orderId: fresh ? await world.authorization(w.buyer, w.methodId) : w.bought.orderId },
                body: { reason: 'walked' },
             }),
        },
        'POST /internal/v1/authorizations/{orderId}/capture': {
            of: 'buyer', send: (w) => ({ path: { orderId: w.bought.orderId } }),
        },
    },
    seller: {
        'POST /api/v1/sellers': { alone: true, send: () => ({ body: { name: unique('Shop') } }) },
        'GET /api/v1/sellers/{sellerId}': { of: 'vendor', send: (w) => ({ path: { sellerId: w.vendor.id } }) },
        'PATCH /api/v1/sellers/{sellerId}': {
            of: 'vendor', send: async (w) => ({
                path: { sellerId: w.vendor.id }, body: { description: 'walked over' },
                headers: await world.version(w.vendor, 'seller', `/api/v1/sellers/${w.vendor.id}`),
            }),
        },
        'GET /api/v1/products': { send: nothing },
        'GET /api/v1/products/{sku}': stocked(),
        'POST /api/v1/products': {
            status: { admin: 409 }, /* who has no profile */
            send: () => ({ body: { sku: unique('NEW'), ...PRODUCT, status: undefined } }),
        },
        'PUT /api/v1/products/{sku}': changed(PRODUCT),
        'PATCH /api/v1/products/{sku}': changed({ description: 'walked over' }),
        'DELETE /api/v1/products/{sku}': {
            of: 'vendor', send: async (w, who, fresh) => ({ path: { sku: fresh ? await world.product(w.vendor) : w.sku } }),
        },
        'GET /api/v1/inventory': { send: nothing },
        'GET /api/v1/inventory/{sku}': stocked(),
        'POST /api/v1/inventory/{sku}/adjustments': stocked(() => ({ body: { delta: 1, reason: 'found' } })),
        'GET /api/v1/inventory/{sku}/movements': stocked(),
        'PUT /api/v1/inventory/{sku}/threshold': stocked(() => ({ body: { threshold: 3 } })),
        'POST /internal/v1/holds': {
            send: (w) => ({ body: { orderId: world.uuid(), items: [{ sku: w.sku, quantity: 1 }] } }),
            after: (w, answer) => world.release(answer.body.orderId),
        },
        'DELETE /internal/v1/holds/{orderId}': {
            of: 'buyer', send: async (w, who, fresh) => ({ path: { orderId: fresh ? await world.hold(w.sku) : w.bought.orderId } }),
        },
        'GET /internal/v1/prices': { send: (w) => ({ query: { sku: w.sku } }) },
    },
    notification: {
        'GET /api/v1/notifications': { send: nothing },
        'GET /api/v1/notifications/preferences': { send: nothing },
        'PUT /api/v1/notifications/preferences': { send: () => ({ body: { email: { orders: true } } }) },
        'GET /api/v1/notifications/deliveries': { send: nothing },
        'POST /api/v1/notifications/deliveries/{deliveryId}/resend': {
            of: 'buyer', send: (w) => ({ path: { deliveryId: w.deliveryId } }),
        },
        'GET /api/v1/notifications/templates/{name}/preview': { send: () => ({ path: { name: 'order_cancelled' } }) },
    },
    aibuddy: {
        'GET /api/v1/recommendations': { shared: true, send: nothing },
        'GET /api/v1/recommendations/preferences': { send: nothing },
        'PUT /api/v1/recommendations/preferences': { send: () => ({ body: { optOut: false } }) },
        'GET /api/v1/products/{sku}/related': stocked(),
        'GET /api/v1/trending': { send: nothing },
    },
};

/* Every service has these; the gateway has none of them. */
export const builtin = {
    'GET /livez': { send: nothing },
    'GET /readyz': { send: nothing },
    'GET /healthz': { send: nothing },
    'GET /metrics': { send: nothing },
    'GET /openapi.json': { send: nothing },
    'GET /debug/fibers': { send: nothing },
};
