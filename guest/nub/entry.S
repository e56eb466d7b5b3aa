// The nub, part 1: from the entry points to ring 3.
//
// PVH (Xen's x86/HVM direct boot ABI) starts one CPU in 32-bit protected mode without paging, with
// ebx pointing at hvm_start_info. All tables are static, so nothing here loops. Other CPUs begin at
// nub_cpu_entry, where a monitor starts them that knows the note below, and halt until they are
// wanted.
#include "guest/nub/nub.h"

#define PHYSICAL(symbol) ((symbol) - NUB_BASE)

#define CR0_PE_MP_ET_NE_PG 0x80000033  // no WP: the nub writes tables that ring 3 may read
#define CR4_PAE 0x20
#define CR4_FXSR_XMMEXCPT 0x600
#define CR4_OSXSAVE 0x40000
#define CR4_UMIP 0x800
#define CR4_FSGSBASE 0x10000
#define CR4_SMEP 0x100000
#define CPUID_7_EBX_FSGSBASE 0x1
#define CPUID_7_EBX_SMEP 0x80
#define CPUID_7_ECX_UMIP 0x4
#define MSR_EFER 0xC0000080
#define EFER_SCE_LME_NXE 0x901
#define MSR_STAR 0xC0000081
#define MSR_LSTAR 0xC0000082
#define MSR_FMASK 0xC0000084
#define FMASK 0x47700  // AC, NT, IOPL, DF, IF, TF
#define MSR_APIC_BASE 0x1B
#define APIC_BASE_X2APIC 0xC00  // enabled
#define MSR_X2APIC_SPURIOUS 0x80F

    .intel_syntax noprefix

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18  // name and descriptor sizes, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad PHYSICAL(nub_pvh_entry)
    .long 6, 24, NUB_NOTE_CPUS
    .asciz "Shoal"
    .balign 4
    .quad nub_cpu_entry, PHYSICAL(shoal_page_tables), PHYSICAL(shoal_cpus_given)
    .long 6, 24, NUB_NOTE_READY_TABLES
    .asciz "Shoal"
    .balign 4
    .quad NUB_TABLES_START, NUB_READY_BYTES, PHYSICAL(shoal_ready_end)

    .section .nub.text, "ax", @progbits
    .code32
    .globl nub_pvh_entry
nub_pvh_entry:
    mov eax, CR4_PAE | CR4_FXSR_XMMEXCPT
    mov cr4, eax
    mov eax, offset PHYSICAL(shoal_page_tables)
    mov cr3, eax
    mov ecx, MSR_EFER
    xor edx, edx
    mov eax, EFER_SCE_LME_NXE
    wrmsr
    mov eax, CR0_PE_MP_ET_NE_PG
    mov cr0, eax
    lgdt [nub_gdt_pointer_physical - NUB_BASE]
    .att_syntax
    ljmp $NUB_KERNEL_CS, $(nub_long_mode - NUB_BASE)
    .intel_syntax noprefix

    .code64
nub_long_mode:
    movabs rax, offset nub_high
    jmp rax
nub_high:
    // The identity map has served; slot 0 is the program's from now on.
    mov rax, nub_program_slot[rip]
    mov shoal_page_tables[rip], rax
    mov rax, cr3
    mov cr3, rax
    lgdt nub_gdt_pointer[rip]
    lidt nub_idt_pointer[rip]
    mov eax, NUB_KERNEL_SS
    mov ss, eax
    // Ring 3 sees the devices' memory: no local APIC may lie there, which could start a CPU anew.
    mov ecx, MSR_APIC_BASE
    rdmsr
    or eax, APIC_BASE_X2APIC
    wrmsr
nub_set_up_cpu:
    mov eax, NUB_TSS
    ltr ax

    mov ecx, MSR_STAR
    mov edx, NUB_SYSRET_BASE << 16 | NUB_KERNEL_CS
    xor eax, eax
    wrmsr
    mov ecx, MSR_LSTAR
    lea rax, nub_syscall[rip]
    mov rdx, rax
    shr rdx, 32
    wrmsr
    mov ecx, MSR_FMASK
    mov eax, FMASK
    xor edx, edx
    wrmsr

    mov edi, ebx  // hvm_start_info, kept over cpuid
    mov eax, 1
    xor ecx, ecx
    cpuid
    bt ecx, 26  // XSAVE: let programs use what the CPU has of x87, SSE, AVX and AVX-512
    jnc nub_no_xsave
    mov rax, cr4
    or eax, CR4_OSXSAVE
    mov cr4, rax
    mov eax, 0xD
    xor ecx, ecx
    cpuid
    and eax, 0xE7
    xor ecx, ecx
    xor edx, edx
    xsetbv
nub_no_xsave:
    mov eax, 7
    xor ecx, ecx
    cpuid
    mov rax, cr4
    test bl, CPUID_7_EBX_FSGSBASE  // ring 3 switches threads without us
    jz 1f
    or eax, CR4_FSGSBASE
1:  test bl, CPUID_7_EBX_SMEP  // ring 0 executes nothing of ring 3's
    jz 2f
    or eax, CR4_SMEP
2:  test cl, CPUID_7_ECX_UMIP  // ring 3 does not learn where the nub's tables lie
    jz 3f
    or eax, CR4_UMIP
3:  mov cr4, rax
    lea rsp, nub_boot_frame[rip]
    iretq

// In 64-bit mode on shoal_page_tables, with the CPU's index in edi. Until NUB_START_CPU gives it
// tables of its own, it shares the first CPU's pages; interrupts, which are to make it look, find a
// stack that is its own.
nub_cpu_entry:
    mov eax, CR0_PE_MP_ET_NE_PG
    mov cr0, rax
    mov eax, CR4_PAE | CR4_FXSR_XMMEXCPT
    mov cr4, rax
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_SCE_LME_NXE
    wrmsr
    cmp edi, NUB_CPUS
    jae nub_unwanted
    lgdt nub_gdt_pointer[rip]
    lidt nub_idt_pointer[rip]
    mov eax, NUB_KERNEL_SS
    mov ss, eax
    imul eax, edi, NUB_PARKING_STACK
    lea rsp, nub_parking_stacks[rip + NUB_PARKING_STACK]
    add rsp, rax
    mov ecx, MSR_APIC_BASE
    rdmsr
    or eax, APIC_BASE_X2APIC
    wrmsr
    mov ecx, MSR_X2APIC_SPURIOUS
    mov eax, 0x100 | NUB_SPURIOUS_VECTOR
    xor edx, edx
    wrmsr
    imul edi, edi, NUB_SPACES * 8
    lea rbx, shoal_spaces[rip]
    add rbx, rdi
1:  mov rax, [rbx]
    test rax, rax
    jnz 2f
    sti  // an interrupt from here on ends the hlt
    hlt
    cli
    jmp 1b
2:  mov cr3, rax
    jmp nub_set_up_cpu
nub_unwanted:
    cli
    hlt
    jmp nub_unwanted

    .section .note.GNU-stack, "", @progbits
