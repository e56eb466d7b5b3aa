// The nub, part 2: descriptor tables, task state and the frames that iretq leaves ring 0 with.
// All static. Addresses are split over descriptor fields as the Intel SDM 3A (3.4.5, 6.14) wants;
// the nub lies within 64 KiB of NUB_BASE + NUB_IMAGE, so the upper parts are constants. What a CPU
// has of its own is in the section .cpu.nub, at NUB_CPU_NUB_PAGE.
#include "guest/nub/nub.h"

#define LOW16(symbol) ((symbol) - (NUB_BASE + NUB_IMAGE))
#define MIDDLE16 (NUB_IMAGE >> 16)
#define UPPER32 (NUB_BASE >> 32)

#define CPU_LOW16(symbol) ((symbol) - (NUB_CPU_NUB_PAGE - (NUB_CPU_NUB_PAGE & 0xFFFF)))
#define CPU_BYTE(n) (NUB_CPU_NUB_PAGE >> (8 * (n)) & 0xFF)
#define CPU_UPPER32 (NUB_CPU_NUB_PAGE >> 32)

#define GATE_RING0 0x8E
#define GATE_RING3 0xEE  // may be executed at ring 3

    .section .cpu.nub, "aw", @progbits
    .skip 512
    .globl nub_stack_top
nub_stack_top:
    .balign 16
    .globl nub_gdt
nub_gdt:
    .quad 0, 0
    .quad 0x00AF9B000000FFFF  // 0x10 ring-0 code, 64-bit
    .quad 0x00CF93000000FFFF  // 0x18 ring-0 data
    .quad 0
    .quad 0x00CFF3000000FFFF  // 0x28 ring-3 data
    .quad 0x00AFFB000000FFFF  // 0x30 ring-3 code, 64-bit
    .quad 0
    .word nub_tss_end - nub_tss - 1, CPU_LOW16(nub_tss)  // 0x40 task state
    .byte CPU_BYTE(2), 0x89, 0, CPU_BYTE(3)
    .long CPU_UPPER32, 0
nub_gdt_end:

    // Task state: the stack for entries from ring 3, and the ports that ring 3 may use.
    .balign 16
nub_tss:
    .long 0
    .quad nub_stack_top  // RSP0
    .skip 0x66 - 12
    .word nub_io_bitmap - nub_tss
nub_io_bitmap:
    .fill 0x3F8 / 8, 1, 0xFF
    .byte 0x00  // 0x3F8 to 0x3FF: serial port
    .fill 0x500 / 8 - 0x400 / 8, 1, 0xFF
    .byte 0xE1  // 0x501 to 0x504: exit device
    .byte 0xFF
nub_tss_end:

    // iretq frames: rip, cs, rflags, rsp, ss. Interrupts are off until the kernel asks.
    .balign 16
    .globl nub_boot_frame, nub_trap_frame, nub_syscall_frame
nub_boot_frame:
    .quad shoal_kernel_entry, NUB_USER_CS, 2, shoal_kernel_stack_top, NUB_USER_SS
nub_trap_frame:
    .quad shoal_trap_entry, NUB_USER_CS, 2, shoal_kernel_stack_top, NUB_USER_SS
nub_syscall_frame:
    .quad shoal_syscall_entry, NUB_USER_CS, 2, 0, NUB_USER_SS

    .balign 8
    .globl nub_root, nub_space, nub_cpu_row, nub_cpu_words, nub_linked, nub_linked_gib
nub_root: .quad shoal_page_tables  // of the selected space
nub_space: .quad 0                 // the selected one's offset in a row of shoal_spaces
nub_cpu_row: .quad 0               // the CPU's row's offset in shoal_spaces
nub_linked: .quad 0                // the page directory that was linked to last, and its GiB
nub_linked_gib: .quad -1           // in the selected space; -1: none
nub_cpu_end:
    .set nub_cpu_words, (nub_cpu_end - nub_stack_top) / 8

    .section .nub.data, "aw", @progbits
    .balign 16
    .globl nub_gdt_pointer_physical, nub_gdt_pointer, nub_idt_pointer
nub_gdt_pointer_physical:
    .word nub_gdt_end - nub_gdt - 1
    .long nub_gdt_physical
nub_gdt_pointer:
    .word nub_gdt_end - nub_gdt - 1
    .quad nub_gdt
nub_idt_pointer:
    .word nub_idt_end - nub_idt - 1
    .quad nub_idt

.macro GATE handler, type
    .word LOW16(\handler), NUB_KERNEL_CS
    .byte 0, \type
    .word MIDDLE16
    .long UPPER32, 0
.endm

    .balign 16
    .globl nub_idt
nub_idt:
    .set vector, 0
    .rept 32
    .if vector == 3
    GATE nub_breakpoint, GATE_RING3
    .else
    GATE (nub_trap_stubs + 16 * vector), GATE_RING0
    .endif
    .set vector, vector + 1
    .endr
    .rept NUB_SPURIOUS_VECTOR - NUB_FIRST_DEVICE_VECTOR
    .if vector == NUB_STOP_VECTOR
    GATE nub_stop, GATE_RING0
    .elseif vector == NUB_TIMER_VECTOR
    GATE nub_timer_interrupt, GATE_RING0
    .else
    GATE nub_interrupt, GATE_RING0
    .endif
    .set vector, vector + 1
    .endr
    GATE nub_spurious, GATE_RING0
nub_idt_end:

    // Free page tables. Leaf tables have granules of their own (nub_leaf_granules), so that an
    // entry's address tells its level.
    .globl nub_upper_next, nub_upper_end, nub_leaf_next, nub_leaf_end
nub_upper_next: .quad nub_upper_start_physical
nub_upper_end: .quad nub_leaves_start_physical
nub_leaf_next: .quad nub_free_leaves_physical
nub_leaf_end: .quad nub_leaves_start_physical + NUB_GRANULE

    // For interrupts of CPUs that are parked.
    .balign 16
    .globl nub_parking_stacks, nub_lock
nub_parking_stacks:
    .skip NUB_CPUS * NUB_PARKING_STACK
nub_lock: .long 0  // bit 0: a CPU is in a nub call, if there are several

    .section .note.GNU-stack, "", @progbits
