/* Shoppers that are kept from one run to the next. A password's hash costs the shop 16 ms and its
 * throttle lets an address register ten a second, so thousands of shoppers are minutes of work:
 * done once, and after that each run only renews their logins.
 *
 * A refresh token is spent when it is used, so the file is written as soon as all have been
 * renewed, and at the end. Who dies in between finds them spent and logs in with the password,
 * which is in the file, too; so it is for its owner's eyes only. Two runs on one file would end
 * each other's logins: a lock keeps the second out. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "load/load.h"

#define LINE_SIZE 1024

static bool complain(const char *path, const char *what)
{
    fprintf(stderr, "souk-load: %s: %s\n", path, what);
    return false;
}

/* Lines are: e-mail, password, refresh token, good card, declined card; a tab between. */
static bool shopper_read(struct shopper *s, char *line)
{
    char *rest = line;
    const char *parts[5];
    line[strcspn(line, "\n")] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        parts[i] = rest ? strsep(&rest, "\t") : "";
    if (!*parts[0] || !*parts[1] || strpbrk(parts[0], "\"\\") || strpbrk(parts[1], "\"\\"))
        return false;
    s->email = mem_strdup(parts[0]);
    s->password = mem_strdup(parts[1]);
    snprintf(s->refresh_token, sizeof(s->refresh_token), "%s", parts[2]);
    snprintf(s->card, sizeof(s->card), "%s", parts[3]);
    snprintf(s->declined_card, sizeof(s->declined_card), "%s", parts[4]);
    return true;
}

static size_t lines_count(FILE *f)
{
    char line[LINE_SIZE];
    size_t n = 0;
    while (fgets(line, sizeof(line), f))
        n++;
    rewind(f);
    return n;
}

bool keep_read(struct shop *s, const char *path, size_t wanted)
{
    char line[LINE_SIZE];
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "r+");
    if (!f)
        return complain(path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        fclose(f);
        return complain(path, "another run is using it");
    }
    size_t there = lines_count(f);
    s->kept_count = there > wanted ? there : wanted;
    s->shoppers = mem_array(s->kept_count, sizeof(*s->shoppers));
    for (size_t i = 0; i < there && fgets(line, sizeof(line), f); i++)
        if (!shopper_read(&s->shoppers[i], line)) {
            fclose(f);
            return complain(path, "this is no file of kept shoppers, and stays as it is");
        }
    s->kept = path;
    s->kept_lock = f; /* until the process ends */
    return true;
}

static bool shoppers_write(const struct shop *s, FILE *f)
{
    for (size_t i = 0; i < s->kept_count; i++) {
        const struct shopper *p = &s->shoppers[i];
        if (p->email && fprintf(f, "%s\t%s\t%s\t%s\t%s\n", p->email, p->password, p->refresh_token,
                            p->card, p->declined_card) < 0)
            return false;
    }
    return fflush(f) == 0 && fsync(fileno(f)) == 0;
}

/* The new file is locked before it takes the old one's place. */
bool keep_write(struct shop *s)
{
    char other[4096];
    if (!s->kept)
        return true;
    int n = snprintf(other, sizeof(other), "%s.new", s->kept);
    int fd = (size_t)n < sizeof(other) ? open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
                                       : -1;
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f || flock(fd, LOCK_EX | LOCK_NB) != 0 || !shoppers_write(s, f) ||
        rename(other, s->kept) != 0) {
        const char *what = strerror(errno);
        if (f)
            fclose(f);
        return complain(s->kept, what);
    }
    fclose(s->kept_lock);
    s->kept_lock = f;
    return true;
}
