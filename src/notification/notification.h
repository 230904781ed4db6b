#pragma once

/* The notification service: turns events into messages that people want, and gets them delivered.
 * An event's handler only leaves rows, addressed; a background task renders and sends them. */

#include "common/app/service.h"
#include "common/contract/events.h"
#include "notification/template.h"

enum notification_outcome {
    NOTIFICATION_OUTCOME_BASE_ = OUTCOME_SERVICE_BASE,
#define OUTCOME(name, status, code, title) NOTIFICATION_##name,
#include "notification/outcomes.def"
#undef OUTCOME
};

/* ---- tables.c ---- */

struct email_preferences {
    bool orders, payments, marketing;
};
struct sms_preferences {
    bool enabled;
    const char *phone;
};
struct push_preferences {
    bool enabled;
    const char *topic;
};
struct preferences {
    struct email_preferences *email;
    struct sms_preferences *sms;
    struct push_preferences *push;
};
extern const struct table preferences_table;

struct delivery {
    const char *id, *event_id, *template, *channel, *recipient, *user_id, *subject, *text, *html,
        *message_id, *correlation_id, *status, *last_error;
    const char *message; /* JSON of a struct message; NULL: none, or the texts are there */
    const char *sealed;  /* the token in its links, as it stands in the texts; NULL: none */
    int64_t attempts, next_attempt_at, created_at, sent_at;
};
extern const struct table notification_table; /* what its recipient sees */
extern const struct table delivery_table;     /* what an admin sees */
extern const struct table claim_table;        /* what the sender needs; in store.c */

struct delivery_params {
    const char *delivery_id;
};
extern const struct table delivery_params_table;

struct list_params {
    const char *status, *cursor;
    int64_t limit;
};
extern const struct table notification_list_params_table;
extern const struct table delivery_list_params_table;

struct template_params {
    const char *name;
};
extern const struct table template_params_table;

struct preview {
    const char *name, *subject, *text, *html;
};
extern const struct table preview_table;

extern const struct config_row notification_config[];
extern const size_t notification_config_count;
extern const struct outcome_row notification_outcomes[];
extern const size_t notification_outcomes_count;

/* ---- messages.c: what the templates can name ---- */

struct message_line {
    const char *name;
    int64_t quantity;
    struct money unit_price, total;
};
struct message {
    const char *name; /* of the recipient, when it is known */
    const char *order_id, *payment_id, *reason;
    const char *url;                  /* of what the message is about */
    const char *until;                /* how long the link is good: "2026-01-31 12:00 UTC" */
    const char *address, *user_agent; /* where an account was used */
    const char *preferences_url;      /* where its kind is switched off */
    struct list items;                /* struct message_line */
    struct money amount;              /* the order's total, or of this step of the payment */
    struct money refunded_total;      /* when it is more than `amount` */
};
extern const struct table message_table;

/* Fill the message from an event; links begin with `public_url`. -ERANGE when a line's sum does not
 * fit. */
int message_of_order_created(
    struct arena *a, const char *public_url, const struct order_created *o, struct message *ret);
void message_of_order(
    struct arena *a, const char *public_url, const struct order_event *o, struct message *ret);
void message_of_payment(
    struct arena *a, const char *public_url, const struct payment_event *p, struct message *ret);
void message_of_user(
    struct arena *a, const char *public_url, const struct user_event *u, struct message *ret);
/* `page` is auth's, to be opened with the token; the token stays sealed until the mail is sent. */
void message_of_link(struct arena *a, const char *public_url, const char *page,
    const struct user_link_event *l, struct message *ret);
void message_of_session(struct arena *a, const char *public_url, const struct user_session_event *s,
    struct message *ret);
bool message_token_readable(const struct user_link_event *l); /* not masked */
/* `text` with the token in place of each `sealed`. NULL: not sealed with this key for this user. */
const char *message_unseal(
    struct arena *a, struct span key, const char *user_id, const char *sealed, const char *text);
/* An order of two lines, for previews. */
void message_sample(struct arena *a, const char *public_url, struct message *ret);
/* Renders the three texts into the arena; 0 or ERR_INVALID as template_render(). */
int message_render(struct arena *a, const struct template *template, const struct message *m,
    struct preview *ret_texts);
int message_subject(struct arena *a, const struct template *template, const struct message *m,
    const char **ret_subject);
/* Fills in the texts of a delivery that has none yet. 0, or ERR_INVALID: its message can't be read
 * or rendered. */
int delivery_texts(struct arena *a, struct delivery *d);

/* ---- rules.c ---- */

#define DELIVERY_ATTEMPTS 12

