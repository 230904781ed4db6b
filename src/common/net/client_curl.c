/* Why libcurl isn't linked: with what it brings (TLS twice, SSH, RTMP, HTTP/2, four compressions)
 * it is half of the libraries that a service would load, relocate and keep in memory. Calls between
 * services on one network don't need it (client_plain.c), and of seven services one sends mails.
 * So it is opened by name, by the first target that needs it: TLS, a host's name, a mail server.
 *
 * The types and constants are those of its headers; the functions are found by name and called
 * through pointers of their own types. Its soname has been the same since 2006, and a function that
 * is missing makes the opening fail, not a call later. It is never closed again: threads of its
 * resolver may still be on their way. */

#include "common/net/client_curl.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

const char *client_curl_library = "libcurl.so.4";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *library; /* guarded by lock; NULL: not open */

static void *library_open(void)
{
    void *opened = dlopen(client_curl_library, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    __typeof__(&curl_global_init) init;
    if (!opened)
        return NULL;
    *(void **)&init = dlsym(opened, "curl_global_init");
    return init && init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? opened : NULL;
}

static bool symbols_find(const struct client_curl_symbol *symbols, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *found = dlsym(library, symbols[i].name);
        if (!found)
            return false;
        *symbols[i].place = found;
    }
    return true;
}

bool client_curl_open(
    const struct client_curl_symbol *symbols, size_t count, char *ret_why, size_t why_size)
{
    pthread_mutex_lock(&lock);
    if (!library)
        library = library_open();
    bool good = library && symbols_find(symbols, count);
    if (!good) {
        const char *why = dlerror();
        snprintf(ret_why, why_size,
            "libcurl, which TLS, host names and mail need, can't be used: %s",
            why ? why : "it can't be initialised");
    }
    pthread_mutex_unlock(&lock);
    return good;
}
