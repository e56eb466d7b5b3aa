// The nub, part 3: what ring 3 enters ring 0 for. Every instruction here may cost a microsecond on
// a KVM backend that emulates ring 0, so the common paths are a handful each.
#include "guest/nub/nub.h"

#define MSR_FS_BASE 0xC0000100
#define MSR_KVM_WALL_CLOCK 0x4B564D00
#define MSR_KVM_SYSTEM_TIME 0x4B564D01
#define MSR_TSC_DEADLINE 0x6E0
#define MSR_X2APIC_SPURIOUS 0x80F
#define MSR_X2APIC_COMMAND 0x830
#define MSR_X2APIC_TIMER 0x832
#define MSR_X2APIC_LINT0 0x835
#define LVT_MASKED 0x10000
#define LVT_TSC_DEADLINE 0x40000
#define MSR_LSTAR 0xC0000082
#define MSR_FMASK 0xC0000084
#define FMASK_AT_RING3 0x47500  // AC, NT, IOPL, DF, TF
#define MSR_X2APIC_EOI 0x80B
#define RFLAGS_IF 0x200

#define TABLE_ENTRY (NUB_PTE_PRESENT | NUB_PTE_WRITE | NUB_PTE_USER)
#define KERNEL_RAM (TABLE_ENTRY | NUB_PTE_LARGE | NUB_PTE_TOUCHED | NUB_PTE_NO_EXECUTE)

    .intel_syntax noprefix
    .section .nub.text, "ax", @progbits

// LSTAR: the program's system calls go to the kernel. A backend that stays at CPL 3 faults here,
// and the kernel then takes LSTAR for itself (NUB_WRITE_MSR).
    .globl nub_syscall
nub_syscall:
    mov nub_syscall_frame[rip + 24], rsp
    lea rsp, nub_syscall_frame[rip]
    iretq

// #BP. At the kernel's gate it is a nub call; anywhere else it is the program's breakpoint.
    .globl nub_breakpoint
nub_breakpoint:
    cmp dword ptr [rsp], offset shoal_nub_gate - NUB_BASE
    jne nub_trap_stubs + 16 * 3
    cmp dword ptr [rsp + 4], NUB_BASE >> 32
    jne nub_trap_stubs + 16 * 3
nub_serve:
    // Those first that there are most of. One comparison tells three numbers apart.
    cmp eax, NUB_LINK
    jb nub_set_leaves
    je nub_link
    cmp eax, NUB_WRITE_MSR
    jb nub_clear_write
    je nub_write_msr
    cmp eax, NUB_WRITE_DEVICES
    jb nub_wait
    je nub_write_devices
    cmp eax, NUB_CHANGE_LEAVES
    jb nub_flush
    je nub_change_leaves
    cmp eax, NUB_RELEASE_TABLES
    jb nub_select_space
    je nub_release_tables
    cmp eax, NUB_START_CLOCK
    jb nub_enable_interrupts
    je nub_start_clock
    cmp eax, NUB_START_CPU
    je nub_start_cpu
    jmp nub_refuse
nub_flush:
    mov rax, cr3
    mov cr3, rax
nub_ok:
    mov byte ptr nub_lock[rip], 0
    xor eax, eax
    iretq
nub_refuse:
    mov byte ptr nub_lock[rip], 0
    mov eax, NUB_EREFUSED
    iretq
nub_no_memory:
    mov byte ptr nub_lock[rip], 0
    mov eax, NUB_ENOMEM
    iretq

// In place of the above when there are several CPUs: one call at a time, but for those that wait.
nub_breakpoint_of_cpus:
    cmp dword ptr [rsp], offset shoal_nub_gate - NUB_BASE
    jne nub_trap_stubs + 16 * 3
    cmp dword ptr [rsp + 4], NUB_BASE >> 32
    jne nub_trap_stubs + 16 * 3
    cmp eax, NUB_WAIT
    je nub_wait
1:  lock bts dword ptr nub_lock[rip], 0
    jnc nub_serve
    pause
    jmp 1b

// Jumps to `refused` when the pages of entry rsi may not be mapped: the nub's own, writable and
// executable, or so far up that the addresses behind would wrap. Without `bytes` it is one page and
// as many more as edx says. Uses rax and r9.
.macro CHECK_PAGES refused, bytes
    bt rsi, 63
    jc 1f
    test sil, NUB_PTE_WRITE
    jnz \refused
