// SlowBackend: a vhost-user backend in this process that answers every message, but one request
// only when it is told to. It serves no queue.
#pragma once

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <semaphore>
#include <string>
#include <thread>

#include "devices/backend/vhost_user_channel.h"
#include "devices/host/unique_fd.h"
#include "tests/unit/devices/backend/temporary_image.h"

namespace shoal::virtio {

class SlowBackend {
public:
    enum Request : std::uint32_t {
        get_features = 1,
        set_mem_table = 5,
        get_vring_base = 11,
        get_protocol_features = 15,
        get_config = 24,
    };

    explicit SlowBackend(std::uint32_t slow_request)
        : slow_request_{slow_request}, listener_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::ranges::copy(path_, address.sun_path);
        REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address),
                       sizeof address) == 0);
        REQUIRE(::listen(listener_.get(), 1) == 0);
        thread_ = std::jthread{[this] { serve(); }};
    }
    ~SlowBackend() {
        answer_now();
        ::unlink(path_.c_str());
    }
    [[nodiscard]] const std::string& path() const { return path_; }

    // Returns when the slow request came.
    void wait_until_asked() { REQUIRE(asked_.try_acquire_for(std::chrono::seconds{10})); }
    void answer_now() { may_answer_.release(); }

private:
    using Message = backend::VhostUserMessage;

    void serve() {
        const host::UniqueFd client{::accept(listener_.get(), nullptr, nullptr)};
        Message message{0};
        while (receive(client.get(), message)) {
            if (message.header.request == slow_request_) {
                asked_.release();
                may_answer_.acquire();
                slow_request_ = 0;
            }
            answer(client.get(), message);
        }
    }
    // Descriptors that come along are dropped.
    static bool receive(int fd, Message& message) {
        const auto read = [fd](void* into, std::size_t bytes) {
            return bytes == 0 ||
                   ::recv(fd, into, bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes);
        };
        return read(&message.header, sizeof message.header) &&
               read(message.payload.data(), message.header.size_bytes);
    }
    static void answer(int fd, Message& message) {
        constexpr std::uint64_t features = 1ULL << 32 | 1 << 30 | 1 << 29 | 1 << 28;
        constexpr std::uint64_t protocol_features = 1 << 9 | 1 << 3;
        std::uint64_t number = 0;  // all went well
        switch (message.header.request) {
            case get_features:
                number = features;
                break;
            case get_protocol_features:
                number = protocol_features;
                break;
            case get_vring_base:
            case get_config:
                break;  // as it is
            default:
                if ((message.header.flags & Message::flag_need_reply) == 0) {
                    return;
                }
        }
        if (message.header.request != get_vring_base && message.header.request != get_config) {
            message.header.size_bytes = sizeof number;
            std::memcpy(message.payload.data(), &number, sizeof number);
        }
        message.header.flags = Message::version | Message::flag_reply;
        std::array<std::byte, sizeof message.header + Message::max_payload_bytes> bytes;
        std::memcpy(bytes.data(), &message.header, sizeof message.header);
        std::memcpy(bytes.data() + sizeof message.header, message.payload.data(),
                    message.header.size_bytes);
        ::send(fd, bytes.data(), sizeof message.header + message.header.size_bytes, MSG_NOSIGNAL);
    }

    const backend::TemporaryImage file_{0};
    const std::string path_ = file_.path() + ".socket";
    std::uint32_t slow_request_;
    host::UniqueFd listener_;
    std::counting_semaphore<> asked_{0};
    std::counting_semaphore<> may_answer_{0};
    std::jthread thread_;
};

}  // namespace shoal::virtio
