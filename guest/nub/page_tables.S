// The page tables at the first instruction: the root and the levels that never change.
// The leaf table of the first 2 MiB is written by the linker (guest/shoal.lds), who knows where
// each section lies. Slot 0 repeats the kernel's slot until paging is on.
#include "guest/nub/nub.h"

#define TABLE (NUB_PTE_PRESENT | NUB_PTE_WRITE | NUB_PTE_USER)
#define KERNEL_RAM (TABLE | NUB_PTE_LARGE | NUB_PTE_TOUCHED | NUB_PTE_NO_EXECUTE)
#define TABLE_RAM (KERNEL_RAM - NUB_PTE_WRITE)
#define PROGRAM_RAM KERNEL_RAM
#define CPU_PAGE (NUB_PTE_PRESENT | NUB_PTE_WRITE | NUB_PTE_TOUCHED | NUB_PTE_NO_EXECUTE)
#define SLOT(address) (((address) >> 21) * 8)  // in a directory of the first GiB

    .section .nub.tables, "aw", @progbits
    .balign 4096
    .globl shoal_page_tables, nub_directory
shoal_page_tables:
    .quad pdpt - NUB_BASE + TABLE
    .fill 253, 8, 0
    .quad cpu_pdpt - NUB_BASE + TABLE
    .quad pdpt - NUB_BASE + TABLE
    .fill 256, 8, 0
pdpt:
    .quad nub_directory - NUB_BASE + TABLE
    .fill 511, 8, 0
nub_directory:  // the first GiB; more RAM and devices are added at run time
    .quad nub_leaf_table - NUB_BASE + TABLE
    .set page, 1
    .rept 511
    .if page * 0x200000 >= NUB_TABLES_START && page * 0x200000 < NUB_TABLES_END
    .quad page * 0x200000 + TABLE_RAM
    .else
    .quad page * 0x200000 + KERNEL_RAM
    .endif
    .set page, page + 1
    .endr

// The first CPU's own pages.
cpu_pdpt:
    .fill 511, 8, 0
    .quad cpu_directory - NUB_BASE + TABLE
cpu_directory:
    .fill 511, 8, 0
    .quad cpu_leaves - NUB_BASE + TABLE
cpu_leaves:
    .fill 510, 8, 0
    .quad nub_cpu_page_physical + CPU_PAGE
    .quad shoal_cpu_page_physical + CPU_PAGE + NUB_PTE_USER

// The program's first GiB. Its leaf tables are empty pages that need no place in the file; the
// first of its heap and stack are in place, so that a small program starts with few nub calls.
program_pdpt:
    .quad program_directory - NUB_BASE + TABLE
    .fill 511, 8, 0
program_directory:
    .skip SLOT(NUB_FIXED_PROGRAM)
    .quad nub_leaves_start_physical + TABLE, nub_leaves_start_physical + 4096 + TABLE
    .skip program_directory + SLOT(NUB_RELOCATED_PROGRAM) - .
    .quad nub_leaves_start_physical + 8192 + TABLE, nub_leaves_start_physical + 12288 + TABLE
    .skip program_directory + SLOT(NUB_HEAP) - .
    .quad NUB_HEAP_PAGE + PROGRAM_RAM
    .skip program_directory + SLOT(NUB_STACK_TOP) - 8 - .
    .quad NUB_STACK_PAGE + PROGRAM_RAM
    .balign 4096

    .globl shoal_spaces, shoal_tables_next, shoal_tables_end, shoal_ready_end
shoal_spaces:
    .quad shoal_page_tables - NUB_BASE
    .fill NUB_CPUS * NUB_SPACES - 1, 8, 0
shoal_tables_next: .quad nub_leaves_start_physical + NUB_GRANULE
shoal_tables_end: .quad NUB_TABLES_END
shoal_ready_end: .quad NUB_TABLES_START  // a multiple of NUB_GRANULE
    .balign 4096

    .section .nub.data, "aw", @progbits
    .balign 8
    .globl nub_program_slot
nub_program_slot: .quad program_pdpt - NUB_BASE + TABLE

    .section .note.GNU-stack, "", @progbits
