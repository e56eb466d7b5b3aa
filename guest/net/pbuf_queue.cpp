// A list of pbufs that is longer than lwIP's own lists can be.
#include "guest/net/pbuf_queue.h"

#include <algorithm>

namespace shoal::guest::net {

void PbufQueue::push(pbuf* chain) noexcept {
    size_bytes_ += chain->tot_len;
    (last_ == nullptr ? first_ : last_->next) = chain;
    for (last_ = chain; last_->next != nullptr;) {
        last_ = last_->next;
    }
}

bool PbufQueue::copy(Destination& to, std::size_t count) const {
    std::size_t offset = offset_;
    for (const pbuf* part = first_; count > 0; part = part->next) {
        const std::size_t piece = std::min<std::size_t>(part->len - offset, count);
        if (!to.put({static_cast<const std::byte*>(part->payload) + offset, piece})) {
            return false;
        }
        count -= piece;
        offset = 0;
    }
    return true;
}

void PbufQueue::discard(std::size_t count) noexcept {
    size_bytes_ -= count;
    offset_ += count;
    while (first_ != nullptr && offset_ >= first_->len) {
        offset_ -= first_->len;
        pbuf* freed = std::exchange(first_, first_->next);
        freed->next = nullptr;
        freed->tot_len = freed->len;
        pbuf_free(freed);
    }
    if (first_ == nullptr) {
        last_ = nullptr;
    }
}

}  // namespace shoal::guest::net
