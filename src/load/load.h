#pragma once

/* souk-load: what its parts share. A run is a scenario (or a mix of them) driven for a time by
 * shoppers with accounts of their own, at the public API of a shop.
 *
 *   options.c     the command line                wire.c        HTTP on the wire
 *   shop.c        accounts, cards, items          visit.c       one request and its judgement
 *   keep.c        accounts for the next run       audit.c       the books afterwards
 *   scenarios.c   what shoppers do                drive.c       when they do it
 *   watch.c       CPU, memory, queues meanwhile   tally.c ...   what came of it
 *   report.c, page.c, live.c                      and how it is told
 */

#include <signal.h>
#include <stdio.h>

#include "common/fiber/sync.h"
#include "common/json/table.h"
#include "load/schedule.h"
#include "load/threshold.h"
#include "load/wire.h"

enum load_exit {
    LOAD_PASSED = 0,
    LOAD_FAILED = 1,     /* a threshold, a promise, or an answer was wrong */
    LOAD_USAGE = 2,      /* the command line */
    LOAD_UNPREPARED = 3, /* the shop can't be reached, or accounts and items can't be made */
};

/* ---- the command line ---- */

#define LOAD_THRESHOLDS_LIMIT 32
#define LOAD_MIX_LIMIT        8

struct scenario;

struct options {
    const char *target, *ca_file, *accounts, *keep, *skus;
    bool direct, insecure;

    const struct scenario *scenario; /* what was asked for; it may stand for a mix */
    size_t mix_count;
    struct {
        const struct scenario *scenario;
        double weight;
    } mix[LOAD_MIX_LIMIT];

    bool open_loop;
    struct schedule schedule; /* open loop; with the warm-up in front */
    int64_t users;            /* closed loop, or the buyers of a flash sale */
    int64_t shoppers, items, units, tabs, seed;
    bool poisson;
    int64_t duration_us, warmup_us, think_us, timeout_us;

    const char *json, *html, *log, *state;
    const char *audit; /* the program; NULL: no audit */
    bool no_watch, quiet;
    size_t thresholds_count;
    struct threshold thresholds[LOAD_THRESHOLDS_LIMIT];
};

/* Ends the process with LOAD_USAGE, or after --help. */
void options_read(struct options *o, int argc, char **argv);

/* ---- chance, repeatable ---- */

struct chance {
    uint64_t state;
};
uint64_t chance_next(struct chance *c);
double chance_part(struct chance *c); /* from 0, below 1 */

/* ---- the shop ---- */

enum shop_peer { SHOP_AUTH, SHOP_CART, SHOP_PAYMENT, SHOP_SELLER, SHOP_PEERS };

#define SKU_SIZE           40
#define REFRESH_TOKEN_SIZE 64

struct shopper {
    char *email, *password;       /* NULL: not known, so not kept either */
    char *token, *previous_token; /* the previous one may still be on its way */
    char refresh_token[REFRESH_TOKEN_SIZE];
    char card[40], declined_card[40];
    int64_t token_at_us; /* when it was given out */
    bool renewing;
    unsigned next_item;
};

struct shop {
    struct wire *wires[SHOP_PEERS]; /* one for all, or one for each service */
    char (*skus)[SKU_SIZE];
    size_t items;
    char sale_sku[SKU_SIZE]; /* the flash sale's */
    struct shopper *shoppers;
    size_t shoppers_count;
    int64_t trouble; /* calls of the preparation that had to be made again */
    /* With --keep: the file, and how many shoppers it is for, this run's being the first of them.
     */
    const char *kept;
    size_t kept_count;
    FILE *kept_lock;
};

/* Makes or logs in everybody, makes the items; says what it does on stderr. 0 or LOAD_UNPREPARED
 * with a sentence there. */
int shop_open(struct shop *s, const struct options *o, size_t shoppers) PARKS;
/* Makes room for `wanted` shoppers and fills in those of the file, which may be missing. False with
 * a sentence on stderr. */
bool keep_read(struct shop *s, const char *path, size_t wanted);
bool keep_write(struct shop *s); /* also when nothing is kept */
/* Renews tokens that are getting old, until the run is over. */
void shop_keep_fresh(void *run) PARKS;

/* ---- the books afterwards ---- */

