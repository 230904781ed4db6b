/* A process begins with the dynamic linker's reading: symbol, string and hash tables of some thirty
 * libraries, and then their initialisers. Each fault of a file's page maps its fifteen neighbours
 * too. So two thirds of what a service has mapped of its files when it is ready is never looked at
 * again; but nothing takes it away while there is memory, and it is counted as the process's own.
 *
 * MADV_DONTNEED on a mapping that was never written to loses nothing: the pages stay in the page
 * cache, shared with everybody, and the next access maps them again. On one that was written to it
 * would lose what was written, so only segments that are not writable are touched, of objects
 * without relocations in their text. A debugger's breakpoints are written into the text all the
 * same, behind the program's back: a traced process is left alone. */

#include "common/base/pages.h"

#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/mem.h"

#define RANGES_LIMIT 400 /* an object has two or three; what is beyond stays */

/* Also when it can't be found out. */
static bool is_traced(void)
{
    char status[1024];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    ssize_t n = read(fd, status, sizeof(status) - 1);
    close(fd);
    status[n > 0 ? n : 0] = '\0';
    return !strstr(status, "\nTracerPid:\t0\n");
}

static bool text_was_relocated(const struct dl_phdr_info *object)
{
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &object->dlpi_phdr[i];
        if (p->p_type != PT_DYNAMIC)
            continue;
        for (const ElfW(Dyn) *d = (const ElfW(Dyn) *)(object->dlpi_addr + p->p_vaddr);
             d->d_tag != DT_NULL; d++)
            if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && d->d_un.d_val & DF_TEXTREL))
                return true;
        return false;
    }
    return true; /* the kernel's own page, or nothing that we know */
}

struct ranges {
    uintptr_t page;
    size_t count;
    struct {
        uintptr_t from, end;
    } items[RANGES_LIMIT];
};

static int add_object(struct dl_phdr_info *object, size_t size, void *arg)
{
    struct ranges *list = arg;
    if (text_was_relocated(object))
        return 0;
    for (size_t i = 0; i < object->dlpi_phnum && list->count < RANGES_LIMIT; i++) {
        const ElfW(Phdr) *p = &object->dlpi_phdr[i];
        uintptr_t from = object->dlpi_addr + p->p_vaddr, end = from + p->p_memsz;
        if (p->p_type != PT_LOAD || p->p_flags & PF_W)
            continue;
        list->items[list->count].from = from & ~(list->page - 1);
        list->items[list->count++].end = (end + list->page - 1) & ~(list->page - 1);
    }
    return 0;
}

/* In two steps: the headers that the first one reads are in pages that the second one unmaps. */
void pages_release(void)
{
    struct ranges list = {.page = (uintptr_t)sysconf(_SC_PAGESIZE)};
    if (is_traced())
        return;
    (void)dl_iterate_phdr(add_object, &list);
    for (size_t i = 0; i < list.count; i++)
        (void)madvise(
            (void *)list.items[i].from, list.items[i].end - list.items[i].from, MADV_DONTNEED);
}

void pages_rest(void)
{
    mem_trim();
    pages_release();
}
