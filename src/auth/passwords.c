/* Password hashes are made and checked by the offload pool, never on the loop: each is some 16 ms
 * of CPU. The pool's queue is bounded, so a flood of logins becomes 503 and not a standstill. */

#include "auth/auth.h"

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
    TRY(offload_run(app()->offload, "password hash", run_hash, &job));
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
    TRY(offload_run(app()->offload, "password check", run_check, &job));
    if (job.outdated && ret_fresh_hash)
        TRY(password_hash(password, &fresh));
    *ret_right = job.right;
    if (ret_fresh_hash)
        *ret_fresh_hash = fresh;
    return 0;
}
