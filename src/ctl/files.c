#include "ctl/files.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "ctl/ctl.h"

#define PIECE 65536

struct span file_text(struct arena *a, const char *path, size_t limit)
{
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct buf text = {0};
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0 && text.len <= limit) {
        buf_reserve(&text, PIECE);
        n = read(fd, text.ptr + text.len, PIECE);
        text.len += n > 0 ? (size_t)n : 0;
    }
    int error = n < 0 ? errno : EFBIG;
    if (fd > STDIN_FILENO)
        close(fd);
    struct span copy = {NULL, 0};
    if (n == 0)
        copy = span_make(arena_strndup(a, text.ptr ? text.ptr : "", text.len), text.len);
    else
        (void)ctl_fail(CTL_WRONG, "%s can't be read: %s", path, strerror(error));
    buf_deinit(&text);
    return copy;
}
