/* The folder of the private keys, of which one file is the truth: `keys` names each key, its state
 * and since when. A key is made as <kid>.pem first and counts from the moment when `keys` is
 * replaced, whole, by rename; a private key that is in no list any more is deleted afterwards. So
 * whoever dies in between leaves the old list or the new one, and at most a file that nobody names.
 *
 *     next     is published and does not sign: everybody who checks tokens can know it in time
 *     current  signs
 *     retired  is published until the last token that it signed has expired
 *
 * Rotation is one replacement of the list: current -> retired, next -> current, a fresh one ->
 * next. Any number of processes may look, rotate or retire at once; they take turns by a lock on a
 * file (the kernel drops it when its holder dies). Everything here blocks: it runs on a worker, or
 * in a process that was started for it. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth.h"
#include "common/base/mem.h"
#include "common/base/uuid.h"

#define PEM_SIZE_LIMIT  6144 /* RSA-4096 takes 3,300 */
#define LIST_SIZE_LIMIT 4096
#define LIST_FILE       "keys"
#define SECRET_FILE     "refresh.secret"
#define NAME_SIZE       (KID_SIZE + 32)

static const char *const state_names[] = {
    [KEY_RETIRED] = "retired", [KEY_CURRENT] = "current", [KEY_NEXT] = "next"};

const char *key_state_name(enum key_state state)
{
    return state_names[state];
}

static int fail(struct key_folder *f, int r, const char *fmt, ...) PRINTF(3, 4);

/* Why it can't be done, as a sentence for whoever runs auth. */
static int fail(struct key_folder *f, int r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(f->problem, sizeof(f->problem), fmt, args);
    va_end(args);
    return r;
}

/* ---- files ---- */

static int check_private(struct key_folder *f, const struct stat *st, const char *name)
{
    if (st->st_uid != geteuid())
        return fail(f, -EPERM, "%s belongs to user %u, and this process runs as user %u", name,
            (unsigned)st->st_uid, (unsigned)geteuid());
    if (st->st_mode & 077)
        return fail(f, -EPERM,
            "%s is open to others than its owner (mode %04o): chmod go= it, and rotate the keys "
            "when somebody may have read it",
            name, (unsigned)(st->st_mode & 07777));
    return 0;
}

static int read_file(struct key_folder *f, const char *name, char *text, size_t size)
{
    struct stat st;
    int fd = openat(f->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail(f, -errno, "%s can't be opened: %m", name);
    int r = fstat(fd, &st) != 0 ? -errno : check_private(f, &st, name);
    ssize_t n = r == 0 ? read(fd, text, size - 1) : 0;
    close(fd);
    if (n < 0 || n == (ssize_t)size - 1)
        r = fail(f, -EIO, "%s can't be read, or is too long", name);
    if (r == 0)
        text[n] = 0;
    return r;
}

static int write_temporary(struct key_folder *f, const char *name, const char *text)
{
    size_t len = strlen(text);
    (void)unlinkat(f->dir, name, 0); /* of a process that died */
    int fd = openat(f->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (fd < 0)
        return fail(f, -errno, "%s can't be made: %m", name);
    bool good = write(fd, text, len) == (ssize_t)len && fchmod(fd, 0400) == 0 && fsync(fd) == 0;
    close(fd);
    return good ? 0 : fail(f, -EIO, "%s can't be written: %m", name);
}

/* The file is there as a whole or as it was before. */
static int write_whole(struct key_folder *f, const char *name, const char *text)
{
    char temporary[NAME_SIZE];
    snprintf(temporary, sizeof(temporary), ".%s.new", name);
    int r = write_temporary(f, temporary, text);
    if (r == 0 && (renameat(f->dir, temporary, f->dir, name) != 0 || fsync(f->dir) != 0))
        r = fail(f, -errno, "%s can't be put in place: %m", name);
    return r;
}

static void folder_close(struct key_folder *f)
{
    if (f->lock >= 0)
        close(f->lock);
    if (f->dir >= 0)
        close(f->dir);
    f->dir = f->lock = -1;
}

static int folder_open(struct key_folder *f)
{
    struct stat st;
    f->lock = -1;
    f->problem[0] = 0;
    f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir < 0 || fstat(f->dir, &st) != 0)
        return fail(f, -errno, "the folder can't be opened: %m");
    int r = check_private(f, &st, "the folder");
    if (r != 0)
        return r;
    f->lock = openat(f->dir, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (f->lock < 0 || flock(f->lock, LOCK_EX) != 0)
        return fail(f, -errno, "the folder can't be locked: %m");
    return 0;
}

/* ---- the list ---- */

const struct key_entry *key_list_find(const struct key_list *l, enum key_state state)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->at[i].state == state)
            return &l->at[i];
    return NULL;
}

