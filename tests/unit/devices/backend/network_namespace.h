// A network of its own for tests: a thread in a fresh network namespace. Whatever it creates there
// is gone when it ends, and the host's network does not see it.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <exception>
#include <string>
#include <thread>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::backend {

// Runs `body` there; a MESSAGE instead where that is not permitted.
template <typename Body>
void in_network_namespace(Body body) {
    std::string problem;
    std::thread{[&] {
        const host::UniqueFd tun{::open("/dev/net/tun", O_RDWR | O_CLOEXEC)};
        if (::unshare(CLONE_NEWNET) != 0 || !tun) {
            MESSAGE("skipped: no network namespace or no /dev/net/tun: ", std::strerror(errno));
            return;
        }
        try {
            body();
        } catch (const std::exception& error) {
            problem = error.what();
        } catch (...) {
            problem = "a REQUIRE failed";
        }
    }}.join();
    CHECK(problem == "");
}

// An interface of the namespace, by the requests that the `ip` command would make.
class TestInterface {
public:
    explicit TestInterface(const std::string& name)
        : socket_{host::check_os(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")} {
        std::ranges::copy(name, request_.ifr_name);
    }
    void set_mtu(int mtu) {
        request_.ifr_mtu = mtu;
        call(SIOCSIFMTU, "SIOCSIFMTU");
    }
    void set_up(const char* address) {
        request_.ifr_addr = make_address(address);
        call(SIOCSIFADDR, "SIOCSIFADDR");
        call(SIOCGIFFLAGS, "SIOCGIFFLAGS");
        request_.ifr_flags |= IFF_UP | IFF_RUNNING;
        call(SIOCSIFFLAGS, "SIOCSIFFLAGS");
    }
    // No need to ask who has this address.
    void add_neighbour(const char* address, const std::array<std::uint8_t, 6>& mac) {
        arpreq entry{};
        entry.arp_pa = make_address(address);
        entry.arp_ha.sa_family = ARPHRD_ETHER;
        std::memcpy(entry.arp_ha.sa_data, mac.data(), mac.size());
        entry.arp_flags = ATF_COM | ATF_PERM;
        std::ranges::copy(request_.ifr_name, entry.arp_dev);
        host::check_os(::ioctl(socket_.get(), SIOCSARP, &entry), "SIOCSARP");
    }
    [[nodiscard]] std::array<std::uint8_t, 6> mac() {
        call(SIOCGIFHWADDR, "SIOCGIFHWADDR");
        std::array<std::uint8_t, 6> mac{};
        std::memcpy(mac.data(), request_.ifr_hwaddr.sa_data, mac.size());
        return mac;
    }

    static sockaddr make_address(const char* address, std::uint16_t port = 0) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(port);
        REQUIRE(::inet_pton(AF_INET, address, &in.sin_addr) == 1);
        sockaddr generic{};
        std::memcpy(&generic, &in, sizeof generic);
        return generic;
    }

private:
    void call(unsigned long number, const char* name) {
        host::check_os(::ioctl(socket_.get(), number, &request_), name);
    }

    host::UniqueFd socket_;
    ifreq request_{};
};

}  // namespace shoal::backend
