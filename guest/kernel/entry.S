// Ring 3's side of the nub: first entry, system calls, traps, the gate, and the way into the
// program. All of it runs at CPL 3; iretq here stays at CPL 3.
#include "guest/nub/nub.h"

    .intel_syntax noprefix
    .text

// From the nub, with hvm_start_info's physical address in edi, on the kernel stack.
    .globl shoal_kernel_entry
shoal_kernel_entry:
    call shoal_kernel_main
    ud2

// std::uint64_t shoal_nub_call(number, a, b, c)
    .globl shoal_nub_call, shoal_nub_gate
shoal_nub_call:
    mov rax, rdi
    mov rdi, rsi
    mov rsi, rdx
    mov rdx, rcx
    int3
shoal_nub_gate:
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

// From the nub for each of the program's syscalls: rcx is its rip, r11 its flags, rsp its stack.
// `syscall` gives up rcx and r11, so the way back is a plain jump.
    .globl shoal_syscall_entry
shoal_syscall_entry:
    mov saved_rsp[rip], rsp
    lea rsp, shoal_kernel_stack_top[rip]
    push qword ptr saved_rsp[rip]
    push r11
    jmp 1f

// From a stub that took a syscall's place (patch/syscall_site.h): as above, but the flags are still
// the program's.
    .globl shoal_patched_entry
shoal_patched_entry:
    mov saved_rsp[rip], rsp
    lea rsp, shoal_kernel_stack_top[rip]
    push qword ptr saved_rsp[rip]
    pushfq
    cld
1:  push rcx
    SAVE_REGISTERS
    mov rdi, rsp
    call shoal_handle_syscall
    test eax, eax
    jnz restore_all
    RESTORE_REGISTERS
    mov rcx, [rsp]
    push qword ptr [rsp + 8]
    popfq
    mov rsp, [rsp + 16]
    jmp rcx

// From the nub for each fault and trap at ring 3, with every register but rip, rflags and rsp
// (which are in shoal_trap_state) as the program left it.
    .globl shoal_trap_entry
shoal_trap_entry:
    push qword ptr shoal_trap_state[rip + 40]
    push qword ptr shoal_trap_state[rip + 32]
    push qword ptr shoal_trap_state[rip + 24]
    SAVE_REGISTERS
    mov rdi, rsp
    call shoal_handle_trap
restore_all:
    mov rdi, rsp

// [[noreturn]] void shoal_resume(const Registers*): continues with every register given.
    .globl shoal_resume
shoal_resume:
    mov rsp, rdi
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

    .data
    .balign 16
resume_frame:
    .quad 0, NUB_USER_CS, 0, 0, NUB_USER_SS
saved_rsp:
    .quad 0

    .bss
    .balign 4096
    .skip 32768
    .globl shoal_kernel_stack_top
shoal_kernel_stack_top:
    .skip 16384
    .globl shoal_trap_stack_top
shoal_trap_stack_top:

    .section .note.GNU-stack, "", @progbits
