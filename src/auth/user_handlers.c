/* Profiles, roles, addresses. */

#include "auth/auth.h"
#include "common/base/uuid.h"

static int no_user(struct request *req)
{
    const struct user_params *p = req->params;
    return refuse(req, OUTCOME_NOT_FOUND, "There is no user %s", p->user_id);
}

static int find_user(struct request *req, struct user **ret_user)
{
    const struct user_params *p = req->params;
    TRY(require_own(req, p->user_id));
    TRY(store_user_find(p->user_id, ret_user));
    return *ret_user ? 0 : no_user(req);
}

/* Locks the row; not found when it is gone. */
static int lock_user(struct request *req, struct pg_tx *tx, struct user **ret_user)
{
    const struct user_params *p = req->params;
    TRY(store_user_lock(tx, p->user_id, ret_user));
    return *ret_user ? 0 : no_user(req);
}

/* ---- profile ---- */

int get_user(struct request *req)
{
    struct user *u;
    TRY(find_user(req, &u));
    reply_etag(req, u->version);
    return reply(req, 200, &user_table, u);
}

/* A change that readers of the profile can see. */
static int save_user(struct pg_tx *tx, struct user *u)
{
    u->updated_at = clock_wall_us();
    u->version++;
    return store_user_save(tx, u);
}

int patch_user(struct request *req)
{
    const struct user_params *p = req->params;
    const struct user_change_body *body = req->body;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct user *u;
    TRY(require_own(req, p->user_id));
    TRY(pg_begin(app()->pg, &tx));
    TRY(lock_user(req, tx, &u));
    TRY(request_if_match(req, u->version));
    if (body->name)
        u->name = body->name;
    if (body->phone)
        u->phone = body->phone;
    TRY(save_user(tx, u));
    TRY(publish_user(tx, &EVENT_USER_UPDATED, u));
    TRY(pg_commit(tx));
    reply_etag(req, u->version);
    return reply(req, 200, &user_table, u);
}

/* Closing an account keeps its row (orders point to it) and ends every session. */
int delete_user(struct request *req)
{
    const struct user_params *p = req->params;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct user *u;
    TRY(require_own(req, p->user_id));
    TRY(pg_begin(app()->pg, &tx));
    TRY(lock_user(req, tx, &u));
    if (strcmp(u->status, "deactivated") == 0)
        return reply_empty(req, 204);
    u->status = "deactivated";
    TRY(save_user(tx, u));
    TRY(store_sessions_end(tx, u->id, NULL, "deactivated"));
    TRY(audit(req, tx, (struct audit_entry){.type = "deactivated", .user_id = u->id}));
    TRY(publish_user(tx, &EVENT_USER_DEACTIVATED, u));
    TRY(pg_commit(tx));
    log_info("account closed", LF_TEXT("user", u->id), LF_TEXT("by", req->caller.user_id));
    return reply_empty(req, 204);
}

/* ---- roles ---- */

int get_roles(struct request *req)
{
    struct user *u;
    TRY(find_user(req, &u));
    return reply(req, 200, &roles_table, &(struct roles_value){u->roles});
}

/* New roles need new tokens, so the user's sessions end. Both accounts are locked: of two admins
 * who take each other's role at once only one comes through, so that one is left. */
