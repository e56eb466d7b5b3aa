// The vDSO's file, made when the first program starts.
#include "guest/kernel/vdso.h"

#include <elf.h>

#include <cstring>

#include "guest/kernel/fs/regular_file.h"
#include "guest/kernel/physical_memory.h"

extern "C" {
extern const std::byte shoal_vdso_start[];
extern const std::byte shoal_vdso_end[];
}

namespace shoal::guest {
namespace {

constexpr std::string_view file_name = "[vdso]";
constexpr std::uint32_t permissions = 0555;
// The address of its data is the first thing behind the headers (guest/vdso/vdso.lds).
constexpr std::size_t data_address_at = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);

Ref<Entry> make_file() {
    auto* const page = static_cast<std::byte*>(physical_memory.allocate_page());
    if (page == nullptr) {
        return {};
    }
    const auto data = reinterpret_cast<std::uint64_t>(&vdso_data);
    std::memcpy(page, shoal_vdso_start,
                static_cast<std::size_t>(shoal_vdso_end - shoal_vdso_start));
    std::memcpy(page + data_address_at, &data, sizeof data);
    return Entry::make(
        nullptr, file_name,
        InodeRef{new RegularFile{permissions, std::span<const std::byte>{page, page_size}}},
        NameMemory::borrow);
}

}  // namespace

Result<std::uint64_t> map_vdso(AddressSpace& space) {
    static EntryRef* file = nullptr;
    if (file == nullptr) {
        file = new EntryRef{make_file()};
    }
    if (!*file) {
        return fail(Errno::nomem);
    }
    return space.map({0, page_size, prot_read | prot_execute, Placement::anywhere, *file, 0});
}

}  // namespace shoal::guest
