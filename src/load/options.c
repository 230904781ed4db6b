#include <argp.h>
#include <stdlib.h>

#include "load/load.h"

#define DEFAULT_TARGET "http://127.0.0.1:8080"

enum {
    KEY_DIRECT = 1000,
    KEY_CA,
    KEY_INSECURE,
    KEY_ACCOUNTS,
    KEY_KEEP,
    KEY_MIX,
    KEY_SHOPPERS,
    KEY_ITEMS,
    KEY_SKUS,
    KEY_UNITS,
    KEY_TABS,
    KEY_POISSON,
    KEY_WARMUP,
    KEY_THINK,
    KEY_TIMEOUT,
    KEY_SEED,
    KEY_JSON,
    KEY_HTML,
    KEY_LOG,
    KEY_STATE,
    KEY_NO_WATCH,
    KEY_NO_AUDIT,
    KEY_SCENARIOS,
};

static const struct argp_option rows[] = {
    {0, 0, 0, 0, "Whom", 1},
    {"target", 't', "URL", 0,
        "The shop's base URL, http or https ($PUBLIC_URL, or " DEFAULT_TARGET ")", 0},
    {"direct", KEY_DIRECT, 0, 0, "Past the gateway: to $AUTH_SERVICE_URL, $CART_SERVICE_URL, ...",
        0},
    {"ca", KEY_CA, "FILE", 0, "Authorities to believe (the system's)", 0},
    {"insecure", KEY_INSECURE, 0, 0, "Believe any certificate", 0},
    {"accounts", KEY_ACCOUNTS, "FILE", 0,
        "Shoppers that exist: lines of \"email password\" (new ones are made)", 0},
    {"keep", KEY_KEEP, "FILE", 0,
        "Keep the shoppers in FILE for later runs, which only renew their logins; those that it "
        "lacks are made",
        0},
    {0, 0, 0, 0, "What", 2},
    {"mix", KEY_MIX, "NAME=N,...", 0, "Scenarios by weight, for mixed", 0},
    {"items", KEY_ITEMS, "N", 0, "Items made and bought (200)", 0},
    {"skus", KEY_SKUS, "FILE", 0, "Items that exist: a SKU a line (new ones are made)", 0},
    {"units", KEY_UNITS, "N", 0, "Units in the flash sale (100)", 0},
    {"tabs", KEY_TABS, "N", 0, "Refreshes at once in a refresh storm (5)", 0},
    {"seed", KEY_SEED, "N", 0, "Of everything left to chance (1)", 0},
    {0, 0, 0, 0, "How much", 3},
    {"rate", 'r', "PLAN", 0,
        "Open loop: visits a second, due whatever became of earlier ones. 200; steps "
        "50,100,200@30s; ramps 0-300@1m,300@2m",
        0},
    {"users", 'u', "N", 0,
        "Closed loop: users who make one visit after the other (16); of a flash sale: buyers "
        "(1000)",
        0},
    {"shoppers", KEY_SHOPPERS, "N", 0,
        "Open loop: accounts that take turns (as many as a second's visits at the highest rate, 64 "
        "to 1000)",
        0},
    {"poisson", KEY_POISSON, 0, 0, "Open loop: visits at random intervals, not even ones", 0},
    {"duration", 'd', "TIME", 0,
        "20s, 500ms, 5m (30s); stages with times of their own don't need it", 0},
    {"warmup", KEY_WARMUP, "TIME", 0, "Before it, not counted (2s)", 0},
    {"think", KEY_THINK, "TIME", 0, "Closed loop: the mean pause between visits (none)", 0},
    {"timeout", KEY_TIMEOUT, "TIME", 0, "For an answer (30s)", 0},
    {0, 0, 0, 0, "What is told", 4},
    {"fail-if", 'f', "TEST", 0,
        "Exit 1 if so, may be repeated: checkout.p99>50ms, errors>1%, browse.rate<500", 0},
    {"json", KEY_JSON, "FILE", 0, "All figures (- is standard output, instead of the table)", 0},
    {"html", KEY_HTML, "FILE", 0, "A page with plots, complete in itself", 0},
    {"log", KEY_LOG, "FILE", 0,
        "A line for each answer: series, due (ms), latency (us), status, order", 0},
    {"state", KEY_STATE, "DIR", 0, "The suite's folder, to see its processes ($SOUK_STATE)", 0},
    {"no-watch", KEY_NO_WATCH, 0, 0, "Don't look at processes and queues", 0},
    {"no-audit", KEY_NO_AUDIT, 0, 0,
        "Don't check the books after the run ($SOUK_AUDIT does, when the target is its suite)", 0},
    {"quiet", 'q', 0, 0, "No progress line", 0},
    {"scenarios", KEY_SCENARIOS, 0, 0, "List the scenarios", 0},
    {0},
};

