// From a chain to a request.
#include "devices/virtio/block_request.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace shoal::virtio {

namespace block = abi::virtio::block;
using block::RequestType;

static_assert(std::is_trivially_default_constructible_v<BlockRequest>);

namespace {

using Buffers = std::span<const std::span<std::byte>>;

std::uint64_t total(Buffers buffers) noexcept {
    std::uint64_t size_bytes = 0;
    for (const auto buffer : buffers) {
        size_bytes += buffer.size();
    }
    return size_bytes;
}

// Appends `size_bytes` of `buffers` from `skip` on. False: too many buffers.
bool take_data(Buffers buffers, std::uint64_t skip, std::uint64_t size_bytes,
               BlockRequest& request) noexcept {
    for (const auto buffer : buffers) {
        const auto skipped = std::min<std::uint64_t>(skip, buffer.size());
        const auto rest = buffer.subspan(skipped);
        const auto taken = rest.first(std::min<std::uint64_t>(rest.size(), size_bytes));
        skip -= skipped;
        if (taken.empty()) {
            continue;
        }
        if (request.segment_count == BlockRequest::max_buffers) {
            return false;
        }
        request.segments[request.segment_count++] = {taken.data(), taken.size()};
        size_bytes -= taken.size();
    }
    return true;
}

// Copies from the buffers' start; there are enough bytes.
void copy(Buffers buffers, std::span<std::byte> into) noexcept {
    for (const auto buffer : buffers) {
        const std::size_t size = std::min(buffer.size(), into.size());
        std::memcpy(into.data(), buffer.data(), size);
        into = into.subspan(size);
    }
}

bool device_writes_data(RequestType type) noexcept {
    return type == RequestType::in || type == RequestType::get_id;
}

bool device_reads_data(RequestType type) noexcept {
    return type == RequestType::out || type == RequestType::discard ||
           type == RequestType::write_zeroes;
}

}  // namespace

std::expected<void, QueueError> read_request(const Chain& chain, BlockRequest& request) noexcept {
    block::RequestHeader header{};
    const std::uint64_t readable = total(chain.readable);
    const std::uint64_t writable = total(chain.writable);
    if (readable < sizeof header || writable == 0) {
        return std::unexpected(QueueError::unusable_buffer);
    }
    copy(chain.readable, std::as_writable_bytes(std::span{&header, 1}));
    const std::uint64_t driver_bytes = readable - sizeof header;
    const std::uint64_t device_bytes = writable - 1;
    if ((driver_bytes != 0 && device_writes_data(header.type)) ||
        (device_bytes != 0 && device_reads_data(header.type))) {
        return std::unexpected(QueueError::unusable_buffer);
    }
    request.type = header.type;
    request.head = chain.head;
    request.segment_count = 0;
    request.sector = header.sector;
    request.written_bytes = static_cast<std::uint32_t>(writable);
    request.status = &chain.writable.back().back();
    request.data_bytes = device_writes_data(header.type) ? device_bytes : driver_bytes;
    const bool fits = device_writes_data(header.type)
                          ? take_data(chain.writable, 0, device_bytes, request)
                          : take_data(chain.readable, sizeof header, driver_bytes, request);
    if (!fits) {
        return std::unexpected(QueueError::chain_too_long);
    }
    return {};
}

block::Range BlockRequest::copy_range() noexcept {
    block::Range range{};
    auto into = std::as_writable_bytes(std::span{&range, 1});
    for (const iovec& segment : data()) {
        const std::size_t size = std::min(segment.iov_len, into.size());
        std::memcpy(into.data(), segment.iov_base, size);
        into = into.subspan(size);
    }
    return range;
}

void BlockRequest::fill(std::span<const std::byte> bytes) noexcept {
    for (const iovec& segment : data()) {
        const std::size_t size = std::min(segment.iov_len, bytes.size());
        auto* const to = static_cast<std::byte*>(segment.iov_base);
        std::memcpy(to, bytes.data(), size);
        std::memset(to + size, 0, segment.iov_len - size);
        bytes = bytes.subspan(size);
    }
}

BlockRequestPool::BlockRequestPool()
    : requests_{std::make_unique_for_overwrite<BlockRequest[]>(size)} {
    for (std::uint32_t idx = 0; idx < size; ++idx) {
        free_[idx] = static_cast<std::uint16_t>(size - 1 - idx);
    }
}

}  // namespace shoal::virtio
