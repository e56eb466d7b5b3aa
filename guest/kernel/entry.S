// Ring 3's side of the nub: first entry, system calls, traps, the gate, and the way into the
// program. All of it runs at CPL 3; iretq here stays at CPL 3.
//
// A thread's registers, as its program has them, always lie at the top of its kernel stack, as
// struct Registers (registers.h). Interrupts stay on at ring 3: one that hits the kernel is only
// remembered (shoal_interrupt_pending), and the way out looks. Between that look and the program's
// first instruction, shoal_way_out to shoal_way_out_end, the nub sends us back to look again, which
// is possible because the registers are still where they were.
#include "guest/nub/nub.h"

#define REGISTERS_SIZE (18 * 8)

    .intel_syntax noprefix
    .text

// From the nub, with hvm_start_info's physical address in edi, on the first thread's kernel stack.
    .globl shoal_kernel_entry
shoal_kernel_entry:
    sub rsp, REGISTERS_SIZE
    call shoal_kernel_main
    ud2

// std::uint64_t shoal_nub_call(number, a, b, c)
    .globl shoal_nub_call, shoal_nub_gate
shoal_nub_call:
    mov rax, rdi
    mov rdi, rsi
    mov rsi, rdx
    mov rdx, rcx
    // The nub looks at eax alone, and its results have no upper half. Where that is still there, the
    // call was lost: KVM does not tell of a pending #BP (KVM_GET_VCPU_EVENTS), so a vCPU that is
    // saved between the int3 and its delivery goes on behind it.
    bts rax, 63
1:  int3
shoal_nub_gate:
    test rax, rax
    js 1b
    ret

// Saves and restores the general registers as struct Registers (registers.h) on the stack, below
// rip, rflags and rsp.
.macro SAVE_REGISTERS
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
.endm
.macro RESTORE_REGISTERS
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rbp
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rbx
    pop rax
.endm

// From the nub on another CPU, on nobody's stack.
    .globl shoal_cpu_entry
shoal_cpu_entry:
    mov rsp, shoal_kernel_stack[rip]
    sub rsp, REGISTERS_SIZE
    call shoal_cpu_main
    ud2

// From the nub for each of the program's syscalls: rcx is its rip, r11 its flags, rsp its stack.
// `syscall` gives up rcx and r11, so the way back is a plain jump.
    .globl shoal_syscall_entry
shoal_syscall_entry:
    mov saved_rsp[rip], rsp
    mov rsp, shoal_kernel_stack[rip]
    push qword ptr saved_rsp[rip]
    push r11
    jmp 1f

// From a stub that took a syscall's place (patch/syscall_site.h): as above, but the flags are still
// the program's.
    .globl shoal_patched_entry
shoal_patched_entry:
    mov saved_rsp[rip], rsp
    mov rsp, shoal_kernel_stack[rip]
    push qword ptr saved_rsp[rip]
    pushfq
    cld
1:  push rcx
    SAVE_REGISTERS
    mov rdi, rsp
    call shoal_handle_syscall
    test eax, eax
    jnz restore_all
    .globl shoal_way_out, shoal_way_out_end, shoal_look_again
shoal_way_out:
    cmp byte ptr shoal_interrupt_pending[rip], 0
    jne shoal_look_again
    RESTORE_REGISTERS
    pop rcx
    popfq
    pop rsp
    jmp rcx

restore_all:
    cmp byte ptr shoal_interrupt_pending[rip], 0
    jne shoal_look_again
    mov rax, [rsp + 15 * 8]   // rip
    mov rcx, [rsp + 16 * 8]   // rflags
    mov rdx, [rsp + 17 * 8]   // rsp
    lea rbx, resume_frame[rip]
    mov [rbx], rax
    mov [rbx + 16], rcx
    mov [rbx + 24], rdx
    RESTORE_REGISTERS
    lea rsp, resume_frame[rip]
    iretq
shoal_way_out_end:

shoal_look_again:
    cld
    mov rsp, shoal_kernel_stack[rip]
    sub rsp, REGISTERS_SIZE
    mov rdi, rsp
    call shoal_handle_interrupt
    jmp restore_all

// From the nub for each fault and trap at ring 3, with every register but rip, rflags and rsp
// (which are in shoal_trap_state) as the program left it. The kernel itself does not trap, so its
// stack is empty.
    .globl shoal_trap_entry
shoal_trap_entry:
    mov rsp, shoal_kernel_stack[rip]
    push qword ptr shoal_trap_state[rip + 40]
    push qword ptr shoal_trap_state[rip + 32]
    push qword ptr shoal_trap_state[rip + 24]
    SAVE_REGISTERS
    mov rdi, rsp
    call shoal_handle_trap
    jmp restore_all

// [[noreturn]] void shoal_resume(): continues the calling thread's program with every register.
    .globl shoal_resume
shoal_resume:
    mov rsp, shoal_kernel_stack[rip]
    sub rsp, REGISTERS_SIZE
    call shoal_leave_kernel
    jmp restore_all

// void shoal_switch_stack(std::uint64_t* save, std::uint64_t load): leaves the calling thread's
// stack, whose pointer is saved, for another, where this call returns or shoal_resume begins.
    .globl shoal_switch_stack
shoal_switch_stack:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    mov [rdi], rsp
    mov rsp, rsi
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

    .section .cpu.kernel, "aw", @progbits
    .balign 16
resume_frame:
    .quad 0, NUB_USER_CS, 0, 0, NUB_USER_SS
saved_rsp:
    .quad 0
    .globl shoal_kernel_stack
shoal_kernel_stack:  // the top of the running thread's
    .quad shoal_kernel_stack_top
    .globl shoal_interrupt_pending
shoal_interrupt_pending:
    .byte 0

    .data
    .balign 4
    .globl shoal_cpus_given
shoal_cpus_given:  // written by a monitor that starts CPUs as the nub's note says
    .long 0

    .bss
    .balign 4096
    .globl shoal_first_stack, shoal_kernel_stack_top
shoal_first_stack:
    .skip 32768
shoal_kernel_stack_top:

    .section .note.GNU-stack, "", @progbits
