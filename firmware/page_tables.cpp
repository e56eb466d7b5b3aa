// Identity-mapped page tables.
#include "firmware/page_tables.h"

#include <array>

#include "devices/abi/address_map.h"
#include "devices/host/check.h"

namespace shoal::firmware {
namespace {

using Table = std::array<std::uint64_t, 512>;

constexpr std::uint64_t entry_present = 1;
constexpr std::uint64_t entry_writable = 2;
constexpr std::uint64_t entry_large = 0x80;
constexpr std::uint64_t large_page_bytes = 2 << 20;
constexpr std::uint64_t directory_count = 4;  // 1 GiB each

constexpr std::uint64_t pdpt = abi::page_tables + abi::page_size;
constexpr std::uint64_t directories = pdpt + abi::page_size;
static_assert(directories + directory_count * abi::page_size == abi::page_tables_end);

void write(const machine::GuestMemory& memory, std::uint64_t at, const Table& table) {
    SHOAL_CHECK(memory.write(machine::Gpa{at}, table));
}

}  // namespace

void write_page_tables(const machine::GuestMemory& memory) {
    write(memory, abi::page_tables, {pdpt | entry_present | entry_writable});
    Table pointers{};
    for (std::uint64_t i = 0; i < directory_count; ++i) {
        const std::uint64_t at = directories + i * abi::page_size;
        pointers[i] = at | entry_present | entry_writable;
        Table directory;
        for (std::uint64_t page = 0; page < directory.size(); ++page) {
            directory[page] = (i * directory.size() + page) * large_page_bytes | entry_present |
                              entry_writable | entry_large;
        }
        write(memory, at, directory);
    }
    write(memory, pdpt, pointers);
}

}  // namespace shoal::firmware
