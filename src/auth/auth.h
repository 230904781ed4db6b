#pragma once

/* The auth service: accounts, sessions, tokens. It alone holds the private keys; everybody else
 * checks tokens against the published key set. A session is one login of one client: its refresh
 * tokens form a chain (the family), each used once; to end the session is to end the chain and, at
 * the next introspection, the access tokens. */

#include "common/app/service.h"
#include "common/app/token.h"
#include "common/base/bucket.h"
#include "common/base/crypto.h"
#include "common/contract/events.h"

enum auth_outcome {
    AUTH_OUTCOME_BASE_ = OUTCOME_SERVICE_BASE,
#define OUTCOME(name, status, code, title) AUTH_##name,
#include "auth/outcomes.def"
#undef OUTCOME
};

/* ---- tables.c ---- */

struct user {
    const char *id, *email, *name, *phone;
    struct list roles; /* const char * */
    const char *status;
    bool email_verified;
    int64_t created_at, updated_at;
    /* not shown */
    const char *password_hash;
    int64_t version;
};
extern const struct table user_table;

/* What other services may know of a user. */
extern const struct table internal_user_table;

struct session {
    const char *id;
    int64_t created_at, last_used_at, expires_at;
    const char *user_agent, *address;
    bool current;
};
extern const struct table session_table;

struct user_address {
    const char *id;
    const char *name, *line1, *line2, *city, *region, *postal_code, *country;
    bool is_default;
    int64_t created_at, updated_at;
};
extern const struct table user_address_table;
extern const struct table address_body_table;     /* of the same struct: what a person may write */
extern const struct table internal_address_table; /* likewise: what other services see */

struct register_body {
    const char *email, *password, *name, *phone, *role;
};
extern const struct table register_table;

struct login_body {
    const char *email, *password;
};
extern const struct table login_table;

struct refresh_body {
    const char *refresh_token;
};
extern const struct table refresh_table;

struct token_pair {
    struct user *user;
    const char *access_token, *refresh_token, *token_type;
    int64_t expires_in;
};
extern const struct table token_pair_table;

struct password_body {
    const char *current_password, *new_password;
};
extern const struct table password_table;

struct link_body {
    const char *token;
};
extern const struct table link_table;

struct reset_body {
    const char *email;
};
extern const struct table reset_table;

struct reset_confirm_body {
    const char *token, *new_password;
};
extern const struct table reset_confirm_table;

struct audit_entry {
    const char *id, *type; /* "login", … : see tables.c */
    int64_t at;
    const char *user_id;  /* the account it is about; NULL: none */
    const char *actor_id; /* who did it; NULL: not known, or nobody */
    const char *session_id, *address, *user_agent, *detail, *correlation_id;
};
extern const struct table audit_entry_table;

struct audit_params {
    const char *user_id, *type, *cursor;
    int64_t since, limit;
};
extern const struct table audit_params_table;

struct user_change_body {
    const char *name, *phone;
};
extern const struct table user_change_table;

struct roles_value {
    struct list roles; /* const char * */
};
extern const struct table roles_table;

#define OAUTH_PUBLIC_CLIENT "souk-app"

struct oauth_token_form {
    const char *grant_type, *client_id, *client_secret;
    const char *refresh_token, *audience, *resource, *scope;
};
extern const struct table oauth_token_form_table;

/* To be revoked or introspected. */
struct oauth_presented_form {
    const char *token, *token_type_hint, *client_id, *client_secret;
};
extern const struct table oauth_presented_form_table;

struct oauth_token {
    const char *access_token, *token_type, *refresh_token;
    int64_t expires_in;
};
extern const struct table oauth_token_table;

struct oauth_error {
    const char *error, *error_description;
};
extern const struct table oauth_error_table;

struct oauth_introspection {
    bool active;
    const char *iss, *sub, *aud, *client_id, *username, *token_type, *sid;
    struct list roles; /* const char * */
    int64_t exp;
};
extern const struct table oauth_introspection_table;

struct introspect_body {
    const char *token;
};
extern const struct table introspect_table;

