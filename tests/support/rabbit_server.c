/* How it stays private: the environment is cleared, the node has a name, an epmd and ports of its
 * own, and every file is under one mktemp folder. `rabbitmq-server` execs the Erlang VM when input
 * is allowed, so the pid we start is the broker's. */

#include "support/rabbit_server.h"

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RABBIT_BIN     "/usr/lib/rabbitmq/bin/"
#define PORT_FIRST     29200
#define PORT_LAST      29248
#define START_PATIENCE 1200 /* times 50 ms */
#define STATE_VARIABLE "TEST_RABBIT_STATE"

struct rabbit_server {
    bool is_private;
    char url[256], folder[64];
    int port, dist_port, epmd_port;
    pid_t owner, broker, epmd;
};

static struct rabbit_server *running; /* for the signal handler */
static char state_path[64];

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static int loopback_socket(int port, bool listening)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (listening)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    int r = listening ? bind(fd, (struct sockaddr *)&a, sizeof(a))
                      : connect(fd, (struct sockaddr *)&a, sizeof(a));
    if (r == 0)
        return fd;
    close(fd);
    return -1;
}

static bool port_free(int port)
{
    int fd = loopback_socket(port, true);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool choose_ports(struct rabbit_server *s)
{
    int steps = (PORT_LAST - PORT_FIRST) / 3, first = (int)(getpid() % steps);
    for (int i = 0; i < steps; i++) {
        int base = PORT_FIRST + (first + i) % steps * 3;
        if (port_free(base) && port_free(base + 1) && port_free(base + 2)) {
            s->port = base;
            s->dist_port = base + 1;
            s->epmd_port = base + 2;
            return true;
        }
    }
    return false;
}

static void write_file(const struct rabbit_server *s, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", s->folder, name);
    FILE *f = fopen(path, "w");
    if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

/* Becomes `program` with the node's environment only. */
static void exec_private(const struct rabbit_server *s, const char *program, char *const argv[])
{
    char vars[16][160];
    char *env[17];
    int n = 0;
#define VAR(...) (snprintf(vars[n], sizeof(vars[n]), __VA_ARGS__), env[n] = vars[n], n++)
    VAR("PATH=/usr/bin:/bin:/usr/sbin");
    VAR("HOME=%s", s->folder);
    VAR("LANG=C.UTF-8");
    VAR("ERL_EPMD_PORT=%d", s->epmd_port);
    VAR("ERL_EPMD_ADDRESS=127.0.0.1");
    VAR("RABBITMQ_NODENAME=test%d@localhost", s->port);
    VAR("RABBITMQ_DIST_PORT=%d", s->dist_port);
    VAR("RABBITMQ_MNESIA_BASE=%s/mnesia", s->folder);
    VAR("RABBITMQ_LOG_BASE=%s/log", s->folder);
    VAR("RABBITMQ_CONFIG_FILE=%s/rabbitmq.conf", s->folder);
    VAR("RABBITMQ_ENABLED_PLUGINS_FILE=%s/enabled_plugins", s->folder);
    VAR("RABBITMQ_CONF_ENV_FILE=/dev/null");
    VAR("RABBITMQ_ALLOW_INPUT=1");
    VAR("RABBITMQ_SERVER_START_ARGS=-noinput");
    VAR("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+sbwt none +sbwtdcpu none +sbwtdio none");
#undef VAR
    env[n] = NULL;
    setsid();
    if (chdir(s->folder) != 0)
        _exit(126);
    umask(077);
    int null = open("/dev/null", O_RDONLY),
        out = open("out.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(null, 0);
    dup2(out, 1);
    dup2(out, 2);
    closefrom(3);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(program, argv, env);
    _exit(127);
}

static pid_t spawn_private(const struct rabbit_server *s, const char *program, char *const argv[])
{
    pid_t pid = fork();
    if (pid == 0)
        exec_private(s, program, argv);
    return pid;
}

/* Ended, be it unreaped: nobody here is its parent. */
static bool process_ended(pid_t pid)
{
    char path[32], line[256] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return true;
    bool read = fgets(line, sizeof(line), f) != NULL;
    fclose(f);
    const char *state = strrchr(line, ')');
    return read && state && state[1] && state[2] == 'Z';
}

static void end_process(pid_t pid, int signal)
{
    if (pid <= 0 || kill(pid, signal) != 0)
        return;
    for (int i = 0; i < 400 && !process_ended(pid); i++)
        pause_ms(25);
}

/* As spawn_private, but nobody's child: criterion's runner waits for its children and gets stuck on
 * one that it does not know. The pid comes through the shared state. */
static bool spawn_orphan(
    const struct rabbit_server *s, const char *program, char *const argv[], pid_t *ret_pid)
{
    int status = 1;
    pid_t pid = fork();
    if (pid == 0) {
        *ret_pid = spawn_private(s, program, argv);
        _exit(*ret_pid > 0 ? 0 : 1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

bool rabbit_server_launch(struct rabbit_server *s)
{
    char *argv[] = {(char[]){"rabbitmq-server"}, NULL};
    return spawn_orphan(s, RABBIT_BIN "rabbitmq-server", argv, &s->broker);
}

bool rabbit_server_await(struct rabbit_server *s)
{
    for (int i = 0; i < START_PATIENCE; i++) {
        int fd = loopback_socket(s->port, false);
        if (fd >= 0) {
            close(fd);
            return true;
        }
        if (process_ended(s->broker))
            break;
        pause_ms(50);
    }
    fprintf(stderr, "rabbitmq-server did not start, see %s/out.log\n", s->folder);
    return false;
}

static void remove_folder(const char *folder)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/rm", "rm", "-rf", folder, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

/* Only what a signal handler may call. */
static void on_deadly_signal(int signal)
{
    if (running && running->owner == getpid()) {
        kill(running->broker, SIGKILL);
        kill(running->epmd, SIGKILL);
        remove_folder(running->folder);
        unlink(state_path);
    }
    _exit(128 + signal);
}

static bool start_private(struct rabbit_server *s)
{
    char conf[512], port[16];
    s->is_private = true;
    strcpy(s->folder, "/tmp/souk-rabbit-XXXXXX");
    if (mkdtemp(s->folder) == NULL || !choose_ports(s))
        return false;
    snprintf(s->url, sizeof(s->url), "amqp://guest:guest@127.0.0.1:%d", s->port);
    snprintf(conf, sizeof(conf),
        "listeners.tcp.1 = 127.0.0.1:%d\nlog.file.level = warning\nframe_max = 32768\n"
        "vm_memory_high_watermark.absolute = 2GB\ndisk_free_limit.absolute = 50MB\n"
        "raft.wal_max_size_bytes = 67108864\n",
        s->port);
    write_file(s, "rabbitmq.conf", conf);
    write_file(s, "enabled_plugins", "[].\n");
    snprintf(port, sizeof(port), "%d", s->epmd_port);
    char *epmd[] = {(char[]){"epmd"}, (char[]){"-port"}, port, (char[]){"-address"},
        (char[]){"127.0.0.1"}, NULL};
    running = s;
    signal(SIGTERM, on_deadly_signal);
    signal(SIGINT, on_deadly_signal);
    signal(SIGABRT, on_deadly_signal);
    return spawn_orphan(s, "/usr/bin/epmd", epmd, &s->epmd) && rabbit_server_launch(s) &&
           rabbit_server_await(s);
}

static struct rabbit_server *map_state(const char *path, int flags)
{
    int fd = open(path, flags | O_RDWR | O_CLOEXEC, 0600);
    void *at = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, sizeof(struct rabbit_server)) == 0)
        at = mmap(NULL, sizeof(struct rabbit_server), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    return at == MAP_FAILED ? NULL : at;
}

struct rabbit_server *rabbit_server_attach(void)
{
    const char *path = getenv(STATE_VARIABLE);
    return path ? map_state(path, 0) : NULL;
}

struct rabbit_server *rabbit_server_start(void)
{
    snprintf(state_path, sizeof(state_path), "/tmp/souk-rabbit-%d.state", getpid());
    setenv(STATE_VARIABLE, state_path, 1);
    struct rabbit_server *s = map_state(state_path, O_CREAT | O_TRUNC);
    const char *url = getenv("TEST_AMQP_URL");
    if (s == NULL)
        return NULL;
    s->owner = getpid();
    if (url && *url) {
        snprintf(s->url, sizeof(s->url), "%s", url);
        return s;
    }
    if (start_private(s))
        return s;
    rabbit_server_stop(s);
    return NULL;
}

void rabbit_server_stop(struct rabbit_server *s)
{
    if (s == NULL)
        return;
    if (s->is_private) {
        rabbit_server_thaw(s);
        end_process(s->broker, SIGKILL);
        end_process(s->epmd, SIGKILL);
        remove_folder(s->folder);
    }
    running = NULL;
    munmap(s, sizeof(*s));
    unlink(state_path);
}

const char *rabbit_server_url(const struct rabbit_server *s)
{
    return s->url;
}

bool rabbit_server_private(const struct rabbit_server *s)
{
    return s->is_private;
}

void rabbit_server_kill(struct rabbit_server *s)
{
    end_process(s->broker, SIGKILL);
    s->broker = 0;
}

void rabbit_server_freeze(struct rabbit_server *s)
{
    kill(s->broker, SIGSTOP);
}

void rabbit_server_thaw(struct rabbit_server *s)
{
    if (s->broker > 0)
        kill(s->broker, SIGCONT);
}

int rabbit_server_ctl(struct rabbit_server *s, const char *const *args)
{
    char copies[6][512];
    char *argv[8] = {(char[]){"rabbitmqctl"}};
    int n = 0, status = 0;
    for (; n < 6 && args[n]; n++) {
        snprintf(copies[n], sizeof(copies[n]), "%s", args[n]);
        argv[n + 1] = copies[n];
    }
    pid_t pid = spawn_private(s, RABBIT_BIN "rabbitmqctl", argv);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- arranging ---- */

struct rabbit_admin {
    amqp_connection_state_t c;
};

static void require(amqp_rpc_reply_t reply, const char *what)
{
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return;
    const amqp_channel_close_t *why = reply.reply.decoded;
    bool told = reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
                reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD;
    fprintf(stderr, "broker: %s failed: %.*s\n", what, told ? (int)why->reply_text.len : 0,
        told ? (const char *)why->reply_text.bytes : "");
    exit(1);
}

struct rabbit_admin *rabbit_admin_new(const struct rabbit_server *s)
{
    struct rabbit_admin *a = calloc(1, sizeof(*a));
    struct amqp_connection_info info;
    char *url = strdup(s->url);
    a->c = amqp_new_connection();
    if (amqp_parse_url(url, &info) != AMQP_STATUS_OK ||
        amqp_socket_open(amqp_tcp_socket_new(a->c), info.host, info.port) != AMQP_STATUS_OK) {
        fprintf(stderr, "broker: cannot connect to %s\n", s->url);
        exit(1);
    }
    require(
        amqp_login(a->c, info.vhost, 1, 32768, 0, AMQP_SASL_METHOD_PLAIN, info.user, info.password),
        "login");
    free(url);
    amqp_channel_open(a->c, 1);
    require(amqp_get_rpc_reply(a->c), "channel");
    return a;
}

void rabbit_admin_free(struct rabbit_admin *a)
{
    amqp_connection_close(a->c, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(a->c);
    free(a);
}

void rabbit_admin_exchange(
    struct rabbit_admin *a, const char *name, const char *type, bool internal)
{
    amqp_exchange_declare(a->c, 1, amqp_cstring_bytes(name), amqp_cstring_bytes(type), 0, 1, 0,
        internal, amqp_empty_table);
    require(amqp_get_rpc_reply(a->c), "exchange.declare");
}

void rabbit_admin_queue(struct rabbit_admin *a, const char *name)
{
    amqp_table_entry_t quorum = {.key = amqp_cstring_bytes("x-queue-type"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("quorum")}};
    rabbit_admin_delete_queue(a, name);
    amqp_queue_declare(a->c, 1, amqp_cstring_bytes(name), 0, 1, 0, 0, (amqp_table_t){1, &quorum});
    require(amqp_get_rpc_reply(a->c), "queue.declare");
}

void rabbit_admin_bind(
    struct rabbit_admin *a, const char *queue, const char *exchange, const char *key)
{
    amqp_queue_bind(a->c, 1, amqp_cstring_bytes(queue), amqp_cstring_bytes(exchange),
        amqp_cstring_bytes(key), amqp_empty_table);
    require(amqp_get_rpc_reply(a->c), "queue.bind");
}

int rabbit_admin_depth(struct rabbit_admin *a, const char *queue)
{
    amqp_queue_declare_ok_t *ok =
        amqp_queue_declare(a->c, 1, amqp_cstring_bytes(queue), 1, 0, 0, 0, amqp_empty_table);
    require(amqp_get_rpc_reply(a->c), "queue.declare passive");
    return (int)ok->message_count;
}

void rabbit_admin_delete_queue(struct rabbit_admin *a, const char *name)
{
    amqp_queue_delete(a->c, 1, amqp_cstring_bytes(name), 0, 0);
    require(amqp_get_rpc_reply(a->c), "queue.delete");
}

void rabbit_admin_publish_odd(struct rabbit_admin *a, const char *queue, size_t body_len)
{
    amqp_table_entry_t leaf = {
        .key = amqp_cstring_bytes("leaf"), .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 1}};
    amqp_table_t nested = {1, &leaf};
    static amqp_table_entry_t levels[200];
    for (int i = 0; i < 200; i++) {
        levels[i] = (amqp_table_entry_t){.key = amqp_cstring_bytes("n"),
            .value = {.kind = AMQP_FIELD_KIND_TABLE, .value.table = nested}};
        nested = (amqp_table_t){1, &levels[i]};
    }
    amqp_table_entry_t headers[40];
    char names[40][8];
    int n = 0;
    headers[n++] = (amqp_table_entry_t){.key = amqp_cstring_bytes("deep"),
        .value = {.kind = AMQP_FIELD_KIND_TABLE, .value.table = nested}};
    headers[n++] = (amqp_table_entry_t){.key = amqp_cstring_bytes("real"),
        .value = {.kind = AMQP_FIELD_KIND_F64, .value.f64 = 1.5}};
    for (; n < 40; n++) {
        snprintf(names[n], sizeof(names[n]), "h%d", n);
        headers[n] = (amqp_table_entry_t){.key = amqp_cstring_bytes(names[n]),
            .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = n}};
    }
    char *body = calloc(1, body_len + 1);
    amqp_basic_properties_t p = {._flags = AMQP_BASIC_HEADERS_FLAG, .headers = {n, headers}};
    amqp_basic_publish(a->c, 1, amqp_empty_bytes, amqp_cstring_bytes(queue), 0, 0, &p,
        (amqp_bytes_t){body_len, body});
    free(body);
}
