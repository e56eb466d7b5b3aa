// Forges calls of the nub, as a program can that looks for the gate in the kernel's text: what
// would make a page table or the nub's own memory writable must be refused. Only for the unikernel.
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BASE 0x7F8000000000
#define IMAGE (BASE + 0x100000)
#define IMAGE_LIMIT (BASE + 0x200000)
#define TABLES (BASE + 0x600000)  // more RAM for tables
#define PAGE 4096UL
#define PRESENT_WRITE_USER 7UL
#define NO_EXECUTE (1UL << 63)
#define LARGE 0x80UL

enum {
    set_leaves,
    link,
    clear_write,
    write_msr,
    wait,
    write_devices,
    flush,
    change_leaves,
    select_space,
    release_tables
};

typedef uint64_t (*Gate)(uint64_t number, uint64_t a, uint64_t b, uint64_t c);

static sigjmp_buf back;

static void on_fault(int number) {
    siglongjmp(back, number);
}

static int is_readable(const volatile char* page) {
    if (sigsetjmp(back, 1) != 0) {
        return 0;
    }
    (void)*page;
    return 1;
}

static int is_writable(volatile char* byte) {
    if (sigsetjmp(back, 1) != 0) {
        return 0;
    }
    *byte = *byte;
    return 1;
}

// mov rax,rdi; mov rdi,rsi; mov rsi,rdx; mov rdx,rcx; bts rax,63; int3
static Gate find_gate(void) {
    static const unsigned char code[] = {0x48, 0x89, 0xF8, 0x48, 0x89, 0xF7, 0x48, 0x89, 0xD6,
                                         0x48, 0x89, 0xCA, 0x48, 0x0F, 0xBA, 0xE8, 0x3F, 0xCC};
    for (uintptr_t page = IMAGE; page < IMAGE_LIMIT; page += PAGE) {
        if (!is_readable((const char*)page)) {
            continue;
        }
        for (uintptr_t at = page; at + sizeof code <= page + PAGE; ++at) {
            if (memcmp((const void*)at, code, sizeof code) == 0) {
                return (Gate)at;
            }
        }
    }
    return NULL;
}

// The leaf table's entry of a page of our text.
static uint64_t* find_entry(uintptr_t address) {
    for (uintptr_t page = IMAGE_LIMIT - PAGE; page > IMAGE; page -= PAGE) {
        uint64_t* entry = (uint64_t*)page + (address / PAGE) % 512;
        if (is_readable((const char*)page) && (*entry & 5) == 5 && (*entry & NO_EXECUTE) == 0 &&
            (*entry & ~0xFFFUL) >= 0x600000) {
            return entry;
        }
    }
    return NULL;
}

static void expect(const char* what, uint64_t result, uint64_t wanted) {
    if (result != wanted) {
        printf("%s: %lu instead of %lu\n", what, (unsigned long)result, (unsigned long)wanted);
    }
}

enum { ok, no_memory, refused };

// What would start another CPU at an address of the program's, move the local APIC to where it can
// be written, or have the host write its clock over a page table or the nub.
static void forge_msrs(Gate nub) {
    static const struct {
        const char* what;
        uint64_t index;
        uint64_t value;
    } writes[] = {
        {"INIT", 0x830, 1UL << 32 | 0x4500},
        {"a start-up IPI", 0x830, 1UL << 32 | 0x4608},
        {"INIT to all others", 0x830, 0xC4500},
        {"NMI", 0x830, 1UL << 32 | 0x400},
        {"SMI", 0x830, 1UL << 32 | 0x200},
        {"lowest priority", 0x830, 1UL << 32 | 0x13A},
        {"a logical destination", 0x830, 1UL << 32 | 0x83A},
        {"a level", 0x830, 1UL << 32 | 0x803A},
        {"itself by shorthand", 0x830, 0x4003A},
        {"an exception's vector", 0x830, 1UL << 32 | 13},
        {"a device's vector", 0x830, 1UL << 32 | 33},
        {"a self IPI", 0x83F, 13},
        {"the local APIC as it is", 0x1B, 0xFEE00D00},
        {"the local APIC off", 0x1B, 0xFEE00100},
        {"the local APIC over RAM", 0x1B, 0x4000C00},
        {"an NMI by LINT1", 0x836, 0x400},
        {"INIT by LINT0", 0x835, 0x500},
        {"LINT0 as it is", 0x835, 0x10000},
        {"a timer with another vector", 0x832, 0x4000D},
        {"another spurious vector", 0x80F, 0x10D},
        {"the clock over a table", 0x4B564D01, 0x600001},
        {"the clock over the nub", 0x4B564D01, 0x100001},
        {"the clock over RAM", 0x4B564D01, 0x4000001},
        {"the wall clock over a table", 0x4B564D00, 0x600000},
        {"the wall clock over the nub", 0x4B564D00, 0x100000},
        {"the old clock's register", 0x12, 0x600001},
        {"the old wall clock's register", 0x11, 0x600000},
        {"stolen time", 0x4B564D03, 0x600001},
        {"page faults by KVM", 0x4B564D02, 0x600001},
        {"end of interrupt by KVM", 0x4B564D04, 0x600001},
        {"system calls elsewhere", 0xC0000082, 0x400000},
        {"EFER", 0xC0000080, 0},
    };
    for (unsigned i = 0; i < sizeof writes / sizeof *writes; ++i) {
        expect(writes[i].what, nub(write_msr, writes[i].index, writes[i].value, 0), refused);
    }
    uint64_t thread;
    __asm__("mov %%fs:0, %0" : "=r"(thread));
    expect("the FS base as it is", nub(write_msr, 0xC0000100, thread, 0), ok);
    // In x2APIC mode there is none to write in memory: reads find no device.
    expect("where a local APIC would lie", nub(link, 0x7040000000, 0xFEE00087 | NO_EXECUTE, 0), ok);
    expect("its version", *(volatile uint32_t*)0x7040000030, 0xFFFFFFFF);
    expect("the page no more", nub(link, 0x7040000000, 1, 0), ok);
}

