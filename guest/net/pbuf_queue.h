// PbufQueue: bytes that have arrived, in lwIP's buffers, in order. Owns them.
#pragma once

#include <lwip/pbuf.h>

#include <cstddef>
#include <span>
#include <utility>

#include "guest/kernel/fs/transfer.h"

namespace shoal::guest::net {

class PbufQueue {
public:
    PbufQueue() = default;
    PbufQueue(PbufQueue&& other) noexcept
        : first_{std::exchange(other.first_, nullptr)},
          last_{std::exchange(other.last_, nullptr)},
          offset_{std::exchange(other.offset_, 0)},
          size_bytes_{std::exchange(other.size_bytes_, 0)} {}
    PbufQueue& operator=(PbufQueue&&) = delete;
    ~PbufQueue() { discard(size_bytes_); }

    [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }
    // Takes a chain over.
    void push(pbuf* chain) noexcept;
    // Copies the first `count` bytes, which must be there, and leaves them. False when the
    // destination does not take them.
    [[nodiscard]] bool copy(Destination& to, std::size_t count) const;
    // Frees the first `count` bytes.
    void discard(std::size_t count) noexcept;

private:
    // Linked by pbuf::next. Their tot_len means nothing here: it has 16 bits.
    pbuf* first_ = nullptr;
    pbuf* last_ = nullptr;
    std::size_t offset_ = 0;  // of what was not discarded in the first
    std::size_t size_bytes_ = 0;
};

}  // namespace shoal::guest::net
