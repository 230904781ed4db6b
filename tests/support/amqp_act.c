/* One user's hands at the broker: acts that a script asks for, allowed or not, and messages that
 * our own publisher can't make. amqp-act URL        then one act a line on standard input, one
 * answer a line on standard output
 *
 *   send EXCHANGE KEY USER HEADERS PROPERTIES FILE
 *                       "-" is the default exchange, no user_id, no headers, no properties, no
 * body; HEADERS one of the bombs below; PROPERTIES name=value,… of a few names
 *   get|consume|purge|declare|delete QUEUE       bind|unbind QUEUE EXCHANGE KEY
 *   count QUEUE         answers with the number of ready messages, as of now
 *   exchange-declare|exchange-delete NAME        exchange-bind TO FROM KEY
 *
 * Answers: ok, returned, nacked, or what the broker said when it closed the channel or connection
 * ("403 ACCESS_REFUSED - …"). Each act that was refused ends its connection; the next has a new
 * one. A message is confirmed before the next act begins. */

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_LIMIT 8
#define BODY_LIMIT  (2 * 1024 * 1024)
#define ENTRIES     6000
#define ANSWER_TIME ((struct timeval){.tv_sec = 20})
#define FRAME_MAX   32768

static const char *url;
static amqp_connection_state_t broker;
static amqp_table_entry_t entries[ENTRIES]; /* of the message at hand */
static amqp_field_value_t values[ENTRIES];
static char names[ENTRIES][8];
static int entries_count, values_count;

static void give_up(const char *what)
{
    fprintf(stderr, "amqp-act: %s\n", what);
    exit(2);
}

/* ---- the connection ---- */

static void dial(void)
{
    struct amqp_connection_info info;
    char *copy = strdup(url);
    if (!copy || amqp_parse_url(copy, &info) != AMQP_STATUS_OK)
        give_up("no AMQP url");
    broker = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(broker);
    if (!socket || amqp_socket_open(socket, info.host, info.port) != AMQP_STATUS_OK)
        give_up("no broker there");
    amqp_rpc_reply_t reply = amqp_login(
        broker, info.vhost, 1, FRAME_MAX, 0, AMQP_SASL_METHOD_PLAIN, info.user, info.password);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        give_up("the broker refused the login");
    amqp_channel_open(broker, 1);
    amqp_confirm_select(broker, 1);
    if (amqp_get_rpc_reply(broker).reply_type != AMQP_RESPONSE_NORMAL)
        give_up("no channel");
    free(copy);
}

static void hang_up(void)
{
    amqp_destroy_connection(broker);
    broker = NULL;
}

static void refused(int code, amqp_bytes_t text)
{
    printf("%d %.*s\n", code, (int)text.len, (const char *)text.bytes);
    hang_up();
}

/* A channel.close or a connection.close. */
static void tell_closed(const amqp_method_t *m)
{
    if (m->id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *c = m->decoded;
        refused(c->reply_code, c->reply_text);
    } else {
        const amqp_connection_close_t *c = m->decoded;
        refused(c->reply_code, c->reply_text);
    }
}

static void tell_reply(void)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(broker);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
        puts("ok");
    } else if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) {
        tell_closed(&reply.reply);
    } else {
        printf("lost %s\n", amqp_error_string2(reply.library_error));
        hang_up();
    }
}

/* ---- headers that nobody expects ---- */

static amqp_field_value_t number(int n)
{
    return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_I32, .value.i32 = n};
}

static amqp_field_value_t text(const char *s)
{
    return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(s)};
}

static amqp_field_value_t table(int first, int count)
{
    return (amqp_field_value_t){
        .kind = AMQP_FIELD_KIND_TABLE, .value.table = {count, &entries[first]}};
}

static int put(const char *name, amqp_field_value_t value)
{
    if (entries_count == ENTRIES)
        give_up("too many headers");
    entries[entries_count] = (amqp_table_entry_t){amqp_cstring_bytes(name), value};
    return entries_count++;
}

static amqp_table_t hundreds(void)
{
    for (int i = 0; i < 400; i++) {
        snprintf(names[i], sizeof(names[i]), "h%d", i);
        put(names[i], i % 2 ? number(i) : text("a text of some length, four hundred times"));
    }
    return (amqp_table_t){entries_count, entries};
}

static amqp_table_t nested(int depth)
{
    amqp_field_value_t inner = number(1);
    for (int i = 0; i < depth; i++)
        inner = table(put("", inner), 1);
    return (amqp_table_t){1, &entries[put("deep", inner)]};
}

static amqp_table_t long_text(void)
{
    static char filler[30 * 1024 + 1];
    memset(filler, 'x', sizeof(filler) - 1);
    return (amqp_table_t){1, &entries[put("long", text(filler))]};
}

