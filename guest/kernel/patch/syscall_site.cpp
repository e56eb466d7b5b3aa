// Decoding what follows a syscall, and encoding the jumps.
#include "guest/kernel/patch/syscall_site.h"

#include <cstring>

namespace shoal::guest {
namespace {

constexpr std::uint8_t breakpoint = 0xCC;
constexpr std::size_t smallest_next = site_bytes - syscall_bytes;
constexpr std::size_t entry_offset = stub_bytes - sizeof(std::uint64_t);
constexpr std::uint64_t places_per_window = 16;  // 256 addresses with 0xCC, by 16
constexpr std::uint64_t window = 1ULL << 16;

// How many bytes an opcode with a register operand has behind its ModRM byte; -1: not known here.
int immediate_bytes(std::uint8_t opcode) {
    switch (opcode) {
        case 0x01:  // add
        case 0x03:
        case 0x09:  // or
        case 0x21:  // and
        case 0x29:  // sub
        case 0x31:  // xor
        case 0x33:
        case 0x39:  // cmp
        case 0x3B:
        case 0x63:  // movsxd
        case 0x85:  // test
        case 0x89:  // mov
        case 0x8B:
            return 0;
        case 0x83:  // add, or, and, sub, xor, cmp with a byte
            return 1;
        case 0x81:  // the same with four
        case 0xC7:  // mov
            return 4;
        default:
            return -1;
    }
}

void put32(std::uint8_t* to, std::uint64_t distance) {
    const auto value = static_cast<std::uint32_t>(distance);
    std::memcpy(to, &value, sizeof value);
}

}  // namespace

std::size_t relocatable_length(std::span<const std::uint8_t> code) {
    std::size_t at = 0;
    bool wide = false;
    if (!code.empty() && (code[0] & 0xF0) == 0x40) {
        wide = (code[0] & 8) != 0;
        at = 1;  // REX
    }
    if (code.size() < at + 2) {
        return 0;
    }
    const std::uint8_t opcode = code[at];
    std::size_t length = 0;
    if (opcode == 0x3D) {  // cmp eax, imm32
        length = at + 5;
    } else if ((opcode & 0xF8) == 0xB8) {  // mov register, immediate
        length = at + (wide ? 9 : 5);
    } else if (const int immediate = immediate_bytes(opcode);
               immediate >= 0 && code[at + 1] >= 0xC0) {
        length = at + 2 + static_cast<std::size_t>(immediate);
    }
    return length >= smallest_next && length <= code.size() ? length : 0;
}

std::optional<std::uint64_t> stub_place(std::uint64_t site, unsigned number) {
    // The distance's second byte is 0xCC, its first is free.
    const std::uint64_t behind = site + site_bytes;
    const std::uint64_t from = behind + breakpoint * 256ULL;
    std::uint64_t start = stubs_start + (from - stubs_start) % window;
    start = (start + 15) & ~15ULL;
    const std::uint64_t usable = (from % 16 == 0 ? places_per_window : places_per_window - 1);
    const std::uint64_t at = start + number / usable * window + number % usable * 16;
    const auto distance = static_cast<std::int64_t>(at - behind);
    if (at > stubs_end - stub_bytes || distance > INT32_MAX || distance < INT32_MIN) {
        return std::nullopt;
    }
    return at;
}

std::array<std::uint8_t, site_bytes> site_code(std::uint64_t site, std::uint64_t stub) {
    std::array<std::uint8_t, site_bytes> code{0xE9};
    put32(&code[1], stub - (site + site_bytes));
    return code;
}

std::array<std::uint8_t, stub_bytes> stub_code(std::uint64_t site, std::uint64_t stub,
                                               std::span<const std::uint8_t> next,
                                               std::uint64_t kernel_entry) {
    std::array<std::uint8_t, stub_bytes> code{};
    code.fill(breakpoint);
    const std::uint8_t enter[] = {0x48, 0x8D, 0x0D, 6, 0, 0, 0,  // lea rcx, [rip + 6]
                                  0xFF, 0x25, 0,    0, 0, 0};    // jmp [rip + ...]
    static_assert(sizeof enter == after_of(0));
    std::memcpy(code.data(), enter, sizeof enter);
    put32(&code[9], entry_offset - sizeof enter);
    std::memcpy(&code[sizeof enter], next.data(), next.size());
    const std::size_t back = sizeof enter + next.size();
    code[back] = 0xE9;
    put32(&code[back + 1], site + syscall_bytes + next.size() - (stub + back + 5));
    std::memcpy(&code[entry_offset], &kernel_entry, sizeof kernel_entry);
    return code;
}

}  // namespace shoal::guest
