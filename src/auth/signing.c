/* Signs tokens and publishes the key set. What is in the folder belongs to key_folder.c; here a
 * ring is what this process read of it last. Once a second the list's time stamp is looked at, and
 * a changed one is read anew on a worker. A signature that is being made holds on to its ring.
 *
 * Processes see a rotation up to a second one after the other. Both keys are published by all of
 * them at that time, so either's tokens are good everywhere; retired keys stay for much longer. */

#include <errno.h>
#include <stdio.h>

#include "auth/auth.h"
#include "common/app/metrics.h"

#define WATCH_PERIOD_US USEC_PER_SEC
/* Beyond the longest token: the verifiers' skew, and processes that were slow to look. */
#define RETIRE_SLACK_S (2 * TOKEN_SKEW_S)

static struct key_ring *ring;
static struct buf jwks;
static int64_t loaded_stamp;

static struct metric keys_gauge = {
    .name = "souk_auth_signing_keys", .help = "Published keys.", .kind = METRIC_GAUGE};

static int64_t now_s(void)
{
    return clock_wall_us() / USEC_PER_SEC;
}

static void ring_leave(struct key_ring *r)
{
    if (r && --r->users == 0)
        key_ring_free(r);
}

/* ---- loading ---- */

struct folder_job {
    struct key_folder folder;
    int result;
    struct key_ring *ring;
    size_t retired;
};

static void run_load(void *arg)
{
    struct folder_job *job = arg;
    job->result = key_folder_load(&job->folder, now_s(), &job->ring);
}

static int64_t keep_s(void)
{
    int64_t user_s = config_i64("ACCESS_TOKEN_TTL_S"),
            service_s = config_i64("SERVICE_TOKEN_TTL_S");
    return (user_s > service_s ? user_s : service_s) + RETIRE_SLACK_S;
}

static void run_retire(void *arg)
{
    struct folder_job *job = arg;
    job->result = key_folder_retire(&job->folder, now_s(), keep_s(), &job->retired);
}

static int run_on_worker(struct folder_job *job, void (*run)(void *arg)) PARKS
{
    job->folder.path = config_text("SIGNING_KEY_DIR");
    TRY(offload_run(app()->offload, "signing keys", run, job));
    if (job->result == 0)
        return 0;
    error_note("SIGNING_KEY_DIR: %s", job->folder.problem);
    return ERR(job->result);
}

static int write_jwks(const struct key_ring *r, struct buf *out)
{
    buf_put_text(out, "{\"keys\":[");
    for (size_t i = 0; i < r->count; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        TRY(token_key_to_jwk(r->keys[i].public_pem, r->keys[i].entry.kid, out));
    }
    buf_put_text(out, "]}");
    return 0;
}

/* Set, verifier and signer change in one turn of the loop. */
static int ring_take(struct key_ring *fresh)
{
    struct buf set = {0};
    struct token_key public_keys[KEYS_LIMIT];
    int r = write_jwks(fresh, &set);
    if (r != 0) {
        buf_deinit(&set);
        return ERR(r);
    }
    for (size_t i = 0; i < fresh->count; i++)
        public_keys[i] = (struct token_key){fresh->keys[i].entry.kid, fresh->keys[i].public_pem};
    token_keys_replace(public_keys, fresh->count);
    buf_deinit(&jwks);
    jwks = set;
    ring_leave(ring);
    ring = fresh;
    ring->users = 1;
    metric_set(&keys_gauge, (double)ring->count);
    log_info("signing keys loaded", LF_I64("keys", ring->count),
        LF_TEXT("signsWith", ring->keys[ring->current].entry.kid));
    return 0;
}

static int ring_load(void) PARKS
{
    struct folder_job job = {0};
    int64_t stamp = key_folder_stamp(config_text("SIGNING_KEY_DIR"));
    TRY(run_on_worker(&job, run_load));
    int r = ring_take(job.ring);
    if (r != 0) {
        key_ring_free(job.ring);
        return ERR(r);
    }
    loaded_stamp = stamp;
    return 0;
}

