/* events proof: the command around proof.c: what is asked, waiting for rest, the second look, the
 * exit code. */

#include <inttypes.h>
#include <unistd.h>

#include "common/app/event.h"
#include "common/base/uuid.h"
#include "ctl/ctl.h"
#include "ctl/proof_print.h"
#include "ctl/services.h"

#define GRACE_US       (30 * USEC_PER_SEC)
#define REST_PAUSE_US  (500 * USEC_PER_MS)
#define SECOND_LOOK_US (1500 * USEC_PER_MS)
#define NOTES_LIMIT    6

struct proving {
    struct ctl *ctl;
    struct arena *arena;
    struct topology topology;
    struct services services;
    struct proof_config config;
    int64_t wait_us;
    const char *notes[NOTES_LIMIT + 1];
    size_t notes_count;
};

/* ---- progress on a terminal ---- */

static bool told;

static void progress(const char *text)
{
    if (isatty(STDERR_FILENO) == 1) {
        fprintf(stderr, "\r\033[K%s", text);
        told = *text != '\0';
    }
}

static void tell_read(int64_t events, const char *service)
{
    char text[100];
    snprintf(text, sizeof(text), "%" PRId64 " events looked up (outbox of %s)", events, service);
    progress(text);
}

static void progress_end(void)
{
    if (told)
        progress("");
}

/* ---- who is meant ---- */

static unsigned meant(void *ctx, const char *type)
{
    const struct proving *p = ctx;
    const struct topology_consumer *c =
        topology_consumers(p->arena, &p->topology, &p->services, type);
    unsigned queues = 0;
    for (; c->queue; c++)
        if (c->handles)
            queues |= 1U << (c->queue - queue_rows);
    return queues;
}

/* ---- what is asked ---- */

static int read_options(const struct args *args, struct proving *p)
{
    const char *order = args_text(args, "order"), *since = args_text(args, "since");
    if (order && since)
        return ctl_fail(CTL_USAGE, "--order and --since can't be asked together");
    if (order && !uuid_valid(span_of(order)))
        return ctl_fail(CTL_USAGE, "--order %s: that is no order's id", order);
    p->config.window.order_id = order;
    p->config.grace_us = args_number(args, "grace", GRACE_US);
    p->wait_us = args_number(args, "wait", 0);
    if (since && !since_parse(since, &p->config.window.since_us))
        return ctl_fail(CTL_USAGE, SINCE_USAGE, since);
    return 0;
}

static void note(struct proving *p, const char *text)
{
    if (p->notes_count < NOTES_LIMIT)
        p->notes[p->notes_count++] = text;
}

static void note_limits(struct proving *p, const struct proof *proof)
{
    int64_t kept_us = clock_wall_us() - OUTBOX_KEPT_DAYS * 86400 * USEC_PER_SEC;
    char text[CLOCK_TEXT_SIZE];
    clock_format(kept_us, text);
    if (p->config.window.since_us && p->config.window.since_us < kept_us)
        note(p, arena_printf(p->arena,
                    "outboxes keep what was published for %d days: of what was published before "
                    "%.19sZ nothing can be said",
                    OUTBOX_KEPT_DAYS, text));
    if (p->config.window.order_id && proof->events == 0)
        note(p, arena_printf(p->arena,
                    "no event of this order is kept; outboxes forget what was published %d days "
                    "ago",
                    OUTBOX_KEPT_DAYS));
    if (proof->partial)
        note(p,
            "more letters are dead or wait in retry tiers than can be looked at; what is called "
            "a gap may be one of them");
    if (proof->kept_count == PROOF_KEPT_LIMIT)
        note(p, "more events are missing than are kept by name; the others are counted only");
}

/* ---- proving ---- */

/* Waits until nothing is to be published and nothing lies in a queue or in a tier. What is in a
 * consumer's hands then is younger than the grace, or handled by the time it is looked for. */
static void await_rest(struct proving *p, int64_t deadline_us)
{
    while (clock_mono_us() < deadline_us) {
        int64_t pending = 0;
        unsigned queued = 0;
        const char *what = "";
        int r = ledger_pending(p->config.ledger, &pending);
        if (r == 0)
            r = whereabouts_count(p->ctl, p->arena, &queued, &what);
        if (r == 0 && pending == 0 && queued == 0)
            break;
        progress(r != 0 ? "waiting: a database or the broker can't be reached"
                        : arena_printf(p->arena,
                              "waiting: %" PRId64 " to be published, %u in queues and tiers (%s)",
                              pending, queued, what));
        error_clear();
        (void)fiber_sleep(REST_PAUSE_US);
    }
    progress_end();
}