struct introspection {
    bool active;
    const char *user_id, *email, *name;
    struct list roles; /* const char * */
    const char *session_id;
    int64_t expires_at;
};
extern const struct table introspection_table;

struct revocation {
    const char *session_id;
    int64_t ended_at;
};
extern const struct table revocation_table;

struct revocation_params {
    int64_t since, limit;
    const char *cursor;
};
extern const struct table revocation_params_table;

struct user_params {
    const char *user_id, *address_id, *session_id, *cursor;
    int64_t limit;
};
extern const struct table user_params_table;
extern const struct table address_params_table;
extern const struct table session_params_table;
extern const struct table session_list_params_table;
extern const struct table address_list_params_table;

extern const struct config_row auth_config[];
extern const size_t auth_config_count;

/* ---- rules.c ---- */

#define ADDRESSES_LIMIT 50
/* Addresses are compared without case, so they are kept in lower case. */
const char *email_normal(struct arena *a, const char *email);
/* At most `limit` bytes, everything but printable ASCII replaced: headers may hold any byte. */
const char *text_tame(struct arena *a, struct span text, size_t limit);

/* Whom an address stands for: IPv4 itself, also when written as IPv6; of IPv6 the /64, which is
 * what one customer gets. Other texts stand for themselves. */
const char *address_network(struct arena *a, const char *address);

unsigned roles_of(struct list names);
/* The PostgreSQL array of the roles, "{user,seller}". */
const char *roles_array(struct arena *a, unsigned roles);
/* Whether a person may be given exactly these: at least one, and all of them people's roles. */
bool roles_for_people(unsigned roles);

/* The token that follows `token` in its chain: made from it and the server's secret, so that a
 * repeated request gets the same one although only digests are stored. */
void refresh_successor(struct span secret, const char *token, char text[static CRYPTO_TOKEN_SIZE]);

enum refresh_verdict {
    REFRESH_UNKNOWN, /* never ours, run out, or its session has ended */
    REFRESH_REPEAT,  /* the answer got lost: give it again */
    REFRESH_REUSED,  /* spent by somebody else: the family ends */
};
struct refresh_state {
    int64_t spent_at, session_expires_at;
    bool session_live, successor_spent;
    const char *client; /* who spent it */
    const char *session_id, *user_id;
};
/* About a token that could not be spent. NULL: it is not in the store. */
enum refresh_verdict refresh_judge(
    const struct refresh_state *state, const char *client, int64_t now_us);

/* ---- password_rules.c ---- */

#define PASSWORD_BYTES_LIMIT 512

/* The form in which a password is judged, hashed and compared. NULL when it is not UTF-8. */
const char *password_normal(struct arena *a, const char *password);
/* What is wrong with a new password (in its normal form), as a sentence; NULL when nothing is. */
const char *password_problem(const char *password, const char *email);

/* Whether `fits` holds for what is left when up to six digits and signs are taken from the ends:
 * however many, for a digit there may stand for a letter. */
bool password_decorated(const char *lower,
    bool (*fits)(const char *core, size_t len, const char *ctx), const char *ctx);

/* ---- password_list.c ---- */

int password_list_load(void); /* once, at the start */
bool password_listed(struct arena *a, const char *password);

/* ---- key_folder.c: blocks ---- */

#define KEYS_LIMIT TOKEN_KEYS_LIMIT
#define KID_SIZE   64

enum key_state { KEY_RETIRED, KEY_CURRENT, KEY_NEXT };
struct key_entry {
    char kid[KID_SIZE];
    enum key_state state;
    int64_t since_s; /* Unix time */
};
struct key_list {
    size_t count;
    struct key_entry at[KEYS_LIMIT];
};
const char *key_state_name(enum key_state state);
const struct key_entry *key_list_find(const struct key_list *l, enum key_state state);

