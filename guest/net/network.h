// Network: lwIP with the loopback interface and, if the machine has one, a network device.
//
// Made when the program asks for its first socket, so that a program without any pays nothing. It
// takes events as the scheduler says; sockets ask it to, before they say that there is nothing.
#pragma once

#include <cstdint>

#include "guest/kernel/boot/command_line.h"
#include "guest/kernel/boot/ip_word.h"
#include "guest/kernel/sched/event_source.h"
#include "guest/net/interface.h"
#include "guest/net/timers.h"

namespace shoal::guest::net {

class Network final : public EventSource {
public:
    // Made at the first call, with what configure() was given (net.h).
    [[nodiscard]] static Network& instance();

    void take_events() override;
    [[nodiscard]] std::uint64_t deadline_ns() const override;

    // Takes what has arrived, if anything has. Between system calls only, never within lwIP.
    void poll();
    // Lets what was put out leave; what goes over the loopback interface arrives. As above.
    void flush();

    [[nodiscard]] netif* interface() noexcept {
        return interface_ != nullptr ? &interface_->lwip() : nullptr;
    }

    // That ip= names.
    [[nodiscard]] const NameServers& chosen_name_servers() const noexcept { return name_servers_; }

private:
    Network();
    void start_interface(const CommandLine& command_line);
    void set_addresses(const CommandLine& command_line);
    void renew();
    void wait_for_lease();

    Interface* interface_ = nullptr;
    Timers timers_;
    NameServers name_servers_{};
    bool has_more_ = false;
    std::uint64_t loads_ = 0;  // that are taken account of
    std::uint32_t arrivals_ = 0;
};

}  // namespace shoal::guest::net
