// Entry by PVH (32 bits, ebx: start info), and of the second vCPU by a start-up IPI. Both switch to
// 64 bits with the first 4 GiB mapped one to one, and never come back from C++.
#define CR0_PROTECTED 0x11
#define CR0_PAGING 0x80000000
#define CR4_PAE 0x20
#define MSR_EFER 0xC0000080
#define EFER_LME 0x100
#define CODE64 0x08
#define CODE32 0x10
#define DATA 0x18
#define LARGE_PAGE 0x83  // present, writable, 2 MiB

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18  // name and descriptor sizes, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad start

    .text
    .code32
    .globl start
start:
    mov $stack_of_first, %esp
    mov %ebx, %edi
    mov $first_main, %esi
    lgdt gdt_pointer

// esp: stack; esi: where to go; edi: its argument.
enter_64:
    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    xor %edx, %edx
    mov $EFER_LME, %eax
    wrmsr
    mov $(CR0_PAGING | CR0_PROTECTED), %eax
    mov %eax, %cr0
    ljmp $CODE64, $in_64

    .code64
in_64:
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    call *%rsi

    .code32
second_32:
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %ss
    mov $stack_of_second, %esp
    mov $second_main, %esi
    jmp enter_64

// Copied to the page that the start-up IPI names; runs in real mode, cs = page >> 4.
    .code16
    .globl trampoline, trampoline_end
trampoline:
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl (gdt_pointer - trampoline)
    mov $CR0_PROTECTED, %eax
    mov %eax, %cr0
    ljmpl $CODE32, $second_32
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
trampoline_end:

    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF  // 64-bit code
    .quad 0x00CF9B000000FFFF  // 32-bit code
    .quad 0x00CF93000000FFFF  // data
gdt_end:

    .balign 4096
pml4:
    .quad pdpt + 3
    .fill 511, 8, 0
pdpt:
    .quad directories + 3, directories + 0x1003, directories + 0x2003, directories + 0x3003
    .fill 508, 8, 0
directories:
    .set page, 0
    .rept 2048
    .quad page * 0x200000 + LARGE_PAGE
    .set page, page + 1
    .endr

    .bss
    .balign 16
    .skip 16384
stack_of_first:
    .skip 16384
stack_of_second:

    .section .note.GNU-stack, "", @progbits