struct key_ring {
    size_t count, current; /* keys[current] signs */
    struct signing_key {
        struct key_entry entry;
        char *private_pem, *public_pem;
    } keys[KEYS_LIMIT];
    char refresh_secret[2 * CRYPTO_TOKEN_SIZE];
    unsigned users; /* signing.c */
};
void key_ring_free(struct key_ring *ring); /* NULL ok */

struct key_folder {
    const char *path;
    char problem[256]; /* why the last call failed, as a sentence */
    int dir, lock;     /* while a call runs */
};
/* All of these: 0, or negative with `problem`. They take turns with other processes and make what
 * is missing: a current key, a next one. */
int key_folder_load(struct key_folder *f, int64_t now_s, struct key_ring **ret_ring);
int key_folder_list(struct key_folder *f, int64_t now_s, struct key_list *ret_list);
/* The next key signs from now on, and there is a fresh next one. -EAGAIN: the next key has not been
 * published for `wait_s` yet (0: never mind), or too many keys are published. */
int key_folder_rotate(struct key_folder *f, int64_t now_s, int64_t wait_s);
/* Deletes what was retired `keep_s` ago. */
int key_folder_retire(struct key_folder *f, int64_t now_s, int64_t keep_s, size_t *ret_retired);
/* Deletes a key at once, whatever it was; another takes its place. -ENOENT */
int key_folder_drop(struct key_folder *f, int64_t now_s, const char *kid);
/* Changes with the list of keys; 0: can't be told. */
int64_t key_folder_stamp(const char *path);

/* ---- signing.c ---- */

/* Loads the keys of SIGNING_KEY_DIR, makes what is missing, registers the public halves, and from
 * then on follows the changes that other processes make there. */
int signing_start(void) PARKS;
/* Signs with the current key, in the offload pool. `*ret_token` lives in the fiber's arena. */
int signing_sign(const struct token_claims *claims, const char **ret_token) PARKS;
struct span signing_jwks(void);
struct span signing_refresh_secret(void);
/* `souk-auth --keys`, `--rotate-keys[=now]`, `--drop-key=KID`. */
extern const struct service_command signing_commands[];
extern const size_t signing_commands_count;

/* ---- service_keys.c ---- */

bool service_known(const char *name);
/* Whether `key` is the secret of that service. */
bool service_key_fits(const char *service, const char *key);

/* ---- throttle.c ---- */

enum throttle_rule {
    THROTTLE_REGISTER,
    THROTTLE_LOGIN, /* account: the e-mail address that was given */
    THROTTLE_REFRESH,
    THROTTLE_PASSWORD,     /* account: whose */
    THROTTLE_LINK,         /* a mailed token is shown */
    THROTTLE_CLIENT,       /* a service's secret was wrong */
    THROTTLE_VERIFICATION, /* a mail is asked for; account: whose */
    THROTTLE_RESET,        /* the same; account: the e-mail address that was given */
};
/* One try: 0, or OUTCOME_TOO_MANY_REQUESTS with Retry-After, which THROTTLE_RESET leaves unsaid.
 * The answer gets its RateLimit fields either way. `account` NULL where none is asked for. */
int throttle(struct request *req, enum throttle_rule rule, const char *account) PARKS;

/* ---- passwords.c ---- */

void passwords_start(void);
/* OUTCOME_UNAVAILABLE with Retry-After while the queue is full or too slow: asked first, so that a
 * flood costs neither Redis nor the database anything. There may be no room any more when the hash
 * is made. */
int passwords_admit(struct request *req);
int password_hash(const char *password, const char **ret_hash) PARKS; /* 0, ERR_BUSY */
/* `hash` NULL costs as much as any and is wrong. `*ret_fresh_hash` (NULL ok) is set when the
 * password is right and its hash should be replaced by one of today's strength. */
int password_check(
    const char *hash, const char *password, bool *ret_right, const char **ret_fresh_hash) PARKS;

/* ---- store.c, and store_recovery.c for what was added with it ---- */

extern const struct pg_statement auth_statements[];
extern const size_t auth_statements_count;

