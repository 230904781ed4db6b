#pragma once

/* What the shop's own processes and queues do meanwhile, once a second: CPU and resident memory of
 * each part of a suite that runs on this machine (by the pids that its launcher keeps), and how
 * many messages wait in each of the broker's queues (by its management API). */

#include "common/fiber/fiber.h"

#define WATCH_PARTS_LIMIT  16
#define WATCH_QUEUES_LIMIT 32
#define WATCH_NAME_SIZE    48

struct watch_sample {
    int64_t at_us;                   /* monotonic */
    double cpu_s[WATCH_PARTS_LIMIT]; /* since the part was started */
    double memory_mb[WATCH_PARTS_LIMIT];
    int64_t waiting[WATCH_QUEUES_LIMIT];
};

struct watch {
    size_t parts_count, queues_count, samples_count;
    struct {
        char name[WATCH_NAME_SIZE];
        long pid;
    } parts[WATCH_PARTS_LIMIT];
    char queues[WATCH_QUEUES_LIMIT][WATCH_NAME_SIZE]; /* without the dead letters' */
    struct watch_sample *samples;
    size_t samples_room;
    bool queues_known;
    struct watch_source *source;
};

/* `state` is the launcher's folder, `management_url` the broker's; NULL: not that. NULL when there
 * is nothing to be seen. */
struct watch *watch_new(struct loop *l, const char *state, const char *management_url);
void watch_free(struct watch *w);       /* NULL ok */
void watch_look(struct watch *w) PARKS; /* takes a sample */
/* CPU seconds of a part between the last sample before `from_us` and the first after `to_us`. */
double watch_cpu(const struct watch *w, size_t part, int64_t from_us, int64_t to_us);
bool watch_is_service(const struct watch *w, size_t part); /* one of the seven */
