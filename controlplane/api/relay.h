// Relay: a client's connection that has become one to a guest (HTTP's Upgrade). Bytes go both ways
// as they are, until one side hangs up.
//
// When the client does, the guest's side is closed at once; when the guest does, the client gets
// what is on its way, and 2 s to hang up. Without a byte for 4 h both are closed. What one side
// does not take is not read from the other: 64 KiB each way are held.
#pragma once

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "controlplane/http/stream.h"

namespace shoal::rest {

inline constexpr std::chrono::hours relay_idle_timeout{4};

// Owned by a shared_ptr: what waits in the loop holds on to it.
class Relay : public std::enable_shared_from_this<Relay> {
public:
    // The streams' pointers hold on to whoever has them. Neither has an operation under way.
    Relay(std::shared_ptr<Stream> client, std::shared_ptr<Stream> guest);

    // With what has come of each side already.
    void start(std::string from_client, std::string from_guest);

private:
    using Clock = std::chrono::steady_clock;
    using Piece = std::array<char, 65536>;

    void read_client();
    void read_guest();
    void write_guest(std::string_view bytes);
    void write_client(std::string_view bytes);
    void see_off_client();
    void watch_silence(Clock::duration duration);
    void close() noexcept;

    std::shared_ptr<Stream> client_;
    std::shared_ptr<Stream> guest_;
    boost::asio::steady_timer timer_;
    Clock::time_point heard_at_ = Clock::now();
    std::string early_from_client_;
    std::string early_from_guest_;
    Piece to_guest_{};
    Piece to_client_{};
    bool is_guest_gone_ = false;
};

}  // namespace shoal::rest
