// setsockopt and getsockopt of TCP.
#include <lwip/priv/tcp_priv.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "guest/net/socket_options.h"
#include "guest/net/tcp_socket.h"

namespace shoal::guest::net {
namespace {

constexpr std::uint32_t milliseconds = 1000;
constexpr std::int32_t seconds_max = 32767;   // MAX_TCP_KEEPIDLE
constexpr std::int32_t keep_count_max = 127;  // MAX_TCP_KEEPCNT
constexpr std::string_view congestion_control = "reno";

// struct linger.
struct Linger {
    std::int32_t is_on;
    std::int32_t seconds;
};

// The first members of struct tcp_info, as far as programs look: the state.
struct TcpInfo {
    std::uint8_t state;
    std::array<std::uint8_t, 103> rest;
};

// As <netinet/tcp.h> numbers them; lwIP's are in another order.
std::uint8_t state_number(tcp_state state) {
    constexpr std::array<std::uint8_t, 11> numbers{7, 10, 2, 3, 1, 4, 5, 8, 11, 9, 6};
    return numbers[state];
}

bool is_accepted(std::uint32_t name) {
    return name == tcp_option::cork || name == tcp_option::quick_ack ||
           name == tcp_option::defer_accept || name == tcp_option::user_timeout ||
           name == tcp_option::syn_count || name == tcp_option::linger2 ||
           name == tcp_option::max_segment;
}

}  // namespace

void TcpSocket::apply_tcp_options() noexcept {
    if (pcb_ == nullptr || pcb_->state == LISTEN) {
        return;
    }
    if (no_delay_) {
        tcp_nagle_disable(pcb_);
    } else {
        tcp_nagle_enable(pcb_);
    }
    pcb_->keep_idle = keep_idle_s_ * milliseconds;
    pcb_->keep_intvl = keep_interval_s_ * milliseconds;
    pcb_->keep_cnt = keep_count_;
}

Result<void> TcpSocket::set_tcp_option(std::uint32_t name, std::span<const std::byte> value) {
    if (name == tcp_option::congestion) {
        const std::string_view wanted{reinterpret_cast<const char*>(value.data()), value.size()};
        return wanted.starts_with(congestion_control) ? Result<void>{} : fail(Errno::noent);
    }
    const auto number = number_in(value);
    if (!number || value.size() < sizeof *number) {
        return fail(Errno::inval);
    }
    const bool is_count = name == tcp_option::keep_count;
    const bool is_time = name == tcp_option::keep_idle || name == tcp_option::keep_interval;
    if (name == tcp_option::no_delay) {
        no_delay_ = *number != 0;
    } else if (is_time || is_count) {
        if (*number < 1 || *number > (is_count ? keep_count_max : seconds_max)) {
            return fail(Errno::inval);
        }
        (is_count                        ? keep_count_
         : name == tcp_option::keep_idle ? keep_idle_s_
                                         : keep_interval_s_) = static_cast<std::uint32_t>(*number);
    } else {
        return is_accepted(name) ? Result<void>{} : fail(Errno::noprotoopt);
    }
    apply_tcp_options();
    if (no_delay_ && state_ == State::connected && pcb_ != nullptr) {
        tcp_output(pcb_);
        Network::instance().flush();
    }
    return {};
}

Result<void> TcpSocket::set_option(SocketOption option, std::span<const std::byte> value) {
    if (option.level == level::tcp) {
        return set_tcp_option(option.name, value);
    }
    if (option.level == level::socket && option.name == socket_option::linger) {
        Linger linger{};
        if (value.size() < sizeof linger) {
            return fail(Errno::inval);
        }
        std::memcpy(&linger, value.data(), sizeof linger);
        aborts_on_close_ = linger.is_on != 0 && linger.seconds == 0;
        return {};
    }
    return InetSocket::set_option(option, value);
}

Result<std::size_t> TcpSocket::get_option(SocketOption option, std::span<std::byte> value) const {
    if (option.level == level::socket && option.name == socket_option::linger) {
        const Linger linger{aborts_on_close_ ? 1 : 0, 0};
        std::memcpy(value.data(), &linger, sizeof linger);
        return sizeof linger;
    }
    if (option.level != level::tcp) {
        return InetSocket::get_option(option, value);
    }
    switch (option.name) {
        case tcp_option::no_delay:
            return put_number(value, no_delay_ ? 1 : 0);
        case tcp_option::max_segment:
            return put_number(value, pcb_ != nullptr && !is_listening() ? tcp_mss(pcb_) : TCP_MSS);
        case tcp_option::keep_idle:
            return put_number(value, static_cast<std::int32_t>(keep_idle_s_));
        case tcp_option::keep_interval:
            return put_number(value, static_cast<std::int32_t>(keep_interval_s_));
        case tcp_option::keep_count:
            return put_number(value, static_cast<std::int32_t>(keep_count_));
        case tcp_option::info: {
            TcpInfo info{};
            info.state = state_number(pcb_ != nullptr ? pcb_->state : CLOSED);
            std::memcpy(value.data(), &info, sizeof info);
            return sizeof info;
        }
        case tcp_option::congestion:
            std::copy(congestion_control.begin(), congestion_control.end(),
                      reinterpret_cast<char*>(value.data()));
            return congestion_control.size();
        default:
            return is_accepted(option.name) ? Result<std::size_t>{put_number(value, 0)}
                                            : fail(Errno::noprotoopt);
    }
}

}  // namespace shoal::guest::net
