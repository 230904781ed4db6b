/* Access tokens are good until they expire, and logins end before: by logout, by a changed password
 * or role, by reuse of a refresh token. Every service asks auth every few seconds which logins have
 * ended lately and refuses their tokens from then on. A request costs one look into a table in
 * memory, and auth is asked by processes, not by requests. While auth is away nothing new is heard
 * and the services go on; then a token counts for as long as it lives, minutes.
 *
 * Commits come in another order than the times in them, and clocks differ, so each question goes
 * back OVERLAP_US before the last one that was answered; what is known already is known. The first
 * goes back as far as the longest life of an access token, and entries are kept that long. */

#include "common/app/revocation.h"

#include <stdio.h>

#include "common/app/metrics.h"
#include "common/app/peer.h"
#include "common/app/service.h"
#include "common/app/token.h"
#include "common/base/mem.h"
#include "common/base/uuid.h"

#include <uthash.h>

#define OVERLAP_US  (60 * USEC_PER_SEC)
#define LOOKBACK_US ((3600 + 2 * TOKEN_SKEW_S) * USEC_PER_SEC) /* ACCESS_TOKEN_TTL_S's maximum */

struct ended {
    char session_id[UUID_TEXT_SIZE];
    int64_t at_us;
    UT_hash_handle hh;
};
static struct ended *known; /* about in the order of age */
static int64_t heard_us;    /* when the last question that was answered to its end was asked */

static struct metric known_gauge = {.name = "souk_revocations",
    .help = "Logins that have ended and whose access tokens may not have expired.",
    .kind = METRIC_GAUGE};
static struct metric age_gauge = {.name = "souk_revocations_age_seconds",
    .help = "Since when auth was not heard about ended logins.",
    .kind = METRIC_GAUGE};

struct revocation {
    const char *session_id;
    int64_t ended_at;
};
static const struct field revocation_fields[] = {
    FIELD_UUID(struct revocation, session_id, "sessionId", .required = true),
    FIELD_TIME(struct revocation, ended_at, "endedAt", .required = true),
};
static const struct table revocation_table =
    TABLE("Revocation", struct revocation, revocation_fields);

struct revocation_page {
    struct list data;
    const char *next_cursor;
};
static const struct field page_fields[] = {
    FIELD_LIST(
        struct revocation_page, data, "data", revocation_table, .required = true, .max = 1000),
    FIELD_TEXT(struct revocation_page, next_cursor, "nextCursor"),
};
static const struct table page_table = TABLE("RevocationPage", struct revocation_page, page_fields);

static struct ended *find(const char *session_id)
{
    struct ended *e = NULL;
    HASH_FIND_STR(known, session_id, e);
    return e;
}

bool revocations_have(const char *session_id)
{
    return session_id && find(session_id) != NULL;
}

static void take(const struct revocation *r)
{
    if (find(r->session_id))
        return;
    struct ended *e = MEM_NEW(struct ended);
    snprintf(e->session_id, sizeof(e->session_id), "%s", r->session_id);
    e->at_us = r->ended_at;
    HASH_ADD_STR(known, session_id, e);
}

static void forget_old(void)
{
    int64_t before_us = clock_wall_us() - LOOKBACK_US;
    struct ended *e, *next;
    HASH_ITER (hh, known, e, next) {
        if (e->at_us >= before_us)
            break;
        HASH_DEL(known, e);
        mem_free(e);
    }
}

static int ask(int64_t since_us) PARKS
{
    const char *cursor = NULL;
    char since[CLOCK_TEXT_SIZE];
    clock_format(since_us, since);
    do {
        struct revocation_page page = {0};
        struct peer_answer answer;
        const char *more = cursor ? arena_printf(fiber_arena(), "&cursor=%s", cursor) : "";
        TRY(peer_call(&(struct peer_call){.peer = "auth",
                          .method = HTTP_GET,
                          .path = arena_printf(
                              fiber_arena(), "/internal/v1/revocations?since=%s%s", since, more),
                          .answer_table = &page_table,
                          .answer = &page},
            &answer));
        if (answer.status != 200) {
            error_note("auth answers for ended logins with %d", answer.status);
            return ERR(ERR_PROTOCOL);
        }
        for (size_t i = 0; i < page.data.len; i++)
            take(LIST_AT(page.data, struct revocation, i));
        cursor = page.next_cursor;
    } while (cursor);
    return 0;
}

static int look(void)
{
    int64_t now_us = clock_wall_us();
    int r = ask(heard_us ? heard_us - OVERLAP_US : now_us - LOOKBACK_US);
    if (r == 0)
        heard_us = now_us;
    forget_old();
    metric_set(&known_gauge, HASH_COUNT(known));
    metric_set(&age_gauge, heard_us ? (double)(clock_wall_us() - heard_us) / USEC_PER_SEC
                                    : LOOKBACK_US / USEC_PER_SEC);
    TRY(r);
    return token_keys_refresh();
}

int revocations_start(void)
{
    TRY(app_every("revocations", config_i64("REVOCATION_POLL_S") * USEC_PER_SEC, look));
    app_nudge("revocations"); /* a fresh process has slept through everything */
    return 0;
}
