// Two generations of packets, and the pages that wait for them.
#include "guest/net/parked_pages.h"

#include <new>
#include <utility>

namespace shoal::guest::net {

void ParkedPages::park(void* page) {
    parked_ = new (page) Page{parked_};
    free_pages();
}

ParkedPages::Generation ParkedPages::packet_leaves() noexcept {
    ++packets_[younger_];
    return younger_;
}

void ParkedPages::packet_returns(Generation generation) {
    --packets_[generation];
    free_pages();
}

void ParkedPages::free_pages() {
    while (packets_[younger_ ^ 1] == 0 && (waiting_ != nullptr || parked_ != nullptr)) {
        while (waiting_ != nullptr) {
            free_page(std::exchange(waiting_, waiting_->next));
        }
        waiting_ = std::exchange(parked_, nullptr);
        younger_ ^= 1;
    }
}

}  // namespace shoal::guest::net
