// The flow of a console port's bytes.
#include "devices/virtio/console_port.h"

#include <algorithm>

namespace shoal::virtio {

std::expected<ConsolePort::Progress, QueueError> ConsolePort::send(Queue& transmit) noexcept {
    // They stay suppressed while the stream is blocked: the driver can only add to the queue.
    transmit.suppress_notifications();
    Allowance allowance = allowance_per_call;
    while (allowance.take_chain()) {
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
        if (const Progress progress = write_buffers(allowance); progress != Progress::idle) {
            return progress;
        }
        transmit.push_used(sending_->chain.head, 0);
        sending_.reset();
    }
    return Progress::unfinished;
}

// Idle when all of the chain is written.
ConsolePort::Progress ConsolePort::write_buffers(Allowance& allowance) noexcept {
    Sending& now = *sending_;
    while (now.idx < now.chain.readable.size()) {
        const auto rest = now.chain.readable[now.idx].subspan(now.offset);
        const auto piece = rest.first(std::min<std::uint64_t>(rest.size(), allowance.bytes));
        const std::size_t count = streams_.output.try_write(piece);
        metrics_.bytes_out += count;
        allowance.spend(count);
        if (count < rest.size()) {
            now.offset += count;
            return count < piece.size() ? Progress::blocked : Progress::unfinished;
        }
        ++now.idx;
        now.offset = 0;
    }
    return Progress::idle;
}

std::expected<void, QueueError> ConsolePort::prepare(Queue& receive) noexcept {
    if (receiving_) {
        return {};
    }
    const auto chain = receive.pop_or_listen();
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
    Allowance allowance = allowance_per_call;
    while (wants_input() && allowance.take_chain()) {
        const auto buffer = receiving_->writable.front();
        const backend::ReadResult result = streams_.input.try_read(
            buffer.first(std::min<std::uint64_t>(buffer.size(), allowance.bytes)));
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
        allowance.spend(result.size_bytes);
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
