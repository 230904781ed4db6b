#include "common/fiber/stack.h"

#include <criterion/criterion.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

Test(fiber, stack_init__fresh__is_mapped_with_the_full_size)
{
    struct stack s = {0};

    cr_assert_eq(stack_init(&s), 0);
    cr_assert_not_null(s.low);
    cr_assert_eq(s.size, STACK_SIZE);
    cr_assert_eq((uintptr_t)s.low % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
    stack_deinit(&s);
}

Test(fiber, stack_init__every_byte__can_be_written)
{
    struct stack s = {0};

    cr_assert_eq(stack_init(&s), 0);
    memset(s.low, 0x5a, s.size);
    cr_assert_eq(((unsigned char *)s.low)[0], 0x5a);
    cr_assert_eq(((unsigned char *)s.low)[s.size - 1], 0x5a);
    stack_deinit(&s);
}

Test(fiber, stack_deinit__used__forgets_the_mapping)
{
    struct stack s = {0};

    cr_assert_eq(stack_init(&s), 0);
    stack_deinit(&s);
    cr_assert_null(s.low);
    cr_assert_eq(s.size, 0);
}

Test(fiber, stack_deinit__never_mapped__does_nothing)
{
    struct stack s = {0};

    stack_deinit(&s);
    cr_assert_null(s.low);
}

/* An overflow must die here, not write into a neighbour. */
Test(fiber, stack_init__page_below__kills_who_touches_it, .signal = SIGSEGV)
{
    struct stack s = {0};

    signal(SIGSEGV, SIG_DFL); /* a sanitizer would report instead */
    cr_assert_eq(stack_init(&s), 0);
    ((volatile char *)s.low)[-1] = 1;
}

Test(fiber, stack_init__two__do_not_overlap)
{
    struct stack a = {0}, b = {0};

    cr_assert_eq(stack_init(&a), 0);
    cr_assert_eq(stack_init(&b), 0);
    uintptr_t low = (uintptr_t)a.low, other = (uintptr_t)b.low;
    cr_assert(low + a.size < other || other + b.size < low);
    stack_deinit(&a);
    stack_deinit(&b);
}

Test(fiber, stack_renew__contents__may_be_written_again)
{
    struct stack s = {0};

    cr_assert_eq(stack_init(&s), 0);
    memset(s.low, 1, s.size);
    stack_renew(&s);
    memset(s.low, 2, s.size);
    cr_assert_eq(((unsigned char *)s.low)[s.size / 2], 2);
    stack_deinit(&s);
}

#if !STACK_ASAN /* its shadow memory does not live under such a limit */
Test(fiber, stack_init__address_space_used_up__says_so)
{
    struct stack s = {0};
    struct rlimit limit = {.rlim_cur = 1, .rlim_max = RLIM_INFINITY}, before;

    cr_assert_eq(getrlimit(RLIMIT_AS, &before), 0);
    limit.rlim_max = before.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    int r = stack_init(&s);
    cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
    cr_assert_eq(r, -12 /* ENOMEM */);
    cr_assert_null(s.low);
}
#endif
