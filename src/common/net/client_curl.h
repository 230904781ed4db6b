#pragma once

/* libcurl, opened when something first needs it. Private to the outgoing client. */

#include <stdbool.h>
#include <stddef.h>

struct client_curl_symbol {
    const char *name; /* "curl_easy_init" */
    void **place;     /* a pointer to that function */
};

/* What is opened: "libcurl.so.4". Tests name others. */
extern const char *client_curl_library;

/* Opens the library if that was not done yet (some ms), and fills all the places. Any thread; each
 * must have called it before it uses the places. False: nothing was filled, and `ret_why` tells
 * what is missing. */
bool client_curl_open(
    const struct client_curl_symbol *symbols, size_t count, char *ret_why, size_t why_size);
