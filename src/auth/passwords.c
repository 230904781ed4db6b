/* Password hashes are made and checked by threads of their own, never on the loop: each is some 16
 * ms of CPU and 19 MiB of memory. The threads leave one processor free, so that browsing goes on
 * beside a flood of logins, and signatures have another pool and don't queue behind hashes. The
 * queue is bounded: beyond it a login is 503 with Retry-After.
 *
 * They have the loop's priority on purpose. Each hash maps and unmaps its memory under a lock of
 * the whole process: a thread of lower priority that is set aside while it holds the lock keeps the
 * loop waiting (measured: p99 of another route of auth went up 2.8 times instead of 1.4). */

#include <unistd.h>

#include "auth/auth.h"

#define THREADS_MAX 4

static struct offload *pool;

void passwords_start(void)
{
    long threads = config_i64("PASSWORD_THREADS");
    if (threads == 0)
        threads = sysconf(_SC_NPROCESSORS_ONLN) - 1;
    if (threads < 1)
        threads = 1;
    pool = offload_new(app()->loop, (unsigned)(threads > THREADS_MAX ? THREADS_MAX : threads),
        (unsigned)config_i64("PASSWORD_QUEUE"));
}

int passwords_admit(struct request *req)
{
    if (offload_queued(pool) < (unsigned)config_i64("PASSWORD_QUEUE"))
        return 0;
    refuse_retry_after(req, 1);
    return refuse(req, OUTCOME_UNAVAILABLE, "Too many come in just now");
}

struct hash_job {
    const char *password;
    char hash[CRYPTO_PASSWORD_SIZE];
    int result;
};

static void run_hash(void *arg)
{
    struct hash_job *job = arg;
    job->result = crypto_password_hash(job->password, job->hash);
}

int password_hash(const char *password, const char **ret_hash)
{
    struct hash_job job = {.password = password};
    TRY(offload_run(pool, "password hash", run_hash, &job));
    TRY(job.result);
    *ret_hash = arena_strdup(fiber_arena(), job.hash);
    return 0;
}

struct check_job {
    const char *hash, *password;
    bool right, outdated;
};

static void run_check(void *arg)
{
    struct check_job *job = arg;
    job->right = crypto_password_verify(job->hash, job->password);
    job->outdated = job->right && crypto_password_outdated(job->hash);
}

int password_check(
    const char *hash, const char *password, bool *ret_right, const char **ret_fresh_hash)
{
    struct check_job job = {.hash = hash, .password = password};
    const char *fresh = NULL;
    TRY(offload_run(pool, "password check", run_check, &job));
    if (job.outdated && ret_fresh_hash)
        TRY(password_hash(password, &fresh));
    *ret_right = job.right;
    if (ret_fresh_hash)
        *ret_fresh_hash = fresh;
    return 0;
}
