#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/pages.h"

static int written = 7;
static const char *relocated = "a pointer that the linker has put here";

/* Pages of files that this process has mapped. */
static size_t file_kib(void)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    cr_assert(status);
    while (fgets(line, sizeof(line), status))
        if (sscanf(line, "RssFile: %llu", &kib) == 1)
            break;
    fclose(status);
    return (size_t)kib;
}

Test(base, pages_rest__unmaps_files_and_loses_nothing)
{
    char text[64];
    char *heap = mem_strdup("on the heap");
    written = 8;
    size_t before = file_kib();
    pages_rest();
    size_t after = file_kib();
    cr_assert_lt(after, before - before / 4, "%zu KiB before, %zu after", before, after);
    cr_assert_eq(written, 8);
    cr_assert_str_eq(relocated, "a pointer that the linker has put here");
    cr_assert_str_eq(heap, "on the heap");
    snprintf(text, sizeof(text), "%.3f %s", strtod("2.5", NULL), strerror(2));
    cr_assert_str_eq(text, "2.500 No such file or directory");
    mem_free(heap);
}

/* As a debugger that has set a breakpoint would be: it loses none. */
Test(base, pages_release__traced__leaves_everything)
{
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(2);
        size_t before = file_kib();
        pages_release();
        _exit(file_kib() >= before ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
}