enum auth_sql {
    SQL_USER_INSERT,
    SQL_USER_GET,
    SQL_USER_LOCK,
    SQL_USERS_LOCK,
    SQL_USER_BY_EMAIL,
    SQL_USER_SAVE,
    SQL_PASSWORD_SAVE,
    SQL_REHASH,
    SQL_SESSION_INSERT,
    SQL_SESSION_USER,
    SQL_SESSIONS,
    SQL_SESSION_END,
    SQL_SESSIONS_END,
    SQL_TOKEN_INSERT,
    SQL_REFRESH,
    SQL_REFRESH_STATE,
    SQL_ADDRESSES,
    SQL_ADDRESS_GET,
    SQL_ADDRESS_UNDEFAULT,
    SQL_ADDRESS_INSERT,
    SQL_ADDRESS_SAVE,
    SQL_ADDRESS_DELETE,
    SQL_ADDRESS_DEFAULT,
    SQL_PURGE,
    SQL_REVOCATIONS,
    SQL_CLIENT_SEEN,
    SQL_CLIENT_KNOWN,
    SQL_MAIL_TOKEN_INSERT,
    SQL_MAIL_TOKENS_END,
    SQL_MAIL_TOKEN_USER,
    SQL_MAIL_TOKEN_SPEND,
    SQL_EMAIL_VERIFY,
    SQL_RESET_REQUEST,
    SQL_RESET_TAKE,
    SQL_AUDIT_ADD,
    SQL_AUDIT,
    SQL_AUDIT_OF_USER,
    SQL_AUDIT_PURGE,
    SQL_MAIL_TOKENS_PURGE,
    SQL_CLIENTS_PURGE,
};

struct session_new {
    const char *id, *user_id, *user_agent, *address, *client;
    int64_t lifetime_s;
    const char *refresh_token;
    const char *password_hash; /* the one that was checked: must still be the account's */
    unsigned roles;            /* that the access token tells of: likewise */
};

int store_user_insert(struct pg_tx *tx, const struct user *u); /* queued */
/* Queued; AUTH_INVALID_CREDENTIALS at the next wait when the account was closed or its password or
 * roles changed since it was looked at. Other changes of it wait for the transaction's end. */
int store_session_insert(struct pg_tx *tx, const struct session_new *s);
/* What the database has in place of a token; in the fiber's arena. */
const char *token_digest(const char *token);
/* 0 with NULL when there is none. */
int store_user_find(const char *user_id, struct user **ret_user) PARKS;
int store_user_find_by_email(const char *email, struct user **ret_user) PARKS;
/* Whoever changes more of an account than one row locks the account first, so that no two wait for
 * each other. */
int store_user_lock(struct pg_tx *tx, const char *user_id, struct user **ret_user) PARKS;
/* Two accounts, or one twice; NULL where there is none. */
int store_users_lock(struct pg_tx *tx, const char *a_id, const char *b_id, struct user **ret_a,
    struct user **ret_b) PARKS;
int store_user_save(
    struct pg_tx *tx, const struct user *u); /* name, phone, roles, status; queued */
/* Queued; AUTH_INVALID_CREDENTIALS at the next wait when the old hash is no longer the account's,
 * or it was closed. */
int store_password_save(
    struct pg_tx *tx, const char *user_id, const char *old_hash, const char *hash);
int store_rehash(const char *user_id, const char *old_hash, const char *new_hash) PARKS;
/* The user of a session that is live, now; NULL when it has ended. */
int store_session_user(const char *session_id, const char *user_id, struct user **ret_user) PARKS;
/* Spends a refresh token and stores its successor, in one statement; NULL when it can't be spent.
 */
struct refreshed {
    const char *session_id;
    struct user user;
};
int store_refresh(const char *token, const char *successor, const char *client, int64_t lifetime_s,
    struct refreshed **ret_refreshed) PARKS;
int store_refresh_state(const char *token, struct refresh_state **ret_state) PARKS;
int store_sessions(const char *user_id, const char *current_id, int64_t before_us,
    const char *before_id, int64_t limit, struct list *ret_sessions) PARKS;
