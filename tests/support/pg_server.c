#include "support/pg_server.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORT_FIRST 29100
#define PORT_LAST  29150

static char test_url[512];

/* ---- a server in a folder ---- */

static int run(const char *command)
{
    int r = system(command);

    return r == -1 ? -1 : r;
}

/* The server refuses to run as root. */
static const char *as_postgres(void)
{
    return geteuid() == 0 ? "runuser -u postgres --" : "";
}

/* PostgreSQL's programs are outside of PATH in Debian. */
static const char *binaries(void)
{
    const char *given = getenv("PG_BINDIR");

    return given ? given : "/usr/lib/postgresql/15/bin";
}

static int server_pid(const char *folder)
{
    char path[128], line[32] = "";
    FILE *f;

    snprintf(path, sizeof(path), "%s/data/postmaster.pid", folder);
    f = fopen(path, "r");
    if (!f)
        return 0;
    if (!fgets(line, sizeof(line), f))
        line[0] = '\0';
    fclose(f);
    return atoi(line);
}

static int server_init(const char *folder)
{
    char command[1024];

    if (mkdir(folder, 0755) < 0 && errno != EEXIST)
        return -1;
    snprintf(command, sizeof(command),
        "{ [ $(id -u) != 0 ] || chown postgres %s; } && cd %s && "
        "%s %s/initdb -D %s/data -A trust -U souk --no-sync -E UTF8 --locale=C >%s/initdb.log 2>&1",
        folder, folder, as_postgres(), binaries(), folder, folder);
    return run(command);
}

static int server_start_on(const char *folder, int port)
{
    char command[1024];

    snprintf(command, sizeof(command),
        "cd %s && %s %s/pg_ctl -D %s/data -l %s/data/server.log -s -w -t 30 -o '-p %d -h 127.0.0.1 "
        "-k "
        "%s/data -F -c synchronous_commit=on -c max_connections=60 -c log_min_messages=fatal "
        "-c deadlock_timeout=50ms' start >/dev/null 2>&1",
        folder, as_postgres(), binaries(), folder, folder, port, folder);
    return run(command);
}

static int server_start(const char *folder)
{
    int count = PORT_LAST - PORT_FIRST + 1;

    for (int i = 0; i < count; i++) {
        int port = PORT_FIRST + (getpid() + i) % count;

        if (server_start_on(folder, port) == 0)
            return port;
        if (i >= 8)
            break;
    }
    return -1;
}

static void server_stop(const char *folder)
{
    int pid = server_pid(folder);

    if (pid <= 1 || kill(pid, SIGCONT) < 0)
        return;
    kill(pid, SIGQUIT);
    for (int i = 0; i < 500 && kill(pid, 0) == 0; i++)
        usleep(10000);
}

static void folder_remove(const char *folder)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    run(command);
}

/* ---- the shared one ---- */

static void shared_folder(char *folder, size_t size, int runner)
{
    snprintf(folder, size, "/tmp/souk-pg-%d", runner);
}

/* What a killed runner has left behind. */
static void sweep(void)
{
    DIR *d = opendir("/tmp");
    struct dirent *e;
    char folder[64];
    int runner;

    while (d && (e = readdir(d)))
        if (sscanf(e->d_name, "souk-pg-%d", &runner) == 1 && kill(runner, 0) < 0 &&
            errno == ESRCH) {
            shared_folder(folder, sizeof(folder), runner);
            server_stop(folder);
            folder_remove(folder);
        }
    if (d)
        closedir(d);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    char folder[64];

    shared_folder(folder, sizeof(folder), getpid());
    if (access(folder, F_OK) == 0) {
        server_stop(folder);
        folder_remove(folder);
    }
}

static int shared_port(const char *folder)
{
    char path[128];
    int port = -1;
    FILE *f;

    snprintf(path, sizeof(path), "%s/port", folder);
    f = fopen(path, "r+");
    if (f) {
        if (fscanf(f, "%d", &port) != 1)
            port = -1;
        fclose(f);
        return port;
    }
    sweep();
    if (server_init(folder) == 0)
        port = server_start(folder);
    f = fopen(path, "w");
    cr_assert(f && fprintf(f, "%d\n", port) > 0 && fclose(f) == 0);
    return port;
}

