// Two sections, and the way to their file.
#include "vmm/state/working_set.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <exception>

#include "devices/abi/address_map.h"
#include "devices/host/log.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"
#include "vmm/state/new_file.h"
#include "vmm/state/read_at.h"
#include "vmm/state/section.h"

namespace shoal::state {
namespace {

constexpr SectionId id_section{"snapshot-id"};
constexpr SectionId pages_section{"working-set"};
// With the header and the sections' heads.
constexpr std::uint64_t max_working_set_bytes = max_working_set_pages * 4 + 4096;

}  // namespace

std::string working_set_beside(const std::string& memory_path) {
    return memory_path + ".working-set";
}

std::vector<std::byte> encode_working_set(const SnapshotId& id,
                                          std::span<const std::uint32_t> pages) {
    pages = pages.first(std::min(pages.size(), max_working_set_pages));
    SectionWriter writer;
    writer.add(id_section, id);
    writer.add(pages_section, WorkingSet{pages.begin(), pages.end()});
    return writer.finish();
}

WorkingSet decode_working_set(std::span<const std::byte> file, const SnapshotId& id,
                              std::uint64_t memory_bytes) {
    SectionReader reader{file};
    if (reader.take<SnapshotId>(id_section) != id) {
        return {};
    }
    auto pages = reader.take<WorkingSet>(pages_section);
    reader.refuse_the_rest();
    if (std::ranges::any_of(
            pages, [&](std::uint32_t page) { return page >= memory_bytes / abi::page_size; })) {
        throw StateError("it has a page that the memory does not have");
    }
    return pages;
}

WorkingSet read_working_set(const std::string& path, const SnapshotId& id,
                            std::uint64_t memory_bytes) {
    try {
        const host::UniqueFd fd{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
        if (!fd && errno == ENOENT) {
            return {};
        }
        if (!fd) {
            host::throw_os_error("cannot open it");
        }
        const std::uint64_t size = file_size_bytes(fd.get());
        if (size > max_working_set_bytes) {
            throw StateError("it is larger than " + std::to_string(max_working_set_bytes) +
                             " bytes");
        }
        return decode_working_set(read_at(fd.get(), 0, size), id, memory_bytes);
    } catch (const std::exception& error) {
        host::log(host::LogLevel::warn,
                  "Nothing is read ahead: the working set " + path + ": " + error.what());
        return {};
    }
}

void write_working_set(const std::string& path, const SnapshotId& id,
                       std::span<const std::uint32_t> pages) {
    NewFile file{path};
    file.write(encode_working_set(id, pages), 0);
    file.sync();
    file.publish();
}

}  // namespace shoal::state
