#include "auth/auth.h"

static const char *const people_roles[] = {"user", "seller", "admin", NULL};
static const char *const account_roles[] = {"user", "seller", NULL};

static const struct field user_fields[] = {
    FIELD_UUID(struct user, id, "userId"),
    FIELD_TEXT(struct user, email, "email"),
    FIELD_TEXT(struct user, name, "name"),
    FIELD_TEXT(struct user, phone, "phone"),
    FIELD_TEXTS(struct user, roles, "roles"),
    FIELD_TEXT(struct user, status, "status"),
    FIELD_BOOL(struct user, email_verified, "emailVerified"),
    FIELD_TIME(struct user, created_at, "createdAt"),
    FIELD_TIME(struct user, updated_at, "updatedAt"),
    FIELD_TEXT(struct user, password_hash, "passwordHash", .hidden = true, .secret = true),
    FIELD_I64(struct user, version, "version", .hidden = true),
};
const struct table user_table = TABLE("User", struct user, user_fields);

static const struct field internal_user_fields[] = {
    FIELD_UUID(struct user, id, "userId"),
    FIELD_TEXT(struct user, email, "email"),
    FIELD_TEXT(struct user, name, "name"),
    FIELD_TEXT(struct user, phone, "phone"),
    FIELD_TEXTS(struct user, roles, "roles"),
    FIELD_TEXT(struct user, status, "status"),
    FIELD_BOOL(struct user, email_verified, "emailVerified"),
};
const struct table internal_user_table = TABLE("InternalUser", struct user, internal_user_fields);

static const struct field session_fields[] = {
    FIELD_UUID(struct session, id, "sessionId"),
    FIELD_TIME(struct session, created_at, "createdAt"),
    FIELD_TIME(struct session, last_used_at, "lastUsedAt"),
    FIELD_TIME(struct session, expires_at, "expiresAt"),
    FIELD_TEXT(struct session, user_agent, "userAgent"),
    FIELD_TEXT(struct session, address, "address"),
    FIELD_BOOL(struct session, current, "current"),
};
const struct table session_table = TABLE("Session", struct session, session_fields);

/* What a person writes of an address, and what another service reads of it. */
#define ADDRESS_FIELDS                                                                             \
    FIELD_TEXT(struct user_address, name, "name", .required = true, .min = 1, .max = 200,          \
        .pattern = "name"),                                                                        \
        FIELD_TEXT(struct user_address, line1, "line1", .required = true, .min = 1, .max = 200,    \
            .pattern = "line"),                                                                    \
        FIELD_TEXT(struct user_address, line2, "line2", .max = 200, .omit_empty = true,            \
            .pattern = "line"),                                                                    \
        FIELD_TEXT(struct user_address, city, "city", .required = true, .min = 1, .max = 100,      \
            .pattern = "line"),                                                                    \
        FIELD_TEXT(struct user_address, region, "region", .max = 100, .omit_empty = true,          \
            .pattern = "line"),                                                                    \
        FIELD_TEXT(struct user_address, postal_code, "postalCode", .max = 20, .omit_empty = true,  \
            .pattern = "line"),                                                                    \
        FIELD_TEXT(                                                                                \
            struct user_address, country, "country", .required = true, .pattern = "country")

static const struct field user_address_fields[] = {
    FIELD_UUID(struct user_address, id, "addressId"),
    ADDRESS_FIELDS,
    FIELD_BOOL(struct user_address, is_default, "isDefault"),
    FIELD_TIME(struct user_address, created_at, "createdAt"),
    FIELD_TIME(struct user_address, updated_at, "updatedAt"),
};
const struct table user_address_table =
    TABLE("UserAddress", struct user_address, user_address_fields);

static const struct field address_body_fields[] = {
    ADDRESS_FIELDS,
    FIELD_BOOL(struct user_address, is_default, "isDefault",
        .doc = "true makes it the default; to change it, make another the default"),
};
const struct table address_body_table =
    TABLE("UserAddressBody", struct user_address, address_body_fields);

static const struct field internal_address_fields[] = {ADDRESS_FIELDS};
const struct table internal_address_table =
    TABLE("Address", struct user_address, internal_address_fields);