/* Arrays in arrays, with tables in them; and one of a thousand numbers. */
static amqp_table_t arrays(void)
{
    amqp_field_value_t inner = text("leaf");
    for (int i = 0; i < 60; i++) {
        amqp_field_value_t *element = &values[values_count++];
        *element = i % 2 ? inner : table(put("t", inner), 1);
        inner = (amqp_field_value_t){.kind = AMQP_FIELD_KIND_ARRAY, .value.array = {1, element}};
    }
    amqp_field_value_t *many = &values[values_count];
    for (int i = 0; i < 1000; i++)
        values[values_count++] = number(i);
    int first = put("nested", inner);
    put("many", (amqp_field_value_t){.kind = AMQP_FIELD_KIND_ARRAY, .value.array = {1000, many}});
    put("none", (amqp_field_value_t){.kind = AMQP_FIELD_KIND_ARRAY});
    return (amqp_table_t){3, &entries[first]};
}

/* Every type that the broker knows, twice: under names of their own and under names of ours. */
static amqp_table_t types(bool ours)
{
    static const char *const our_names[] = {"souk-attempts", "souk-first-failed-at", "souk-dead-at",
        "souk-origin-key", "souk-replayed-by", "souk-replayed-at", "traceparent", "x-death",
        "x-delivery-count", "souk-error", "souk-error-code", "x-first-death-queue",
        "souk-origin-queue", "souk-consumer", "souk-host", "souk-last-failed-at"};
    static char odd[] = "\xff\xfe\0\x80 odd";
    amqp_bytes_t bytes = {sizeof(odd) - 1, odd};
    const amqp_field_value_t of_each[] = {text("many"),
        {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}, {.kind = AMQP_FIELD_KIND_ARRAY},
        {.kind = AMQP_FIELD_KIND_TABLE},
        {.kind = AMQP_FIELD_KIND_DECIMAL, .value.decimal = {3, 1234567}},
        {.kind = AMQP_FIELD_KIND_TIMESTAMP, .value.u64 = UINT64_MAX},
        {.kind = AMQP_FIELD_KIND_BYTES, .value.bytes = bytes},
        {.kind = AMQP_FIELD_KIND_I64, .value.i64 = INT64_MIN},
        {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = bytes}, {.kind = AMQP_FIELD_KIND_VOID},
        {.kind = AMQP_FIELD_KIND_F32, .value.f32 = 1.5F},
        {.kind = AMQP_FIELD_KIND_F64, .value.f64 = -1e308},
        {.kind = AMQP_FIELD_KIND_I8, .value.i8 = -128},
        {.kind = AMQP_FIELD_KIND_I16, .value.i16 = -32768},
        {.kind = AMQP_FIELD_KIND_I32, .value.i32 = INT32_MIN}, text("")};
    int count = (int)(sizeof(of_each) / sizeof(of_each[0]));
    for (int i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "t%d", i);
        put(ours ? our_names[i] : names[i], of_each[i]);
    }
    return (amqp_table_t){count, entries};
}

static amqp_table_t bomb(const char *name)
{
    entries_count = values_count = 0;
    if (strcmp(name, "hundreds") == 0)
        return hundreds();
    if (strncmp(name, "deep", 4) == 0)
        return nested(atoi(name + 4));
    if (strcmp(name, "long") == 0)
        return long_text();
    if (strcmp(name, "arrays") == 0)
        return arrays();
    if (strcmp(name, "types") == 0 || strcmp(name, "forged") == 0)
        return types(*name == 'f');
    if (strcmp(name, "-") != 0)
        give_up("no such headers");
    return (amqp_table_t){0, NULL};
}

/* ---- sending ---- */

static bool property(amqp_basic_properties_t *p, const char *name, const char *value)
{
    const struct {
        const char *name;
        amqp_flags_t flag;
        amqp_bytes_t *at;
    } known[] = {{"type", AMQP_BASIC_TYPE_FLAG, &p->type},
        {"id", AMQP_BASIC_MESSAGE_ID_FLAG, &p->message_id},
        {"user", AMQP_BASIC_USER_ID_FLAG, &p->user_id},
        {"content", AMQP_BASIC_CONTENT_TYPE_FLAG, &p->content_type},
        {"encoding", AMQP_BASIC_CONTENT_ENCODING_FLAG, &p->content_encoding},
        {"correlation", AMQP_BASIC_CORRELATION_ID_FLAG, &p->correlation_id}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(name, known[i].name) == 0) {
            p->_flags |= known[i].flag;
            *known[i].at = amqp_cstring_bytes(value);
            return true;
        }
    return false;
}

static void properties(char *list, amqp_basic_properties_t *p)
{
    for (char *rest = list, *piece; (piece = strsep(&rest, ","));) {
        char *value = strchr(piece, '=');
        if (!value)
            continue;
        *value++ = '\0';
        if (!property(p, piece, value))
            give_up("no such property");
    }
}

static amqp_bytes_t body_of(const char *path)
{
    static char body[BODY_LIMIT];
    if (strcmp(path, "-") == 0)
        return amqp_empty_bytes;
    FILE *file = fopen(path, "rb");
    if (!file)
        give_up(path);
    amqp_bytes_t bytes = {fread(body, 1, sizeof(body), file), body};
    fclose(file);
    return bytes;
}

/* A return comes before its ack, as a whole message. */
static void skip_returned(void)
{
    amqp_message_t message;
    if (amqp_read_message(broker, 1, &message, 0).reply_type == AMQP_RESPONSE_NORMAL)
        amqp_destroy_message(&message);
}

