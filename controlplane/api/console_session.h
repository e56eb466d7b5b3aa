// ConsoleSession: somebody who is attached to a microVM's console, by the frames of
// controlplane/exec.
//
// What is held is limited: one piece of the output, which is not read on before it is sent, and
// exec::window_bytes of input that the guest has not taken.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/exec/frame.h"
#include "controlplane/http/exchange.h"
#include "devices/host/unique_fd.h"

namespace shoal::rest {

// The exit code of an end that has no microVM's own: as `shoal` has it for what failed.
inline constexpr std::uint8_t console_failed = 125;

struct ConsoleEnds {
    host::UniqueFd input;                 // written without waiting
    std::unique_ptr<Source> output;       // its end is the console's
    std::function<exec::Ended()> ending;  // asked then
};

// Owned by a shared_ptr: what waits in the loop holds on to it.
class ConsoleSession : public std::enable_shared_from_this<ConsoleSession> {
public:
    using Socket = boost::asio::local::stream_protocol::socket;

    // `connection` leads to whoever is attached. Throws std::system_error.
    ConsoleSession(Socket connection, ConsoleEnds ends);

    void start();
    // Says so to whoever is attached, who is attached no more.
    void end(const exec::Ended& ended);
    // At once; the ends are let go.
    void close() noexcept;
    [[nodiscard]] bool is_attached() const noexcept { return !is_ending_ && !is_closed_; }

private:
    void read_output();
    void on_output(std::optional<std::string> piece);
    void write();
    void read_frames();
    void take_frames();
    void take_input(std::string_view bytes);
    void feed();

    Socket connection_;
    boost::asio::posix::stream_descriptor input_;
    std::unique_ptr<Source> output_;
    std::function<exec::Ended()> ending_;
    exec::FrameReader frames_;
    std::array<char, 4096> received_{};
    std::string queued_;                           // to be sent
    std::string sending_;                          // on its way
    std::string typed_;                            // to be fed
    std::string feeding_;                          // on its way to the guest
    std::size_t credit_ = exec::window_bytes;      // that whoever is attached has not used
    std::size_t credit_due_ = exec::window_bytes;  // of it, that is not told yet
    bool is_reading_output_ = false;
    bool is_sending_ = false;
    bool is_feeding_ = false;
    bool is_ending_ = false;
    bool is_closed_ = false;
};

}  // namespace shoal::rest