/* Ends one session of the user; whether it was live. */
int store_session_end(struct pg_tx *tx, const char *session_id, const char *user_id,
    const char *reason, bool *ret_ended) PARKS;
/* Ends all sessions of the user but `except_id` (NULL ok); queued. */
int store_sessions_end(
    struct pg_tx *tx, const char *user_id, const char *except_id, const char *reason);
int store_addresses(const char *user_id, int64_t before_us, const char *before_id, int64_t limit,
    struct list *ret_addresses) PARKS;
int store_address_find(
    const char *user_id, const char *address_id, struct user_address **ret_address) PARKS;
/* These three under the lock of the user's row: a new default takes the place of the old one, the
 * first address becomes it, and when it is deleted the newest does. NULL when the user has as many
 * as allowed; when there is no such address. */
int store_address_insert(struct pg_tx *tx, const char *user_id, const struct user_address *a,
    struct user_address **ret_address) PARKS;
int store_address_save(struct pg_tx *tx, const char *user_id, const struct user_address *a,
    struct user_address **ret_address) PARKS;
int store_address_delete(
    struct pg_tx *tx, const char *user_id, const char *address_id, bool *ret_deleted) PARKS;
/* Sessions that have ended since then, the first ended first, from `after` on. */
int store_revocations(
    int64_t since_us, const struct place *after, int64_t limit, struct list *ret_revocations) PARKS;
int store_purge(void) PARKS; /* sessions that ended long ago, with their tokens */

/* Sends what is queued. Whether the account was never used from this client, though from others. */
int store_client_seen(struct pg_tx *tx, const char *user_id, const char *client, bool *ret_new)
    PARKS;

/* Whether the account of that e-mail address was used from this client. */
int store_client_known(const char *email, const char *client, bool *ret_known) PARKS;

#define PURPOSE_VERIFY "verify_email"
#define PURPOSE_RESET  "reset_password"

int store_mail_token_insert(struct pg_tx *tx, const char *purpose, const struct user *u,
    const char *token, int64_t lifetime_s); /* queued */
int store_mail_tokens_end(
    struct pg_tx *tx, const char *purpose, const char *user_id); /* queued: all of them */
/* Whose token it is, when it can still be used; else NULL. */
int store_mail_token_user(const char *purpose, const char *token, struct user **ret_user) PARKS;
/* Uses it up; queued, AUTH_INVALID_LINK at the next wait when somebody was faster. */
int store_mail_token_spend(struct pg_tx *tx, const char *purpose, const char *token);
/* The account with its address verified; NULL: the address is another by now. */
int store_email_verify(
    struct pg_tx *tx, const char *user_id, const char *email, struct user **ret_user) PARKS;

struct reset_request {
    const char *id, *email, *address, *user_agent, *correlation_id;
};
extern const struct table reset_request_table;
int store_reset_request(const struct reset_request *r) PARKS;
/* The oldest request, gone with the transaction; NULL when there is none. */
int store_reset_take(struct pg_tx *tx, struct reset_request **ret_request) PARKS;
int store_user_by_email(struct pg_tx *tx, const char *email, struct user **ret_user) PARKS;

int store_audit_add(struct pg_tx *tx, const struct audit_entry *e); /* queued; tx NULL: at once */
/* Entries about that account, NULL: about any. Unless `whole`, what others did to it shows no
 * address. */
int store_audit(const struct audit_params *p, const char *user_id, bool whole,
    const struct place *before, struct list *ret_entries) PARKS;
int store_recovery_purge(void) PARKS; /* links, clients and audit entries past their time */

/* ---- events.c ---- */

extern const struct event_kind *const auth_publishes[];
extern const size_t auth_publishes_count;
int publish_user(
    struct pg_tx *tx, const struct event_kind *kind, const struct user *u); /* queued */
/* A link's token leaves the process sealed. */
int publish_link(struct pg_tx *tx, const struct event_kind *kind, const struct user *u,
    const char *token, int64_t expires_at); /* queued */