static const struct field register_fields[] = {
    FIELD_TEXT(struct register_body, email, "email", .required = true, .pattern = "email"),
    FIELD_TEXT(struct register_body, password, "password", .required = true, .min = 1,
        .max = PASSWORD_BYTES_LIMIT, .secret = true,
        .doc = "8 to 128 characters, not a common one"),
    FIELD_TEXT(struct register_body, name, "name", .required = true, .pattern = "name"),
    FIELD_TEXT(struct register_body, phone, "phone", .pattern = "phone"),
    FIELD_TEXT(struct register_body, role, "role", .choices = account_roles),
};
const struct table register_table = TABLE("Register", struct register_body, register_fields);

static const struct field login_fields[] = {
    FIELD_TEXT(struct login_body, email, "email", .required = true, .min = 1, .max = 254),
    FIELD_TEXT(struct login_body, password, "password", .required = true, .min = 1,
        .max = PASSWORD_BYTES_LIMIT, .secret = true),
};
const struct table login_table = TABLE("Login", struct login_body, login_fields);

static const struct field refresh_fields[] = {
    FIELD_TEXT(struct refresh_body, refresh_token, "refreshToken", .required = true, .min = 1,
        .max = 512, .secret = true),
};
const struct table refresh_table = TABLE("Refresh", struct refresh_body, refresh_fields);

static const struct field token_pair_fields[] = {
    FIELD_OBJECT(struct token_pair, user, "user", user_table),
    FIELD_TEXT(struct token_pair, access_token, "accessToken", .secret = true),
    FIELD_TEXT(struct token_pair, refresh_token, "refreshToken", .secret = true),
    FIELD_TEXT(struct token_pair, token_type, "tokenType"),
    FIELD_I64(struct token_pair, expires_in, "expiresIn", .doc = "seconds"),
};
const struct table token_pair_table = TABLE("TokenPair", struct token_pair, token_pair_fields);

static const struct field password_fields[] = {
    FIELD_TEXT(struct password_body, current_password, "currentPassword", .required = true,
        .min = 1, .max = PASSWORD_BYTES_LIMIT, .secret = true),
    FIELD_TEXT(struct password_body, new_password, "newPassword", .required = true, .min = 1,
        .max = PASSWORD_BYTES_LIMIT, .secret = true),
};
const struct table password_table = TABLE("PasswordChange", struct password_body, password_fields);

/* ---- links by mail ---- */

#define LINK_TOKEN(type)                                                                           \
    FIELD_TEXT(type, token, "token", .required = true, .min = 1, .max = 512, .secret = true)

static const struct field link_fields[] = {LINK_TOKEN(struct link_body)};
const struct table link_table = TABLE("MailedToken", struct link_body, link_fields);

static const struct field reset_fields[] = {
    FIELD_TEXT(struct reset_body, email, "email", .required = true, .pattern = "email"),
};
const struct table reset_table = TABLE("PasswordReset", struct reset_body, reset_fields);

static const struct field reset_confirm_fields[] = {
    LINK_TOKEN(struct reset_confirm_body),
    FIELD_TEXT(struct reset_confirm_body, new_password, "newPassword", .required = true, .min = 1,
        .max = PASSWORD_BYTES_LIMIT, .secret = true,
        .doc = "8 to 128 characters, not a common one"),
};
const struct table reset_confirm_table =
    TABLE("PasswordResetConfirmation", struct reset_confirm_body, reset_confirm_fields);

/* ---- audit ---- */

static const struct field audit_entry_fields[] = {
    FIELD_UUID(struct audit_entry, id, "entryId"),
    FIELD_TEXT(struct audit_entry, type, "type"),
    FIELD_TIME(struct audit_entry, at, "at"),
    FIELD_UUID(struct audit_entry, user_id, "userId"),
    FIELD_UUID(struct audit_entry, actor_id, "actorId"),
    FIELD_UUID(struct audit_entry, session_id, "sessionId"),
    FIELD_TEXT(struct audit_entry, address, "address"),
    FIELD_TEXT(struct audit_entry, user_agent, "userAgent"),
    FIELD_TEXT(struct audit_entry, detail, "detail"),
    FIELD_TEXT(struct audit_entry, correlation_id, "correlationId"),
};
const struct table audit_entry_table = TABLE("AuditEntry", struct audit_entry, audit_entry_fields);

static const char *const audit_types[] = {"registered", "login", "login_failed", "logout",
    "session_revoked", "token_reused", "password_changed", "reset_requested", "password_reset",
    "verification_requested", "email_verified", "roles_changed", "deactivated", NULL};