1:  mov rax, rsi
    shl rax, 12  // bits that are no part of the address; bit 51 is the sign
    js \refused
    shr rax, 12
    cmp rax, shoal_tables_end[rip]
    jae 2f
    and rax, -4096
    cmp rax, NUB_RESERVED_END
    jb \refused
    .ifb \bytes
    lea r9d, [rdx + 1]
    shl r9, 12
    .else
    mov r9d, \bytes
    .endif
    add rax, r9
    cmp rax, NUB_TABLES_START
    ja \refused
2:
.endm

// rdi: the address of the first entry (as the kernel sees it), edx: how many follow it. Jumps to
// nub_refuse when they are not all in one page of leaf tables. Uses rax.
.macro CHECK_ENTRIES
    and rdi, -8
    and edx, 511
    lea rax, [rdi + rdx * 8]
    xor rax, rdi
    shr rax, 12
    jnz nub_refuse
    mov rax, rdi
    shr rax, NUB_GRANULE_SHIFT
    sub rax, NUB_BASE >> NUB_GRANULE_SHIFT
    cmp rax, NUB_TABLES_END >> NUB_GRANULE_SHIFT
    jae nub_refuse
    bt nub_leaf_granules[rip], eax
    jnc nub_refuse
.endm

// What `each` does to entries 0 to 7 from rdi on, and then to the next ones, while more than edx
// follow: eight at a time.
.macro FOR_ENTRIES each
    cmp edx, 7
    jb 6f
5:  .set entry, 0
    .rept 8
    \each
    .set entry, entry + 1
    .endr
    add rdi, 64
    sub edx, 8
    js 7f
    cmp edx, 7
    jae 5b
6:  .set entry, 0
    \each
    dec edx
    js 7f
    add rdi, 8
    jmp 6b
7:
.endm

.macro SET_ENTRY
    mov [rdi + entry * 8], rsi
    add rsi, r10
.endm

.macro CLEAR_WRITE
    and qword ptr [rdi + entry * 8], ~NUB_PTE_WRITE
.endm

// rdi: the first entry, rsi: its value, edx: how many follow.
.macro SET_LEAVES
    CHECK_ENTRIES
    xor r10d, r10d
    test sil, NUB_PTE_PRESENT
    jz 4f  // unmapping: every entry is the same
    mov r10d, 4096
    CHECK_PAGES nub_refuse
4:  FOR_ENTRIES SET_ENTRY
.endm

nub_set_leaves:
    SET_LEAVES
    jmp nub_ok

nub_change_leaves:
    SET_LEAVES
    jmp nub_flush

// Fewer rights are always allowed.
nub_clear_write:
    CHECK_ENTRIES
    FOR_ENTRIES CLEAR_WRITE
    jmp nub_flush

// r9: the physical address of a free table of the kind, `upper` or `leaf`. Uses rcx.
.macro TAKE_TABLE kind
    mov r9, nub_\kind\()_next[rip]
    cmp r9, nub_\kind\()_end[rip]
    jb 1f
    call nub_take_\kind\()_granule
1:  lea rcx, [r9 + 4096]
    mov nub_\kind\()_next[rip], rcx
.endm

// r9: where the next granule of RAM for tables starts. Ends the nub call if there is none. Uses rcx.
.macro TAKE_GRANULE
    mov r9, shoal_tables_next[rip]
    cmp r9, shoal_tables_end[rip]
    jae 2f
    lea rcx, [r9 + NUB_GRANULE]
    cmp rcx, NUB_RESERVED_END
    jne 1f
    mov rcx, shoal_ready_end[rip]
1:  mov shoal_tables_next[rip], rcx
    lea rcx, [r9 + NUB_GRANULE]
.endm
nub_take_leaf_granule:
    TAKE_GRANULE
    mov nub_leaf_end[rip], rcx
    mov ecx, r9d
    shr ecx, NUB_GRANULE_SHIFT
    bts nub_leaf_granules[rip], ecx
    ret
nub_take_upper_granule:
    TAKE_GRANULE
    mov nub_upper_end[rip], rcx
    ret
2:  add rsp, 8
    jmp nub_no_memory

