// The console's control messages and the flow of bytes.
#include "devices/virtio/console.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "devices/abi/virtio_mmio.h"
#include "devices/host/check.h"

namespace shoal::virtio {

using namespace abi::virtio;

namespace {

constexpr std::size_t max_messages = 64;      // that wait for the driver's buffers
constexpr unsigned max_chains_per_turn = 16;  // so that one stream does not starve the others

// The first bytes of a chain's readable buffers; fewer than asked for if there are fewer.
std::size_t copy_readable(const Chain& chain, std::span<std::byte> to) noexcept {
    std::size_t done = 0;
    for (const std::span<std::byte> buffer : chain.readable) {
        const std::size_t count = std::min(buffer.size(), to.size() - done);
        std::memcpy(to.data() + done, buffer.data(), count);
        done += count;
    }
    return done;
}

}  // namespace

// One port: a StreamClient for the event loop, and the chains that are half done.
class Console::Port final : public backend::StreamClient {
public:
    Port(Console& console, std::uint32_t idx, const ConsolePortStreams& streams)
        : console_{console}, idx_{idx}, input_{streams.input}, output_{streams.output} {}

    [[nodiscard]] int input_fd() const noexcept override { return input_.fd(); }
    [[nodiscard]] int output_fd() const noexcept override { return output_.fd(); }

    [[nodiscard]] bool wants_input() const noexcept override {
        const std::scoped_lock lock{console_.mutex()};
        return is_open_ && !input_ended_ && (receiving_ || has_receive_buffer());
    }
    [[nodiscard]] bool wants_output() const noexcept override {
        const std::scoped_lock lock{console_.mutex()};
        return sending_.has_value();
    }

    void on_input_ready() noexcept override {
        const std::scoped_lock lock{console_.mutex()};
        const auto received = receive();
        console_.finish_turn(received ? console_.write_control() : received);
    }
    void on_output_ready() noexcept override {
        const std::scoped_lock lock{console_.mutex()};
        console_.finish_turn(send());
    }

    void open() noexcept { is_open_ = true; }
    void close() noexcept { is_open_ = false; }
    void reset() noexcept {
        is_open_ = false;
        receiving_.reset();
        sending_.reset();
    }

    // Writes what the driver made available, until the stream would block.
    [[nodiscard]] std::expected<void, QueueError> send() noexcept {
        Queue* queue = console_.find_queue(console::transmit_queue(idx_));
        for (unsigned turn = 0; queue != nullptr && turn < max_chains_per_turn; ++turn) {
            if (!sending_) {
                const auto chain = queue->pop();
                if (!chain) {
                    return std::unexpected(chain.error());
                }
                if (!*chain) {
                    return {};
                }
                sending_ = Sending{
                    (*chain)->head, {(*chain)->readable.begin(), (*chain)->readable.end()}, 0};
            }
            if (!write_buffers()) {
                return {};
            }
            queue->push_used(sending_->head, 0);
            sending_.reset();
        }
        if (queue != nullptr && queue->enable_notifications()) {
            console_.transport_->process_again();
        }
        return {};
    }

private:
    struct Sending {
        std::uint16_t head;
        std::vector<std::span<std::byte>> buffers;
        std::size_t idx;  // of the first buffer that is not done
    };
    struct Receiving {
        std::uint16_t head;
        std::vector<std::span<std::byte>> buffers;
    };

    [[nodiscard]] bool has_receive_buffer() const noexcept {
        Queue* queue = console_.find_queue(console::receive_queue(idx_));
        return queue != nullptr && queue->enable_notifications();
    }

    // True when all buffers are done.
    [[nodiscard]] bool write_buffers() noexcept {
        for (; sending_->idx < sending_->buffers.size(); ++sending_->idx) {
            std::span<std::byte>& rest = sending_->buffers[sending_->idx];
            const std::size_t count = output_.try_write(rest);
            console_.metrics_.bytes_out += count;
            rest = rest.subspan(count);
            if (!rest.empty()) {
                return false;
            }
        }
        return true;
    }

    // Reads into the buffers that the driver gave, until the stream would block.
    [[nodiscard]] std::expected<void, QueueError> receive() noexcept {
        Queue* queue = console_.find_queue(console::receive_queue(idx_));
        for (unsigned turn = 0; queue != nullptr && is_open_ && turn < max_chains_per_turn;
             ++turn) {
            if (!receiving_) {
                const auto chain = queue->pop();
                if (!chain) {
                    return std::unexpected(chain.error());
                }
                if (!*chain) {
                    return {};
                }
                if ((*chain)->writable.empty()) {
                    return std::unexpected(QueueError::unusable_buffer);
                }
                receiving_ = Receiving{(*chain)->head,
                                       {(*chain)->writable.begin(), (*chain)->writable.end()}};
            }
            const backend::ReadResult result = input_.try_read(receiving_->buffers.front());
            switch (result.status) {
                case backend::ReadStatus::would_block:
                    return {};
                case backend::ReadStatus::end_of_file:
                    input_ended_ = true;
                    console_.send(idx_, console::Event::port_open, 0);
                    return {};
                case backend::ReadStatus::data:
                    queue->push_used(receiving_->head,
                                     static_cast<std::uint32_t>(result.size_bytes));
                    console_.metrics_.bytes_in += result.size_bytes;
                    receiving_.reset();
                    break;
            }
        }
        return {};
    }

