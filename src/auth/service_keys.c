/* The services' secrets, files of a folder that only auth reads. They are read when asked for: a
 * service asks once in some minutes, and a replaced secret counts at once. Digests are compared, so
 * neither content nor length shows in the time taken. */

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "auth/auth.h"

#define KEY_SIZE_MIN   16
#define KEY_SIZE_LIMIT 512

bool service_known(const char *name)
{
    static const char *const services[] = {
        "auth", "cart", "order", "payment", "seller", "notification", "aibuddy"};
    for (size_t i = 0; i < ARRAY_SIZE(services); i++)
        if (strcmp(services[i], name) == 0)
            return true;
    return false;
}

/* The length without a line's end; 0 when there is no such key. */
static size_t read_key(const char *service, char key[static KEY_SIZE_LIMIT])
{
    char path[512];
    int n = snprintf(path, sizeof(path), "%s/%s.key", config_text("SERVICE_KEYS_DIR"), service);
    int fd = n < (int)sizeof(path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return 0;
    ssize_t len = read(fd, key, KEY_SIZE_LIMIT);
    close(fd);
    while (len > 0 && (key[len - 1] == '\n' || key[len - 1] == '\r'))
        len--;
    return len < KEY_SIZE_MIN ? 0 : (size_t)len;
}

bool service_key_fits(const char *service, const char *key)
{
    char stored[KEY_SIZE_LIMIT];
    uint8_t want[SHA256_SIZE], given[SHA256_SIZE];
    size_t len = read_key(service, stored);
    crypto_sha256(span_make(stored, len), want);
    crypto_sha256(span_of(key), given);
    return crypto_equal(span_make(want, sizeof(want)), span_make(given, sizeof(given))) && len > 0;
}