// rax: a table's virtual address, rdi: the address to look up. Steps to the next table, which is
// of the kind, and made if there is none. r11 holds NUB_BASE. Uses rcx, r8, r9. With `spread`, what
// a root gets goes to all CPUs' roots of the selected space; uses rdx and r10 besides.
.macro NEXT_TABLE shift, kind, spread
    mov rcx, rdi
    shr rcx, \shift
    and ecx, 511
    lea r8, [rax + rcx * 8]
    mov rax, [r8]
    test al, NUB_PTE_PRESENT
    jnz 2f
    TAKE_TABLE \kind
    lea rax, [r9 + TABLE_ENTRY]
    mov [r8], rax
    .ifnb \spread
    lea r9, shoal_spaces[rip]
    add r9, nub_space[rip]
    mov rcx, r8  // the entry's offset in a root
    and ecx, 4095
    mov edx, NUB_CPUS - 1
3:  add r9, NUB_SPACES * 8
    mov r10, [r9]
    test r10, r10
    jz 4f
    add r10, r11
    mov [r10 + rcx], rax
4:  dec edx
    jnz 3b
    .endif
2:  test al, NUB_PTE_LARGE
    jnz nub_refuse
    and rax, -4096
    add rax, r11
.endm

// rdi address, rsi entry of a 2 MiB page, or 0 for a leaf table, or 1 to clear a 2 MiB page, or the
// address of a ready table.
nub_link:
    // As a rule it is the GiB of the last call.
    mov r8, rdi
    shr r8, 30
    mov rax, nub_linked[rip]
    cmp r8, nub_linked_gib[rip]
    jne nub_link_gib
nub_link_in_gib:
    test rsi, rsi
    jz 5f
    mov ecx, edi
    shr ecx, 21
    and ecx, 511
    lea rdx, [rax + rcx * 8]
    test sil, NUB_PTE_LARGE
    jz 3f
    CHECK_PAGES nub_refuse, 0x200000
    mov rax, [rdx]
    test al, al  // a large page may follow a large page or nothing
    jz 6f
    test al, NUB_PTE_LARGE
    jz nub_refuse
6:  mov [rdx], rsi
    jmp nub_ok
3:  cmp rsi, NUB_TABLES_START
    jb 4f
    cmp rsi, shoal_ready_end[rip]
    jae nub_refuse
    cmp qword ptr [rdx], 0
    jne nub_refuse
    mov eax, esi
    shr eax, NUB_GRANULE_SHIFT
    bts nub_leaf_granules[rip], eax
    and esi, -4096
    or esi, TABLE_ENTRY
    mov [rdx], rsi
    jmp nub_ok
4:  cmp esi, 1
    jne nub_refuse
    test byte ptr [rdx], NUB_PTE_LARGE
    jz nub_refuse
    mov qword ptr [rdx], 0
    jmp nub_ok
5:  movabs r11, offset NUB_BASE
    NEXT_TABLE 21, leaf
    jmp nub_ok

// rax: the page directory for the address rdi, made if there is none.
nub_link_gib:
    movabs r11, offset NUB_BASE
    mov rax, rdi
    shr rax, 47
    jnz nub_refuse
    movabs rax, offset NUB_USER_END
    mov rcx, rdi
    sub rcx, rax
    movabs rax, offset NUB_BASE + NUB_TABLES_END - NUB_USER_END
    cmp rcx, rax
    jb nub_refuse  // the CPUs' own pages, and where the nub itself finds its tables
    mov rax, nub_root[rip]
    NEXT_TABLE 39, upper, spread
    NEXT_TABLE 30, upper
    // Tables stay for ever. In the kernel's half, not all addresses of a GiB may be linked.
    mov rcx, rdi
    shr rcx, 30
    cmp rcx, NUB_USER_END >> 30
    jae nub_link_in_gib
    mov nub_linked_gib[rip], rcx
    mov nub_linked[rip], rax
    jmp nub_link_in_gib

// rdi index, rsi value. Those first that are written again and again.
nub_write_msr:
    mov ecx, edi
    cmp ecx, MSR_TSC_DEADLINE
    je 1f
    cmp ecx, MSR_FS_BASE
    je 1f
    cmp ecx, MSR_LSTAR
    je 2f
    cmp ecx, MSR_X2APIC_COMMAND
    jne nub_refuse
    // A vector of ours and no other bit: fixed delivery to the one CPU that the upper half names.
    mov eax, esi
    sub eax, NUB_STOP_VECTOR
    cmp eax, NUB_WAKE_VECTOR - NUB_STOP_VECTOR
    ja nub_refuse