    Console& console_;
    const std::uint32_t idx_;
    backend::InputStream input_;
    backend::OutputStream output_;
    bool is_open_ = false;  // by the driver
    bool input_ended_ = false;
    std::optional<Receiving> receiving_;
    std::optional<Sending> sending_;
};

Console::Console(std::span<const ConsolePortStreams> ports, const host::EventFd& wake)
    : wake_{wake} {
    SHOAL_CHECK(!ports.empty());
    for (const ConsolePortStreams& streams : ports) {
        ports_.push_back(
            std::make_unique<Port>(*this, static_cast<std::uint32_t>(ports_.size()), streams));
    }
}

Console::~Console() = default;

backend::StreamClient& Console::client(std::size_t port) noexcept {
    return *ports_[port];
}

Queue* Console::find_queue(std::uint32_t idx) const noexcept {
    return idx < queues_.size() && queues_[idx].is_ready() ? &queues_[idx] : nullptr;
}

std::uint32_t Console::device_id() const noexcept {
    return abi::virtio::device_id::console;
}

std::uint64_t Console::features() const noexcept {
    return console::feature_multiport;
}

std::uint32_t Console::queue_count() const noexcept {
    const auto last_port = static_cast<std::uint32_t>(ports_.size()) - 1;
    return std::max(console::control_transmit_queue, console::transmit_queue(last_port)) + 1;
}

void Console::read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept {
    const console::Config config{0, 0, static_cast<std::uint32_t>(ports_.size()), 0};
    const auto bytes = std::as_bytes(std::span{&config, 1});
    if (offset < bytes.size()) {
        const auto rest = bytes.subspan(offset);
        std::ranges::copy(rest.first(std::min(rest.size(), data.size())), data.begin());
    }
}

void Console::activate(std::uint64_t features, std::span<Queue> queues,
                       Transport& transport) noexcept {
    queues_ = queues;
    transport_ = &transport;
    multiport_ = (features & console::feature_multiport) != 0;
    if (!multiport_) {
        ports_[0]->open();
    }
}

void Console::reset() noexcept {
    queues_ = {};
    transport_ = nullptr;
    to_send_.clear();
    for (const auto& port : ports_) {
        port->reset();
    }
}

void Console::process() noexcept {
    finish_turn(process_all());
    wake_.signal();  // buffers for input may have come: the event loop looks again
}

void Console::finish_turn(const std::expected<void, QueueError>& done) noexcept {
    if (transport_ == nullptr) {
        return;
    }
    if (!done) {
        Transport& transport = *transport_;
        reset();
        transport.fail(done.error());
        return;
    }
    for (Queue& queue : queues_) {
        transport_->used_buffers(queue);
    }
}

std::expected<void, QueueError> Console::process_all() noexcept {
    if (multiport_) {
        if (const auto control = read_control(); !control) {
            return control;
        }
    }
    for (const auto& port : ports_) {
        if (const auto sent = port->send(); !sent) {
            return sent;
        }
    }
    return write_control();
}

std::expected<void, QueueError> Console::read_control() noexcept {
    Queue* queue = find_queue(console::control_transmit_queue);
    // Bounded by the queue: what the driver adds meanwhile comes with its own notification.
    for (std::uint32_t i = 0; queue != nullptr && i < queue_size_max(); ++i) {
        const auto chain = queue->pop();
        if (!chain) {
            return std::unexpected(chain.error());
        }
        if (!*chain) {
            return {};
        }
        console::Control message{};
        const auto bytes = std::as_writable_bytes(std::span{&message, 1});
        if (copy_readable(**chain, bytes) == sizeof message) {
            answer(message);
        }
        queue->push_used((*chain)->head, 0);
    }
    return {};
}

void Console::answer(const console::Control& message) noexcept {
    using console::Event;
    if (message.event == Event::device_ready) {
        if (message.value == 1) {
            for (std::uint32_t port = 0; port < ports_.size(); ++port) {
                send(port, Event::port_add, 1);
            }
        }
        return;
    }
    if (message.port >= ports_.size()) {
        return;
    }
    if (message.event == Event::port_ready && message.value == 1) {
        if (message.port == 0) {
            send(0, Event::console_port, 1);
        }
        send(message.port, Event::port_open, 1);
    } else if (message.event == Event::port_open) {
        message.value == 1 ? ports_[message.port]->open() : ports_[message.port]->close();
    }
}

void Console::send(std::uint32_t port, console::Event event, std::uint16_t value) noexcept {
    if (!multiport_) {
        return;
    }
    if (to_send_.size() >= max_messages) {
        ++metrics_.dropped_messages;
        return;
    }
    to_send_.push_back({port, event, value});
}

std::expected<void, QueueError> Console::write_control() noexcept {
    Queue* queue = find_queue(console::control_receive_queue);
    while (queue != nullptr && !to_send_.empty()) {
        const auto chain = queue->pop();
        if (!chain) {
            return std::unexpected(chain.error());
        }
        if (!*chain) {
            return {};
        }
        const auto bytes = std::as_bytes(std::span{&to_send_.front(), 1});
        if ((*chain)->writable.empty() || (*chain)->writable.front().size() < bytes.size()) {
            return std::unexpected(QueueError::unusable_buffer);
        }
        std::ranges::copy(bytes, (*chain)->writable.front().begin());
        queue->push_used((*chain)->head, static_cast<std::uint32_t>(bytes.size()));
        to_send_.pop_front();
    }
    return {};
}

void Console::finish() noexcept {
    for (const auto& port : ports_) {
        do {
            backend::drain_output(*port);
            port->on_output_ready();
        } while (port->wants_output());
    }
}

}  // namespace shoal::virtio
