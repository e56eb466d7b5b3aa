// Fuzzes the guest's side of a disk that another process serves: its configuration, its queue,
// resets.
//
// The backend is a thread that uses every chain unseen. Whatever the driver does, the backend is
// told of rings that lie in the memory that it was given, and after a reset the disk is served.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "devices/backend/vhost_user_channel.h"
#include "devices/host/check.h"
#include "devices/host/os_error.h"
#include "devices/host/reactor.h"
#include "devices/virtio/vhost_user_block.h"
#include "tests/fuzz/virtio_driver.h"

using namespace shoal;

namespace {

// One for all runs, of one connection.
class Backend {
public:
    explicit Backend(const machine::GuestMemory& memory)
        : memory_{memory}, listener_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::ranges::copy(path_, address.sun_path);
        // SAFETY: the system's way to pass an address.
        host::check_os(
            ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
            "bind");
        host::check_os(::listen(listener_.get(), 1), "listen");
        std::thread{[this] { serve(); }}.detach();  // for as long as the process lives
    }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    using Message = backend::VhostUserMessage;

    enum Request : std::uint32_t {
        get_features = 1,
        set_vring_num = 8,
        set_vring_addr = 9,
        set_vring_base = 10,
        get_vring_base = 11,
        set_vring_kick = 12,
        set_vring_call = 13,
        get_protocol_features = 15,
        set_vring_enable = 18,
        get_config = 24,
    };

    void serve() {
        const host::UniqueFd client{::accept(listener_.get(), nullptr, nullptr)};
        ::unlink(path_.c_str());
        while (true) {
            std::array<pollfd, 2> waits{{{client.get(), POLLIN, 0}, {kick_.get(), POLLIN, 0}}};
            // Who forges the rings' indices does not notify.
            ::poll(waits.data(), waits.size(), is_enabled_ ? 1 : -1);
            if (waits[1].revents != 0) {
                std::uint64_t count = 0;
                static_cast<void>(::read(kick_.get(), &count, sizeof count) == 0);
            }
            if (is_enabled_) {
                use_all();
            }
            if (waits[0].revents != 0 && !serve_message(client.get())) {
                return;
            }
        }
    }

    // What the guest reads it reads from its own memory: that nothing was written there is right.
    void use_all() const {
        constexpr std::size_t idx_offset = abi::virtio::used_idx_offset;
        static_assert(idx_offset == abi::virtio::avail_idx_offset);
        const auto idx = std::atomic_ref{word(avail_ + idx_offset)}.load();
        if (std::atomic_ref{word(used_ + idx_offset)}.exchange(idx) != idx) {
            constexpr std::uint64_t one = 1;
            static_cast<void>(::write(call_.get(), &one, sizeof one) == 0);
        }
    }
    static std::uint16_t& word(std::uint64_t address) {
        // SAFETY: checked when the address came; the backend is in this process.
        return *reinterpret_cast<std::uint16_t*>(address);
    }

    bool serve_message(int socket) {
        Message message{0};
        host::UniqueFd with;
        if (!receive(socket, message, with)) {
            return false;
        }
        std::uint64_t number = 0;  // all went well
        switch (message.header.request) {
            case get_features:
                number = 1ULL << 32 | 1 << 30 | 1 << 29 | 1 << 28 | 0x6244;
                break;
            case get_protocol_features:
                number = 1 << 9 | 1 << 3;
                break;
            case get_config:
                message.payload[sizeof(std::uint32_t) * 3] = std::byte{64};  // sectors
                return answer(socket, message);
            case get_vring_base:
                is_enabled_ = false;
                return answer(socket, message);
            case set_vring_num:
                size_ = value_of(message, 1);
                SHOAL_CHECK(size_ > 0 && size_ <= virtio::Queue::max_size);
                break;
            case set_vring_base:
                SHOAL_CHECK(value_of(message, 1) == 0);
                break;
            case set_vring_addr:
                take_addresses(message);
                break;
            case set_vring_kick:
                kick_ = std::move(with);
                break;
            case set_vring_call:
                call_ = std::move(with);
                break;
            case set_vring_enable:
                SHOAL_CHECK(!is_enabled_ && value_of(message, 1) == 1);
                is_enabled_ = true;
                break;
            default:
                break;
        }
        const bool is_question = number != 0;
        if (!is_question && (message.header.flags & Message::flag_need_reply) == 0) {
            return true;
        }
        message.header.size_bytes = sizeof number;
        std::memcpy(message.payload.data(), &number, sizeof number);
        return answer(socket, message);
    }