1:  mov eax, esi
    mov rdx, rsi
    shr rdx, 32
    wrmsr
    jmp nub_ok
2:  lea rax, shoal_syscall_entry[rip]
    cmp rax, rsi
    jne nub_refuse
    // There a syscall stays at CPL 3, and would turn interrupts off for ever.
    mov ecx, MSR_FMASK
    mov eax, FMASK_AT_RING3
    xor edx, edx
    wrmsr
    mov ecx, MSR_LSTAR
    jmp 1b

// rdi: NubWrites, rsi: how many.
nub_write_devices:
    movabs r10, offset NUB_DEVICES
    test esi, esi
    jz nub_ok
1:  mov eax, [rdi]
    test eax, 0xC0000003
    jnz nub_refuse
    mov ecx, [rdi + 4]
    mov [r10 + rax], ecx
    add rdi, 8
    dec esi
    jnz 1b
    jmp nub_ok

// An interrupt between the test and hlt is held back by sti's shadow, so it ends the hlt. Where the
// shadow is lost (QEMU's VMRUN does not load it), nub_interrupt leaves the hlt out.
// rdi: for the timer, or 0.
nub_wait:
    test rdi, rdi
    jz 1f
    mov ecx, MSR_TSC_DEADLINE
    mov eax, edi
    mov rdx, rdi
    shr rdx, 32
    wrmsr
1:  cmp byte ptr shoal_interrupt_pending[rip], 0
    jne 2f
    sti
nub_halt:
    hlt
nub_woken:
    cli
    jmp 1b
2:  xor eax, eax
    iretq

// KVM writes its clock to where it is told.
nub_start_clock:
    mov ecx, MSR_KVM_WALL_CLOCK
    mov eax, offset shoal_wall_clock - NUB_BASE
    xor edx, edx
    wrmsr
    mov ecx, MSR_KVM_SYSTEM_TIME
    mov eax, offset shoal_vdso_data - NUB_BASE + 1
    wrmsr
    jmp nub_ok

// The local APIC comes first, as a disabled one keeps its local vectors masked (Intel SDM 3A,
// 11.4.7.2), and no legacy interrupt may come. Then interrupts are on in the frame that this call
// returns by, and in those of all entries to come.
nub_enable_interrupts:
    mov ecx, MSR_X2APIC_SPURIOUS
    mov eax, 0x100 | NUB_SPURIOUS_VECTOR
    xor edx, edx
    wrmsr
    mov ecx, MSR_X2APIC_LINT0
    mov eax, LVT_MASKED
    wrmsr
    mov ecx, MSR_X2APIC_TIMER
    mov eax, LVT_TSC_DEADLINE | NUB_TIMER_VECTOR
    wrmsr
    or dword ptr [rsp + 16], RFLAGS_IF
    or dword ptr nub_trap_frame[rip + 16], RFLAGS_IF
    or dword ptr nub_syscall_frame[rip + 16], RFLAGS_IF
    jmp nub_ok

// rdi: which of the program halves. A new one is empty but for the slots that are not the program's.
nub_select_space:
    cmp rdi, NUB_SPACES
    jae nub_refuse
    movabs r11, offset NUB_BASE
    lea rcx, shoal_spaces[rip]
    lea rcx, [rcx + rdi * 8]
    mov rax, [rcx]
    test rax, rax
    jnz 2f
    mov rsi, rcx
    TAKE_TABLE upper
    mov rax, r9
    mov rcx, rsi
    mov [rcx], rax
    mov rdx, shoal_page_tables[rip + 8 * (NUB_BASE >> 39)]
    mov [rax + r11 + 8 * (NUB_BASE >> 39)], rdx
    mov rdx, shoal_page_tables[rip + 8 * (NUB_USER_END >> 39)]
    mov [rax + r11 + 8 * (NUB_USER_END >> 39)], rdx
2:  lea rdx, [rax + r11]
    mov r8, nub_cpu_row[rip]
    test r8, r8
    jnz 4f
