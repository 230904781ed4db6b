#include "common/fiber/switch.h"

#include <criterion/criterion.h>
#include <fenv.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/fiber/stack.h"

/* The switch alone, without loop or scheduler. */

struct flow {
    struct switch_point home, self;
    struct stack stack;
    const void *home_low;
    size_t home_size;
    void *home_frames, *own_frames;
    void (*body)(struct flow *f);
    int64_t value;
    int steps;
    bool over;
};

static void flow_resume(struct flow *f)
{
    stack_switch_begin(&f->home_frames, f->stack.low, f->stack.size);
    switch_to(&f->home, &f->self);
    stack_switch_end(f->home_frames, NULL, NULL);
}

static void flow_back(struct flow *f)
{
    stack_switch_begin(f->over ? NULL : &f->own_frames, f->home_low, f->home_size);
    switch_to(&f->self, &f->home);
    stack_switch_end(f->own_frames, &f->home_low, &f->home_size);
}

static void flow_main(void *arg)
{
    struct flow *f = arg;

    stack_switch_end(NULL, &f->home_low, &f->home_size);
    f->body(f);
    f->over = true;
    flow_back(f);
    abort();
}

static void flow_init(struct flow *f, void (*body)(struct flow *f))
{
    *f = (struct flow){.body = body};
    cr_assert_eq(stack_init(&f->stack), 0);
    switch_prepare(&f->self, f->stack.low, f->stack.size, flow_main, f);
}

static void flow_deinit(struct flow *f)
{
    stack_deinit(&f->stack);
}

static void body_of_three_steps(struct flow *f)
{
    for (int i = 1; i <= 3; i++) {
        f->steps = i;
        flow_back(f);
    }
}

Test(fiber, switch__prepared_flow__does_not_run_before_it_is_entered)
{
    struct flow f;

    flow_init(&f, body_of_three_steps);
    cr_assert_eq(f.steps, 0);
    flow_deinit(&f);
}

Test(fiber, switch__back_and_forth__goes_on_where_it_was_left)
{
    struct flow f;

    flow_init(&f, body_of_three_steps);
    for (int i = 1; i <= 3; i++) {
        flow_resume(&f);
        cr_assert_eq(f.steps, i);
        cr_assert_not(f.over);
    }
    flow_resume(&f);
    cr_assert(f.over);
    flow_deinit(&f);
}

static void body_asking_for_its_stack(struct flow *f)
{
    volatile char here = 1;

    f->value = (int64_t)(uintptr_t)&here;
    f->steps = here;
    f->value = (int64_t)(uintptr_t)__builtin_frame_address(0);
}

Test(fiber, switch__running_flow__is_on_its_own_stack)
{
    struct flow f;

    flow_init(&f, body_asking_for_its_stack);
    flow_resume(&f);
    cr_assert_geq((uintptr_t)f.value, (uintptr_t)f.stack.low);
    cr_assert_lt((uintptr_t)f.value, (uintptr_t)f.stack.low + f.stack.size);
    flow_deinit(&f);
}

/* Vector code needs aligned stacks: a misaligned one crashes here, at -O2 at the latest. */
static void body_with_aligned_local(struct flow *f)
{
    _Alignas(16) volatile unsigned char block[64] = {0};

    f->value = (int64_t)((uintptr_t)block % 16);
    f->steps = (int)((uintptr_t)__builtin_frame_address(0) % 16);
    (void)block[0];
}

Test(fiber, switch__fresh_stack__is_aligned_as_the_abi_wants)
{
    struct flow f;

    flow_init(&f, body_with_aligned_local);
    flow_resume(&f);
    cr_assert_eq(f.value, 0);
    cr_assert_eq(f.steps, 0);
    flow_deinit(&f);
}

/* Enough live values that a compiler must use every preserved register. */
static __attribute__((noinline)) int64_t sum_across_switches(struct flow *f, int64_t seed)
{
    int64_t a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11, g = seed * 13;
    double x = (double)seed / 2, y = (double)seed / 4;

    for (int i = 0; i < 100; i++) {
        a += i;
        b ^= a;
        c += b & 0xff;
        flow_back(f);
        d += c;
        e ^= d;
        g += e & 0xffff;
        x += y;
    }
    return a + b + c + d + e + g + (int64_t)x;
}

static int64_t sum_without_switches(int64_t seed)
{
    int64_t a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11, g = seed * 13;
    double x = (double)seed / 2, y = (double)seed / 4;

    for (int i = 0; i < 100; i++) {
        a += i;
        b ^= a;
        c += b & 0xff;
        d += c;
        e ^= d;
        g += e & 0xffff;
        x += y;
    }
    return a + b + c + d + e + g + (int64_t)x;
}

static void body_summing(struct flow *f)
{
    f->value = sum_across_switches(f, f->value);
}

Test(fiber, switch__interleaved_flows__keep_their_registers)
{
    struct flow flows[4];

    for (int i = 0; i < 4; i++) {
        flow_init(&flows[i], body_summing);
        flows[i].value = 1000 + i;
    }
    for (int round = 0; round <= 100; round++)
        for (int i = 0; i < 4; i++)
            flow_resume(&flows[i]);
    for (int i = 0; i < 4; i++) {
        cr_assert(flows[i].over);
        cr_assert_eq(flows[i].value, sum_without_switches(1000 + i));
        flow_deinit(&flows[i]);
    }
}

/* The rounding mode is preserved by a call, hence by a switch. (The processors other than x86_64
 * leave it alone, which the convention allows.) */
#if defined(__x86_64__)
static void body_rounding_upward(struct flow *f)
{
    fesetround(FE_UPWARD);
    flow_back(f);
    f->value = fegetround() == FE_UPWARD;
}

Test(fiber, switch__rounding_mode__belongs_to_the_flow)
{
    struct flow f;

    flow_init(&f, body_rounding_upward);
    fesetround(FE_TONEAREST);
    flow_resume(&f);
    cr_assert_eq(fegetround(), FE_TONEAREST);
    fesetround(FE_DOWNWARD);
    flow_resume(&f);
    cr_assert_eq(f.value, 1);
    cr_assert_eq(fegetround(), FE_DOWNWARD);
    fesetround(FE_TONEAREST);
    flow_deinit(&f);
}
#endif

static void body_of_many_steps(struct flow *f)
{
    for (;;) {
        f->steps++;
        flow_back(f);
        if (f->steps == 100000)
            return;
    }
}

Test(fiber, switch__a_hundred_thousand_times__leaks_no_stack)
{
    struct flow f;

    flow_init(&f, body_of_many_steps);
    while (!f.over)
        flow_resume(&f);
    cr_assert_eq(f.steps, 100000);
    flow_deinit(&f);
}