#define AUDIT_LINES_LIMIT 24

struct audit_line {
    const char *name, *sentence;
    bool holds;
    int64_t count, differences;
    struct list first; /* texts: the first of the differences */
};
struct audit {
    bool asked;
    int exit_code; /* -1: it did not end by itself */
    size_t count;
    struct audit_line lines[AUDIT_LINES_LIMIT];
};
/* Waits with the thread. The texts are in the fiber's arena. */
void audit_run(struct audit *ret_audit, const char *program);
bool audit_failed(const struct audit *audit); /* false: it was not asked */
const char *audit_verdict(const struct audit *audit);

/* ---- the run ---- */

struct watch;

struct run {
    const struct options *o;
    struct loop *loop;
    struct shop shop;
    struct tally tally;
    struct chance chance;
    struct watch *watch; /* NULL: nothing to be seen */
    FILE *log;

    struct channel idle; /* shoppers that wait for a visit */
    unsigned under_way;
    uint64_t started, waited; /* visits; those for which no shopper was free */
    int64_t begun_us, counted_from_us, counted_to_us, begun_wall_us;
    int64_t closing_us; /* closed loop: no visit begins after that */
    unsigned helpers;   /* fibers that look on */
    bool interrupted, over;
    double own_cpu_s; /* of this process while it counted */
    struct audit audit;
};

extern volatile sig_atomic_t run_asked_to_end; /* how often */

/* What was due from `from_us` on counts. A scenario that drives itself calls these two. */
void run_count_begin(struct run *r, int64_t from_us) PARKS;
void run_count_end(struct run *r) PARKS;
void run_drive(struct run *r) PARKS; /* the timed part, from warm-up to the last answer */
double run_seconds(const struct run *r);

/* ---- a visit ---- */

struct visit {
    struct run *run;
    struct shopper *shopper;
    int64_t due_us;
    int64_t late_us;  /* how long after that it could begin */
    bool failed;      /* some step was not good */
    bool shed, wrong; /* one was refused for want of room; one was an error */
};

/* One request, judged: `expected` is a list like "201" or "201 409:out_of_stock"; what is neither
 * good nor wrong, but is asked again, has a ~ before it. The answer is counted in the series; its
 * time begins when it was due, which is as long before it was sent as the visit began late. True if
 * it was good. */
bool visit_ask(struct visit *v, const char *series, const char *expected, enum shop_peer peer,
    const struct wire_request *q, struct wire_answer *ret_answer) PARKS;
/* The same, but not counted: for cleaning up. */
void visit_ask_aside(struct visit *v, enum shop_peer peer, const struct wire_request *q,
    struct wire_answer *ret_answer) PARKS;
/* A text member of the answer, in the fiber's arena; "" when there is none. */
const char *answer_text(const struct wire_answer *a, const char *member);
bool answer_is(const struct wire_answer *a, const char *expected);

/* ---- scenarios ---- */

struct scenario {
    const char *name, *doc;
    bool (*visit)(struct visit *v); /* may park. NULL: a mix, or driven in its own way */
    void (*drive)(struct run *r);   /* may park. NULL: by rate or by users */
    double weight;                  /* in `mixed` */
    bool needs_declined_card;
};
extern const struct scenario scenarios[];
extern const size_t scenarios_count;
const struct scenario *scenario_find(struct span name);
const struct scenario *scenario_choose(const struct options *o, struct chance *c);
/* Does one visit and counts it. */
void scenario_visit(const struct scenario *s, struct visit *v) PARKS;

/* ---- telling ---- */

struct judgement {
    bool failed;
    size_t verdicts_count;
    struct verdict verdicts[LOAD_THRESHOLDS_LIMIT];
};
/* The times of whole visits; in the fiber's arena. */
const struct histogram *run_visits(const struct run *r);
struct judgement run_judge(const struct run *r);
void live_show(void *run) PARKS; /* a line on stderr, again and again, while that is a terminal */
void live_say(const char *fmt, ...) PRINTF(1, 2);
void live_clear(void);
const char *outcome_verdict(const struct outcome *o);
void report_print(const struct run *r, const struct judgement *j, FILE *to);
void report_json(const struct run *r, const struct judgement *j, struct buf *out);
void page_write(const struct run *r, const struct judgement *j, struct buf *out);
