#include "common/fiber/switch.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* The switch saves what the calling convention obliges a callee to preserve (registers, and the
 * floating point control words), stores the stack pointer and loads another. swapcontext() does the
 * same plus two system calls for the signal mask, which would be most of a switch's cost; it serves
 * the processors for which switch.S has no code.
 *
 * A new stack is dressed as if it had once switched away: the frame that souk_switch() would have
 * pushed, with the entry function and its argument in two preserved registers, and a return
 * address that leads into souk_switch_start, which calls the one with the other. */

#if SWITCH_ASSEMBLY

void souk_switch(void **ret_sp, void *sp);
void souk_switch_start(void);

#if defined(__x86_64__)

struct frame { /* as pushed by switch.S, lowest address first */
    uint32_t mxcsr;
    uint16_t x87_control, unused;
    uint64_t r15, r14, r13, r12, rbx, rbp;
    void (*return_to)(void);
};

static void frame_dress(struct frame *f, void (*entry)(void *arg), void *arg)
{
    __asm__("stmxcsr %0" : "=m"(f->mxcsr));
    __asm__("fnstcw %0" : "=m"(f->x87_control));
    f->r12 = (uintptr_t)arg;
    f->r13 = (uintptr_t)entry;
    f->return_to = souk_switch_start;
}

#else /* aarch64 */

struct frame {
    uint64_t d8_d15[8];
    uint64_t x19, x20, x21_x28[8], x29;
    void (*x30)(void);
};

static void frame_dress(struct frame *f, void (*entry)(void *arg), void *arg)
{
    f->x19 = (uintptr_t)arg;
    f->x20 = (uintptr_t)entry;
    f->x30 = souk_switch_start;
}

#endif

void switch_prepare(
    struct switch_point *p, void *stack_low, size_t size, void (*entry)(void *arg), void *arg)
{
    uintptr_t top = ((uintptr_t)stack_low + size) & ~(uintptr_t)15;
    struct frame *f = (struct frame *)(top - sizeof *f);

    static_assert(sizeof(struct frame) % 16 == 0, "both processors want the stack 16-aligned");
    memset(f, 0, sizeof *f);
    frame_dress(f, entry, arg);
    p->sp = f;
}

void switch_to(struct switch_point *from, struct switch_point *to)
{
    souk_switch(&from->sp, to->sp);
}

#else /* ucontext */

/* makecontext() passes ints only, so the pointer travels as two halves. */
static void ucontext_start(unsigned high, unsigned low)
{
    struct switch_point *p = (struct switch_point *)(((uintptr_t)high << 16 << 16) | low);

    p->entry(p->arg);
}

void switch_prepare(
    struct switch_point *p, void *stack_low, size_t size, void (*entry)(void *arg), void *arg)
{
    getcontext(&p->context);
    p->context.uc_stack.ss_sp = stack_low;
    p->context.uc_stack.ss_size = size;
    p->context.uc_link = NULL;
    p->entry = entry;
    p->arg = arg;
    makecontext(&p->context, (void (*)(void))ucontext_start, 2,
        (unsigned)((uintptr_t)p >> 16 >> 16), (unsigned)(uintptr_t)p);
}

void switch_to(struct switch_point *from, struct switch_point *to)
{
    swapcontext(&from->context, &to->context);
}

#endif
