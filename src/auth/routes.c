#include "auth/auth.h"

#define PEOPLE    (ROLE_SIGNED_IN)
#define EVERYBODY (ROLE_SIGNED_IN | ROLE_SERVICE)

static const int register_outcomes[] = {AUTH_EMAIL_TAKEN, 0};
static const int login_outcomes[] = {AUTH_INVALID_CREDENTIALS, 0};
static const int refresh_outcomes[] = {AUTH_INVALID_REFRESH_TOKEN, AUTH_REFRESH_TOKEN_REUSED, 0};
static const int address_outcomes[] = {AUTH_TOO_MANY_ADDRESSES, 0};
static const int verification_outcomes[] = {AUTH_EMAIL_VERIFIED, 0};
static const int link_outcomes[] = {AUTH_INVALID_LINK, 0};
static const int service_token_outcomes[] = {AUTH_INVALID_API_KEY, 0};

/* Routes that give out tokens take no Idempotency-Key: a stored answer would hold them in plain. */
const struct route auth_routes[] = {
    {HTTP_POST, "/api/v1/auth/register", ROLE_ANYONE, post_register, .body = &register_table,
        .reply = &token_pair_table, .status = 201, .outcomes = register_outcomes,
        .doc = "Open an account and log in."},
    {HTTP_POST, "/api/v1/auth/login", ROLE_ANYONE, post_login, .body = &login_table,
        .reply = &token_pair_table, .status = 200, .outcomes = login_outcomes, .doc = "Log in."},
    {HTTP_POST, "/api/v1/auth/refresh", ROLE_ANYONE, post_refresh, .body = &refresh_table,
        .reply = &token_pair_table, .status = 200, .outcomes = refresh_outcomes,
        .doc = "Trade a refresh token, once, for the next pair of tokens."},
    {HTTP_POST, "/api/v1/auth/logout", PEOPLE, post_logout, .status = 204,
        .doc = "End this session."},
    {HTTP_POST, "/api/v1/auth/password", PEOPLE, post_password, .body = &password_table,
        .status = 204, .doc = "Change the password; all other sessions end."},
    {HTTP_POST, "/api/v1/auth/password-resets", ROLE_ANYONE, post_password_reset,
        .body = &reset_table, .status = 202,
        .doc = "Have a link mailed that sets a new password, if there is such an account."},
    {HTTP_POST, "/api/v1/auth/password-resets/confirm", ROLE_ANYONE, post_password_reset_confirm,
        .body = &reset_confirm_table, .status = 204, .outcomes = link_outcomes,
        .doc = "Set a new password with the mailed token, once; all sessions end."},
    {HTTP_GET, RESET_PAGE, ROLE_ANYONE, get_reset_page, .params = &link_table,
        .doc = "What the mailed link opens: a form for the new password (HTML)."},
    {HTTP_POST, RESET_PAGE, ROLE_ANYONE, post_reset_page, .raw_body = true, .status = 200,
        .doc = "That form, sent (application/x-www-form-urlencoded, HTML)."},
    {HTTP_POST, "/api/v1/auth/email-verifications", PEOPLE, post_email_verification, .status = 202,
        .outcomes = verification_outcomes,
        .doc = "Have a link mailed that verifies the own address; older links end."},
    {HTTP_POST, "/api/v1/auth/email-verifications/confirm", ROLE_ANYONE,
        post_email_verification_confirm, .body = &link_table, .status = 204,
        .outcomes = link_outcomes, .doc = "Verify an address with the mailed token, once."},
    {HTTP_GET, VERIFICATION_PAGE, ROLE_ANYONE, get_verification_page, .params = &link_table,
        .doc = "What the mailed link opens: one button (HTML)."},
    {HTTP_POST, VERIFICATION_PAGE, ROLE_ANYONE, post_verification_page, .raw_body = true,
        .status = 200, .doc = "That button, pressed (application/x-www-form-urlencoded, HTML)."},
    {HTTP_GET, "/api/v1/auth/audit", PEOPLE, get_audit, .params = &audit_params_table,
        .reply = &audit_entry_table, .reply_is_page = true,
        .doc = "What happened to the own account, newest first; for admins, to any."},
    {HTTP_GET, "/api/v1/auth/sessions", PEOPLE, get_sessions, .params = &session_list_params_table,
        .reply = &session_table, .reply_is_page = true, .doc = "Own sessions, newest first."},
    {HTTP_DELETE, "/api/v1/auth/sessions/{sessionId}", PEOPLE, delete_session,
        .params = &session_params_table, .status = 204, .doc = "End one of the own sessions."},
    {HTTP_GET, "/api/v1/auth/users/{userId}/roles", EVERYBODY, get_roles,
        .params = &user_params_table, .reply = &roles_table, .doc = "The roles of a user."},
    {HTTP_PUT, "/api/v1/auth/users/{userId}/roles", ROLE_ADMIN, put_roles,
        .params = &user_params_table, .body = &roles_table, .reply = &roles_table,
        .doc = "Set the roles of a user; the user's sessions end."},

    {HTTP_GET, "/api/v1/users/{userId}", PEOPLE, get_user, .params = &user_params_table,
        .reply = &user_table, .doc = "A profile: one's own, or any for admins."},
    {HTTP_PATCH, "/api/v1/users/{userId}", PEOPLE, patch_user, .params = &user_params_table,
        .body = &user_change_table, .reply = &user_table, .doc = "Change name or phone."},
    {HTTP_DELETE, "/api/v1/users/{userId}", PEOPLE, delete_user, .params = &user_params_table,
        .status = 204, .doc = "Close the account; all its sessions end."},
    {HTTP_GET, "/api/v1/users/{userId}/addresses", PEOPLE, get_addresses,
        .params = &address_list_params_table, .reply = &user_address_table, .reply_is_page = true,
        .doc = "Addresses, newest first."},
    {HTTP_POST, "/api/v1/users/{userId}/addresses", PEOPLE, post_address,
        .params = &user_params_table, .body = &address_body_table, .reply = &user_address_table,
        .status = 201, .idempotency = IDEMPOTENCY_ACCEPTED, .outcomes = address_outcomes,
        .doc = "Add an address."},
    {HTTP_GET, "/api/v1/users/{userId}/addresses/{addressId}", PEOPLE, get_address,
        .params = &address_params_table, .reply = &user_address_table, .doc = "One address."},
    {HTTP_PUT, "/api/v1/users/{userId}/addresses/{addressId}", PEOPLE, put_address,
        .params = &address_params_table, .body = &address_body_table, .reply = &user_address_table,
        .doc = "Replace an address."},
    {HTTP_DELETE, "/api/v1/users/{userId}/addresses/{addressId}", PEOPLE, delete_address,
        .params = &address_params_table, .status = 204, .doc = "Remove an address."},

    {HTTP_GET, "/.well-known/jwks.json", ROLE_ANYONE, get_jwks,
        .doc = "The public keys of access tokens (RFC 7517)."},
    {HTTP_POST, "/internal/v1/tokens", ROLE_ANYONE, post_service_token,
        .body = &service_token_table, .reply = &service_token_answer_table, .status = 200,
        .outcomes = service_token_outcomes,
        .doc = "A service token for one callee, against the caller's own key."},
    {HTTP_POST, "/internal/v1/tokens/introspect", ROLE_SERVICE, post_introspect,
        .body = &introspect_table, .reply = &introspection_table, .status = 200,
        .doc = "Whether a user's token counts now, and whose it is."},
    {HTTP_GET, "/internal/v1/users/{userId}", ROLE_SERVICE, get_internal_user,
        .params = &user_params_table, .reply = &internal_user_table, .doc = "A user."},
    {HTTP_GET, "/internal/v1/users/{userId}/addresses/{addressId}", ROLE_SERVICE,
        get_internal_address, .params = &address_params_table, .reply = &internal_address_table,
        .doc = "A user's address."},
};
const size_t auth_routes_count = ARRAY_SIZE(auth_routes);
