// The flow of a console port's bytes.
#include "devices/virtio/console_port.h"

namespace shoal::virtio {

std::expected<ConsolePort::Progress, QueueError> ConsolePort::send(Queue& transmit) noexcept {
    // They stay suppressed while the stream is blocked: the driver can only add to the queue.
    transmit.suppress_notifications();
    for (unsigned turn = 0; turn < max_chains_per_call; ++turn) {
        if (!sending_) {
            const auto chain = transmit.pop();
            if (!chain) {
                return std::unexpected(chain.error());
            }
            if (!*chain) {
                if (transmit.enable_notifications()) {
                    continue;
                }
                return Progress::idle;
            }
            sending_ = Sending{**chain};
        }
        if (!write_buffers()) {
            return Progress::blocked;
        }
        transmit.push_used(sending_->chain.head, 0);
        sending_.reset();
    }
    return Progress::unfinished;
}

// True when all of the chain is written.
bool ConsolePort::write_buffers() noexcept {
    Sending& now = *sending_;
    while (now.idx < now.chain.readable.size()) {
        const auto rest = now.chain.readable[now.idx].subspan(now.offset);
        const std::size_t count = streams_.output.try_write(rest);
        metrics_.bytes_out += count;
        if (count < rest.size()) {
            now.offset += count;
            return false;
        }
        ++now.idx;
        now.offset = 0;
    }
    return true;
}

std::expected<void, QueueError> ConsolePort::prepare(Queue& receive) noexcept {
    if (receiving_) {
        return {};
    }
    auto chain = receive.pop();
    if (chain && !*chain && receive.enable_notifications()) {
        chain = receive.pop();
    }
    if (!chain) {
        return std::unexpected(chain.error());
    }
    if (!*chain) {
        return {};
    }
    if ((*chain)->writable.empty()) {
        return std::unexpected(QueueError::unusable_buffer);
    }
    receiving_ = **chain;
    receive.suppress_notifications();  // more buffers are of no interest before this one is used
    return {};
}

std::expected<void, QueueError> ConsolePort::receive(Queue& receive) noexcept {
    for (unsigned turn = 0; turn < max_chains_per_call && wants_input(); ++turn) {
        const backend::ReadResult result = streams_.input.try_read(receiving_->writable.front());
        switch (result.status) {
            case backend::ReadStatus::would_block:
                return {};
            case backend::ReadStatus::end_of_file:
                input_ended_ = true;
                return {};
            case backend::ReadStatus::data:
                break;
        }
        metrics_.bytes_in += result.size_bytes;
        receive.push_used(receiving_->head, static_cast<std::uint32_t>(result.size_bytes));
        receiving_.reset();
        if (auto prepared = prepare(receive); !prepared) {
            return prepared;
        }
    }
    return {};
}

void ConsolePort::open() noexcept {
    is_open_ = true;
    end_announced_ = false;
}

bool ConsolePort::take_input_end() noexcept {
    if (!is_open_ || !input_ended_ || end_announced_) {
        return false;
    }
    end_announced_ = true;
    return true;
}

void ConsolePort::reset() noexcept {
    is_open_ = false;
    sending_.reset();
    receiving_.reset();
}

}  // namespace shoal::virtio
