/* The private keys: files <kid>.pem of one folder, readable by nobody else. The last name in the
 * order of bytes is the newest and signs; made names are UUIDv7, which sort by age. All public
 * halves are in the key set, so tokens of an older key stay good until they expire.
 *
 * Several processes may start on an empty folder at once. They take turns by a lock on a file
 * there (the kernel drops it when its holder dies), and each file comes into being whole, by
 * rename. The folder is read and keys are made in the offload pool; the rest of the process sees
 * them only afterwards. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth.h"
#include "common/base/mem.h"
#include "common/base/uuid.h"

#define KEYS_LIMIT     8    /* the newest; as many as verifiers keep */
#define PEM_SIZE_LIMIT 6144 /* RSA-4096 takes 3,300 */
#define SECRET_FILE    "refresh.secret"
#define KID_SIZE       64

struct signing_key {
    char kid[KID_SIZE];
    char *private_pem, *public_pem;
};

static struct signing_key keys[KEYS_LIMIT]; /* oldest first */
static size_t keys_count;
static char refresh_secret[2 * CRYPTO_TOKEN_SIZE];
static struct buf jwks;

/* ---- files ---- */

static int read_file(int dir, const char *name, char *text, size_t size)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, size - 1);
    int r = n < 0 ? -errno : n == (ssize_t)size - 1 ? -EFBIG : 0;
    close(fd);
    if (r == 0)
        text[n] = 0;
    return r;
}

static int write_whole(int dir, const char *name, const char *text)
{
    char temporary[KID_SIZE + 32];
    size_t len = strlen(text);
    snprintf(temporary, sizeof(temporary), ".%s.new", name);
    (void)unlinkat(dir, temporary, 0); /* of a process that died */
    int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (fd < 0)
        return -errno;
    int r = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0 ? 0 : -EIO;
    close(fd);
    if (r == 0 && renameat(dir, temporary, dir, name) != 0)
        r = -errno;
    if (r == 0 && fsync(dir) != 0)
        r = -errno;
    return r;
}

/* ---- loading, on a worker ---- */

struct load_job {
    const char *path;
    int result;
    const char *what; /* was tried, when it failed */
};

static bool is_key_file(const char *name)
{
    size_t len = strlen(name);
    return name[0] != '.' && len > 4 && len - 4 < KID_SIZE && strcmp(name + len - 4, ".pem") == 0;
}

static int key_file_filter(const struct dirent *entry)
{
    return is_key_file(entry->d_name);
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int load_key(int dir, const char *name)
{
    char pem[PEM_SIZE_LIMIT];
    struct signing_key key = {0};
    int r = read_file(dir, name, pem, sizeof(pem));
    if (r == 0)
        r = token_key_public(pem, &key.public_pem);
    if (r != 0)
        return r;
    snprintf(key.kid, sizeof(key.kid), "%.*s", (int)(strlen(name) - 4), name);
    key.private_pem = mem_strdup(pem);
    keys[keys_count++] = key;
    return 0;
}

static int load_keys(int dir)
{
    struct dirent **names = NULL;
    int r = 0, n = scandirat(dir, ".", &names, key_file_filter, compare_names);
    if (n < 0)
        return -errno;
    for (int i = n > KEYS_LIMIT ? n - KEYS_LIMIT : 0; i < n && r == 0; i++)
        r = load_key(dir, names[i]->d_name);
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return r;
}

static int make_key(int dir)
{
    char kid[UUID_TEXT_SIZE], name[UUID_TEXT_SIZE + 8];
    char *private_pem, *public_pem;
    int r = token_key_generate(&private_pem, &public_pem);
    if (r != 0)
        return r;
    uuid_make(kid);
    snprintf(name, sizeof(name), "%s.pem", kid);
    r = write_whole(dir, name, private_pem);
    mem_free(private_pem);
    mem_free(public_pem);
    return r;
}

static int load_secret(int dir)
{
    int r = read_file(dir, SECRET_FILE, refresh_secret, sizeof(refresh_secret));
    if (r != -ENOENT)
        return r;
    crypto_token(refresh_secret);
    return write_whole(dir, SECRET_FILE, refresh_secret);
}

static int load_locked(int dir, const char **ret_what)
{
    int r = load_keys(dir);
    *ret_what = "a private key can't be read";
    if (r == 0 && keys_count == 0) {
        *ret_what = "a private key can't be made";
        r = make_key(dir);
        if (r == 0)
            r = load_keys(dir);
    }
    if (r == 0) {
        *ret_what = "the secret of refresh tokens can't be read";
        r = load_secret(dir);
    }
    return r;
}

static void load(void *arg)
{
    struct load_job *job = arg;
    int dir = open(job->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int lock = dir < 0 ? -1 : openat(dir, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    job->what = "the folder can't be opened for writing";
    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        job->result = -errno;
    else
        job->result = load_locked(dir, &job->what);
    if (lock >= 0)
        close(lock);
    if (dir >= 0)
        close(dir);
}

/* ---- the rest, on the loop ---- */

static int publish_keys(void)
{
    buf_put_text(&jwks, "{\"keys\":[");
    for (size_t i = 0; i < keys_count; i++) {
        token_key_set(keys[i].kid, keys[i].public_pem);
        if (i > 0)
            buf_put_char(&jwks, ',');
        TRY(token_key_to_jwk(keys[i].public_pem, keys[i].kid, &jwks));
    }
    buf_put_text(&jwks, "]}");
    return 0;
}

int signing_start(void)
{
    struct load_job job = {.path = config_text("SIGNING_KEY_DIR")};
    TRY(offload_run(app()->offload, "signing keys", load, &job));
    if (job.result != 0) {
        error_note("SIGNING_KEY_DIR: %s", job.what);
        return ERR(job.result);
    }
    TRY(publish_keys());
    log_info("signing keys loaded", LF_I64("keys", keys_count),
        LF_TEXT("signsWith", keys[keys_count - 1].kid));
    return 0;
}

struct sign_job {
    const struct token_claims *claims;
    struct arena *arena;
    const char *token;
    int result;
};

static void run_sign(void *arg)
{
    struct sign_job *job = arg;
    const struct signing_key *key = &keys[keys_count - 1];
    job->result = token_sign(job->arena, job->claims, key->kid, key->private_pem, &job->token);
}

int signing_sign(const struct token_claims *claims, const char **ret_token)
{
    struct sign_job job = {.claims = claims, .arena = fiber_arena()};
    TRY(offload_run(app()->offload, "token signature", run_sign, &job));
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
    return span_of(refresh_secret);
}