static const struct field audit_params_fields[] = {
    FIELD_UUID(struct audit_params, user_id, "userId"),
    FIELD_TEXT(struct audit_params, type, "type", .choices = audit_types),
    FIELD_TIME(struct audit_params, since, "since"),
    FIELD_TEXT(struct audit_params, cursor, "cursor", .max = 512),
    FIELD_I64(struct audit_params, limit, "limit", .min = 1, .max = 100, .fallback = 20),
};
const struct table audit_params_table =
    TABLE("AuditParams", struct audit_params, audit_params_fields);

static const struct field user_change_fields[] = {
    FIELD_TEXT(struct user_change_body, name, "name", .pattern = "name"),
    FIELD_TEXT(struct user_change_body, phone, "phone", .pattern = "phone"),
};
const struct table user_change_table =
    TABLE("UserChange", struct user_change_body, user_change_fields);

static const struct field roles_fields[] = {
    FIELD_TEXTS(struct roles_value, roles, "roles", .required = true, .min = 1, .max = 3,
        .choices = people_roles),
};
const struct table roles_table = TABLE("Roles", struct roles_value, roles_fields);

#define CLIENT_FIELDS(type)                                                                        \
    FIELD_TEXT(type, client_id, "client_id", .max = 64),                                           \
        FIELD_TEXT(type, client_secret, "client_secret", .max = 512, .secret = true)

static const struct field oauth_token_form_fields[] = {
    FIELD_TEXT(struct oauth_token_form, grant_type, "grant_type", .required = true,
        .doc = "refresh_token or client_credentials"),
    CLIENT_FIELDS(struct oauth_token_form),
    FIELD_TEXT(struct oauth_token_form, refresh_token, "refresh_token", .max = 512, .secret = true),
    FIELD_TEXT(struct oauth_token_form, audience, "audience", .doc = "the service to be called"),
    FIELD_TEXT(struct oauth_token_form, resource, "resource",
        .doc = "the same as urn:souk:<service> (RFC 8707)"),
    FIELD_TEXT(struct oauth_token_form, scope, "scope", .doc = "there are none"),
};
const struct table oauth_token_form_table =
    TABLE("OAuthTokenRequest", struct oauth_token_form, oauth_token_form_fields);

static const struct field oauth_presented_form_fields[] = {
    FIELD_TEXT(struct oauth_presented_form, token, "token", .required = true, .max = 16384,
        .secret = true),
    FIELD_TEXT(struct oauth_presented_form, token_type_hint, "token_type_hint"),
    CLIENT_FIELDS(struct oauth_presented_form),
};
const struct table oauth_presented_form_table =
    TABLE("OAuthPresented", struct oauth_presented_form, oauth_presented_form_fields);

static const struct field oauth_token_fields[] = {
    FIELD_TEXT(struct oauth_token, access_token, "access_token", .secret = true),
    FIELD_TEXT(struct oauth_token, token_type, "token_type"),
    FIELD_I64(struct oauth_token, expires_in, "expires_in", .doc = "seconds"),
    FIELD_TEXT(
        struct oauth_token, refresh_token, "refresh_token", .secret = true, .omit_empty = true),
};
const struct table oauth_token_table = TABLE("OAuthToken", struct oauth_token, oauth_token_fields);

static const struct field oauth_error_fields[] = {
    FIELD_TEXT(struct oauth_error, error, "error"),
    FIELD_TEXT(struct oauth_error, error_description, "error_description"),
};
const struct table oauth_error_table = TABLE("OAuthError", struct oauth_error, oauth_error_fields);

static const struct field oauth_introspection_fields[] = {
    FIELD_BOOL(struct oauth_introspection, active, "active"),
    FIELD_TEXT(struct oauth_introspection, iss, "iss"),
    FIELD_TEXT(struct oauth_introspection, sub, "sub"),
    FIELD_TEXT(struct oauth_introspection, aud, "aud"),
    FIELD_TEXT(struct oauth_introspection, client_id, "client_id"),
    FIELD_TEXT(struct oauth_introspection, token_type, "token_type"),
    FIELD_I64(struct oauth_introspection, exp, "exp"),
    FIELD_TEXT(struct oauth_introspection, username, "username", .omit_empty = true),
    FIELD_TEXT(struct oauth_introspection, sid, "sid", .omit_empty = true),
    FIELD_TEXTS(struct oauth_introspection, roles, "roles", .omit_empty = true),
};
const struct table oauth_introspection_table =
    TABLE("OAuthIntrospection", struct oauth_introspection, oauth_introspection_fields);