/* Something about a session of `u`, seen in this request; queued. */
int publish_session(struct pg_tx *tx, const struct event_kind *kind, const struct user *u,
    const char *session_id, struct request *req);

/* ---- routes.c and the handlers ---- */

extern const struct route auth_routes[];
extern const size_t auth_routes_count;

/* The caller's session and account as they are now, not as they were when the token was signed:
 * 0 with `req->caller.roles` brought up to date, or OUTCOME_UNAUTHENTICATED. Services pass. */
int require_live(struct request *req) PARKS;
/* The same, and the path's user must be the caller (or anybody, for admins), else not found. */
int require_own(struct request *req, const char *user_id) PARKS;

/* Where a request comes from, fit to be stored and shown. */
const char *request_address(const struct request *req);
const char *request_network(const struct request *req); /* see address_network() */
/* Tells one client from another well enough to believe a repeated refresh, and to tell the owner of
 * one that is new: a digest of network and user agent. */
const char *request_client(const struct request *req);
const char *request_user_agent(const struct request *req);

/* audit_handlers.c */
/* Adds an entry with address, user agent and correlation of the request; queued (tx NULL: at once).
 * The actor is the caller unless the entry names one. */
int audit(struct request *req, struct pg_tx *tx, struct audit_entry entry);
int get_audit(struct request *req);
/* recovery_handlers.c */
#define MAIL_TOKEN_KEY_MIN 32
int recovery_start(void);
/* A first or another link to verify the account's address; queued. */
int verification_add(struct request *req, struct pg_tx *tx, const struct user *u);
int post_email_verification(struct request *req);
int post_email_verification_confirm(struct request *req);
int post_password_reset(struct request *req);
int post_password_reset_confirm(struct request *req);
/* What the confirming handlers do, whoever asks for it. */
int verify_email(struct request *req, const char *token);
int reset_password(struct request *req, const char *token, const char *new_password);
/* A new password in its normal form: 0; OUTCOME_INVALID with the pointer when it is not good. */
int check_new_password(struct request *req, const char *pointer, const char *password,
    const char *email, const char **ret_normal);
/* pages.c: for people who follow a mailed link; notification makes the links. */
#define VERIFICATION_PAGE "/api/v1/auth/email-verifications/page"
#define RESET_PAGE        "/api/v1/auth/password-resets/page"
int get_verification_page(struct request *req);
int post_verification_page(struct request *req);
int get_reset_page(struct request *req);
int post_reset_page(struct request *req);
/* session_handlers.c */
int post_register(struct request *req);
int post_login(struct request *req);
int post_refresh(struct request *req);
int post_logout(struct request *req);
int post_password(struct request *req);
int get_sessions(struct request *req);
int delete_session(struct request *req);
/* The next pair of a login's tokens against its refresh token. */
struct session_grant {
    struct user *user;
    const char *session_id, *access_token, *refresh_token;
};
/* 0; AUTH_INVALID_REFRESH_TOKEN; AUTH_REFRESH_TOKEN_REUSED, with the session ended. */
int session_refresh(struct request *req, const char *refresh_token, struct session_grant *ret_grant)
    PARKS;
/* Ends a session of the user, with its entry in the audit log. */
int session_end(struct request *req, const char *user_id, const char *session_id,
    const char *reason, const char *audit_type, bool *ret_ended) PARKS;
/* oauth_handlers.c */
int post_oauth_token(struct request *req);
int post_oauth_revoke(struct request *req);
int post_oauth_introspect(struct request *req);
int get_oauth_metadata(struct request *req);
/* user_handlers.c */
int get_user(struct request *req);
int patch_user(struct request *req);
int delete_user(struct request *req);
int get_roles(struct request *req);
int put_roles(struct request *req);
int get_addresses(struct request *req);
int post_address(struct request *req);
int get_address(struct request *req);
int put_address(struct request *req);
int delete_address(struct request *req);
/* internal_handlers.c */
int get_jwks(struct request *req);
int post_introspect(struct request *req);
int get_revocations(struct request *req);
int get_internal_user(struct request *req);
int get_internal_address(struct request *req);
