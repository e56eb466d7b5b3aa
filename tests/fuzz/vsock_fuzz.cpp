// Fuzzes vsock: the input plays a malicious driver, and host programs that come and go.
//
// It chooses what lies in the rings and in guest memory, when the device is reset, and what happens
// at the unix sockets. Whatever it does, the device survives and keeps to its limits.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "devices/abi/virtio_vsock.h"
#include "devices/backend/vsock_listener.h"
#include "devices/backend/vsock_socket.h"
#include "devices/host/check.h"
#include "devices/machine/irq_line.h"
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/vsock.h"

namespace {

namespace vsock = shoal::abi::virtio::vsock;
using shoal::abi::virtio::MmioRegister;
using shoal::backend::VsockSocket;
using shoal::machine::Gpa;

constexpr std::uint16_t ring_size = 8;
constexpr std::uint64_t buffers_at = 0x10000;
constexpr std::uint64_t buffer_bytes = 0x4000;
constexpr std::size_t max_connections = 6;

// What is left of the input; zeros when nothing is.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : data_{data}, size_{size} {}
    [[nodiscard]] bool empty() const { return size_ == 0; }
    std::uint8_t byte() { return take<std::uint8_t>(); }
    template <typename T>
    T take() {
        T value{};
        const std::size_t count = std::min(size_, sizeof value);
        std::memcpy(&value, data_, count);
        data_ += count;
        size_ -= count;
        return value;
    }

private:
    const std::uint8_t* data_;
    std::size_t size_;
};

class SilentIrq final : public shoal::machine::IrqLine {
public:
    void raise() noexcept override {}
};

std::string make_folder() {
    std::string name = "/tmp/shoal-vsock-fuzz-XXXXXX";
    SHOAL_CHECK(::mkdtemp(name.data()) != nullptr);
    static const std::string folder = name;
    std::atexit([] { std::filesystem::remove_all(folder); });
    return folder;
}

const std::string& socket_path() {
    static const std::string path = make_folder() + "/v";
    return path;
}

class World {
public:
    void run(Input& input) {
        start(0);
        while (!input.empty()) {
            step(input);
            serve();
            SHOAL_CHECK(device_.connection_count() <= max_connections);
        }
        reset();
        serve();
        SHOAL_CHECK(device_.connection_count() == 0);
    }

private:
    static std::uint64_t ring_at(unsigned queue) { return 0x1000 + 0x1000 * queue; }

    void set(MmioRegister which, std::uint32_t value) {
        transport_.write(static_cast<std::uint64_t>(which), std::as_bytes(std::span{&value, 1}));
    }
    void reset() { set(MmioRegister::status, 0); }
    void start(std::uint8_t features) {
        reset();
        avail_ = {};
        for (const std::uint32_t status : {1U, 3U}) {
            set(MmioRegister::status, status);
        }
        set(MmioRegister::driver_features_select, 0);
        set(MmioRegister::driver_features, (features & 3U) << 28);
        set(MmioRegister::driver_features_select, 1);
        set(MmioRegister::driver_features, 1 | shoal::abi::virtio::feature::ring_reset >> 32);
        set(MmioRegister::status, 11);
        for (unsigned queue = 0; queue < vsock::queue_count; ++queue) {
            set_up_queue(queue);
        }
        set(MmioRegister::status, 15);
    }
    void set_up_queue(unsigned queue) {
        const auto at = static_cast<std::uint32_t>(ring_at(queue));
        std::ranges::fill(memory_.slice(Gpa{at}, 0x1000).value(), std::byte{0});
        set(MmioRegister::queue_select, queue);
        set(MmioRegister::queue_size, ring_size);
        set(MmioRegister::queue_descriptors_low, at);
        set(MmioRegister::queue_driver_low, at + 0x400);
        set(MmioRegister::queue_device_low, at + 0x800);
        set(MmioRegister::queue_ready, 1);
    }
    // One of them, by this register or that one; and perhaps from its beginning again.
    void stop_queue(std::uint8_t choice) {
        const unsigned queue = choice % vsock::queue_count;
        set(MmioRegister::queue_select, queue);
        if ((choice & 64) != 0) {
            set(MmioRegister::queue_ready, 0);
        } else {
            set(MmioRegister::queue_reset, 1);
        }
        if ((choice & 128) != 0) {
            avail_[queue] = 0;
            set_up_queue(queue);
        }
    }
    void serve() {
        for (unsigned turn = 0; turn < 4; ++turn) {
            const bool notified = transport_.notify_event().drain();
            if (notified) {
                transport_.process_queues();
            }
            if (!reactor_.dispatch(0) && !notified) {
                return;
            }
        }
    }