static const struct field introspect_fields[] = {
    FIELD_TEXT(struct introspect_body, token, "token", .required = true, .min = 1, .max = 16384,
        .secret = true),
};
const struct table introspect_table =
    TABLE("Introspect", struct introspect_body, introspect_fields);

static const struct field introspection_fields[] = {
    FIELD_BOOL(struct introspection, active, "active"),
    FIELD_UUID(struct introspection, user_id, "userId"),
    FIELD_TEXT(struct introspection, email, "email"),
    FIELD_TEXT(struct introspection, name, "name"),
    FIELD_TEXTS(struct introspection, roles, "roles"),
    FIELD_UUID(struct introspection, session_id, "sessionId"),
    FIELD_TIME(struct introspection, expires_at, "expiresAt"),
};
const struct table introspection_table =
    TABLE("Introspection", struct introspection, introspection_fields);

static const struct field revocation_fields[] = {
    FIELD_UUID(struct revocation, session_id, "sessionId"),
    FIELD_TIME(struct revocation, ended_at, "endedAt"),
};
const struct table revocation_table = TABLE("Revocation", struct revocation, revocation_fields);

static const struct field revocation_params_fields[] = {
    FIELD_TIME(struct revocation_params, since, "since", .required = true),
    FIELD_TEXT(struct revocation_params, cursor, "cursor", .max = 512),
    FIELD_I64(struct revocation_params, limit, "limit", .min = 1, .max = 1000, .fallback = 1000),
};
const struct table revocation_params_table =
    TABLE("RevocationParams", struct revocation_params, revocation_params_fields);

#define PARAM_USER    FIELD_UUID(struct user_params, user_id, "userId", .required = true)
#define PARAM_ADDRESS FIELD_UUID(struct user_params, address_id, "addressId", .required = true)
#define PARAM_PAGE                                                                                 \
    FIELD_TEXT(struct user_params, cursor, "cursor", .max = 512),                                  \
        FIELD_I64(struct user_params, limit, "limit", .min = 1, .max = 100, .fallback = 20)

static const struct field user_params_fields[] = {PARAM_USER};
const struct table user_params_table = TABLE("UserParams", struct user_params, user_params_fields);

static const struct field address_params_fields[] = {PARAM_USER, PARAM_ADDRESS};
const struct table address_params_table =
    TABLE("AddressParams", struct user_params, address_params_fields);

static const struct field address_list_params_fields[] = {PARAM_USER, PARAM_PAGE};
const struct table address_list_params_table =
    TABLE("AddressListParams", struct user_params, address_list_params_fields);

static const struct field session_params_fields[] = {
    FIELD_UUID(struct user_params, session_id, "sessionId", .required = true),
};
const struct table session_params_table =
    TABLE("SessionParams", struct user_params, session_params_fields);

static const struct field session_list_params_fields[] = {PARAM_PAGE};
const struct table session_list_params_table =
    TABLE("SessionListParams", struct user_params, session_list_params_fields);

