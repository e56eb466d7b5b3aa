// RegularFile: passes everything on to its FileData.
#include "guest/kernel/fs/regular_file.h"

#include "guest/kernel/fs/open_file.h"

namespace shoal::guest {

std::size_t RegularFile::read_at(std::uint64_t offset, std::span<std::byte> to) const {
    SpanDestination destination{to};
    const auto count = data_.read(offset, destination, to.size());
    return count ? *count : 0;
}

Result<std::size_t> RegularFile::read(OpenFile&, std::uint64_t offset, Destination& to,
                                      std::size_t count) {
    return data_.read(offset, to, count);
}

Result<std::size_t> RegularFile::write(OpenFile&, std::uint64_t offset, Source& from,
                                       std::size_t count) {
    const std::uint64_t pages = data_.page_count();
    const auto written = data_.write(offset, from, count);
    if (is_shared_ && data_.page_count() != pages) {
        forget_shared_pages(*this);
    }
    return written;
}

Result<void> RegularFile::resize(std::uint64_t size_bytes) {
    if (is_shared_ && size_bytes < size()) {
        forget_shared_pages(*this);
    }
    return data_.resize(size_bytes);
}

Result<void> RegularFile::reserve(std::uint64_t offset, std::uint64_t size_bytes) {
    const auto reserved = data_.reserve(offset, size_bytes);
    if (is_shared_) {
        forget_shared_pages(*this);
    }
    return reserved;
}

}  // namespace shoal::guest
