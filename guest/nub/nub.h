// The nub's interface: what ring 0 does for the ring-3 kernel, and what it tells it.
//
// Included by assembly and C++. The nub knows nothing of Linux; it owns the page tables, the
// descriptor tables and the privileged instructions, and reflects everything else to ring 3:
//
//   syscall from the program  -> shoal_syscall_entry, registers as `syscall` leaves them, rsp the
//                                program's
//   fault or trap at ring 3   -> shoal_trap_entry on the trap stack, with shoal_trap_state filled
//   interrupt at ring 3       -> acknowledged, marked in shoal_interrupt_pending; in the program
//                                besides a trap; on the kernel's way out (shoal_way_out) back to
//                                shoal_look_again
//
// A nub call is an int3 at the kernel's gate (shoal_nub_call): number in rax, arguments in rdi,
// rsi, rdx, result in rax (NUB_OK or one of NUB_E...), registers as in a C call. It is no syscall,
// because KVM's PVM backend leaves a syscall at CPL 3; every exception goes to ring 0 everywhere.
// Not reentrant. Each CPU has a stack, task state, trap state and a mark of interrupts of its own;
// page tables belong to all of them, and calls that change them take turns.
#pragma once

// The kernel's half of the address space: virtual = physical + NUB_BASE, for the image, the RAM
// and the devices. It is the last PML4 slot of the lower canonical half, so that the same image
// runs on KVM backends that keep the upper half for themselves.
#define NUB_BASE 0x7F8000000000
#define NUB_DEVICES 0x7F80C0000000   // where RAM ends below 4 GiB, and devices begin (1 GiB)
#define NUB_GENERATION_PAGE 0xF0000  // the only page below the image that ring 3 may write
#define NUB_IMAGE 0x100000           // physical load address of the image
#define NUB_RESERVED_END 0x200000    // image and first page tables lie below; never remapped

// Two pages that each CPU has of its own, at the same addresses on all of them: its page-table
// roots differ in the slot below the kernel's. So ring 3 finds its CPU's data as it finds any
// other, and no register has to point at it. Near NUB_BASE, for addresses relative to rip.
#define NUB_USER_END 0x7F0000000000         // the program's addresses lie below
#define NUB_CPU_NUB_PAGE 0x7F7FFFFFE000     // ring 0's: task state, stack, frames
#define NUB_CPU_KERNEL_PAGE 0x7F7FFFFFF000  // ring 3's (section .cpu.kernel)
#define NUB_CPUS 8                          // more stay parked
#define NUB_PARKING_STACK 128

// ELF note, owner "Shoal": where CPUs but the first start (guest/README.md).
#define NUB_NOTE_CPUS 1
// The same: where leaf tables may lie that a monitor has filled (devices/abi/ready_tables.h).
#define NUB_NOTE_READY_TABLES 2

// Where the program's tables are linked from the start: the usual place of static executables, and
// the places that the kernel chooses for position-independent ones, heap and stack. The first
// 2 MiB of heap and the last of the stack are mapped, to the two pages that follow the image.
#define NUB_FIXED_PROGRAM 0x400000
#define NUB_RELOCATED_PROGRAM 0x10000000
#define NUB_HEAP 0x20000000
#define NUB_STACK_TOP 0x40000000
#define NUB_HEAP_PAGE 0x200000
#define NUB_STACK_PAGE 0x400000

// RAM for page tables, which ring 3 can read but never could write: from the image's end to
// NUB_RESERVED_END, and from NUB_TABLES_START on. NUB_RELEASE_TABLES moves the end down from
// NUB_TABLES_END. The nub takes it in granules, for leaf tables or for those above them. Up to
// shoal_ready_end there are leaf tables that the monitor has filled.
#define NUB_TABLES_START 0x600000
#define NUB_TABLES_END 0x2600000
#define NUB_READY_BYTES 0x100000
#define NUB_GRANULE 0x10000
#define NUB_GRANULE_SHIFT 16

// Selectors, where Linux has them: a KVM backend may run ring 3 on its own descriptor table.
#define NUB_KERNEL_CS 0x10
#define NUB_KERNEL_SS 0x18
#define NUB_SYSRET_BASE 0x23  // where sysret finds the two below
#define NUB_USER_SS 0x2B
#define NUB_USER_CS 0x33
#define NUB_TSS 0x40

// Page-table entry bits (Intel SDM 3A, 4.5).
#define NUB_PTE_PRESENT 0x1
#define NUB_PTE_WRITE 0x2
#define NUB_PTE_USER 0x4
#define NUB_PTE_TOUCHED 0x60  // accessed and dirty, so that no CPU or KVM has to note it later
#define NUB_PTE_LARGE 0x80
#define NUB_PTE_NO_EXECUTE 0x8000000000000000

// The numbers are in the order in which the nub looks for them: the most frequent first.

