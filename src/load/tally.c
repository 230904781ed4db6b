#include "load/tally.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/mem.h"

const char *answer_kind_name(enum answer_kind k)
{
    static const char *const names[ANSWER_KINDS] = {"good", "again", "shed", "wrong", "lost"};
    return names[k];
}

void tally_deinit(struct tally *t)
{
    for (size_t i = 0; i < t->series_count; i++) {
        mem_free(t->series[i]->moments);
        mem_free(t->series[i]);
    }
    *t = (struct tally){0};
}

const struct series *tally_find(const struct tally *t, const char *name)
{
    for (size_t i = 0; i < t->series_count; i++)
        if (strcmp(t->series[i]->name, name) == 0)
            return t->series[i];
    return NULL;
}

/* The seconds before a series had its first answer were empty ones. */
static void moments_fill(struct series *s, size_t count)
{
    if (count > s->moments_room) {
        s->moments_room = count * 2;
        s->moments = mem_resize(s->moments, s->moments_room * sizeof(*s->moments));
    }
    for (; s->moments_count < count; s->moments_count++)
        s->moments[s->moments_count] = (struct moment){0};
}

struct series *tally_series(struct tally *t, const char *name)
{
    for (size_t i = 0; i < t->series_count; i++)
        if (strcmp(t->series[i]->name, name) == 0)
            return t->series[i];
    if (t->series_count == TALLY_SERIES_LIMIT)
        return t->series[TALLY_SERIES_LIMIT - 1]; /* the scenarios have fewer */
    struct series *s = MEM_NEW(struct series);
    snprintf(s->name, sizeof(s->name), "%s", name);
    moments_fill(s, t->moment);
    return t->series[t->series_count++] = s;
}

static struct outcome *outcome_of(struct series *s, enum answer_kind kind, const char *name)
{
    for (size_t i = 0; i < s->outcomes_count; i++)
        if (s->outcomes[i].kind == kind && strcmp(s->outcomes[i].name, name) == 0)
            return &s->outcomes[i];
    if (s->outcomes_count == TALLY_OUTCOMES) /* the last place is for all the rest */
        return &s->outcomes[TALLY_OUTCOMES - 1];
    struct outcome *o = &s->outcomes[s->outcomes_count++];
    o->kind = kind;
    snprintf(o->name, sizeof(o->name), "%s", s->outcomes_count == TALLY_OUTCOMES ? "others" : name);
    return o;
}

void tally_answer(struct tally *t, struct series *s, enum answer_kind kind, const char *outcome,
    struct span sample, int64_t took_us)
{
    struct outcome *o = outcome_of(s, kind, outcome);
    s->kinds[kind]++;
    if (o->count++ == 0 && kind >= ANSWER_SHED)
        snprintf(o->sample, sizeof(o->sample), "%.*s", SPAN_ARG(sample));
    switch (kind) {
    case ANSWER_GOOD:
        histogram_add(&s->now, took_us);
        s->present.good++;
        break;
    case ANSWER_AGAIN:
        s->present.again++;
        break;
    case ANSWER_SHED:
        s->present.shed++;
        break;
    case ANSWER_WRONG:
        s->present.wrong++;
        break;
    case ANSWER_LOST:
    case ANSWER_KINDS:
        s->present.lost++;
        break;
    }
}

void tally_promise(struct tally *t, const char *sentence, bool kept, const char *fmt, ...)
{
    struct promise *p = t->promises, *end = t->promises + t->promises_count;
    while (p < end && strcmp(p->sentence, sentence) != 0)
        p++;
    if (p == end) {
        if (t->promises_count == TALLY_PROMISES)
            return; /* the scenarios have fewer */
        t->promises_count++;
        *p = (struct promise){.sentence = sentence};
    }
    if (kept) {
        p->kept++;
    } else if (p->broken++ == 0) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(p->sample, sizeof(p->sample), fmt, args);
        va_end(args);
    }
}

void tally_tick(struct tally *t)
{
    t->moment++;
    for (size_t i = 0; i < t->series_count; i++) {
        struct series *s = t->series[i];
        s->present.p50_us = histogram_percentile(&s->now, 50);
        s->present.p99_us = histogram_percentile(&s->now, 99);
        s->present.max_us = s->now.max_us;
        moments_fill(s, t->moment);
        s->moments[t->moment - 1] = s->present;
        s->present = (struct moment){0};
        if (s->now.count > 0) {
            histogram_merge(&s->all, &s->now);
            histogram_reset(&s->now);
        }
    }
}

bool series_is_visit(const struct series *s)
{
    return strncmp(s->name, "visit.", 6) == 0;
}

uint64_t series_count(const struct series *s, bool errors_only)
{
    uint64_t errors = s->kinds[ANSWER_WRONG] + s->kinds[ANSWER_LOST];
    uint64_t others = s->kinds[ANSWER_GOOD] + s->kinds[ANSWER_AGAIN] + s->kinds[ANSWER_SHED];
    return errors_only ? errors : errors + others;
}

uint64_t tally_count(const struct tally *t, bool errors_only)
{
    uint64_t count = 0;
    for (size_t i = 0; i < t->series_count; i++)
        if (!series_is_visit(t->series[i]))
            count += series_count(t->series[i], errors_only);
    return count;
}

uint64_t tally_shed(const struct tally *t)
{
    uint64_t count = 0;
    for (size_t i = 0; i < t->series_count; i++)
        if (!series_is_visit(t->series[i]))
            count += t->series[i]->kinds[ANSWER_SHED];
    return count;
}

uint64_t tally_broken(const struct tally *t)
{
    uint64_t count = 0;
    for (size_t i = 0; i < t->promises_count; i++)
        count += t->promises[i].broken;
    return count;
}
