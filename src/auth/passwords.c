/* Password hashes are made and checked by threads of their own, never on the loop: each is some 16
 * ms of CPU and 19 MiB of memory. The threads leave one processor free, so that browsing goes on
 * beside a flood of logins, and signatures have another pool and don't queue behind hashes.
 *
 * Who can't be served soon is told so at once, with 503 and Retry-After: the queue is bounded, by
 * number and by time. What a hash takes is measured, for it depends on what else the machine does;
 * a password is taken when its turn is likely to come in the first half of the time that the
 * request has. The other half is for what follows. Otherwise each of a flood would wait until it is
 * too late, and the hashes be made for nobody.
 *
 * They have the loop's priority on purpose. Each hash maps and unmaps its memory under a lock of
 * the whole process: a thread of lower priority that is set aside while it holds the lock keeps the
 * loop waiting (measured: p99 of another route of auth went up 2.8 times instead of 1.4). */

#include <unistd.h>

#include "auth/auth.h"

#define THREADS_MAX 4

static struct offload *pool;
static unsigned threads_count;
static int64_t job_us = 20 * USEC_PER_MS; /* what a hash took of late, about; first a guess */

void passwords_start(void)
{
    long threads = config_i64("PASSWORD_THREADS");
    if (threads == 0)
        threads = sysconf(_SC_NPROCESSORS_ONLN) - 1;
    threads_count = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : (unsigned)threads;
    pool = offload_new(app()->loop, threads_count, (unsigned)config_i64("PASSWORD_QUEUE"));
}

/* With nobody waiting it is always tried, so that a measure that was too long does not stay. */
static bool in_time(void)
{
    unsigned waiting = offload_queued(pool);
    int64_t wait_us = (waiting + 1) * job_us / threads_count;
    return waiting == 0 || clock_mono_us() + 2 * wait_us < fiber_deadline();
}

int passwords_admit(struct request *req)
{
    if (offload_queued(pool) < (unsigned)config_i64("PASSWORD_QUEUE") && in_time())
        return 0;
    refuse_retry_after(req, 1);
    return refuse(req, OUTCOME_UNAVAILABLE, "Too many come in just now");
}

static int run(const char *name, void (*fn)(void *arg), void *arg, const int64_t *took_us) PARKS
{
    if (!in_time())
        return ERR(ERR_BUSY);
    TRY(offload_run(pool, name, fn, arg));
    job_us += (*took_us - job_us) / 8;
    return 0;
}

struct hash_job {
    const char *password;
    char hash[CRYPTO_PASSWORD_SIZE];
    int result;
    int64_t took_us;
};

static void run_hash(void *arg)
{
    struct hash_job *job = arg;
    int64_t began_us = clock_mono_us();
    job->result = crypto_password_hash(job->password, job->hash);
    job->took_us = clock_mono_us() - began_us;
}

int password_hash(const char *password, const char **ret_hash)
{
    struct hash_job job = {.password = password};
    TRY(run("password hash", run_hash, &job, &job.took_us));
    TRY(job.result);
    *ret_hash = arena_strdup(fiber_arena(), job.hash);
    return 0;
}

struct check_job {
    const char *hash, *password;
    bool right, outdated;
    int64_t took_us;
};

static void run_check(void *arg)
{
    struct check_job *job = arg;
    int64_t began_us = clock_mono_us();
    job->right = crypto_password_verify(job->hash, job->password);
    job->outdated = job->right && crypto_password_outdated(job->hash);
    job->took_us = clock_mono_us() - began_us;
}

int password_check(
    const char *hash, const char *password, bool *ret_right, const char **ret_fresh_hash)
{
    struct check_job job = {.hash = hash, .password = password};
    const char *fresh = NULL;
    TRY(run("password check", run_check, &job, &job.took_us));
    if (job.outdated && ret_fresh_hash)
        TRY(password_hash(password, &fresh));
    *ret_right = job.right;
    if (ret_fresh_hash)
        *ret_fresh_hash = fresh;
    return 0;
}
