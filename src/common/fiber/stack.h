#pragma once

/* A fiber's stack: mapped, with a guard page below, known to AddressSanitizer and valgrind. */

#include <stddef.h>

#include "common/base/macros.h"

#if defined(__SANITIZE_ADDRESS__)
#define STACK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STACK_ASAN 1
#endif
#endif
#ifndef STACK_ASAN
#define STACK_ASAN 0
#endif

/* Unoptimised and instrumented frames are several times as large. */
#if STACK_ASAN || !defined(__OPTIMIZE__)
#define STACK_SIZE ((size_t)1024 * 1024)
#else
#define STACK_SIZE ((size_t)256 * 1024)
#endif

struct stack {
    void *low; /* NULL: not mapped; the guard page lies below */
    size_t size;
    unsigned valgrind_id;
};

int stack_init(struct stack *s); /* 0 or -ENOMEM */
void stack_deinit(struct stack *s);
void stack_renew(struct stack *s); /* before another fiber uses it */

/* What AddressSanitizer must hear about a switch: begin on the old stack with the bounds of the new
 * one (`saved` NULL: the old flow ends), end on the new stack. Empty in other builds. */
#if STACK_ASAN
void stack_switch_begin(void **saved, const void *new_low, size_t new_size);
void stack_switch_end(void *saved, const void **ret_old_low, size_t *ret_old_size);
#else
static inline void stack_switch_begin(void **saved, const void *new_low, size_t new_size) {}
static inline void stack_switch_end(void *saved, const void **ret_old_low, size_t *ret_old_size) {}
#endif
