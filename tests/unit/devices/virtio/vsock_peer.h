// Host programs around a vsock device for tests: a folder for sockets, and unix sockets in it.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "devices/backend/vsock_address.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::virtio {

class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name = "/tmp/shoal-vsock-XXXXXX";
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    [[nodiscard]] std::string operator/(std::string_view name) const {
        return path_ + "/" + std::string{name};
    }

private:
    std::string path_;
};

// One connected, non-blocking unix socket.
class VsockPeer {
public:
    VsockPeer() = default;
    explicit VsockPeer(host::UniqueFd fd) : fd_{std::move(fd)} {}
    explicit VsockPeer(const std::string& path) {
        fd_ = host::UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
        const sockaddr_un address = backend::unix_address(path).value();
        REQUIRE(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
                0);
    }

    // How much of it was taken.
    std::size_t write_some(std::string_view text) const {
        const ssize_t count = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
        return count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    void write(std::string_view text) const { REQUIRE(write_some(text) == text.size()); }

    // What is there, at most `limit` bytes; remembers whether the end was reached.
    std::string read(std::size_t limit = 1 << 20) {
        std::string all(limit, '\0');
        const ssize_t count = ::recv(fd_.get(), all.data(), all.size(), 0);
        ended_ = ended_ || count == 0 || (count < 0 && errno != EAGAIN);
        all.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
        return all;
    }
    // Whether the other side has closed, and nothing is left to read.
    [[nodiscard]] bool is_at_end() {
        char byte = 0;
        const ssize_t count = ::recv(fd_.get(), &byte, 1, MSG_PEEK);
        ended_ = ended_ || count == 0 || (count < 0 && errno != EAGAIN);
        return ended_;
    }
    void shutdown(int how) const { REQUIRE(::shutdown(fd_.get(), how) == 0); }
    void close() { fd_ = host::UniqueFd{}; }
    [[nodiscard]] int fd() const { return fd_.get(); }

private:
    host::UniqueFd fd_;
    bool ended_ = false;
};

// A program that listens.
class VsockServer {
public:
    explicit VsockServer(const std::string& path) {
        fd_ = host::UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
        const sockaddr_un address = backend::unix_address(path).value();
        REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
                0);
        REQUIRE(::listen(fd_.get(), 4096) == 0);
    }
    VsockPeer accept() const {
        host::UniqueFd fd{::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
        REQUIRE(fd);
        return VsockPeer{std::move(fd)};
    }

private:
    host::UniqueFd fd_;
};

}  // namespace shoal::virtio