    void step(Input& input) {
        const std::uint8_t op = input.byte();
        if (op >= 0xFC) {
            return stop_queue(input.byte());
        }
        switch (op % 12) {
            case 0:
            case 1:
            case 2:
                return send(input);
            case 3:
                return offer(vsock::receive_queue, input.byte(), 44 + input.take<std::uint16_t>(),
                             shoal::abi::virtio::descriptor_flag::write);
            case 4:
                return offer(input.byte() % 3, input.byte(), input.take<std::uint32_t>(),
                             input.byte());
            case 5:
                return scribble(input);
            case 6:
                return start(input.byte());
            case 7:
                return device_.reset_connections();
            case 8:
                return arrive(input);
            case 9:
                return act(input);
            case 10:
                if (auto accepted = server_.accept(); accepted.socket) {
                    programs_.emplace_back(std::move(accepted.socket));
                }
                return;
            case 11:
                return set(static_cast<MmioRegister>(input.byte()), input.byte());
            default:
                return;
        }
    }

    // A packet that is nearly right.
    void send(Input& input) {
        vsock::Header header{};
        header.src_cid = vsock::Cid::of(3);
        header.dst_cid = vsock::Cid::of(2);
        header.op = vsock::Operation{static_cast<std::uint16_t>(input.byte() % 9)};
        const std::uint8_t ports = input.byte();
        header.src_port = ports % 4;
        header.dst_port = (ports & 0x80) != 0 ? (1U << 30) + ports / 4 % 8 : 1;
        header.type = vsock::Type::stream;
        header.len = input.take<std::uint16_t>() % 0x3000;
        header.flags = input.byte() % 4;
        header.buf_alloc = input.take<std::uint16_t>();
        header.fwd_cnt = input.take<std::uint16_t>();
        auto bytes = std::as_writable_bytes(std::span{&header, 1});
        if (const std::uint8_t place = input.byte(); place < bytes.size()) {
            bytes[place] = std::byte{input.byte()};
        }
        const std::uint8_t slot = input.byte();
        SHOAL_CHECK(memory_.write(Gpa{buffer(slot)}, header));
        offer(vsock::transmit_queue, slot, 44 + header.len, 0);
    }
    static std::uint64_t buffer(std::uint8_t slot) {
        return buffers_at + buffer_bytes * (slot % ring_size);
    }
    void offer(unsigned queue, std::uint8_t slot, std::uint32_t size_bytes, std::uint16_t flags) {
        const std::uint64_t at = ring_at(queue);
        const auto head = static_cast<std::uint16_t>(slot % ring_size);
        const shoal::abi::virtio::Descriptor descriptor{
            buffer(slot), size_bytes, flags, static_cast<std::uint16_t>(slot / ring_size)};
        static_cast<void>(memory_.write(Gpa{at + 16ULL * head}, descriptor));
        static_cast<void>(memory_.write(Gpa{at + 0x404 + 2ULL * (avail_[queue] % 8)}, head));
        ++avail_[queue];
        static_cast<void>(memory_.write(Gpa{at + 0x402}, avail_[queue]));
        set(MmioRegister::queue_notify, queue);
    }
    void scribble(Input& input) {
        const std::uint64_t at = 0x1000 + input.take<std::uint16_t>() % 0x3000;
        static_cast<void>(memory_.write(Gpa{at}, input.take<std::uint32_t>()));
        set(MmioRegister::queue_notify, 0);
    }

    // ---- host programs ----
    void arrive(Input& input) {
        if (auto socket = VsockSocket::try_connect(socket_path());
            socket && programs_.size() < 16) {
            programs_.push_back(*std::move(socket));
            write(programs_.back(), "CONNECT " + std::to_string(input.byte() % 4) + "\n");
        }
    }
    void act(Input& input) {
        if (programs_.empty()) {
            return;
        }
        VsockSocket& program = programs_[input.byte() % programs_.size()];
        switch (input.byte() % 6) {
            case 0:
                return write(program, std::string(input.take<std::uint16_t>(), 'x'));
            case 1: {
                std::vector<char> bytes(0x20000);
                static_cast<void>(program.read(std::array{iovec{bytes.data(), bytes.size()}}));
                return;
            }
            case 2:
                return program.shutdown_write();
            case 3:
                return program.shutdown_read();
            case 4:
                programs_.erase(programs_.begin() + (&program - programs_.data()));
                return;
            case 5:
                return write(program, {static_cast<char>(input.byte())});
            default:
                return;
        }
    }
    static void write(const VsockSocket& program, std::string text) {
        static_cast<void>(program.write(std::array{iovec{text.data(), text.size()}}));
    }

    shoal::host::Reactor reactor_;
    shoal::machine::GuestMemory memory_{1 << 20};
    shoal::backend::VsockListener server_{socket_path() + "_1"};
    shoal::virtio::Vsock device_{
        {3, socket_path()}, reactor_, {.max_connections = max_connections, .tick_ms = 1}};
    SilentIrq irq_;
    shoal::virtio::MmioTransport transport_{device_, memory_, irq_};
    std::array<std::uint16_t, vsock::queue_count> avail_{};
    std::vector<VsockSocket> programs_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    Input input{data, size_bytes};
    World{}.run(input);
    return 0;
}
