#include "guest/kernel/patch/syscall_site.h"

#include <doctest/doctest.h>
#include <sys/mman.h>

#include <cstring>
#include <initializer_list>
#include <random>
#include <span>

#include "devices/host/mapping.h"

namespace shoal::guest {
namespace {

std::size_t length_of(std::initializer_list<std::uint8_t> bytes) {
    return relocatable_length({bytes.begin(), bytes.size()});
}

// Stands for the kernel: a "system call" that returns 42.
constexpr std::uint8_t fake_kernel[] = {0xB8, 42,  0, 0, 0,  // mov eax, 42
                                        0xFF, 0xE1};         // jmp rcx

// long f(long skip): if (!skip) { rax = 39; syscall } else { rax = skip }; then `cmp rax, -4096`,
// and returns rax.
constexpr std::uint8_t program[] = {0x48, 0x89, 0xF8,                    // mov rax, rdi
                                    0x48, 0x85, 0xFF,                    // test rdi, rdi
                                    0x75, 7,                             // jnz next
                                    0xB8, 39,   0,    0,    0,           // mov eax, 39
                                    0x0F, 0x05,                          // syscall
                                    0x48, 0x3D, 0x00, 0xF0, 0xFF, 0xFF,  // next: cmp rax, -4096
                                    0xC3};                               // ret
constexpr std::size_t site_offset = 13;
constexpr std::size_t next_offset = 15;

// Executable memory at a given address of this process; nullptr when something else is there.
struct FixedMemory {
    FixedMemory(std::uint64_t address, std::size_t size_bytes) : size{size_bytes} {
        // SAFETY: MAP_FIXED_NOREPLACE takes nobody's memory.
        void* at =
            ::mmap(reinterpret_cast<void*>(address), size, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        data = at == MAP_FAILED ? nullptr : static_cast<std::byte*>(at);
    }
    FixedMemory(const FixedMemory&) = delete;
    FixedMemory& operator=(const FixedMemory&) = delete;
    ~FixedMemory() {
        if (data != nullptr) {
            ::munmap(data, size);
        }
    }
    std::byte* data;
    std::size_t size;
};

}  // namespace

TEST_CASE("only instructions that mean the same anywhere may move") {
    SUBCASE("what C libraries have behind a system call") {
        CHECK(length_of({0x48, 0x3D, 0x00, 0xF0, 0xFF, 0xFF, 0x77}) == 6);  // cmp rax, -4096
        CHECK(length_of({0x3D, 0x00, 0xF0, 0xFF, 0xFF}) == 5);              // cmp eax, -4096
        CHECK(length_of({0x48, 0x89, 0xC7}) == 3);                          // mov rdi, rax
        CHECK(length_of({0x48, 0x85, 0xC0}) == 3);                          // test rax, rax
        CHECK(length_of({0x48, 0x83, 0xF8, 0xFF}) == 4);                    // cmp rax, -1
        CHECK(length_of({0x48, 0x63, 0xF8}) == 3);                          // movsxd rdi, eax
        CHECK(length_of({0xBF, 0x02, 0x00, 0x00, 0x00}) == 5);              // mov edi, 2
        CHECK(length_of({0x48, 0xC7, 0xC1, 1, 0, 0, 0}) == 7);              // mov rcx, 1
        CHECK(length_of({0x48, 0xB8, 1, 2, 3, 4, 5, 6, 7, 8}) == 10);       // movabs rax
    }
    SUBCASE("too short") {
        CHECK(length_of({0xC3, 0x90, 0x90}) == 0);  // ret
        CHECK(length_of({0x85, 0xC0, 0x75}) == 0);  // test eax, eax
        CHECK(length_of({0x89, 0xC2, 0x90}) == 0);  // mov edx, eax
    }
    SUBCASE("memory operands, branches, calls, breakpoints") {
        CHECK(length_of({0x48, 0x89, 0x07, 0x90}) == 0);              // mov [rdi], rax
        CHECK(length_of({0x48, 0x8B, 0x0D, 0, 0, 0, 0}) == 0);        // mov rcx, [rip]
        CHECK(length_of({0x48, 0x8D, 0x0D, 0, 0, 0, 0}) == 0);        // lea rcx, [rip]
        CHECK(length_of({0xE8, 0, 0, 0, 0}) == 0);                    // call
        CHECK(length_of({0xE9, 0, 0, 0, 0}) == 0);                    // jmp
        CHECK(length_of({0x0F, 0x84, 0, 0, 0, 0}) == 0);              // je
        CHECK(length_of({0xFF, 0xE0, 0x90}) == 0);                    // jmp rax
        CHECK(length_of({0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC}) == 0);  // int3
        CHECK(length_of({0x66, 0x3D, 0x00, 0xF0}) == 0);              // cmp ax, imm16
    }
    SUBCASE("truncated") {
        CHECK(length_of({}) == 0);
        CHECK(length_of({0x48}) == 0);
        CHECK(length_of({0x48, 0x3D, 0x00, 0xF0, 0xFF}) == 0);
        CHECK(length_of({0x48, 0x89}) == 0);
        CHECK(length_of({0x48, 0xB8, 1, 2, 3, 4, 5, 6, 7}) == 0);
    }
}

TEST_CASE("the third byte of every site is a breakpoint, wherever the site is") {
    std::mt19937_64 random{7};
    for (int turn = 0; turn < 20'000; ++turn) {
        const std::uint64_t site = random() % 0x9000'0000;
        const auto number = static_cast<unsigned>(random() % 1000);
        const auto stub = stub_place(site, number);
        REQUIRE(stub);
        CHECK(*stub % 16 == 0);
        CHECK(is_stub_address(*stub));
        CHECK(is_stub_address(*stub + stub_bytes - 1));
        CHECK(site_code(site, *stub)[2] == 0xCC);
        CHECK(stub_place(site, number + 1) != stub);
    }
}

TEST_CASE("stubs come to an end, and none is beyond the reach of a jump") {
    CHECK_FALSE(stub_place(0x40'0000, 1'000'000));
    CHECK_FALSE(stub_place(0x7F00'0000'0000, 0));
    CHECK_FALSE(stub_place(stubs_end + 0x8000'0000, 0));
}

TEST_CASE("a changed site runs: through the kernel, and when it is jumped into") {
    constexpr std::uint64_t program_at = 0x1BFF'0000;
    const FixedMemory text{program_at, 4096};
    const FixedMemory stubs{stubs_start, 4 << 16};
    const host::Mapping kernel{4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1};
    if (text.data == nullptr || stubs.data == nullptr) {
        MESSAGE("skipped: the addresses are taken in this process");
        return;
    }
    std::memcpy(kernel.data(), fake_kernel, sizeof fake_kernel);
    std::memcpy(text.data, program, sizeof program);
    const std::uint64_t site = program_at + site_offset;
    const auto next = std::span{program}.subspan(next_offset);
    const auto stub = stub_place(site, 3);
    REQUIRE(stub);
    const auto code = stub_code(site, *stub, next.first(relocatable_length(next)),
                                reinterpret_cast<std::uint64_t>(kernel.data()));
    std::memcpy(reinterpret_cast<void*>(*stub), code.data(), code.size());
    const auto jump = site_code(site, *stub);
    std::memcpy(text.data + site_offset, jump.data(), jump.size());

    const auto function = reinterpret_cast<long (*)(long)>(text.data);
    CHECK(function(0) == 42);
    CHECK(text.data[next_offset] == std::byte{0xCC});
    // What the kernel does for a breakpoint at `next`: on to after_of(stub), and from there behind
    // `next`, whose comparison with rax has been made.
    CHECK(std::memcmp(code.data() + (after_of(*stub) - *stub), &program[next_offset], 6) == 0);
}

}  // namespace shoal::guest