static bool retirement_is_due(void)
{
    for (size_t i = 0; i < ring->count; i++)
        if (ring->keys[i].entry.state == KEY_RETIRED &&
            ring->keys[i].entry.since_s + keep_s() <= now_s())
            return true;
    return false;
}

/* Busy workers are no failure: the old ring is good for long enough, and the next second comes. */
static int watch_folder(void)
{
    struct folder_job job = {0};
    int r = 0;
    if (retirement_is_due()) {
        r = run_on_worker(&job, run_retire);
        if (r == 0 && job.retired > 0)
            log_info("signing keys retired", LF_I64("keys", job.retired));
    }
    if (r == 0 && key_folder_stamp(config_text("SIGNING_KEY_DIR")) != loaded_stamp)
        r = ring_load();
    return r == ERR_BUSY ? 0 : r;
}

int signing_start(void)
{
    TRY(ring_load());
    return app_every("signing keys", WATCH_PERIOD_US, watch_folder);
}

/* ---- signatures ---- */

struct sign_job {
    const struct token_claims *claims;
    const struct key_ring *ring;
    struct arena *arena;
    const char *token;
    int result;
};

static void run_sign(void *arg)
{
    struct sign_job *job = arg;
    const struct signing_key *key = &job->ring->keys[job->ring->current];
    job->result =
        token_sign(job->arena, job->claims, key->entry.kid, key->private_pem, &job->token);
}

int signing_sign(const struct token_claims *claims, const char **ret_token)
{
    struct sign_job job = {.claims = claims, .ring = ring, .arena = fiber_arena()};
    struct key_ring *held = ring;
    held->users++;
    int r = offload_run(app()->offload, "token signature", run_sign, &job);
    ring_leave(held);
    TRY(r);
    TRY(job.result);
    *ret_token = job.token;
    return 0;
}

struct span signing_jwks(void)
{
    return buf_span(&jwks);
}

struct span signing_refresh_secret(void)
{
    return span_of(ring->refresh_secret);
}

/* ---- commands ---- */

static int show(struct key_folder *f)
{
    struct key_list list;
    int r = key_folder_list(f, now_s(), &list);
    if (r != 0) {
        fprintf(stderr, "souk-auth: SIGNING_KEY_DIR: %s\n", f->problem);
        return 1;
    }
    for (size_t i = 0; i < list.count; i++) {
        char since[CLOCK_TEXT_SIZE];
        clock_format(list.at[i].since_s * USEC_PER_SEC, since);
        printf("%s  %-7s  since %s\n", list.at[i].kid, key_state_name(list.at[i].state), since);
    }
    return 0;
}

static int done(struct key_folder *f, int r, const char *what)
{
    if (r != 0) {
        fprintf(stderr, "souk-auth: not %s: %s\n", what, f->problem);
        return 1;
    }
    log_info("signing keys changed by command", LF_TEXT("what", what));
    return show(f);
}

static int command_keys(const char *arg)
{
    return show(&(struct key_folder){.path = config_text("SIGNING_KEY_DIR")});
}

static int command_rotate(const char *arg)
{
    struct key_folder f = {.path = config_text("SIGNING_KEY_DIR")};
    bool at_once = arg && strcmp(arg, "now") == 0;
    if (arg && !at_once) {
        fprintf(stderr, "souk-auth: --rotate-keys takes nothing, or now\n");
        return 2;
    }
    return done(
        &f, key_folder_rotate(&f, now_s(), at_once ? 0 : config_i64("JWKS_MAX_AGE_S")), "rotated");
}

static int command_drop(const char *arg)
{
    struct key_folder f = {.path = config_text("SIGNING_KEY_DIR")};
    return done(&f, key_folder_drop(&f, now_s(), arg), "dropped");
}

const struct service_command signing_commands[] = {
    {"keys", NULL, false, "Show the signing keys, then leave", command_keys},
    {"rotate-keys", "now", true,
        "Sign with the next key from now on and publish a fresh one, then leave; refused while "
        "caches may not know the next key, unless =now",
        command_rotate},
    {"drop-key", "KID", false,
        "Delete a key that has leaked, then leave: what it has signed is refused at once",
        command_drop},
};
const size_t signing_commands_count = ARRAY_SIZE(signing_commands);
