#include "pg_test.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "common/base/mem.h"

struct loop *test_loop;

static const struct field number_fields[] = {FIELD_I64(struct number, n, "n")};
const struct table number_table = TABLE("Number", struct number, number_fields);
static const struct field text_fields[] = {FIELD_TEXT(struct text, text, "text")};
const struct table text_table = TABLE("Text", struct text, text_fields);

const struct pg_statement sql_item_insert = {
    "item_insert", "INSERT INTO item (id, stock) VALUES ($1, $2)", NULL};
const struct pg_statement sql_item_take = {"item_take",
    "UPDATE item SET stock = stock - $2::int WHERE id = $1 AND stock >= $2::int", NULL};
const struct pg_statement sql_item_grab = {
    "item_grab", "UPDATE item SET stock = stock - $2::int WHERE id = $1", NULL};
const struct pg_statement sql_item_stock = {
    "item_stock", "SELECT stock FROM item WHERE id = $1", &number_table};
const struct pg_statement sql_item_count = {
    "item_count", "SELECT count(*) FROM item", &number_table};
const struct pg_statement sql_sleep = {"sleep", "SELECT pg_sleep($1)", NULL};
const struct pg_statement sql_backend = {"backend", "SELECT pg_backend_pid()", &number_table};

void pg_test_items(void)
{
    pg_server_exec("CREATE TABLE item (id int PRIMARY KEY, stock int CHECK (stock >= 0));"
                   "INSERT INTO item VALUES (1, 5)");
}

void pg_test_run(fiber_fn fn)
{
    pg_server_url(); /* before the loop: starting the server blocks */
    test_loop = loop_new();
    cr_assert_eq(fiber_spawn(test_loop, "test", fn, NULL, NULL), 0);
    loop_run(test_loop, true);
    loop_free(test_loop);
}

struct pg_pool *pg_test_pool(struct pg_pool_config config)
{
    if (!config.url)
        config.url = pg_server_url();
    return pg_pool_new(test_loop, &config);
}

/* ---- the proxy ---- */

struct pg_proxy_pair {
    struct pg_proxy *proxy;
    struct pg_proxy_pair *next;
    struct bufferevent *client, *server;
    bool cut_next;
};

static void pair_end(struct pg_proxy_pair *pair)
{
    struct pg_proxy_pair **at = &pair->proxy->pairs;

    while (*at != pair)
        at = &(*at)->next;
    *at = pair->next;
    bufferevent_free(pair->client);
    bufferevent_free(pair->server);
    mem_free(pair);
}

static bool holds(struct evbuffer *bytes, const char *text)
{
    return evbuffer_search(bytes, text, strlen(text), NULL).pos >= 0;
}

static void on_bytes(struct bufferevent *from, void *arg)
{
    struct pg_proxy_pair *pair = arg;
    struct pg_proxy *p = pair->proxy;
    bool up = from == pair->client;

    if (p->frozen)
        return;
    if (pair->cut_next) {
        pair_end(pair);
        return;
    }
    if (up && p->cut_at && holds(bufferevent_get_input(from), p->cut_at)) {
        if (!p->cut_after) {
            pair_end(pair);
            return;
        }
        pair->cut_next = true;
    }
    bufferevent_write_buffer(up ? pair->server : pair->client, bufferevent_get_input(from));
}

static void on_event(struct bufferevent *from, short what, void *arg)
{
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        pair_end(arg);
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static void on_accept(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
    struct pg_proxy *p = arg;
    struct pg_proxy_pair *pair = MEM_NEW(struct pg_proxy_pair);
    struct sockaddr_in to = loopback(p->server_port);
    struct event_base *base = loop_base(test_loop);

    p->accepted++;
    pair->proxy = p;
    pair->next = p->pairs;
    p->pairs = pair;
    pair->client = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    pair->server = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(pair->client, on_bytes, NULL, on_event, pair);
    bufferevent_setcb(pair->server, on_bytes, NULL, on_event, pair);
    bufferevent_enable(pair->client, EV_READ | EV_WRITE);
    bufferevent_enable(pair->server, EV_READ | EV_WRITE);
    bufferevent_socket_connect(pair->server, (struct sockaddr *)&to, sizeof(to));
}

void pg_proxy_start(struct pg_proxy *p)
{
    struct sockaddr_in at = loopback(p->port);
    socklen_t len = sizeof(at);

    if (!p->server_port)
        p->server_port = pg_server_port();
    p->listener = evconnlistener_new_bind(loop_base(test_loop), on_accept, p,
        LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_FREE, -1, (struct sockaddr *)&at, sizeof(at));
    cr_assert(p->listener);
    getsockname(evconnlistener_get_fd(p->listener), (struct sockaddr *)&at, &len);
    p->port = ntohs(at.sin_port);
}

void pg_proxy_cut(struct pg_proxy *p)
{
    while (p->pairs)
        pair_end(p->pairs);
}

void pg_proxy_stop(struct pg_proxy *p)
{
    pg_proxy_cut(p);
    if (p->listener)
        evconnlistener_free(p->listener);
    p->listener = NULL;
}

const char *pg_proxy_url(const struct pg_proxy *p)
{
    return pg_server_url_at(p->port);
}