3:  mov cr3, rax
    mov nub_root[rip], rdx
    shl edi, 3
    mov nub_space[rip], rdi
    mov qword ptr nub_linked_gib[rip], -1
    jmp nub_ok
    // Another CPU's root is a copy of the first one's, but for the CPU's own pages.
4:  mov rax, [rcx + r8]
    test rax, rax
    jnz 3b
    mov rsi, rcx
    TAKE_TABLE upper
    mov rax, r9
    mov [rsi + r8], rax
    mov r9, rdi
    mov rsi, rdx
    lea rdi, [rax + r11]
    mov ecx, 512
    rep movsq
    lea rcx, shoal_spaces[rip]
    mov rcx, [rcx + r8]
    mov rcx, [rcx + r11 + 8 * (NUB_USER_END >> 39)]
    mov [rax + r11 + 8 * (NUB_USER_END >> 39)], rcx
    mov rdi, r9
    jmp 3b

#define CPU_TABLES 5  // root, three levels to its own pages, ring 0's page
#define CPU_PAGE (NUB_PTE_PRESENT | NUB_PTE_WRITE | NUB_PTE_TOUCHED)
#define IN_CPU_PAGE(symbol) ((symbol) - NUB_CPU_NUB_PAGE)
#define TSS_TYPE (NUB_TSS + 5)
#define TSS_AVAILABLE 0x89

// rdi: a CPU's index, rsi: physical address of ring 3's page.
nub_start_cpu:
    lea rax, [rdi - 1]
    cmp rax, NUB_CPUS - 1
    jae nub_refuse
    test esi, 4095
    jnz nub_refuse
    or rsi, CPU_PAGE | NUB_PTE_USER
    bts rsi, 63  // no execution
    CHECK_PAGES nub_refuse, 4096
    mov r10, rdi
    shl r10, 9  // the row's offset: NUB_SPACES * 8
    lea rcx, shoal_spaces[rip]
    add rcx, r10
    cmp qword ptr [rcx], 0
    jne nub_refuse
    mov rdx, rcx
    mov r9, nub_upper_next[rip]
    lea rax, [r9 + CPU_TABLES * 4096]
    cmp rax, nub_upper_end[rip]
    jbe 3f
    call nub_take_upper_granule
3:  lea rcx, [r9 + CPU_TABLES * 4096]
    mov nub_upper_next[rip], rcx
    mov rax, r9
    movabs r11, offset NUB_BASE
    lea r8, [rax + r11]
    mov r9, rsi
    mov rdi, r8
    lea rsi, shoal_page_tables[rip]
    mov ecx, 512
    rep movsq
    lea rcx, [rax + 4096 + TABLE_ENTRY]
    mov [r8 + 8 * (NUB_USER_END >> 39)], rcx
    add rcx, 4096
    mov [r8 + 4096 + 8 * 511], rcx
    add rcx, 4096
    mov [r8 + 2 * 4096 + 8 * 511], rcx
    lea rcx, [rax + 4 * 4096 + CPU_PAGE]
    bts rcx, 63
    mov [r8 + 3 * 4096 + 8 * 510], rcx
    mov [r8 + 3 * 4096 + 8 * 511], r9
    add r8, 4 * 4096
    lea rsi, nub_stack_top[rip]
    lea rdi, [r8 + IN_CPU_PAGE(nub_stack_top)]
    mov ecx, offset nub_cpu_words
    rep movsq
    mov byte ptr [r8 + IN_CPU_PAGE(nub_gdt) + TSS_TYPE], TSS_AVAILABLE
    lea rcx, shoal_cpu_entry[rip]
    mov [r8 + IN_CPU_PAGE(nub_boot_frame)], rcx
    mov [r8 + IN_CPU_PAGE(nub_cpu_row)], r10
    mov qword ptr [r8 + IN_CPU_PAGE(nub_space)], 0
    mov qword ptr [r8 + IN_CPU_PAGE(nub_linked_gib)], -1
    lea rcx, shoal_page_tables[rip]
    mov [r8 + IN_CPU_PAGE(nub_root)], rcx
    lea rcx, nub_breakpoint_of_cpus[rip]
    mov nub_idt[rip + 16 * 3], cx  // the rest of the address is the same for all of the nub
    mov [rdx], rax                 // last: the CPU looks at this
    jmp nub_ok

