// A console port's saved state: chains half done.
#include "devices/virtio/console_port.h"

namespace shoal::virtio {

ConsolePortState ConsolePort::save() const noexcept {
    ConsolePortState state{is_open_, end_announced_, std::nullopt, std::nullopt};
    if (sending_) {
        state.sending = {sending_->chain.head, static_cast<std::uint32_t>(sending_->idx),
                         static_cast<std::uint32_t>(sending_->offset)};
    }
    if (receiving_) {
        state.receiving = receiving_->head;
    }
    return state;
}

bool ConsolePort::restore(const ConsolePortState& state, Queue& transmit, Queue& receive) noexcept {
    // Chains are views of the queue's buffers, which collect_again() fills anew even when the state
    // is then refused.
    reset();
    is_open_ = state.is_open;
    end_announced_ = state.end_announced;
    return (!state.sending || restore_sending(*state.sending, transmit)) &&
           (!state.receiving || restore_receiving(*state.receiving, receive));
}

bool ConsolePort::restore_sending(const ConsolePortState::Sending& state,
                                  Queue& transmit) noexcept {
    const auto chain = transmit.collect_again(state.head);
    if (!chain || state.idx >= chain->readable.size() ||
        state.offset > chain->readable[state.idx].size()) {
        return false;
    }
    sending_ = Sending{*chain, state.idx, state.offset};
    return true;
}

bool ConsolePort::restore_receiving(std::uint16_t head, Queue& receive) noexcept {
    const auto chain = receive.collect_again(head);
    if (!chain || chain->writable.empty()) {
        return false;
    }
    receiving_ = *chain;
    return true;
}

}  // namespace shoal::virtio