static int settle(struct proving *p, struct proof *proof)
{
    struct whereabouts held[QUEUES_COUNT];
    const char *service = "";
    int r = whereabouts_look(p->ctl, proof->arena, proof_missing(proof), held);
    if (r != 0)
        return r;
    r = proof_settle(proof, held, &service);
    return r == 0 ? 0 : database_failed(service, r);
}

/* A gap is believed when it is there at a second look. */
static int prove_once(struct proving *p, struct proof *ret_proof)
{
    const char *service = "";
    int r = proof_read(&p->config, ret_proof, &service);
    progress_end();
    if (r != 0)
        return database_failed(service, r);
    r = settle(p, ret_proof);
    if (r == 0 && proof_gaps(ret_proof) > 0) {
        (void)fiber_sleep(SECOND_LOOK_US);
        r = settle(p, ret_proof);
    }
    if (r != 0)
        proof_deinit(ret_proof);
    return r;
}

static int prove(struct proving *p, struct proof *ret_proof)
{
    int64_t deadline_us = clock_mono_us() + p->wait_us;
    for (;;) {
        if (p->wait_us)
            await_rest(p, deadline_us);
        int r = prove_once(p, ret_proof);
        if (r != 0 || !p->wait_us || proof_at_rest(ret_proof) || clock_mono_us() >= deadline_us)
            return r;
        proof_deinit(ret_proof);
        (void)fiber_sleep(REST_PAUSE_US);
    }
}

static int answer(struct proving *p, const struct proof *proof)
{
    note_limits(p, proof);
    const struct proof_report report = {proof, proof->arena, p->wait_us != 0, p->notes};
    if (p->ctl->json)
        proof_print_json(p->ctl, &report);
    else if (p->config.window.order_id)
        proof_print_order(p->ctl, &report);
    else
        proof_print(p->ctl, &report);
    bool unknown_order = p->config.window.order_id && proof->events == 0;
    bool restless = p->wait_us && !proof_at_rest(proof);
    return proof_gaps(proof) || restless || unknown_order ? CTL_WRONG : CTL_DONE;
}

static int with_ledger(struct proving *p)
{
    const char *variable;
    struct proof proof;
    int r = topology_load(p->arena, &p->topology);
    if (r == 0)
        r = services_load(p->arena, &p->services);
    if (r != 0)
        return r;
    p->config.ledger = ledger_new(p->arena, p->ctl->loop, &variable);
    if (!p->config.ledger)
        return ctl_fail(CTL_USAGE, "%s is not set; ./souk ctl sets it", variable);
    r = prove(p, &proof);
    if (r == 0) {
        r = answer(p, &proof);
        proof_deinit(&proof);
    }
    ledger_free(p->config.ledger);
    return r;
}

static int proof_run(struct ctl *ctl, const struct args *args)
{
    struct proving p = {
        .ctl = ctl, .arena = arena_new(), .config = {.meant = meant, .progress = tell_read}};
    p.config.meant_ctx = &p;
    int r = read_options(args, &p);
    if (r == 0)
        r = with_ledger(&p);
    arena_free(p.arena);
    return r;
}

static const struct option_row proof_options[] = {
    {"order", "ID", OPTION_TEXT, "the events of one order, as a timeline"},
    {"since", "TIME", OPTION_TEXT, "made since then: an age (2h) or a time (2026-01-31T08:00:00Z)"},
    {"grace", "AGE", OPTION_DURATION, "younger events may still be on their way (30s)"},
    {"wait", "AGE", OPTION_DURATION, "first let the suite come to rest, at most so long"},
};
const struct command events_proof_command = {"events", "proof", NULL,
    "Proves that each published event was handled by each subscriber, and lists the gaps.",
    "soukctl events proof --wait 60s\n"
    "soukctl events proof --since 2h\n"
    "soukctl events proof --order 0190c5b4-8d0e-7c3e-a0f2-5b9d6a1c7e42\n"
    "soukctl events proof --json | jq '.unhandled[] | select(.late)'",
    proof_options, ARRAY_SIZE(proof_options), proof_run};