static bool list_has(const struct key_list *l, struct span kid)
{
    for (size_t i = 0; i < l->count; i++)
        if (span_equal(kid, span_of(l->at[i].kid)))
            return true;
    return false;
}

static void list_add(struct key_list *l, struct span kid, enum key_state state, int64_t since_s)
{
    struct key_entry *e = &l->at[l->count++];
    *e = (struct key_entry){.state = state, .since_s = since_s};
    snprintf(e->kid, sizeof(e->kid), "%.*s", SPAN_ARG(kid));
}

static void list_remove(struct key_list *l, size_t index)
{
    l->count--;
    memmove(&l->at[index], &l->at[index + 1], (l->count - index) * sizeof(l->at[0]));
}

static bool parse_line(struct key_list *l, struct span line)
{
    struct span rest = span_trim(line), kid, word;
    int64_t since_s;
    if (rest.len == 0 || rest.ptr[0] == '#')
        return true;
    if (!span_cut(&rest, ' ', &kid) || !span_cut(&rest, ' ', &word) || !rest.ptr ||
        !span_to_i64(rest, &since_s) || kid.len == 0 || kid.len >= KID_SIZE ||
        memchr(kid.ptr, '/', kid.len) || kid.ptr[0] == '.' || l->count == KEYS_LIMIT ||
        list_has(l, kid))
        return false;
    for (unsigned s = 0; s < ARRAY_SIZE(state_names); s++)
        if (span_equal(word, span_of(state_names[s]))) {
            bool twice = s != KEY_RETIRED && key_list_find(l, (enum key_state)s);
            list_add(l, kid, (enum key_state)s, since_s);
            return !twice;
        }
    return false;
}

/* -ENOENT: there is none yet. */
static int list_read(struct key_folder *f, struct key_list *ret_list)
{
    char text[LIST_SIZE_LIMIT];
    struct key_list list = {0};
    int r = read_file(f, LIST_FILE, text, sizeof(text));
    if (r != 0)
        return r;
    struct span rest = span_of(text), line;
    while (span_cut(&rest, '\n', &line))
        if (!parse_line(&list, line))
            return fail(
                f, -EINVAL, LIST_FILE " has a bad line: \"%.*s\"", SPAN_ARG(span_trim(line)));
    if (!key_list_find(&list, KEY_CURRENT) || !key_list_find(&list, KEY_NEXT))
        return fail(f, -EINVAL, LIST_FILE " names no current or no next key");
    *ret_list = list;
    return 0;
}

static int list_write(struct key_folder *f, const struct key_list *l)
{
    struct buf text = {0};
    buf_put_text(
        &text, "# The signing keys: id, state, since (Unix time). Written by souk-auth.\n");
    for (size_t i = 0; i < l->count; i++)
        buf_printf(&text, "%s %s %lld\n", l->at[i].kid, state_names[l->at[i].state],
            (long long)l->at[i].since_s);
    int r = write_whole(f, LIST_FILE, text.ptr);
    buf_deinit(&text);
    return r;
}

/* ---- key files ---- */

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

static int make_key(struct key_folder *f, char kid[static UUID_TEXT_SIZE])
{
    char name[NAME_SIZE], *private_pem, *public_pem;
    if (token_key_generate(&private_pem, &public_pem) != 0)
        return fail(f, -EIO, "a key can't be made");
    uuid_make(kid);
    snprintf(name, sizeof(name), "%s.pem", kid);
    int r = write_whole(f, name, private_pem);
    mem_free(private_pem);
    mem_free(public_pem);
    return r;
}

