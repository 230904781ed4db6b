/* Configuration by table. Values live in one array for the process's life: the environment is read
 * once, so a running service never changes its mind half-way. Problems are collected, because a
 * person who has to mend five variables wants to hear of all five. */

#include "common/app/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/mem.h"

struct config_value {
    const struct config_row *row;
    char *text;
    int64_t number;
};

static struct config_value *values;
static size_t values_count;

static bool bool_parse(const char *text, int64_t *ret_value)
{
    static const char *const yes[] = {"1", "true", "yes", "on"}, *const no[] = {
                                                                     "0", "false", "no", "off", ""};
    for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
        if (strcmp(text, yes[i]) == 0)
            return *ret_value = 1, true;
    for (size_t i = 0; i < ARRAY_SIZE(no); i++)
        if (strcmp(text, no[i]) == 0)
            return *ret_value = 0, true;
    return false;
}

/* The content of NAME_FILE without its last newline; NULL when the variable is not set. */
static char *file_value(const char *name, int *problems)
{
    char variable[128];
    snprintf(variable, sizeof(variable), "%s_FILE", name);
    const char *path = getenv(variable);
    if (!path || !*path)
        return NULL;
    char content[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, content, sizeof(content) - 1);
    if (fd >= 0)
        close(fd);
    if (n < 0) {
        fprintf(stderr, "%s: can't read %s: %s\n", variable, path, strerror(errno));
        ++*problems;
        return mem_strdup("");
    }
    if (n == sizeof(content) - 1) {
        fprintf(stderr, "%s: %s is too long for a value\n", variable, path);
        ++*problems;
    }
    while (n > 0 && (content[n - 1] == '\n' || content[n - 1] == '\r'))
        n--;
    return mem_strndup(content, (size_t)n);
}

static void check_value(struct config_value *v, int *problems)
{
    const struct config_row *row = v->row;
    const char *shown = row->secret ? "(secret)" : v->text;
    switch (row->kind) {
    case CONFIG_TEXT:
        break;
    case CONFIG_BOOL:
        if (!bool_parse(v->text, &v->number)) {
            fprintf(stderr, "%s=%s: must be true or false\n", row->name, shown);
            ++*problems;
        }
        break;
    case CONFIG_I64:
        if (!span_to_i64(span_of(v->text), &v->number) || v->number < row->min ||
            (row->max && v->number > row->max)) {
            fprintf(stderr, "%s=%s: must be a whole number from %lld to %lld (%s)\n", row->name,
                shown, (long long)row->min, (long long)row->max, row->doc);
            ++*problems;
        }
        break;
    }
}

static void load_row(const struct config_row *row, struct config_value *v, int *problems)
{
    const char *set = getenv(row->name);
    v->row = row;
    v->text = set && *set ? mem_strdup(set) : file_value(row->name, problems);
    if (!v->text && !row->fallback) {
        fprintf(stderr, "%s: not set (%s)\n", row->name, row->doc);
        ++*problems;
        v->text = mem_strdup("");
        return;
    }
    if (!v->text)
        v->text = mem_strdup(row->fallback);
    check_value(v, problems);
}

int config_load(const struct config_row *common, size_t common_count, const struct config_row *own,
    size_t own_count)
{
    int problems = 0;
    for (size_t i = 0; i < values_count; i++)
        mem_free(values[i].text);
    mem_free(values);
    values_count = common_count + own_count;
    values = mem_array(values_count + 1, sizeof(*values));
    for (size_t i = 0; i < values_count; i++)
        load_row(i < common_count ? &common[i] : &own[i - common_count], &values[i], &problems);
    return problems ? -EINVAL : 0;
}

static const struct config_value *find(const char *name)
{
    for (size_t i = 0; i < values_count; i++)
        if (strcmp(values[i].row->name, name) == 0)
            return &values[i];
    fprintf(stderr, "configuration asks for %s, which is in no table\n", name);
    abort();
}

const char *config_text(const char *name)
{
    return find(name)->text;
}

int64_t config_i64(const char *name)
{
    return find(name)->number;
}

bool config_bool(const char *name)
{
    return find(name)->number != 0;
}

void config_print(struct buf *out)
{
    for (size_t i = 0; i < values_count; i++)
        buf_printf(out, "%s=%s\n", values[i].row->name,
            values[i].row->secret && *values[i].text ? "***" : values[i].text);
}
