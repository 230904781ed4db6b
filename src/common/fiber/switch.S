/* void souk_switch(void **ret_sp, void *sp): see switch.c. The frames here and `struct frame` there
 * are one. No shadow-stack or branch-target note is written on purpose: the linker then leaves both
 * off for the program, as a stack switch of one's own needs. */

#if defined(__x86_64__) && !defined(__ILP32__)

    .text
    .globl souk_switch
    .hidden souk_switch
    .type souk_switch, @function
    .p2align 4
souk_switch:
    .cfi_startproc
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw 4(%rsp)

    movq %rsp, (%rdi)
    movq %rsi, %rsp

    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    ret
    .cfi_endproc
    .size souk_switch, . - souk_switch

    .globl souk_switch_start
    .hidden souk_switch_start
    .type souk_switch_start, @function
    .p2align 4
souk_switch_start:
    .cfi_startproc
    .cfi_undefined rip      /* backtraces end here */
    xorl %ebp, %ebp
    movq %r12, %rdi
    callq *%r13
    ud2
    .cfi_endproc
    .size souk_switch_start, . - souk_switch_start

#elif defined(__aarch64__) && !defined(__ILP32__)

    .text
    .globl souk_switch
    .hidden souk_switch
    .type souk_switch, %function
    .p2align 4
souk_switch:
    .cfi_startproc
    sub sp, sp, #160
    .cfi_adjust_cfa_offset 160
    stp d8, d9, [sp, #0]
    stp d10, d11, [sp, #16]
    stp d12, d13, [sp, #32]
    stp d14, d15, [sp, #48]
    stp x19, x20, [sp, #64]
    stp x21, x22, [sp, #80]
    stp x23, x24, [sp, #96]
    stp x25, x26, [sp, #112]
    stp x27, x28, [sp, #128]
    stp x29, x30, [sp, #144]
    .cfi_rel_offset x29, 144
    .cfi_rel_offset x30, 152

    mov x9, sp
    str x9, [x0]
    mov sp, x1

    ldp d8, d9, [sp, #0]
    ldp d10, d11, [sp, #16]
    ldp d12, d13, [sp, #32]
    ldp d14, d15, [sp, #48]
    ldp x19, x20, [sp, #64]
    ldp x21, x22, [sp, #80]
    ldp x23, x24, [sp, #96]
    ldp x25, x26, [sp, #112]
    ldp x27, x28, [sp, #128]
    ldp x29, x30, [sp, #144]
    add sp, sp, #160
    .cfi_adjust_cfa_offset -160
    .cfi_restore x29
    .cfi_restore x30
    ret
    .cfi_endproc
    .size souk_switch, . - souk_switch

    .globl souk_switch_start
    .hidden souk_switch_start
    .type souk_switch_start, %function
    .p2align 4
souk_switch_start:
    .cfi_startproc
    .cfi_undefined x30
    mov x29, xzr
    mov x0, x19
    blr x20
    brk #0
    .cfi_endproc
    .size souk_switch_start, . - souk_switch_start

#endif

#if defined(__linux__)
    .section .note.GNU-stack, "", %progbits
#endif