enum delivery_fate { DELIVERY_SENT, DELIVERY_AGAIN, DELIVERY_FAILED };
/* What becomes of a delivery after its `attempts`-th attempt ended with `r`: 0 sent, positive
 * refused for good, negative of no avail this time. */
enum delivery_fate delivery_fate(int r, int64_t attempts);
/* How long to wait after the `attempts`-th failure: 5 s, doubling, at most 30 min. */
int64_t delivery_pause_us(int64_t attempts);
/* "<event.template@domain of the sender>": the same whenever it is made. */
const char *delivery_message_id(
    struct arena *a, const char *event_id, const char *template, const char *from);

/* ---- store.c: what takes a transaction is queued in it ---- */

extern const struct pg_statement notification_statements[];
extern const size_t notification_statements_count;
extern const struct pg_statement notification_backlog; /* messages not sent */

struct delivery_draft {
    const char *event_id, *correlation_id;
    const char *template;
    const char *kind; /* account, orders, payments, marketing */
    const char *user_id;
    const char *email; /* from the event; the contact's own address goes before it; NULL ok */
    const char *message_id;
    int64_t delay_s;
    const char *sealed; /* NULL ok */
    const char *subject, *message;
    bool take; /* the caller sends it itself, at once */
};
/* One row for each channel that a user can be reached by; none for what is there already. Drafts
 * are struct delivery_draft; answers with what the caller has taken, for LEASE_US. */
int store_deliveries_add(struct pg_tx *tx, struct list drafts, struct list *ret_deliveries) PARKS;
int store_contact_told(struct pg_tx *tx, const struct user_event *u, int64_t at_us);
/* From now on nothing but account messages goes out, not even what waits already. */
int store_contact_off(struct pg_tx *tx, const char *user_id);

int store_preferences(const char *user_id, struct preferences **ret_preferences) PARKS;
int store_preferences_set(const char *user_id, const struct preferences *p) PARKS;

/* Newest first; user_id, status, before NULL or 0: any. One row more than `limit` when there are
 * more. */
int store_list_of_user(const char *user_id, int64_t before_us, const char *before_id, int64_t limit,
    struct list *ret_deliveries) PARKS;
int store_list(const char *status, int64_t before_us, const char *before_id, int64_t limit,
    struct list *ret_deliveries) PARKS;
/* Locked; NULL when there is none. */
int store_delivery_lock(struct pg_tx *tx, const char *id, struct delivery **ret_delivery) PARKS;
/* Due at once, as if never tried; one that knew no address looks for it again. */
int store_delivery_again(struct pg_tx *tx, const char *id, struct delivery **ret_delivery) PARKS;

/* Takes up to `limit` due deliveries for `lease_us`; nobody else gets them until then. */
int store_claim(int64_t limit, int64_t lease_us, struct list *ret_deliveries) PARKS;
int store_sent(const char *ids) PARKS; /* "{a,b}" */
/* What was taken and not begun; its lease must still run. */
int store_give_back(const char *ids) PARKS;
/* `pause_us` < 0: failed for good. Nothing when the lease has passed on to somebody else. */
int store_not_sent(const struct delivery *d, int64_t pause_us, const char *why) PARKS;

/* ---- channels.c ---- */

enum { CHANNEL_REFUSED = 1 };
/* Hands one message over: 0; CHANNEL_REFUSED: never will; negative: not this time, or unknown. */
int message_send(const struct delivery *d, const char **ret_why) PARKS;

/* ---- sender.c ---- */

#define SENDER       "sender" /* for app_nudge() */
#define LEASE_US     (30 * USEC_PER_SEC)
#define MAIL_TIME_US (10 * USEC_PER_SEC) /* a hand-over may take */
int sender_start(void);
/* How many deliveries may be handed over now. */
size_t sender_room(void);
/* Deliveries that were taken and are committed; it keeps copies. `until_us` (monotonic) is the end
 * of their lease. */
void sender_take(struct list deliveries, int64_t until_us);
/* Something waits in its row. */
void sender_look(void);

/* ---- events.c ---- */

int notification_before_batch(struct pg_tx *tx, const struct event *const *events, size_t count);
int notification_after_batch(struct pg_tx *tx);
void notification_batch_committed(void);
extern const struct consumer_row notification_consumers[];
extern const size_t notification_consumers_count;

/* ---- routes.c, handlers.c ---- */

extern const struct route notification_routes[];
extern const size_t notification_routes_count;

int get_preferences(struct request *req);
int put_preferences(struct request *req);
int get_notifications(struct request *req);
int get_deliveries(struct request *req);
int post_resend(struct request *req);
int get_preview(struct request *req);
