#include "common/data/pg_link.h"
#include "pg_test.h"

static const char *value_of(const struct pg_target *t, const char *key)
{
    const char *value = NULL;

    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->keys[i], key) == 0)
            value = t->values[i]; /* the last one wins */
    return value ? value : "";
}

Test(pg_target, url__with_each_kind_of_host__never_leaves_a_name_to_libpq)
{
    static const struct {
        const char *url, *host, *address, *label, *name;
    } rows[] = {
        {"postgresql://u:p@localhost:29/order", "localhost", "127.0.0.1", "localhost:29/order"},
        {"postgresql://127.0.0.1/order", "127.0.0.1", "127.0.0.1", "127.0.0.1:5432/order"},
        {"postgresql://[::1]/order", "::1", "::1", "::1:5432/order"},
        {"host=db hostaddr=10.0.0.1 dbname=x", "db", "10.0.0.1", "db:5432/x"},
        {"hostaddr=10.0.0.1 dbname=x", "", "10.0.0.1", "10.0.0.1:5432/x"},
        {"postgresql://%2Frun%2Fpg/order", "/run/pg", "", "/run/pg:5432/order"},
        {"postgresql://db.example/order", "db.example", "", "db.example:5432/order", "db.example"},
    };
    struct loop *l = loop_new();

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pg_target t;

        pg_target_init(&t, l, &(struct pg_pool_config){.url = rows[i].url});
        cr_assert_null(t.problem, "%s: %s", rows[i].url, t.problem);
        cr_assert_str_eq(value_of(&t, "host"), rows[i].host);
        cr_assert_str_eq(value_of(&t, "hostaddr"), rows[i].address);
        cr_assert_str_eq(t.label, rows[i].label);
        cr_assert_str_eq(t.name ? t.name : "", rows[i].name ? rows[i].name : "");
        pg_target_deinit(&t);
    }
    loop_free(l);
}

PG_TEST(pg_target, name__in_capitals__is_resolved_beside_the_loop)
{
    const char *url = pg_server_url_at(pg_server_port());
    const char *address = strstr(url, "127.0.0.1");
    struct pg_pool *p;

    url = arena_printf(
        fiber_arena(), "%.*sLOCALHOST%s", (int)(address - url), url, address + strlen("127.0.0.1"));
    p = pg_test_pool((struct pg_pool_config){.url = url});
    OK(pg_query(p, &sql_backend, PG_NO_ARGS, NULL));
    pg_pool_free(p);
}