static int64_t number(
    const struct argp_state *state, const char *name, const char *arg, int64_t min, int64_t max)
{
    int64_t n;
    if (!span_to_i64(span_of(arg), &n) || n < min || n > max)
        argp_error(state, "--%s: must be a number from %lld to %lld", name, (long long)min,
            (long long)max);
    return n;
}

static int64_t duration(const struct argp_state *state, const char *name, const char *arg)
{
    int64_t us = 0;
    if (strcmp(arg, "0") != 0 && !duration_read(span_of(arg), &us))
        argp_error(state, "--%s: must be like 20s, 500ms or 5m", name);
    return us;
}

static void fail_if(const struct argp_state *state, struct options *o, const char *arg)
{
    if (o->thresholds_count == LOAD_THRESHOLDS_LIMIT)
        argp_error(state, "--fail-if: at most %d of them", LOAD_THRESHOLDS_LIMIT);
    const char *wrong = threshold_parse(span_of(arg), &o->thresholds[o->thresholds_count]);
    if (wrong)
        argp_error(state, "--fail-if '%s': %s", arg, wrong);
    o->thresholds_count++;
}

static void mix(const struct argp_state *state, struct options *o, const char *arg)
{
    struct span rest = span_of(arg), piece, name;
    int64_t weight;
    o->mix_count = 0;
    while (span_cut(&rest, ',', &piece)) {
        (void)span_cut(&piece, '=', &name);
        const struct scenario *s = scenario_find(name);
        if (!s || !s->visit || !piece.ptr || !span_to_i64(piece, &weight) || weight < 1)
            argp_error(state, "--mix: must be like browse=70,checkout=30");
        if (o->mix_count == LOAD_MIX_LIMIT)
            argp_error(state, "--mix: at most %d scenarios", LOAD_MIX_LIMIT);
        o->mix[o->mix_count].scenario = s;
        o->mix[o->mix_count++].weight = (double)weight;
    }
}

static void mix_usual(struct options *o)
{
    for (size_t i = 0; i < scenarios_count; i++) {
        if (scenarios[i].weight <= 0)
            continue;
        o->mix[o->mix_count].scenario = &scenarios[i];
        o->mix[o->mix_count++].weight = scenarios[i].weight;
    }
}

static void list_scenarios(void)
{
    for (size_t i = 0; i < scenarios_count; i++)
        printf("%-20s %s\n", scenarios[i].name, scenarios[i].doc);
    exit(LOAD_PASSED);
}

/* What only the parser needs. */
struct reading {
    struct options *o;
    const char *rate;
};

static void scenario_set(const struct argp_state *state, struct options *o, const char *arg)
{
    if (o->scenario)
        argp_error(state, "one scenario at a time; a mix is: mixed --mix browse=70,checkout=30");
    o->scenario = scenario_find(span_of(arg));
    if (!o->scenario)
        argp_error(state, "there is no scenario '%s'; --scenarios lists them", arg);
}

