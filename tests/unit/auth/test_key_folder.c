#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth.h"

/* Times are given, so nothing here waits. */
#define T0 INT64_C(1700000000)

static char path[64];
static struct key_folder folder;

static void setup(void)
{
    cr_assert_eq(crypto_init(), 0);
    snprintf(path, sizeof(path), "/tmp/souk-keys-XXXXXX");
    cr_assert(mkdtemp(path));
    folder = (struct key_folder){.path = path};
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    cr_assert_eq(system(command), 0);
}

TestSuite(key_folder, .init = setup, .fini = teardown);

static const char *file_in(const char *name)
{
    static char text[256];
    snprintf(text, sizeof(text), "%s/%s", path, name);
    return text;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    int fd = open(file_in(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
}

static void write_key(const char *name, mode_t mode)
{
    char *private_pem, *public_pem;
    cr_assert_eq(token_key_generate(&private_pem, &public_pem), 0);
    write_file(name, private_pem, mode);
    free(private_pem);
    free(public_pem);
}

static struct key_list listed(void)
{
    struct key_list list;
    cr_assert_eq(key_folder_list(&folder, T0, &list), 0, "%s", folder.problem);
    return list;
}

static void kid_of(enum key_state state, char kid[static KID_SIZE])
{
    struct key_list list = listed();
    const struct key_entry *e = key_list_find(&list, state);
    cr_assert(e);
    memcpy(kid, e->kid, KID_SIZE);
}

static bool has_pem(const char *kid)
{
    char name[KID_SIZE + 8];
    snprintf(name, sizeof(name), "%s.pem", kid);
    return access(file_in(name), F_OK) == 0;
}

static void rotate(int64_t now_s)
{
    cr_assert_eq(key_folder_rotate(&folder, now_s, 0), 0, "%s", folder.problem);
}

Test(key_folder, load__an_empty_folder__makes_two_keys_that_stay)
{
    struct key_ring *first, *second;
    struct stat st;
    cr_assert_eq(key_folder_load(&folder, T0, &first), 0, "%s", folder.problem);
    cr_assert_eq(key_folder_load(&folder, T0 + 9, &second), 0, "%s", folder.problem);
    cr_assert_eq(first->count, 2);
    cr_assert_eq(first->keys[first->current].entry.state, KEY_CURRENT);
    cr_assert_str_eq(
        first->keys[first->current].entry.kid, second->keys[second->current].entry.kid);
    cr_assert_str_eq(first->keys[0].private_pem, second->keys[0].private_pem);
    cr_assert_str_eq(first->refresh_secret, second->refresh_secret);
    cr_assert_eq(strlen(first->refresh_secret), CRYPTO_TOKEN_SIZE - 1);
    cr_assert_eq(stat(file_in("keys"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0400);
    key_ring_free(first);
    key_ring_free(second);
}

Test(key_folder, load__a_folder_without_a_list__goes_on_with_its_newest_key)
{
    struct key_ring *ring;
    write_key("a-old.pem", 0400);
    write_key("b-new.pem", 0400);
    cr_assert_eq(key_folder_load(&folder, T0, &ring), 0, "%s", folder.problem);
    cr_assert_eq(ring->count, 3);
    cr_assert_str_eq(ring->keys[0].entry.kid, "a-old");
    cr_assert_eq(ring->keys[0].entry.state, KEY_RETIRED);
    cr_assert_str_eq(ring->keys[ring->current].entry.kid, "b-new");
    key_ring_free(ring);
}

Test(key_folder, rotate__next_signs_and_current_is_kept)
{
    char current[KID_SIZE], next[KID_SIZE], after[KID_SIZE];
    int64_t stamp;
    kid_of(KEY_CURRENT, current);
    kid_of(KEY_NEXT, next);
    stamp = key_folder_stamp(path);
    rotate(T0 + 10);
    cr_assert_neq(key_folder_stamp(path), stamp);
    kid_of(KEY_CURRENT, after);
    cr_assert_str_eq(after, next);
    kid_of(KEY_RETIRED, after);
    cr_assert_str_eq(after, current);
    kid_of(KEY_NEXT, after);
    cr_assert_str_neq(after, next);
    cr_assert(has_pem(current) && has_pem(next) && has_pem(after));
}

Test(key_folder, rotate__before_caches_can_know_the_next_key__is_refused)
{
    listed();
    cr_assert_eq(key_folder_rotate(&folder, T0 + 299, 300), -EAGAIN);
    cr_assert(strstr(folder.problem, "for 1 s more"), "%s", folder.problem);
    cr_assert_eq(key_folder_rotate(&folder, T0 + 300, 300), 0);
    cr_assert_eq(key_folder_rotate(&folder, T0 + 300, 300), -EAGAIN);
}

Test(key_folder, rotate__more_often_than_tokens_expire__is_refused_at_last)
{
    int r = 0, times = 0;
    listed();
    while ((r = key_folder_rotate(&folder, T0, 0)) == 0)
        times++;
    cr_assert_eq(r, -EAGAIN);
    cr_assert_eq(times, KEYS_LIMIT - 2);
    cr_assert_eq(listed().count, KEYS_LIMIT);
}

Test(key_folder, retire__deletes_only_what_nobody_can_hold_a_token_of)
{
    char first[KID_SIZE];
    size_t retired;
    kid_of(KEY_CURRENT, first);
    rotate(T0 + 100);
    rotate(T0 + 200);
    cr_assert_eq(key_folder_retire(&folder, T0 + 199, 100, &retired), 0);
    cr_assert_eq(retired, 0);
    cr_assert(has_pem(first));
    cr_assert_eq(key_folder_retire(&folder, T0 + 200, 100, &retired), 0);
    cr_assert_eq(retired, 1);
    cr_assert_not(has_pem(first));
    cr_assert_eq(listed().count, 3);
    cr_assert_eq(key_folder_retire(&folder, T0 + 1000000, 100, &retired), 0);
    cr_assert_eq(retired, 1);
    cr_assert_eq(listed().count, 2, "current and next stay for ever");
}

Test(key_folder, drop__each_state__leaves_a_current_and_a_next_key)
{
    static const enum key_state states[] = {KEY_CURRENT, KEY_NEXT, KEY_RETIRED};
    listed();
    rotate(T0);
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        char gone[KID_SIZE], now[KID_SIZE];
        kid_of(states[i], gone);
        cr_assert_eq(key_folder_drop(&folder, T0, gone), 0, "%s", folder.problem);
        cr_assert_not(has_pem(gone));
        kid_of(KEY_CURRENT, now);
        cr_assert_str_neq(now, gone);
        cr_assert(has_pem(now));
        kid_of(KEY_NEXT, now);
        cr_assert_str_neq(now, gone);
        cr_assert(has_pem(now));
    }
    cr_assert_eq(key_folder_drop(&folder, T0, "nobody"), -ENOENT);
}

Test(key_folder, a_key_that_nobody_names__is_not_published_and_swept)
{
    struct key_ring *ring;
    const char *orphan = "01900000-0000-7000-8000-000000000001";
    listed();
    write_key("01900000-0000-7000-8000-000000000001.pem", 0400);
    write_key("mine.pem", 0400);
    cr_assert_eq(key_folder_load(&folder, T0, &ring), 0, "%s", folder.problem);
    cr_assert_eq(ring->count, 2);
    key_ring_free(ring);
    rotate(T0);
    cr_assert_not(has_pem(orphan));
    cr_assert(has_pem("mine"), "what somebody else has put there stays");
}

/* ---- refusals ---- */

static void assert_problem_says(const char *words)
{
    struct key_ring *ring;
    cr_assert_neq(key_folder_load(&folder, T0, &ring), 0);
    cr_assert(strstr(folder.problem, words), "%s", folder.problem);
}

Test(key_folder, load__what_others_can_read__is_refused_by_name)
{
    char current[KID_SIZE], name[KID_SIZE + 8];
    kid_of(KEY_CURRENT, current);
    snprintf(name, sizeof(name), "%s.pem", current);
    cr_assert_eq(chmod(file_in(name), 0440), 0);
    assert_problem_says("open to others than its owner (mode 0440)");
    cr_assert(strstr(folder.problem, name));
    cr_assert_eq(chmod(file_in(name), 0404), 0);
    assert_problem_says("(mode 0404)");
    cr_assert_eq(chmod(file_in(name), 0400), 0);
    cr_assert_eq(chmod(path, 0750), 0);
    assert_problem_says("the folder is open to others");
    cr_assert_eq(chmod(path, 0700), 0);
    listed();
}

Test(key_folder, load__a_list_that_makes_no_sense__is_refused)
{
    static const char *const lists[] = {"", "a current 1\n", "a current 1\nb next\n",
        "a current 1\nb next x\n", "a current 1\nb current 1\nc next 1\n",
        "a current 1\na next 1\n", "a current 1\nb soon 1\n", "../a current 1\nb next 1\n",
        "a current 1\nb next 1\nc/d retired 1\n", "a current 1 1\nb next 1\n"};
    struct key_ring *ring;
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        unlink(file_in("keys"));
        write_file("keys", lists[i], 0400);
        cr_assert_eq(key_folder_load(&folder, T0, &ring), -EINVAL, "%s", lists[i]);
    }
}

Test(key_folder, load__a_list_whose_key_is_lost__is_refused_rather_than_made_up)
{
    char next[KID_SIZE], name[KID_SIZE + 8];
    struct key_ring *ring;
    kid_of(KEY_NEXT, next);
    snprintf(name, sizeof(name), "%s.pem", next);
    cr_assert_eq(unlink(file_in(name)), 0);
    cr_assert_eq(key_folder_load(&folder, T0, &ring), -ENOENT);
    cr_assert(strstr(folder.problem, next), "%s", folder.problem);
    write_file(name, "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n", 0400);
    cr_assert_eq(key_folder_load(&folder, T0, &ring), -EINVAL);
}
