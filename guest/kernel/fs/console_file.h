// ConsoleFile: standard input, output and error, over the driver of the console.
#pragma once

#include <asm/termbits.h>

#include <array>
#include <vector>

#include "guest/kernel/fs/inode.h"

namespace shoal::guest {

enum class ConsoleStream : std::uint32_t { input = 0, output = 1, error = 2 };

struct WindowSize {
    std::uint16_t rows = 24;
    std::uint16_t columns = 80;
};

// What the kernel implements over its driver.
class ConsoleDevice {
public:
    // Returns how many bytes it took, at least one; waits when its queue is full. Errno::pipe or
    // Errno::io when nobody takes them any more.
    [[nodiscard]] virtual Result<std::size_t> write(ConsoleStream stream,
                                                    std::span<const std::byte> bytes) = 0;
    // What has arrived; 0 at the end of input. Errno::again when nothing has.
    [[nodiscard]] virtual Result<std::size_t> read(std::span<std::byte> to) = 0;
    // Whether read() has an answer.
    [[nodiscard]] virtual bool has_input() = 0;
    // Woken when it gets one. From the first call on the device interrupts for input.
    [[nodiscard]] virtual WaitQueue& input_queue() = 0;
    [[nodiscard]] virtual bool is_tty(ConsoleStream stream) const = 0;
    [[nodiscard]] virtual WindowSize window_size() const = 0;

protected:
    ~ConsoleDevice() = default;
};

// /dev/console, and the standard streams that are no terminals. Reading reads the input; writing
// writes `stream` (the output if that is the input).
class ConsoleFile final : public Inode {
public:
    ConsoleFile(FileType type, std::uint32_t permissions, ConsoleDevice& device,
                ConsoleStream stream) noexcept;

    Result<std::size_t> read(OpenFile& file, std::uint64_t offset, Destination& to,
                             std::size_t count) override;
    Result<std::size_t> write(OpenFile& file, std::uint64_t offset, Source& from,
                              std::size_t count) override;
    [[nodiscard]] Seek seek() const noexcept override { return Seek::refused; }
    [[nodiscard]] Readiness readiness(const OpenFile& file) const override;
    [[nodiscard]] WaitQueue* wait_queue(const OpenFile& file) noexcept override;
    [[nodiscard]] ConsoleFile* as_console() noexcept override { return this; }

    [[nodiscard]] bool is_tty() const { return device_.is_tty(stream_); }
    [[nodiscard]] ConsoleDevice& device() const noexcept { return device_; }

    struct termios settings;  // TCGETS and TCSETS: remembered, without effect

private:
    [[nodiscard]] Result<std::size_t> write_all(std::span<const std::byte> bytes);

    ConsoleDevice& device_;
    ConsoleStream stream_;
    WaitQueue always_writable_{};      // for those who poll output: it never wakes
    std::vector<std::byte> buffer_{};  // for what is more than a line; made when first needed
};

}  // namespace shoal::guest