const struct config_row auth_config[] = {
    {"SIGNING_KEY_DIR", CONFIG_TEXT, .fallback = NULL,
        .doc = "folder of the private keys, open to auth's user alone; what is missing is made"},
    {"JWKS_MAX_AGE_S", CONFIG_I64, .fallback = "300", .min = 5, .max = 86400,
        .doc = "how long the key set may be cached, and a key is published before it signs"},
    {"SERVICE_KEYS_DIR", CONFIG_TEXT, .fallback = NULL,
        .doc = "folder of the services' secrets <service>.key"},
    {"ACCESS_TOKEN_TTL_S", CONFIG_I64, .fallback = "600", .min = 30, .max = 3600,
        .doc = "life of an access token"},
    {"SERVICE_TOKEN_TTL_S", CONFIG_I64, .fallback = "300", .min = 90, .max = 300,
        .doc = "life of a service token"},
    {"REFRESH_TOKEN_TTL_S", CONFIG_I64, .fallback = "2592000", .min = 60, .max = 31536000,
        .doc = "life of a session that is not used"},
    {"SESSION_MAX_S", CONFIG_I64, .fallback = "7776000", .min = 60, .max = 31536000,
        .doc = "life of a session, however much it is used"},
    {"LOGIN_PAIR_BURST", CONFIG_I64, .fallback = "30", .min = 1, .max = 100000,
        .doc = "tries at once on one account from one address"},
    {"LOGIN_PAIR_PER_MINUTE", CONFIG_I64, .fallback = "30", .min = 1, .max = 100000,
        .doc = "tries that come back a minute"},
    {"LOGIN_ACCOUNT_BURST", CONFIG_I64, .fallback = "200", .min = 1, .max = 100000,
        .doc = "tries at once on one account from everywhere"},
    {"LOGIN_ACCOUNT_PER_MINUTE", CONFIG_I64, .fallback = "100", .min = 1, .max = 100000,
        .doc = "tries that come back a minute"},
    {"LOGIN_DEVICE_BURST", CONFIG_I64, .fallback = "30", .min = 1, .max = 100000,
        .doc = "tries at once on one account from a client that was logged in before"},
    {"LOGIN_DEVICE_PER_MINUTE", CONFIG_I64, .fallback = "30", .min = 1, .max = 100000,
        .doc = "tries that come back a minute"},
    {"PASSWORD_BURST", CONFIG_I64, .fallback = "10", .min = 1, .max = 100000,
        .doc = "changes of a password tried at once in one account"},
    {"PASSWORD_PER_MINUTE", CONFIG_I64, .fallback = "5", .min = 1, .max = 100000,
        .doc = "tries that come back a minute"},
    {"REFRESH_ADDRESS_BURST", CONFIG_I64, .fallback = "3000", .min = 1, .max = 1000000,
        .doc = "refreshes at once from one address"},
    {"REFRESH_ADDRESS_PER_MINUTE", CONFIG_I64, .fallback = "3000", .min = 1, .max = 1000000,
        .doc = "refreshes that come back a minute"},
    {"LOGIN_ADDRESS_BURST", CONFIG_I64, .fallback = "1000", .min = 1, .max = 1000000,
        .doc = "logins and registrations at once from one address"},
    {"LOGIN_ADDRESS_PER_MINUTE", CONFIG_I64, .fallback = "600", .min = 1, .max = 1000000,
        .doc = "tries that come back a minute"},
    {"PASSWORD_THREADS", CONFIG_I64, .fallback = "0", .min = 0, .max = 4,
        .doc =
            "password hashes at the same time; 0: one less than there are processors, at most 4"},
    {"PASSWORD_QUEUE", CONFIG_I64, .fallback = "64", .min = 1, .max = 1000,
        .doc = "password hashes that may wait; beyond it a login is told to come back"},
    {"MAIL_TOKEN_KEY", CONFIG_TEXT, .fallback = NULL, .secret = true,
        .doc = "seals the tokens of mailed links on their way to notification, which has the same; "
               "at least 32 characters"},
    {"VERIFICATION_TTL_S", CONFIG_I64, .fallback = "86400", .min = 60, .max = 604800,
        .doc = "life of a link that verifies an e-mail address"},
    {"RESET_TTL_S", CONFIG_I64, .fallback = "1800", .min = 60, .max = 86400,
        .doc = "life of a link that resets a password"},
    {"MAIL_ACCOUNT_BURST", CONFIG_I64, .fallback = "5", .min = 1, .max = 100000,
        .doc = "links mailed at once to one account"},
    {"MAIL_ACCOUNT_PER_MINUTE", CONFIG_I64, .fallback = "1", .min = 1, .max = 100000,
        .doc = "links that come back a minute"},
    {"MAIL_ADDRESS_BURST", CONFIG_I64, .fallback = "100", .min = 1, .max = 1000000,
        .doc = "links asked for at once from one address"},
    {"MAIL_ADDRESS_PER_MINUTE", CONFIG_I64, .fallback = "60", .min = 1, .max = 1000000,
        .doc = "links that come back a minute"},
    {"PASSWORD_LIST_FILE", CONFIG_TEXT, .fallback = "",
        .doc = "passwords to refuse beside the built-in rules, one a line"},
    {"AUDIT_KEEP_DAYS", CONFIG_I64, .fallback = "400", .min = 90, .max = 3650,
        .doc = "how long the audit log keeps an entry"},
};
const size_t auth_config_count = ARRAY_SIZE(auth_config);