int main(void) {
    signal(SIGSEGV, on_fault);
    const Gate nub = find_gate();
    if (nub == NULL) {
        puts("no gate");
        return 1;
    }
    uint64_t* const entry = find_entry((uintptr_t)&main);
    if (entry == NULL) {
        puts("no entry");
        return 1;
    }
    const uint64_t at = (uint64_t)entry;
    const uint64_t ram = PRESENT_WRITE_USER | NO_EXECUTE;

    // What is refused below is so for its arguments, not for the call.
    const uint64_t value = *entry;
    expect("the entry as it is", nub(set_leaves, at, *entry, 0), ok);

    // A half entry is the whole one, and of a number behind it the lower nine bits count.
    expect("half entries", nub(set_leaves, at + 4, *entry, 0), ok);
    expect("more than a table has", nub(set_leaves, at, *entry, 512), ok);
    expect("that entry", *entry, value);
    expect("an entry too many", nub(set_leaves, at | 0xFF8, *entry, 1), refused);
    expect("an upper table", nub(set_leaves, IMAGE + 0x4000, *entry, 0), refused);
    expect("a table that nobody took", nub(set_leaves, TABLES, *entry, 0), refused);
    expect("writable and executable", nub(set_leaves, at, *entry | 2, 0), refused);
    expect("the nub's page", nub(set_leaves, at, 0x100000 | ram, 0), refused);
    expect("a table's page", nub(set_leaves, at, ((at - BASE) & ~0xFFFUL) | ram, 0), refused);
    expect("a page for tables", nub(set_leaves, at, 0x600000 | ram, 0), refused);
    expect("pages up to one for tables", nub(set_leaves, at & ~0xFFFUL, 0x5FF000 | ram, 1),
           refused);
    expect("addresses that wrap", nub(set_leaves, at & ~0xFFFUL, 0xFFFFFFFFFF000 | ram, 511),
           refused);
    expect("2 MiB for tables", nub(link, 0x7000000000, 0x600000 | ram | LARGE, 0), refused);
    expect("2 MiB with the nub", nub(link, 0x7000000000, ram | LARGE, 0), refused);
    expect("a ready table that is none", nub(link, 0x7000000000, TABLES - BASE, 0), refused);
    expect("a ready table at half a page", nub(link, 0x7000000000, TABLES - BASE + 8, 0), refused);
    expect("RAM as a ready table", nub(link, 0x7000000000, 0x4000000, 0), refused);
    expect("where the nub reads tables", nub(link, TABLES, 0x4000000 | ram | LARGE, 0), refused);
    expect("where the nub lies", nub(link, BASE, 0x4000000 | ram | LARGE, 0), refused);
    // Where the nub remembers the page directory of the last call.
    expect("a leaf table", nub(link, 0x7000000000, 0, 0), ok);
    expect("2 MiB for tables beside it", nub(link, 0x7000200000, 0x600000 | ram | LARGE, 0),
           refused);
    expect("2 MiB over it", nub(link, 0x7000000000, 0x4000000 | ram | LARGE, 0), refused);
    expect("the CPUs' own pages", nub(link, 0x7F7FFFE00000, 0x4000000 | ram | LARGE, 0), refused);
    expect("addresses beyond all", nub(link, 1UL << 47 | 0x7000200000, 0x4000000 | ram | LARGE, 0),
           refused);
    // The same rules where translations are forgotten besides.
    expect("the entry as it is, forgotten", nub(change_leaves, at, *entry, 0), ok);
    expect("writable and executable, forgotten", nub(change_leaves, at, *entry | 2, 0), refused);
    expect("the nub's page, forgotten", nub(change_leaves, at, 0x100000 | ram, 0), refused);
    expect("the right to write that it has not", nub(clear_write, at, 0, 0), ok);
    expect("that entry again", *entry, value);
    expect("writing an upper table", nub(clear_write, IMAGE + 0x4000, 0, 0), refused);
    expect("writing a table that nobody took", nub(clear_write, TABLES, 0, 0), refused);
    expect("writing an entry too many", nub(clear_write, at | 0xFF8, 0, 1), refused);
    // Offsets from where devices begin: RAM below, memory behind, half a register.
    static const struct {
        uint32_t offset;
        uint32_t value;
    } writes[] = {{0x80000000, 0}, {0x40000000, 0}, {2, 0}};
    for (unsigned i = 0; i < 3; ++i) {
        expect("what is no register", nub(write_devices, (uint64_t)&writes[i], 1, 0), refused);
    }
    expect("the first tables", nub(release_tables, 0x200000, 0, 0), refused);
    expect("a table's part", nub(release_tables, 0x801000, 0, 0), refused);
    expect("what is no table's", nub(release_tables, 0x40000000, 0, 0), refused);

    forge_msrs(nub);

    printf("writable: %d %d %d\n", is_writable((volatile char*)entry),
           is_writable((volatile char*)TABLES), is_writable((volatile char*)IMAGE_LIMIT - 1));
    // The RAM behind is free to go, and is ordinary then.
    expect("what is free", nub(release_tables, 0x1000000, 0, 0), ok);
    expect("the same again", nub(release_tables, 0x1000000, 0, 0), refused);
    printf("released: %d, kept: %d\n", is_writable((volatile char*)BASE + 0x1000000),
           is_writable((volatile char*)BASE + 0x1000000 - 1));
    return 0;
}