/* Deletes the keys that were made by us and are in no list. */
static void sweep(struct key_folder *f, const struct key_list *l)
{
    struct dirent **names = NULL;
    int n = scandirat(f->dir, ".", &names, key_file_filter, compare_names);
    for (int i = 0; i < n; i++) {
        struct span kid = span_make(names[i]->d_name, strlen(names[i]->d_name) - 4);
        if (uuid_valid(kid) && !list_has(l, kid))
            (void)unlinkat(f->dir, names[i]->d_name, 0);
        free(names[i]);
    }
    free(names);
}

/* A folder of before there was a list, or an empty one: the last name in the order of bytes is the
 * newest key and goes on signing. */
static int list_begin(struct key_folder *f, int64_t now_s, struct key_list *ret_list)
{
    struct key_list list = {0};
    struct dirent **names = NULL;
    char kid[UUID_TEXT_SIZE];
    int r = 0, n = scandirat(f->dir, ".", &names, key_file_filter, compare_names);
    for (int i = 0; i < n; i++) {
        struct span name = span_make(names[i]->d_name, strlen(names[i]->d_name) - 4);
        if (i >= n - (KEYS_LIMIT - 1))
            list_add(&list, name, i == n - 1 ? KEY_CURRENT : KEY_RETIRED, now_s);
        free(names[i]);
    }
    free(names);
    if (list.count == 0 && (r = make_key(f, kid)) == 0)
        list_add(&list, span_of(kid), KEY_CURRENT, now_s);
    if (r == 0 && (r = make_key(f, kid)) == 0)
        list_add(&list, span_of(kid), KEY_NEXT, now_s);
    if (r == 0)
        r = list_write(f, &list);
    if (r == 0)
        *ret_list = list;
    return r;
}

static int list_get(struct key_folder *f, int64_t now_s, struct key_list *ret_list)
{
    int r = list_read(f, ret_list);
    return r == -ENOENT ? list_begin(f, now_s, ret_list) : r;
}

/* ---- loading ---- */

static int load_key(struct key_folder *f, const struct key_entry *e, struct key_ring *ring)
{
    char pem[PEM_SIZE_LIMIT], name[NAME_SIZE];
    struct signing_key key = {.entry = *e};
    snprintf(name, sizeof(name), "%s.pem", e->kid);
    int r = read_file(f, name, pem, sizeof(pem));
    if (r == 0 && token_key_public(pem, &key.public_pem) != 0)
        r = fail(f, -EINVAL, "%s is no private RSA key in PEM", name);
    if (r != 0)
        return r;
    if (e->state == KEY_CURRENT)
        ring->current = ring->count;
    key.private_pem = mem_strdup(pem);
    ring->keys[ring->count++] = key;
    return 0;
}

static int load_secret(struct key_folder *f, struct key_ring *ring)
{
    int r = read_file(f, SECRET_FILE, ring->refresh_secret, sizeof(ring->refresh_secret));
    if (r != -ENOENT)
        return r;
    crypto_token(ring->refresh_secret);
    return write_whole(f, SECRET_FILE, ring->refresh_secret);
}

void key_ring_free(struct key_ring *ring)
{
    if (!ring)
        return;
    for (size_t i = 0; i < ring->count; i++) {
        explicit_bzero(ring->keys[i].private_pem, strlen(ring->keys[i].private_pem));
        mem_free(ring->keys[i].private_pem);
        mem_free(ring->keys[i].public_pem);
    }
    mem_free(ring);
}

static int load_locked(struct key_folder *f, int64_t now_s, struct key_ring *ring)
{
    struct key_list list;
    int r = list_get(f, now_s, &list);
    for (size_t i = 0; i < list.count && r == 0; i++)
        r = load_key(f, &list.at[i], ring);
    return r == 0 ? load_secret(f, ring) : r;
}

int key_folder_load(struct key_folder *f, int64_t now_s, struct key_ring **ret_ring)
{
    struct key_ring *ring = MEM_NEW(struct key_ring);
    int r = folder_open(f);
    if (r == 0)
        r = load_locked(f, now_s, ring);
    folder_close(f);
    if (r != 0)
        key_ring_free(ring);
    else
        *ret_ring = ring;
    return r;
}

/* ---- changes ---- */

static int replace_list(struct key_folder *f, const struct key_list *l)
{
    int r = list_write(f, l);
    if (r == 0)
        sweep(f, l);
    return r;
}

