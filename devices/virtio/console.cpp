// Whose turn it is, and the streams as the event loop sees them.
#include "devices/virtio/console.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "devices/abi/virtio_mmio.h"
#include "devices/host/check.h"
#include "devices/virtio/config_bytes.h"

namespace shoal::virtio {

namespace console = abi::virtio::console;

// A port as the event loop sees it.
class Console::Port final : public backend::StreamClient {
public:
    Port(Console& console, std::uint32_t idx, const ConsolePortStreams& streams) noexcept
        : bytes{streams}, console_{console}, idx_{idx} {}

    [[nodiscard]] int input_fd() const noexcept override { return bytes.streams().input.fd(); }
    [[nodiscard]] int output_fd() const noexcept override { return bytes.streams().output.fd(); }
    [[nodiscard]] bool wants_input() const noexcept override {
        const std::scoped_lock lock{console_.mutex()};
        return bytes.wants_input();
    }
    [[nodiscard]] bool wants_output() const noexcept override {
        const std::scoped_lock lock{console_.mutex()};
        return bytes.wants_output();
    }
    void on_input_ready() noexcept override {
        const std::scoped_lock lock{console_.mutex()};
        if (console_.transport_ != nullptr) {
            console_.end_turn(console_.receive_input(idx_));
        }
    }
    void on_output_ready() noexcept override {
        const std::scoped_lock lock{console_.mutex()};
        if (console_.transport_ != nullptr) {
            console_.end_turn(console_.send_output(idx_));
        }
    }

    ConsolePort bytes;

private:
    Console& console_;
    const std::uint32_t idx_;
};

Console::Console(std::span<const ConsolePortStreams> ports, const host::EventFd& wake)
    : wake_{wake} {
    SHOAL_CHECK(!ports.empty() && ports.size() <= max_ports);
    std::vector<ConsolePort*> bytes;
    for (std::uint32_t idx = 0; idx < ports.size(); ++idx) {
        ports_.push_back(std::make_unique<Port>(*this, idx, ports[idx]));
        bytes.push_back(&ports_.back()->bytes);
    }
    control_.emplace(std::move(bytes));
}

Console::~Console() = default;

backend::StreamClient& Console::client(std::size_t port) noexcept {
    return *ports_[port];
}

ConsoleMetrics Console::metrics() const noexcept {
    const std::scoped_lock lock{mutex()};
    ConsoleMetrics sum;
    for (const auto& port : ports_) {
        sum.bytes_in += port->bytes.metrics().bytes_in;
        sum.bytes_out += port->bytes.metrics().bytes_out;
    }
    return sum;
}

ConsoleState Console::save() const {
    const std::scoped_lock lock{mutex()};
    ConsoleState state{.ports = {}, .due = control_->save()};
    for (const auto& port : ports_) {
        state.ports.push_back(port->bytes.save());
    }
    return state;
}

bool Console::restore(const ConsoleState& state) {
    const std::scoped_lock lock{mutex()};
    if (state.ports.size() != ports_.size() || state.due.size() != ports_.size()) {
        return false;
    }
    if (transport_ == nullptr) {
        return true;  // without a driver there is nothing to remember
    }
    for (std::uint32_t port = 0; port < ports_.size(); ++port) {
        if (!ports_[port]->bytes.restore(state.ports[port], queues_[console::transmit_queue(port)],
                                         queues_[console::receive_queue(port)])) {
            return false;
        }
    }
    control_->restore(state.due);
    wake_.signal();
    return true;
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
    copy_config(config, offset, data);
}

void Console::activate(std::uint64_t features, std::span<Queue> queues,
                       Transport& transport) noexcept {
    queues_ = queues;
    transport_ = &transport;
    multiport_ = (features & console::feature_multiport) != 0;
    if (!multiport_) {
        ports_[0]->bytes.open();
    }
}

void Console::stop_queue(std::uint32_t idx) noexcept {
    for (std::uint32_t port = 0; port < ports_.size(); ++port) {
        if (idx == console::transmit_queue(port)) {
            ports_[port]->bytes.stop_sending();
        } else if (idx == console::receive_queue(port)) {
            ports_[port]->bytes.stop_receiving();
        }
    }
}

void Console::reset() noexcept {
    transport_ = nullptr;
    queues_ = {};
    for (const auto& port : ports_) {
        port->bytes.reset();
    }
    control_->reset();
}

void Console::process() noexcept {
    const std::uint32_t before = wishes();
    end_turn(process_all());
    if ((wishes() & ~before) != 0) {
        wake_.signal();
    }
}

// Two bits for each port: what its streams are to be waited for.
std::uint32_t Console::wishes() const noexcept {
    std::uint32_t bits = 0;
    for (const auto& port : ports_) {
        bits = bits << 2 | (port->bytes.wants_input() ? 2U : 0U) |
               (port->bytes.wants_output() ? 1U : 0U);
    }
    return bits;
}

Done Console::process_all() noexcept {
    if (Done done = read_control(); !done) {
        return done;
    }
    for (std::uint32_t port = 0; port < ports_.size(); ++port) {
        if (Done done = send_output(port); !done) {
            return done;
        }
        Queue& receive = queues_[console::receive_queue(port)];
        if (Done done = ports_[port]->bytes.prepare(receive); !done) {
            return done;
        }
    }
    return write_control();
}

Done Console::send_output(std::uint32_t port) noexcept {
    const auto progress = ports_[port]->bytes.send(queues_[console::transmit_queue(port)]);
    if (!progress) {
        return std::unexpected(progress.error());
    }
    if (*progress == ConsolePort::Progress::unfinished) {
        transport_->process_again();
    }
    return {};
}

Done Console::receive_input(std::uint32_t port) noexcept {
    const Done done = ports_[port]->bytes.receive(queues_[console::receive_queue(port)]);
    return done ? write_control() : done;
}

Done Console::read_control() noexcept {
    if (!multiport_) {
        return {};
    }
    const auto more = control_->read(queues_[console::control_transmit_queue], queue_size_max());
    if (!more) {
        return std::unexpected(more.error());
    }
    if (*more) {
        transport_->process_again();
    }
    return {};
}

Done Console::write_control() noexcept {
    return multiport_ ? control_->write(queues_[console::control_receive_queue]) : Done{};
}

void Console::finish(backend::Patience patience) noexcept {
    for (std::uint32_t port = 0; port < ports_.size(); ++port) {
        ConsolePort::Progress progress = finish_some(port);
        while (progress != ConsolePort::Progress::idle) {
            if (progress == ConsolePort::Progress::blocked &&
                !backend::wait_for_room(ports_[port]->output_fd(), patience)) {
                break;
            }
            progress = finish_some(port);
        }
    }
}

ConsolePort::Progress Console::finish_some(std::uint32_t port) noexcept {
    const std::scoped_lock lock{mutex()};
    if (transport_ == nullptr) {
        return ConsolePort::Progress::idle;
    }
    const auto progress = ports_[port]->bytes.send(queues_[console::transmit_queue(port)]);
    end_turn(progress ? Done{} : std::unexpected(progress.error()));
    return progress.value_or(ConsolePort::Progress::idle);
}

}  // namespace shoal::virtio
