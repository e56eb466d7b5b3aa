// SendBuffer: bytes that a TCP connection has taken and its peer has not acknowledged, in pages of
// their own. lwIP and the device read them there, so they are copied once; the device may do so
// after they are acknowledged, so pages go by way of ParkedPages.
#pragma once

#include <lwip/tcp.h>

#include <cstddef>
#include <span>

namespace shoal::guest::net {

class SendBuffer {
public:
    SendBuffer() = default;
    SendBuffer(const SendBuffer&) = delete;
    SendBuffer& operator=(const SendBuffer&) = delete;
    ~SendBuffer();

    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
    [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }
    // Room for bytes behind those that are there, at least one; empty when memory is gone.
    [[nodiscard]] std::span<std::byte> room();
    // Adds the first `count` bytes of it.
    void add(std::size_t count) noexcept;
    // Gives lwIP what it does not have yet. Does nothing while it takes none.
    void write(tcp_pcb& connection);
    [[nodiscard]] bool is_written() const noexcept { return written_ == size_bytes_; }
    // So many bytes need not be kept any longer.
    void acknowledge(std::size_t count) noexcept;

    // Keeps the bytes until the connection has no need of them, and deletes itself then. The
    // caller has called tcp_close(), and has everything written.
    static void outlive(SendBuffer* buffer, tcp_pcb& connection);

private:
    struct Page;

    static err_t on_sent(void* buffer, tcp_pcb* connection, u16_t count);
    static err_t on_received(void* buffer, tcp_pcb* connection, pbuf* data, err_t error);
    static void on_error(void* buffer, err_t error);

    Page* first_ = nullptr;
    Page* last_ = nullptr;
    Page* unwritten_ = nullptr;         // the page that `written_` ends in
    std::size_t unwritten_offset_ = 0;  // and where
    std::size_t start_ = 0;             // of what is not acknowledged, in the first page
    std::size_t end_ = 0;               // in the last page
    std::size_t size_bytes_ = 0;
    std::size_t written_ = 0;  // of size_bytes_
};

}  // namespace shoal::guest::net