static void promote(struct key_list *l, const char *fresh_kid, int64_t now_s)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->at[i].state != KEY_RETIRED) {
            l->at[i].state = l->at[i].state == KEY_CURRENT ? KEY_RETIRED : KEY_CURRENT;
            l->at[i].since_s = now_s;
        }
    list_add(l, span_of(fresh_kid), KEY_NEXT, now_s);
}

static int rotate_locked(struct key_folder *f, int64_t now_s, int64_t wait_s)
{
    struct key_list list;
    char kid[UUID_TEXT_SIZE];
    int r = list_get(f, now_s, &list);
    if (r != 0)
        return r;
    int64_t left_s = key_list_find(&list, KEY_NEXT)->since_s + wait_s - now_s;
    if (wait_s > 0 && left_s > 0)
        return fail(f, -EAGAIN,
            "the next key was published a moment ago, and caches may not have it for %lld s more",
            (long long)left_s);
    if (list.count == KEYS_LIMIT)
        return fail(f, -EAGAIN,
            "%d keys are published already: wait until tokens of the retired ones have expired",
            KEYS_LIMIT);
    r = make_key(f, kid);
    FAULT("rotate_before_commit");
    if (r == 0) {
        promote(&list, kid, now_s);
        r = list_write(f, &list);
    }
    FAULT("rotate_after_commit");
    if (r == 0)
        sweep(f, &list);
    return r;
}

int key_folder_rotate(struct key_folder *f, int64_t now_s, int64_t wait_s)
{
    int r = folder_open(f);
    if (r == 0)
        r = rotate_locked(f, now_s, wait_s);
    folder_close(f);
    return r;
}

static int retire_locked(struct key_folder *f, int64_t now_s, int64_t keep_s, size_t *ret_retired)
{
    struct key_list list;
    int r = list_get(f, now_s, &list);
    size_t before = r == 0 ? list.count : 0;
    for (size_t i = before; i-- > 0;)
        if (list.at[i].state == KEY_RETIRED && list.at[i].since_s + keep_s <= now_s)
            list_remove(&list, i);
    *ret_retired = before - (r == 0 ? list.count : 0);
    if (r != 0 || *ret_retired == 0)
        return r;
    r = list_write(f, &list);
    FAULT("retire_after_commit");
    if (r == 0)
        sweep(f, &list);
    return r;
}

int key_folder_retire(struct key_folder *f, int64_t now_s, int64_t keep_s, size_t *ret_retired)
{
    int r = folder_open(f);
    if (r == 0)
        r = retire_locked(f, now_s, keep_s, ret_retired);
    folder_close(f);
    return r;
}

static int drop_locked(struct key_folder *f, int64_t now_s, const char *kid)
{
    struct key_list list;
    char fresh[UUID_TEXT_SIZE];
    size_t index = 0;
    int r = list_get(f, now_s, &list);
    if (r != 0)
        return r;
    while (index < list.count && strcmp(list.at[index].kid, kid) != 0)
        index++;
    if (index == list.count)
        return fail(f, -ENOENT, "there is no key %s", kid);
    enum key_state state = list.at[index].state;
    list_remove(&list, index);
    if (state != KEY_RETIRED) {
        r = make_key(f, fresh);
        if (r != 0)
            return r;
        if (state == KEY_CURRENT)
            promote(&list, fresh, now_s);
        else
            list_add(&list, span_of(fresh), KEY_NEXT, now_s);
    }
    return replace_list(f, &list);
}

int key_folder_drop(struct key_folder *f, int64_t now_s, const char *kid)
{
    int r = folder_open(f);
    if (r == 0)
        r = drop_locked(f, now_s, kid);
    folder_close(f);
    return r;
}

int key_folder_list(struct key_folder *f, int64_t now_s, struct key_list *ret_list)
{
    int r = folder_open(f);
    if (r == 0)
        r = list_get(f, now_s, ret_list);
    folder_close(f);
    return r;
}

int64_t key_folder_stamp(const char *path)
{
    char name[512];
    struct stat st;
    int n = snprintf(name, sizeof(name), "%s/" LIST_FILE, path);
    if (n >= (int)sizeof(name) || stat(name, &st) != 0)
        return 0;
    return st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec + (int64_t)st.st_ino;
}
