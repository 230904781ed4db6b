/* The audit log: who did what to which account, from where. Entries are added in the transaction
 * of what they tell of, or by themselves when nothing changed (a failed login); the database keeps
 * them from being changed (migrations/0102_audit_log.sql). */

#include "auth/auth.h"

int audit(struct request *req, struct pg_tx *tx, struct audit_entry entry)
{
    if (!entry.actor_id)
        entry.actor_id = req->caller.user_id;
    entry.address = request_address(req);
    entry.user_agent = request_user_agent(req);
    entry.correlation_id = req->correlation_id;
    return store_audit_add(tx, &entry);
}

/* Admins see everything, everybody else what is about them. */
int get_audit(struct request *req)
{
    const struct audit_params *p = req->params;
    struct place before;
    const char *next = NULL;
    struct list rows;
    TRY(p->user_id ? require_own(req, p->user_id) : require_live(req));
    TRY(place_read(req, p->cursor, true, &before));
    bool admin = caller_is(req, ROLE_ADMIN);
    TRY(store_audit(p, admin ? p->user_id : req->caller.user_id, admin, &before, &rows));
    if ((int64_t)rows.len > p->limit) {
        rows.len = (size_t)p->limit;
        const struct audit_entry *last = LIST_AT(rows, struct audit_entry, rows.len - 1);
        next = place_cursor(req->arena, last->at, last->id);
    }
    return reply_page(req, &audit_entry_table, rows, next);
}
