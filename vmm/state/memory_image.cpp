// Finding the pages that are worth writing.
#include "vmm/state/memory_image.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "devices/abi/address_map.h"

namespace shoal::state {
namespace {

constexpr std::array<std::byte, abi::page_size> zeros{};

bool is_zero(const std::byte* page) {
    return std::memcmp(page, zeros.data(), zeros.size()) == 0;
}

// Neighbours that are not zero go in one call.
void write_pages(std::span<const std::byte> memory, std::uint64_t from, std::uint64_t end,
                 NewFile& file) {
    while (from < end) {
        while (from < end && is_zero(memory.data() + from)) {
            from += abi::page_size;
        }
        std::uint64_t to = from;
        while (to < end && !is_zero(memory.data() + to)) {
            to += abi::page_size;
        }
        file.write(memory.subspan(from, to - from), from);
        from = to;
    }
}

// Where the memfd has something from `at` on, or the end: to look at its holes would fill them.
std::uint64_t seek(const machine::GuestMemory& memory, std::uint64_t at, int what) {
    if (memory.fd() < 0) {
        return what == SEEK_DATA ? at : memory.size_bytes();
    }
    const off_t found = ::lseek(memory.fd(), static_cast<off_t>(at), what);
    return found < 0 ? memory.size_bytes() : static_cast<std::uint64_t>(found);
}

}  // namespace

void write_memory(const machine::GuestMemory& memory, NewFile& file) {
    std::uint64_t at = 0;
    while (at < memory.size_bytes()) {
        const std::uint64_t from = seek(memory, at, SEEK_DATA);
        const std::uint64_t end = from < memory.size_bytes() ? seek(memory, from, SEEK_HOLE) : from;
        write_pages(memory.bytes(), from, end, file);
        at = end;
    }
}

}  // namespace shoal::state
