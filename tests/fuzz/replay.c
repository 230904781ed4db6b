/* Runs a fuzz target over the files of its corpus, without a fuzzer: what was once found stays
 * found in every build and under every sanitizer. */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(struct arena *a, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;

    size_t size = 0, room = 4096, got;
    uint8_t *data = malloc(room); /* of exactly `size` bytes in the end, so overreads are seen */
    while (data && (got = fread(data + size, 1, room - size, file)) > 0) {
        size += got;
        if (size == room)
            data = realloc(data, room *= 2);
    }
    fclose(file);
    data = size > 0 ? realloc(data, size) : data;
    if (data)
        LLVMFuzzerTestOneInput(data, size);
    free(data);
    return data ? 0 : -1;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    struct arena *a = arena_new();
    unsigned count = 0;

    if (!dir)
        return 2;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        const char *path = arena_printf(a, "%s/%s", argv[1], entry->d_name);
        if (replay_file(a, path) != 0) {
            fprintf(stderr, "cannot read %s\n", path);
            return 1;
        }
        count++;
    }
    closedir(dir);
    arena_free(a);
    printf("%u inputs\n", count);
    return count > 0 ? 0 : 1;
}
