/* The operator's list of passwords to refuse: a file of one a line, "#" begins a remark. It is read
 * once, before the service listens, and compared without case; what is on it is refused between
 * digits and signs as well. No list comes with the source: the launcher takes the dictionary of
 * Debian's cracklib-runtime, and the lists of known breaches serve as well. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth.h"
#include "common/base/mem.h"

#define LIST_BYTES_LIMIT (16 << 20)
#define WORD_MIN         4

static char *text;      /* each line ends with a NUL */
static uint32_t *lines; /* where they begin in it, sorted by what they say */
static size_t lines_count;
static_assert(LIST_BYTES_LIMIT < UINT32_MAX, "a place in the text has 32 bits");

static int compare_lines(const void *a, const void *b)
{
    return strcmp(text + *(const uint32_t *)a, text + *(const uint32_t *)b);
}

static int compare_word(const void *word, const void *line)
{
    return strcmp(word, text + *(const uint32_t *)line);
}

static void lower_in_place(char *line)
{
    for (; *line; line++)
        if (*line >= 'A' && *line <= 'Z')
            *line = (char)(*line - 'A' + 'a');
}

static int read_text(const char *path)
{
    struct stat st;
    int r = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        r = -errno;
    else if (st.st_size > LIST_BYTES_LIMIT)
        r = -EFBIG;
    else {
        text = mem_alloc((size_t)st.st_size + 1);
        ssize_t n = read(fd, text, (size_t)st.st_size);
        r = n == st.st_size ? 0 : -EIO;
        text[n > 0 ? n : 0] = 0;
    }
    if (fd >= 0)
        close(fd);
    return r;
}

static void split_text(void)
{
    size_t capacity = 1;
    bool sorted = true; /* most lists are, also without case */
    for (const char *c = text; *c; c++)
        capacity += *c == '\n';
    lines = mem_alloc(capacity * sizeof(*lines));
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        line[strcspn(line, "\r")] = 0;
        if (*line == 0 || *line == '#')
            continue;
        lower_in_place(line);
        sorted = sorted && (lines_count == 0 || strcmp(text + lines[lines_count - 1], line) <= 0);
        lines[lines_count++] = (uint32_t)(line - text);
    }
    if (!sorted)
        qsort(lines, lines_count, sizeof(*lines), compare_lines);
}

int password_list_load(void)
{
    const char *path = config_text("PASSWORD_LIST_FILE");
    if (!*path)
        return 0;
    int r = read_text(path);
    if (r != 0) {
        error_note("PASSWORD_LIST_FILE %s can't be read", path);
        return ERR(r);
    }
    split_text();
    log_info("password list loaded", LF_I64("passwords", lines_count));
    return 0;
}

static bool is_line(const char *core, size_t len, const char *lower)
{
    char word[PASSWORD_BYTES_LIMIT + 1];
    if (len < WORD_MIN || len >= sizeof(word))
        return false;
    memcpy(word, core, len);
    word[len] = 0;
    return bsearch(word, lines, lines_count, sizeof(*lines), compare_word) != NULL;
}

bool password_listed(struct arena *a, const char *password)
{
    char *lower = arena_strdup(a, password);
    lower_in_place(lower);
    return lines_count > 0 && password_decorated(lower, is_line, lower);
}