static void complete(const struct argp_state *state, struct reading *r)
{
    struct options *o = r->o;
    if (!o->scenario)
        argp_error(state, "which scenario? --scenarios lists them");
    if (o->mix_count > 0 && (o->scenario->visit || o->scenario->drive))
        argp_error(state, "--mix is for the scenario mixed");
    if (o->scenario->visit)
        o->mix[o->mix_count++].scenario = o->scenario;
    if (!o->scenario->drive && o->mix_count == 0)
        mix_usual(o);
    if (o->accounts && o->keep)
        argp_error(state, "--accounts and --keep don't go together");
    if (r->rate && (o->users > 0 || o->scenario->drive))
        argp_error(state, "--rate does not go with %s", o->users > 0 ? "--users" : "a flash sale");
    if (r->rate) {
        const char *wrong = schedule_parse(span_of(r->rate), o->duration_us, &o->schedule);
        if (wrong)
            argp_error(state, "--rate '%s': %s", r->rate, wrong);
        o->open_loop = true;
        schedule_warm_up(&o->schedule, o->warmup_us);
        double peak = schedule_peak(&o->schedule);
        if (o->shoppers == 0)
            o->shoppers = peak < 64 ? 64 : peak > 1000 ? 1000 : (int64_t)peak;
    }
    if (o->users == 0)
        o->users = o->scenario->drive ? 1000 : 16;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct reading *r = state->input;
    struct options *o = r->o;
    switch (key) {
    case 't':
        return o->target = arg, 0;
    case KEY_DIRECT:
        return o->direct = true, 0;
    case KEY_CA:
        return o->ca_file = arg, 0;
    case KEY_INSECURE:
        return o->insecure = true, 0;
    case KEY_ACCOUNTS:
        return o->accounts = arg, 0;
    case KEY_SKUS:
        return o->skus = arg, 0;
    case KEY_KEEP:
        return o->keep = arg, 0;
    case KEY_MIX:
        return mix(state, o, arg), 0;
    case KEY_ITEMS:
        return o->items = number(state, "items", arg, 1, 100000), 0;
    case KEY_UNITS:
        return o->units = number(state, "units", arg, 1, 1000000), 0;
    case KEY_TABS:
        return o->tabs = number(state, "tabs", arg, 2, 64), 0;
    case KEY_SEED:
        return o->seed = number(state, "seed", arg, 0, INT64_MAX), 0;
    case 'r':
        return r->rate = arg, 0;
    case 'u':
        return o->users = number(state, "users", arg, 1, 10000), 0;
    case KEY_SHOPPERS:
        return o->shoppers = number(state, "shoppers", arg, 1, 100000), 0;
    case KEY_POISSON:
        return o->poisson = true, 0;
    case 'd':
        return o->duration_us = duration(state, "duration", arg), 0;
    case KEY_WARMUP:
        return o->warmup_us = duration(state, "warmup", arg), 0;
    case KEY_THINK:
        return o->think_us = duration(state, "think", arg), 0;
    case KEY_TIMEOUT:
        return o->timeout_us = duration(state, "timeout", arg), 0;
    case 'f':
        return fail_if(state, o, arg), 0;
    case KEY_JSON:
        return o->json = arg, 0;
    case KEY_HTML:
        return o->html = arg, 0;
    case KEY_LOG:
        return o->log = arg, 0;
    case KEY_STATE:
        return o->state = arg, 0;
    case KEY_NO_WATCH:
        return o->no_watch = true, 0;
    case KEY_NO_AUDIT:
        return o->audit = NULL, 0;
    case 'q':
        return o->quiet = true, 0;
    case KEY_SCENARIOS:
        list_scenarios();
        return 0;
    case ARGP_KEY_ARG:
        return scenario_set(state, o, arg), 0;
    case ARGP_KEY_END:
        return complete(state, r), 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void options_read(struct options *o, int argc, char **argv)
{
    static const struct argp argp = {.options = rows,
        .parser = parse,
        .args_doc = "SCENARIO",
        .doc = "Drives a shop with shoppers and tells what came of it.\v"
               "Exit status: 0 passed; 1 a test of --fail-if, a promise of the scenario, an answer "
               "or the audit was "
               "wrong (answers are not judged when a --fail-if is about errors, shed, wrong or "
               "lost); 2 usage; "
               "3 the shop could not be reached or prepared. souk-load(1) tells all."};
    const char *target = getenv("PUBLIC_URL"), *state = getenv("SOUK_STATE"),
               *audit = getenv("SOUK_AUDIT");
    struct reading r = {.o = o};
    *o = (struct options){.target = target && *target ? target : DEFAULT_TARGET,
        .state = state && *state ? state : NULL,
        .audit = audit && *audit ? audit : NULL,
        .items = 200,
        .units = 100,
        .tabs = 5,
        .seed = 1,
        .duration_us = 30 * USEC_PER_SEC,
        .warmup_us = 2 * USEC_PER_SEC,
        .timeout_us = 30 * USEC_PER_SEC};
    argp_err_exit_status = LOAD_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &r);
}