// rdi: where the RAM for tables ends from now on. What lies behind becomes writable where the kernel
// sees it.
nub_release_tables:
    test edi, 0x1FFFFF
    jnz nub_refuse
    cmp rdi, shoal_ready_end[rip]
    jb nub_refuse
    cmp rdi, shoal_tables_next[rip]
    jb nub_refuse
    mov rcx, shoal_tables_end[rip]
    sub rcx, rdi
    jbe nub_refuse
    mov shoal_tables_end[rip], rdi
    shr ecx, 21
    mov eax, edi
    shr eax, 21
    lea rdx, nub_directory[rip]
    lea rdx, [rdx + rax * 8]
    movabs rax, offset KERNEL_RAM
    add rax, rdi
1:  mov [rdx], rax
    add rdx, 8
    add rax, 0x200000
    dec ecx
    jnz 1b
    jmp nub_flush

// Exceptions. A stub a vector, 16 bytes apart; those without an error code push 0.
    .balign 16
    .globl nub_trap_stubs
nub_trap_stubs:
    .set vector, 0
    .rept 32
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    push 0
    .endif
    push vector
    jmp nub_trap
    .set vector, vector + 1
    .endr

nub_trap:
    test byte ptr [rsp + 24], 3
    jz nub_fatal
    push rax
    mov rax, cr2
    mov shoal_trap_state[rip + 16], rax
    pop rax
    pop qword ptr shoal_trap_state[rip]
    pop qword ptr shoal_trap_state[rip + 8]
    pop qword ptr shoal_trap_state[rip + 24]
    add rsp, 8
    pop qword ptr shoal_trap_state[rip + 32]
    pop qword ptr shoal_trap_state[rip + 40]
    lea rsp, nub_trap_frame[rip]
    iretq

// A fault in ring 0 is a bug of ours: end as a triple fault does, which names the place.
nub_fatal:
    lidt nub_null_idt[rip]
    ud2
    hlt

// Another CPU changes the page tables, and lets this one go when it has: kernel/cpus.h.
    .globl nub_stop
nub_stop:
    push rax
    push rcx
    push rdx
    lock inc dword ptr shoal_stop[rip]
1:  pause
    cmp dword ptr shoal_stop[rip + 4], 0
    jne 1b
    mov rax, cr3
    mov cr3, rax
    lock dec dword ptr shoal_stop[rip]
    mov ecx, MSR_X2APIC_EOI
    xor eax, eax
    xor edx, edx
    wrmsr
    pop rdx
    pop rcx
    pop rax
    iretq

// An interrupt is remembered where it hits the kernel, which looks before it returns to the program;
// on the way out after that look, it begins again with the look (kernel/entry.S). Where it hits the
// program, the kernel gets it as a trap.
    .globl nub_timer_interrupt, nub_interrupt, nub_spurious
nub_timer_interrupt:
    or byte ptr shoal_interrupt_pending[rip], NUB_MARK_TIMER
    jmp 3f
nub_interrupt:
    or byte ptr shoal_interrupt_pending[rip], NUB_MARK_OTHER
3:  push rax
    push rcx
    push rdx
    mov ecx, MSR_X2APIC_EOI
    xor eax, eax
    xor edx, edx
    wrmsr
    pop rdx
    pop rcx
    pop rax
    cmp dword ptr [rsp + 4], NUB_BASE >> 32
    jb 1f
    cmp dword ptr [rsp], offset nub_woken - NUB_BASE
    je 2f
    cmp dword ptr [rsp], offset nub_halt - NUB_BASE
    je 2f
    cmp dword ptr [rsp], offset shoal_way_out - NUB_BASE
    jb nub_spurious
    cmp dword ptr [rsp], offset shoal_way_out_end - NUB_BASE
    jae nub_spurious
    mov dword ptr [rsp], offset shoal_look_again - NUB_BASE
nub_spurious:
    iretq
2:  mov rsp, [rsp + 24]  // the halt is over: the call returns at once
    xor eax, eax
    iretq
1:  push 0
    push NUB_INTERRUPT
    jmp nub_trap

    .section .nub.data, "aw", @progbits
nub_null_idt: .word 0
    .quad 0

    .section .note.GNU-stack, "", @progbits
