// Byte streams between a device and a host file descriptor: pipe, terminal, socket or plain file.
//
// The descriptors are usually inherited (stdin, stdout) and shared with other processes, so they
// are never switched to O_NONBLOCK. Instead a call first polls and then moves at most a bounded
// piece, which a pipe takes or gives without blocking.
// Used on the event-loop thread only.
#pragma once

#include <cstddef>
#include <span>

namespace shoal::backend {

enum class ReadStatus { data, would_block, end_of_file };

struct ReadResult {
    ReadStatus status = ReadStatus::would_block;
    std::size_t size_bytes = 0;  // not 0 exactly when status is data
};

class InputStream {
public:
    // Borrows `fd`. -1 is a stream that is at its end.
    constexpr explicit InputStream(int fd) noexcept : fd_{fd} {}

    // A read error counts as the end of the stream.
    [[nodiscard]] ReadResult try_read(std::span<std::byte> into) const noexcept;
    [[nodiscard]] int fd() const noexcept { return fd_; }

private:
    int fd_;
};

class OutputStream {
public:
    // Borrows `fd`. -1 swallows everything.
    constexpr explicit OutputStream(int fd) noexcept : fd_{fd} {}

    // How many bytes were taken; 0 when the descriptor would block. After a write error (a closed
    // pipe, a full disk) everything is swallowed, so that the guest is not stuck: see failed().
    [[nodiscard]] std::size_t try_write(std::span<const std::byte> from) noexcept;
    [[nodiscard]] int fd() const noexcept { return fd_; }
    [[nodiscard]] bool failed() const noexcept { return failed_; }

private:
    int fd_;
    bool failed_ = false;
};

// A device's end of a pair of streams, as the event loop sees it. The loop asks what the device
// wants, waits for the descriptor, calls the matching function, and asks again. It also asks again
// whenever the device signals the wake-up EventFd that it was given at construction.
class StreamClient {
public:
    virtual ~StreamClient() = default;
    [[nodiscard]] virtual int input_fd() const noexcept = 0;   // -1: none
    [[nodiscard]] virtual int output_fd() const noexcept = 0;  // -1: none
    [[nodiscard]] virtual bool wants_input() const noexcept = 0;
    [[nodiscard]] virtual bool wants_output() const noexcept = 0;
    virtual void on_input_ready() noexcept = 0;
    virtual void on_output_ready() noexcept = 0;
};

// How long the end of a microVM waits for who reads its output.
enum class Patience {
    for_ever,    // but for a pipe that this process could read itself, and perhaps nobody else does
    one_second,  // without a byte that was taken
};
// Waits until `fd` takes more. False: for that long it has not, which is told in the log.
[[nodiscard]] bool wait_for_room(int fd, Patience patience) noexcept;

// Writes out all that the client still has, or what is taken of it. For the end of a microVM.
void drain_output(StreamClient& client, Patience patience) noexcept;

}  // namespace shoal::backend