    void take_addresses(const Message& message) {
        std::array<std::uint64_t, 5> addresses{};  // the first has the ring's index
        std::memcpy(addresses.data(), message.payload.data(), sizeof addresses);
        expect_in_memory(addresses[1], std::uint64_t{16} * size_);
        used_ = addresses[2];
        expect_in_memory(used_, 4 + std::uint64_t{8} * size_);
        avail_ = addresses[3];
        expect_in_memory(avail_, 4 + std::uint64_t{2} * size_);
    }
    void expect_in_memory(std::uint64_t address, std::uint64_t size_bytes) const {
        // SAFETY: the address as a number.
        const auto start = reinterpret_cast<std::uintptr_t>(memory_.bytes().data());
        SHOAL_CHECK(address >= start && address - start <= memory_.size_bytes() &&
                    size_bytes <= memory_.size_bytes() - (address - start));
    }
    static std::uint32_t value_of(const Message& message, std::size_t idx) {
        std::uint32_t value = 0;
        std::memcpy(&value, message.payload.data() + idx * sizeof value, sizeof value);
        return value;
    }

    // With at most one descriptor.
    static bool receive(int socket, Message& message, host::UniqueFd& with) {
        alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
        iovec bytes{&message.header, sizeof message.header};
        msghdr header{};
        header.msg_iov = &bytes;
        header.msg_iovlen = 1;
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        if (::recvmsg(socket, &header, MSG_WAITALL | MSG_CMSG_CLOEXEC) !=
            static_cast<ssize_t>(sizeof message.header)) {
            return false;
        }
        if (const cmsghdr* const head = CMSG_FIRSTHDR(&header)) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
            with = host::UniqueFd{fd};
        }
        const std::size_t size_bytes = message.header.size_bytes;
        SHOAL_CHECK(size_bytes <= message.payload.size());
        return size_bytes == 0 || ::recv(socket, message.payload.data(), size_bytes, MSG_WAITALL) ==
                                      static_cast<ssize_t>(size_bytes);
    }
    static bool answer(int socket, Message& message) {
        message.header.flags = Message::version | Message::flag_reply;
        std::array<iovec, 2> bytes{{{&message.header, sizeof message.header},
                                    {message.payload.data(), message.header.size_bytes}}};
        msghdr header{};
        header.msg_iov = bytes.data();
        header.msg_iovlen = bytes.size();
        return ::sendmsg(socket, &header, MSG_NOSIGNAL) > 0;
    }

    const machine::GuestMemory& memory_;
    const std::string path_ = "/tmp/shoal-fuzz-" + std::to_string(::getpid()) + ".socket";
    host::UniqueFd listener_;
    host::UniqueFd kick_;
    host::UniqueFd call_;
    bool is_enabled_ = false;
    std::uint32_t size_ = 0;
    std::uint64_t used_ = 0;
    std::uint64_t avail_ = 0;
};

// What the irqfd does.
bool take_interrupt(const virtio::VhostUserBlock& device, int timeout_ms) {
    pollfd wait{device.used_event()->fd(), POLLIN, 0};
    return ::poll(&wait, 1, timeout_ms) == 1 && device.used_event()->drain();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    static const machine::GuestMemory memory{fuzz::VirtioDriver::memory_bytes};
    static Backend backend{memory};
    static host::Reactor reactor;
    static virtio::VhostUserBlock device{
        {.socket = backend.path(), .cache = virtio::CacheType::writeback}, memory, reactor};
    fuzz::Input input{data, size_bytes};
    fuzz::VirtioDriver driver{device, memory};
    while (!input.empty()) {
        driver.step(input, [&](fuzz::Input& rest) {
            if (rest.take<std::uint8_t>() % 4 == 0) {
                device.update_config();
            } else {
                take_interrupt(device, 0);
                reactor.dispatch(0);
            }
        });
    }
    driver.reset();
    take_interrupt(device, 0);
    driver.start();
    SHOAL_CHECK(take_interrupt(device, 5000));
    driver.reset();
    return 0;
}
