#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/app/admission.h"
#include "common/app/config.h"
#include "common/app/front.h"
#include "common/app/service.h"
#include "common/app/settings.h"
#include "common/base/clock.h"
#include "common/base/crypto.h"

/* What the front costs a request: finding its route among thirty, letting it in and out, and
 * refusing it. `meson test -C build --benchmark admission -v`. */

enum { ROUTES = 30, ROUNDS = 2000000 };

static struct route routes[ROUTES];
static char paths[ROUTES][48];
static const struct service service = {.name = "bench", .routes = routes, .routes_count = ROUTES};

/* Of this process's CPU: others' work does not count. */
static int64_t cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

static double ns_each(int64_t begun_us, int rounds)
{
    return (double)(cpu_us() - begun_us) * 1000 / rounds;
}

int main(void)
{
    static struct http_headers headers;
    struct http_knock knock = {.headers = &headers};
    struct http_refusal refusal;
    int64_t limit, begun_us;
    const void *route = NULL;

    setenv("DATABASE_URL", "postgresql://nowhere", 1);
    if (crypto_init() != 0 || config_load(settings, settings_count, NULL, 0) != 0)
        return 1;
    log_init("bench", LOG_ERROR);
    for (int i = 0; i < ROUTES; i++) {
        snprintf(paths[i], sizeof(paths[i]), "/api/v1/things%d/{id}/parts", i);
        routes[i] = (struct route){.method = HTTP_POST, .path = paths[i]};
    }
    *app() = (struct app){.service = &service};
    front_init();

    begun_us = cpu_us();
    for (int i = 0; i < ROUNDS / 10; i++)
        route = front_route(NULL, HTTP_POST, SPAN("/api/v1/things17/0123/parts"), &limit);
    printf("route %.0f ns (the door asked for it before, for its body's limit)\n",
        ns_each(begun_us, ROUNDS / 10));

    static const char *const addresses[] = {"127.0.0.1", "203.0.113.77", "2001:db8::17"};
    for (size_t a = 0; a < ARRAY_SIZE(addresses); a++) {
        int in = 0;
        knock.client_address = span_of(addresses[a]);
        knock.route = route;
        begun_us = cpu_us();
        for (int i = 0; i < ROUNDS; i++) {
            knock.now_us = clock_mono_us() + i * INT64_C(20000); /* 50 a second: in its limits */
            if (!front_admit(NULL, &knock, &refusal))
                continue;
            in++;
            front_leave(NULL, route, 1000, 201);
        }
        printf("in and out again, from %s: %.0f ns (%d of %d came in)\n", addresses[a],
            ns_each(begun_us, ROUNDS), in, ROUNDS);
    }

    knock.client_address = span_of("127.0.0.1");
    knock.now_us = clock_mono_us();
    while (front_admit(NULL, &knock, &refusal))
        ;
    begun_us = cpu_us();
    for (int i = 0; i < ROUNDS; i++) {
        memset(&refusal, 0, sizeof(refusal));
        if (front_admit(NULL, &knock, &refusal))
            return 1;
    }
    printf("refusing: %.0f ns\n", ns_each(begun_us, ROUNDS));
    return 0;
}