int put_roles(struct request *req)
{
    const struct user_params *p = req->params;
    const struct roles_value *body = req->body;
    unsigned roles = roles_of(body->roles);
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct user *u, *admin;
    TRY(require_live(req));
    if (!caller_is(req, ROLE_ADMIN))
        return refuse(req, OUTCOME_FORBIDDEN, "This needs another role");
    if (!roles_for_people(roles))
        return refuse_field(req, "/roles", "must be roles of people");
    if (strcmp(p->user_id, req->caller.user_id) == 0 && !(roles & ROLE_ADMIN))
        return refuse(req, OUTCOME_CONFLICT, "Another admin has to take this role from you");
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_users_lock(tx, p->user_id, req->caller.user_id, &u, &admin));
    if (!admin || strcmp(admin->status, "active") != 0 || !(roles_of(admin->roles) & ROLE_ADMIN))
        return refuse(req, OUTCOME_UNAUTHENTICATED, "This login has ended");
    if (!u)
        return no_user(req);
    if (roles_of(u->roles) != roles) {
        const char *before = roles_array(req->arena, roles_of(u->roles));
        u->roles = body->roles;
        TRY(save_user(tx, u));
        TRY(store_sessions_end(tx, u->id, NULL, "roles"));
        TRY(audit(req, tx,
            (struct audit_entry){.type = "roles_changed",
                .user_id = u->id,
                .detail =
                    arena_printf(req->arena, "%s to %s", before, roles_array(req->arena, roles))}));
        TRY(publish_user(tx, &EVENT_USER_UPDATED, u));
        TRY(pg_commit(tx));
        log_info("roles changed", LF_TEXT("user", u->id), LF_TEXT("by", req->caller.user_id),
            LF_TEXT("roles", roles_array(req->arena, roles)));
    }
    return reply(req, 200, &roles_table, &(struct roles_value){body->roles});
}

/* ---- addresses ---- */

int get_addresses(struct request *req)
{
    const struct user_params *p = req->params;
    struct place before;
    const char *next = NULL;
    struct list rows;
    TRY(require_own(req, p->user_id));
    TRY(place_read(req, p->cursor, true, &before));
    TRY(store_addresses(p->user_id, before.number, before.id, p->limit, &rows));
    if ((int64_t)rows.len > p->limit) {
        rows.len = (size_t)p->limit;
        const struct user_address *last = LIST_AT(rows, struct user_address, rows.len - 1);
        next = place_cursor(req->arena, last->created_at, last->id);
    }
    return reply_page(req, &user_address_table, rows, next);
}

int post_address(struct request *req)
{
    const struct user_params *p = req->params;
    struct user_address body = *(const struct user_address *)req->body, *made;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    char *id = arena_alloc(req->arena, UUID_TEXT_SIZE);
    struct user *u;
    TRY(require_own(req, p->user_id));
    uuid_make(id);
    body.id = id;
    TRY(pg_begin(app()->pg, &tx));
    TRY(lock_user(req, tx, &u)); /* so that two at once are counted one after the other */
    TRY(store_address_insert(tx, u->id, &body, &made));
    if (!made)
        return refuse(req, AUTH_TOO_MANY_ADDRESSES, "%d is the most", ADDRESSES_LIMIT);
    reply_header(req, "Location",
        arena_printf(req->arena, "/api/v1/users/%s/addresses/%s", u->id, made->id));
    TRY(reply_stored(req, tx, 201, &user_address_table, made));
    return pg_commit(tx);
}

static int no_address(struct request *req)
{
    const struct user_params *p = req->params;
    return refuse(req, OUTCOME_NOT_FOUND, "There is no address %s", p->address_id);
}

int get_address(struct request *req)
{
    const struct user_params *p = req->params;
    struct user_address *a;
    TRY(require_own(req, p->user_id));
    TRY(store_address_find(p->user_id, p->address_id, &a));
    return a ? reply(req, 200, &user_address_table, a) : no_address(req);
}

int put_address(struct request *req)
{
    const struct user_params *p = req->params;
    struct user_address body = *(const struct user_address *)req->body, *saved;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct user *u;
    TRY(require_own(req, p->user_id));
    body.id = p->address_id;
    TRY(pg_begin(app()->pg, &tx));
    TRY(lock_user(req, tx, &u));
    TRY(store_address_save(tx, u->id, &body, &saved));
    if (!saved) /* nor must the default have moved */
        return no_address(req);
    TRY(pg_commit(tx));
    return reply(req, 200, &user_address_table, saved);
}

int delete_address(struct request *req)
{
    const struct user_params *p = req->params;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct user *u;
    bool deleted;
    TRY(require_own(req, p->user_id));
    TRY(pg_begin(app()->pg, &tx));
    TRY(lock_user(req, tx, &u));
    TRY(store_address_delete(tx, u->id, p->address_id, &deleted));
    TRY(pg_commit(tx));
    return deleted ? reply_empty(req, 204) : no_address(req);
}