// set_leaves(entry_address, first_entry, more): writes an entry of a leaf table and `more` behind
// it, each a page further than the one before; or all the same if the first is not present (to
// unmap). The kernel finds entry_address by reading the tables. The caller flushes. Refused:
// entries outside one leaf table, pages writable and executable, the nub's own pages.
#define NUB_SET_LEAVES 0
// link(address, entry): the 2 MiB of `address` get a leaf table (entry 0), become one page (an
// entry with NUB_PTE_LARGE), cease to be one (entry 1), or get the ready leaf table whose physical
// address the entry is. Refused besides as for set_leaves; a ready table also if one is there.
#define NUB_LINK 1
// clear_write(entry_address, 0, more): nobody can write these pages any more, and flush. Their
// entries are found and refused as by set_leaves.
#define NUB_CLEAR_WRITE 2
// write_msr(index, value): FS base and TSC deadline; an interrupt with NUB_STOP_VECTOR or
// NUB_WAKE_VECTOR to one CPU; and LSTAR to shoal_syscall_entry, its one value.
#define NUB_WRITE_MSR 3
// wait(deadline): halts until shoal_interrupt_pending is set, which the kernel clears. A deadline
// that is not 0 goes to the TSC deadline timer before: cheaper than a call of its own.
#define NUB_WAIT 4
// write_devices(writes, count): stores 32-bit values in device registers, in this order. Where ring
// 0 is emulated, many accesses cost less from here than from ring 3, which works all the same.
// Refused: what is not aligned or beyond NUB_DEVICES and its GiB.
#define NUB_WRITE_DEVICES 5
// flush(): forgets cached translations. Needed after an entry that was present changed.
#define NUB_FLUSH 6
// change_leaves(entry_address, first_entry, more): set_leaves, and then flush.
#define NUB_CHANGE_LEAVES 7
// select_space(number): the program's half of the address space is that of `number`, below
// NUB_SPACES; set_leaves and link change its tables. One that was never selected is empty. Tables
// stay in their space for ever.
#define NUB_SELECT_SPACE 8
#define NUB_SPACES 64
// release_tables(end): RAM from `end` on, a multiple of 2 MiB, is not for page tables any more, and
// the kernel can write it: shoal_tables_end is `end` from now on. Refused: what is in use as a
// table, or was released. Nothing ever becomes table memory again, since ring 3 could have kept a
// way to write it.
#define NUB_RELEASE_TABLES 9
// enable_interrupts(): from now on interrupts are on at ring 3: the timer's with NUB_TIMER_VECTOR,
// those of the I/O APIC and of CPUs, and no legacy ones. They cannot be turned off again. The local
// APIC's mode and place are set at a CPU's start.
#define NUB_ENABLE_INTERRUPTS 10
// start_clock(): KVM tells the time in shoal_wall_clock and shoal_vdso_data. Only where CPUID has
// KVM's clock.
#define NUB_START_CLOCK 11
// start_cpu(index, page): CPU `index` leaves its parking place, if it is there or when it comes,
// for shoal_cpu_entry at ring 3, where this physical page is its NUB_CPU_KERNEL_PAGE; send it an
// interrupt. From now on nub calls of several CPUs wait for one another. Refused besides: a second
// time.
#define NUB_START_CPU 12

#define NUB_OK 0
#define NUB_ENOMEM 1    // no more RAM for page tables
#define NUB_EREFUSED 2  // against the rules above

// Interrupt vectors.
#define NUB_FIRST_DEVICE_VECTOR 32  // + I/O APIC pin
#define NUB_TIMER_VECTOR 56
#define NUB_STOP_VECTOR 57  // the CPU counts itself in shoal_stop, waits, and forgets translations
#define NUB_WAKE_VECTOR 58
#define NUB_SPURIOUS_VECTOR 63
#define NUB_VECTORS 64
// Marks in shoal_interrupt_pending: the timer's interrupt, and any other. The kernel has one, too.
#define NUB_MARK_OTHER 1
#define NUB_MARK_TIMER 4
#define NUB_INTERRUPT 64  // the vector of the trap that an interrupt in the program becomes

#ifndef __ASSEMBLER__
#include <cstdint>

extern "C" {

// Why shoal_trap_entry runs. Written by the nub, read by ring 3 before it can fault again.
struct NubTrapState {
    std::uint64_t vector;
    std::uint64_t error_code;
    std::uint64_t fault_address;  // CR2
    std::uint64_t rip;
    std::uint64_t rflags;
    std::uint64_t rsp;
};
extern NubTrapState shoal_trap_state;

struct NubWrite {
    std::uint32_t offset;  // from NUB_DEVICES
    std::uint32_t value;
};

std::uint64_t shoal_nub_call(std::uint64_t number, std::uint64_t a = 0, std::uint64_t b = 0,
                             std::uint64_t c = 0);

// NUB_MARK_...: set by the nub with every interrupt, cleared by the kernel.
extern volatile std::uint8_t shoal_interrupt_pending;

// Physical addresses of the spaces' roots, or 0. Tables are readable at ring 3. Of CPUs but the
// first, roots that differ only in the slot of their own pages; the functions above change the
// first CPU's, and the others' follow.
extern const std::uint64_t shoal_spaces[NUB_CPUS][NUB_SPACES];
// Of the RAM for page tables, what comes next, and where it ends. The nub changes them.
extern const volatile std::uint64_t shoal_tables_next;
extern const volatile std::uint64_t shoal_tables_end;
// Where the ready tables end that lie from NUB_TABLES_START on. The monitor writes it.
extern const volatile std::uint64_t shoal_ready_end;

// What NUB_STOP_VECTOR does: the CPU counts itself in `stopped` until `wanted` is 0.
struct NubStop {
    volatile std::uint32_t stopped;
    volatile std::uint32_t wanted;
};
extern NubStop shoal_stop;
}
#endif
