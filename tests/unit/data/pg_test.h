#pragma once

/* What the tests of pg_*.c share: a loop and a fiber around each test, and statements to play
 * with. */

#include <criterion/criterion.h>

#include "common/data/pg.h"
#include "support/pg_server.h"

extern struct loop *test_loop;

void pg_test_run(fiber_fn fn);
/* A pool on the test's database with these settings (url filled in when NULL). */
struct pg_pool *pg_test_pool(struct pg_pool_config config);

/* A test whose body runs in a fiber. */
#define PG_TEST(suite, name)                                                                       \
    static void suite##_##name(void *arg);                                                         \
    Test(suite, name)                                                                              \
    {                                                                                              \
        pg_test_run(suite##_##name);                                                               \
    }                                                                                              \
    static void suite##_##name(void *arg)

#define OK(expr)                                                                                   \
    do {                                                                                           \
        int ok_r_ = (expr);                                                                        \
        cr_assert(ok_r_ == 0, "%s gave %d: %s", #expr, ok_r_, error_text());                       \
    } while (0)
#define GIVES(code, expr)                                                                          \
    do {                                                                                           \
        int gives_r_ = (expr);                                                                     \
        cr_assert(gives_r_ == (code), "%s gave %d, not %d: %s", #expr, gives_r_, (int)(code),      \
            error_text());                                                                         \
        error_clear();                                                                             \
    } while (0)

struct number {
    int64_t n;
};
extern const struct table number_table;
struct text {
    const char *text;
};
extern const struct table text_table;

/* Table `item (id int primary key, stock int check (stock >= 0))`, see pg_test_items. */
#define OUT_OF_STOCK 101                          /* an outcome of the tests */
extern const struct pg_statement sql_item_insert; /* $1 id, $2 stock */
extern const struct pg_statement sql_item_take;   /* $1 id, $2 quantity: only while it lasts */
extern const struct pg_statement sql_item_grab;   /* $1 id, $2 quantity: the CHECK says no */
extern const struct pg_statement sql_item_stock;  /* $1 id */
extern const struct pg_statement sql_item_count;
extern const struct pg_statement sql_sleep; /* $1 seconds */
extern const struct pg_statement sql_backend;
void pg_test_items(void); /* makes it, with item 1 of stock 5 */

/* A proxy on the test's loop between the pool and a server. */
struct pg_proxy {
    int server_port;
    int port;
    bool frozen;        /* bytes are taken and kept, in both directions */
    const char *cut_at; /* the client's bytes hold this text: both sides are cut… */
    bool cut_after;     /* …when the server has answered it, instead of before it hears of it */
    unsigned accepted;
    struct evconnlistener *listener;
    struct pg_proxy_pair *pairs;
};
void pg_proxy_start(struct pg_proxy *p);
void pg_proxy_cut(struct pg_proxy *p);  /* all connections */
void pg_proxy_stop(struct pg_proxy *p); /* and refuses new ones */
const char *pg_proxy_url(const struct pg_proxy *p);