static void await_confirm(void)
{
    bool returned = false;
    for (;;) {
        amqp_frame_t frame;
        int r = amqp_simple_wait_frame_noblock(broker, &frame, &ANSWER_TIME);
        if (r != AMQP_STATUS_OK) {
            printf("lost %s\n", amqp_error_string2(r));
            hang_up();
            return;
        }
        if (frame.frame_type != AMQP_FRAME_METHOD)
            continue;
        switch (frame.payload.method.id) {
        case AMQP_BASIC_RETURN_METHOD:
            returned = true;
            skip_returned();
            break;
        case AMQP_BASIC_ACK_METHOD:
            puts(returned ? "returned" : "ok");
            return;
        case AMQP_BASIC_NACK_METHOD:
            puts("nacked");
            return;
        case AMQP_CHANNEL_CLOSE_METHOD:
        case AMQP_CONNECTION_CLOSE_METHOD:
            tell_closed(&frame.payload.method);
            return;
        default:
            break;
        }
    }
}

static void send_message(char **word)
{
    amqp_basic_properties_t p = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2};
    const char *exchange = strcmp(word[1], "-") == 0 ? "" : word[1];
    if (strcmp(word[3], "-") != 0)
        property(&p, "user", word[3]);
    p.headers = bomb(word[4]);
    if (p.headers.num_entries > 0)
        p._flags |= AMQP_BASIC_HEADERS_FLAG;
    properties(word[5], &p);
    int r = amqp_basic_publish(broker, 1, amqp_cstring_bytes(exchange), amqp_cstring_bytes(word[2]),
        1, 0, &p, body_of(word[6]));
    if (r == AMQP_STATUS_OK) {
        await_confirm();
        return;
    }
    printf("unsendable %s\n", amqp_error_string2(r));
    hang_up();
}

/* ---- the other acts ---- */

static void count_messages(amqp_bytes_t q)
{
    const amqp_queue_declare_ok_t *ok =
        amqp_queue_declare(broker, 1, q, 1, 0, 0, 0, amqp_empty_table);
    if (ok)
        printf("%u\n", ok->message_count);
    else
        tell_reply();
}

static bool act_on_queue(const char *act, amqp_bytes_t q)
{
    if (strcmp(act, "count") == 0) {
        count_messages(q);
        return true;
    }
    if (strcmp(act, "get") == 0) {
        amqp_rpc_reply_t reply = amqp_basic_get(broker, 1, q, 0);
        if (reply.reply_type == AMQP_RESPONSE_NORMAL)
            puts("ok");
        else
            tell_closed(&reply.reply);
        return true;
    }
    if (strcmp(act, "consume") == 0)
        amqp_basic_consume(broker, 1, q, amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    else if (strcmp(act, "purge") == 0)
        amqp_queue_purge(broker, 1, q);
    else if (strcmp(act, "declare") == 0)
        amqp_queue_declare(broker, 1, q, 0, 1, 0, 0, amqp_empty_table);
    else if (strcmp(act, "delete") == 0)
        amqp_queue_delete(broker, 1, q, 0, 0);
    else
        return false;
    tell_reply();
    return true;
}

static void act(char **word, int count)
{
    amqp_bytes_t arg[4] = {amqp_empty_bytes, amqp_empty_bytes, amqp_empty_bytes, amqp_empty_bytes};
    for (int i = 1; i < count && i < 4; i++)
        arg[i] = amqp_cstring_bytes(word[i]);
    if (strcmp(word[0], "send") == 0 && count == 7) {
        send_message(word);
        return;
    }
    if (count == 2 && act_on_queue(word[0], arg[1]))
        return;
    if (strcmp(word[0], "bind") == 0)
        amqp_queue_bind(broker, 1, arg[1], arg[2], arg[3], amqp_empty_table);
    else if (strcmp(word[0], "unbind") == 0)
        amqp_queue_unbind(broker, 1, arg[1], arg[2], arg[3], amqp_empty_table);
    else if (strcmp(word[0], "exchange-declare") == 0)
        amqp_exchange_declare(
            broker, 1, arg[1], amqp_cstring_bytes("topic"), 0, 1, 0, 0, amqp_empty_table);
    else if (strcmp(word[0], "exchange-delete") == 0)
        amqp_exchange_delete(broker, 1, arg[1], 0);
    else if (strcmp(word[0], "exchange-bind") == 0)
        amqp_exchange_bind(broker, 1, arg[1], arg[2], arg[3], amqp_empty_table);
    else
        give_up("no such act");
    tell_reply();
}

int main(int argc, char **argv)
{
    char line[1024];
    if (argc != 2)
        give_up("usage: amqp-act URL");
    url = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof(line), stdin)) {
        char *word[WORDS_LIMIT], *rest = line;
        int count = 0;
        line[strcspn(line, "\n")] = '\0';
        while (count < WORDS_LIMIT && (word[count] = strsep(&rest, " ")))
            count++;
        if (!broker)
            dial();
        act(word, count);
        if (broker)
            amqp_maybe_release_buffers(broker);
    }
    if (broker)
        hang_up();
    return 0;
}
