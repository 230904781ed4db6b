#include "common/app/peer.h"

#include "common/app/work.h"
#include "rig.h"

struct whoami {
    const char *name, *how;
};
static const struct field whoami_fields[] = {
    FIELD_TEXT(struct whoami, name, "name", .required = true),
    FIELD_TEXT(struct whoami, how, "how"),
};
static const struct table whoami_table = TABLE("Whoami", struct whoami, whoami_fields);

static int call(const char *path, struct whoami *ret_who, struct peer_answer *ret_answer) PARKS
{
    return peer_call(&(struct peer_call){.peer = "self",
                         .method = HTTP_GET,
                         .path = path,
                         .answer_table = &whoami_table,
                         .answer = ret_who},
        ret_answer);
}

static const char *token_seen(void) PARKS
{
    struct whoami who = {0};
    struct peer_answer answer;
    cr_assert_eq(call("/whoami", &who, &answer), 0, "%s", error_text());
    cr_assert_eq(answer.status, 200);
    return who.name;
}

static void tokens(void)
{
    cr_assert_str_eq(token_seen(), "Bearer t1");
    cr_assert_str_eq(token_seen(), "Bearer t1", "it is kept");
    refused_bearer = "Bearer t1";
    cr_assert_str_eq(token_seen(), "Bearer t2", "a refused one is replaced");
    refused_bearer = "Bearer t3";
    cr_assert_str_eq(token_seen(), "Bearer t2");
    cr_assert_eq(token_asks, 2);
}
Test(peer, a_service_token__is_kept_until_it_is_refused)
{
    rig_run(tokens);
}

static void always_refused(void)
{
    struct whoami who = {0};
    struct peer_answer answer;
    cr_assert_eq(call("/admin", &who, &answer), 0);
    cr_assert_eq(answer.status, 401, "after one fresh token it is the callee's last word");
    cr_assert_str_eq(answer.code, "unauthenticated");
    cr_assert_eq(token_asks, 2);
}
Test(peer, a_callee_that_refuses_every_token__is_asked_twice)
{
    rig_run(always_refused);
}

static unsigned callers_done;

static void caller(void *arg)
{
    cr_assert_str_eq(token_seen(), "Bearer t1");
    callers_done++;
}

static void flight(void)
{
    for (int i = 0; i < 20; i++)
        cr_assert_eq(fiber_spawn(app()->loop, "caller", caller, NULL, NULL), 0);
    cr_assert(EVENTUALLY(callers_done == 20, 5000));
    cr_assert_eq(token_asks, 1);
}
Test(peer, many_at_once__share_one_fetch_of_a_token)
{
    rig_run(flight);
}

static void leaver(void *arg)
{
    struct whoami who = {0};
    struct peer_answer answer;
    cr_assert_eq(call("/whoami", &who, &answer), ERR_CANCELED);
}

static void cancelled_fetcher(void)
{
    struct fiber *f;
    cr_assert_eq(fiber_spawn(app()->loop, "leaver", leaver, NULL, &f), 0);
    cr_assert(EVENTUALLY(token_asks == 1, 5000));
    cr_assert_eq(fiber_spawn(app()->loop, "caller", caller, NULL, NULL), 0);
    fiber_yield();
    fiber_cancel(f);
    cr_assert(EVENTUALLY(callers_done == 1, 5000));
    cr_assert_eq(token_asks, 1);
}
Test(peer, a_fetcher_whose_client_leaves__serves_those_who_wait)
{
    rig_run(cancelled_fetcher);
}

static void auth_away(void)
{
    struct whoami who = {0};
    struct peer_answer answer;
    token_status = OUTCOME_UNAVAILABLE;
    cr_assert_eq(call("/whoami", &who, &answer), ERR_UNAVAILABLE);
    token_status = OUTCOME_FORBIDDEN;
    error_clear();
    cr_assert_eq(call("/whoami", &who, &answer), ERR_PROTOCOL, "%s", error_text());
    token_status = 0;
    cr_assert_str_eq(token_seen(), "Bearer t4"); /* the 503 was asked again by the client */
}
Test(peer, without_auth__a_call_says_so)
{
    rig_run(auth_away);
}

static void answers(void)
{
    struct whoami who = {0};
    struct peer_answer answer;
    struct work work = {.correlation_id = "corr-7"};
    work_begin(&work);
    cr_assert_eq(call("/whoami", &who, &answer), 0);
    cr_assert_str_eq(who.how, "corr-7", "the callee sees our correlation");
    work_end();
    cr_assert_eq(call("/nothing", &who, &answer), 0);
    cr_assert_eq(answer.status, 404);
    cr_assert_str_eq(answer.code, "not_found");
    cr_assert_str_eq(answer.detail, "No resource has this path");
    cr_assert_eq(call("/openapi.json", &who, &answer), ERR_PROTOCOL, "a 2xx must fit its table");
}
Test(peer, an_answer__is_read_by_its_table_or_by_its_code)
{
    rig_run(answers);
}
