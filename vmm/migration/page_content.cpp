// Memory where it is, drives through their files.
#include "vmm/migration/page_content.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "devices/host/os_error.h"
#include "vmm/migration/page_run.h"

namespace shoal::migration {

MemoryContent::MemoryContent(const machine::GuestMemory& memory, std::unique_ptr<vmm::PageLog> log)
    : PageContent{{}, memory.size_bytes() / page_bytes}, memory_{memory}, log_{std::move(log)} {}

std::span<const std::byte> MemoryContent::read(std::uint64_t first_page, std::uint64_t count,
                                               std::span<std::byte>) const {
    return memory_.bytes().subspan(first_page * page_bytes, count * page_bytes);
}

DriveContent::DriveContent(std::uint32_t drive, virtio::BlockContent content)
    : PageContent{drive, (content.size_bytes + page_bytes - 1) / page_bytes},
      content_{std::move(content)} {}

PageSet DriveContent::data() const {
    return vmm::pages_with_data(content_.fd.get(), content_.size_bytes);
}

// What the file does not have any more, because it was made shorter behind our back, cannot be
// read.
std::span<const std::byte> DriveContent::read(std::uint64_t first_page, std::uint64_t count,
                                              std::span<std::byte> buffer) const {
    const auto pages = buffer.first(count * page_bytes);
    const std::uint64_t from = first_page * page_bytes;
    const std::uint64_t wanted = std::min<std::uint64_t>(pages.size(), content_.size_bytes - from);
    std::uint64_t done = 0;
    while (done < wanted) {
        const auto rest = pages.subspan(done);
        const ssize_t size =
            ::pread(content_.fd.get(), rest.data(), rest.size(), static_cast<off_t>(from + done));
        if (size == 0 || (size < 0 && errno != EINTR)) {
            host::throw_os_error("reading a drive that is copied", size == 0 ? EIO : errno);
        }
        done += static_cast<std::uint64_t>(std::max<ssize_t>(size, 0));
    }
    std::ranges::fill(pages.subspan(wanted), std::byte{0});
    return pages;
}

}  // namespace shoal::migration