/* Starts it when nobody has yet. */
static int shared_start(void)
{
    static int port;
    char folder[64], lock[80];
    int fd;

    if (port)
        return port;
    shared_folder(folder, sizeof(folder), getppid());
    snprintf(lock, sizeof(lock), "/tmp/souk-pg-test.lock");
    fd = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0666);
    cr_assert(fd >= 0 && flock(fd, LOCK_EX) == 0);
    port = shared_port(folder);
    close(fd);
    cr_assert(port > 0, "no PostgreSQL server could be started in %s", folder);
    return port;
}

/* ---- the test's database ---- */

static const char *exec_on(const char *url, const char *sql)
{
    static char value[4096];
    PGconn *conn = PQconnectdb(url);
    PGresult *res = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(res);

    cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s", sql,
        PQerrorMessage(conn));
    snprintf(value, sizeof(value), "%s", PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "");
    PQclear(res);
    PQfinish(conn);
    return value;
}

static char admin_url[256];
static char database[48];

static void on_notice(void *arg, const char *message) {}

static void drop_database(void)
{
    char sql[128];
    PGconn *conn = PQconnectdb(admin_url);

    PQsetNoticeProcessor(conn, on_notice, NULL);
    snprintf(sql, sizeof(sql), "DROP DATABASE IF EXISTS %s WITH (FORCE)", database);
    PQclear(PQexec(conn, sql));
    PQfinish(conn);
}

/* `url` with its database replaced. */
static void url_with_database(const char *url, const char *name, char *text, size_t size)
{
    const char *host = strstr(url, "://") ? strstr(url, "://") + 3 : url;
    const char *slash = strchr(host, '/');
    const char *query = strchr(host, '?');

    snprintf(text, size, "%.*s/%s%s", (int)(slash ? slash - url : (long)strcspn(url, "?")), url,
        name, query ? query : "");
}

const char *pg_server_url(void)
{
    const char *given = getenv("TEST_PG_URL");
    char sql[128];

    if (test_url[0])
        return test_url;
    if (given)
        snprintf(admin_url, sizeof(admin_url), "%s", given);
    else
        snprintf(admin_url, sizeof(admin_url), "postgresql://souk@127.0.0.1:%d/postgres",
            shared_start());
    snprintf(database, sizeof(database), "souk_test_%d", getpid());
    drop_database(); /* of an earlier process with our number that crashed */
    snprintf(sql, sizeof(sql), "CREATE DATABASE %s", database);
    exec_on(admin_url, sql);
    atexit(drop_database);
    url_with_database(admin_url, database, test_url, sizeof(test_url));
    return test_url;
}

const char *pg_server_url_with(const char *query)
{
    static char text[640];
    const char *url = pg_server_url();

    snprintf(text, sizeof(text), "%s%c%s", url, strchr(url, '?') ? '&' : '?', query);
    return text;
}

/* Where host and port stand in the test's url. */
static const char *url_place(size_t *ret_len)
{
    const char *begin = strstr(pg_server_url(), "://");
    const char *user;

    cr_assert(begin, "TEST_PG_URL must be of the form postgresql://…");
    begin += 3;
    user = memchr(begin, '@', strcspn(begin, "/?"));
    begin = user ? user + 1 : begin;
    *ret_len = strcspn(begin, "/?");
    return begin;
}

int pg_server_port(void)
{
    size_t len;
    const char *place = url_place(&len);
    const char *colon = memchr(place, ':', len);

    return colon ? atoi(colon + 1) : 5432;
}

const char *pg_server_url_at(int port)
{
    static char text[640];
    size_t len;
    const char *place = url_place(&len);

    snprintf(text, sizeof(text), "%.*s127.0.0.1:%d%s", (int)(place - test_url), test_url, port,
        place + len);
    return text;
}

const char *pg_server_exec(const char *sql)
{
    return exec_on(pg_server_url(), sql);
}

/* ---- a private one ---- */

void pg_private_start(struct pg_private *s)
{
    if (!s->folder[0]) {
        snprintf(s->folder, sizeof(s->folder), "/tmp/souk-pg-%d", getpid());
        cr_assert(server_init(s->folder) == 0);
        s->port = server_start(s->folder);
    } else {
        cr_assert(server_start_on(s->folder, s->port) == 0);
    }
    cr_assert(s->port > 0, "no PostgreSQL server could be started in %s", s->folder);
    s->pid = server_pid(s->folder);
    snprintf(s->url, sizeof(s->url), "postgresql://souk@127.0.0.1:%d/postgres", s->port);
}

void pg_private_stop(struct pg_private *s)
{
    server_stop(s->folder);
    s->pid = 0;
}

void pg_private_free(struct pg_private *s)
{
    server_stop(s->folder);
    folder_remove(s->folder);
}
