// A list of pages.
#include "guest/net/send_buffer.h"

#include <algorithm>
#include <new>
#include <utility>

#include "guest/kernel/pages.h"
#include "guest/net/memory_limit.h"
#include "guest/net/parked_pages.h"

namespace shoal::guest::net {

struct SendBuffer::Page {
    static constexpr std::size_t capacity = page_size - sizeof(void*);

    Page* next;  // first, as ParkedPages has it
    std::byte bytes[capacity];
};

SendBuffer::~SendBuffer() {
    while (first_ != nullptr) {
        parked_pages.park(std::exchange(first_, first_->next));
    }
}

std::span<std::byte> SendBuffer::room() {
    if (last_ == nullptr || end_ == Page::capacity) {
        auto* page = static_cast<Page*>(may_take_memory() ? allocate_page() : nullptr);
        if (page == nullptr) {
            return {};
        }
        page->next = nullptr;
        (last_ == nullptr ? first_ : last_->next) = page;
        last_ = page;
        end_ = 0;
        if (unwritten_ == nullptr) {
            unwritten_ = page;
            unwritten_offset_ = 0;
        }
    }
    return std::span{last_->bytes}.subspan(end_);
}

void SendBuffer::add(std::size_t count) noexcept {
    end_ += count;
    size_bytes_ += count;
}

void SendBuffer::write(tcp_pcb& connection) {
    while (written_ < size_bytes_) {
        if (unwritten_offset_ == Page::capacity) {
            unwritten_ = unwritten_->next;
            unwritten_offset_ = 0;
        }
        const std::size_t end = unwritten_ == last_ ? end_ : Page::capacity;
        const std::size_t count =
            std::min<std::size_t>(end - unwritten_offset_, tcp_sndbuf(&connection));
        const bool is_last = written_ + count == size_bytes_;
        if (count == 0 || tcp_write(&connection, unwritten_->bytes + unwritten_offset_,
                                    static_cast<std::uint16_t>(count),
                                    is_last ? 0 : TCP_WRITE_FLAG_MORE) != ERR_OK) {
            return;
        }
        unwritten_offset_ += count;
        written_ += count;
    }
}

void SendBuffer::acknowledge(std::size_t count) noexcept {
    size_bytes_ -= count;
    written_ -= count;
    start_ += count;
    while (first_ != nullptr && (start_ >= Page::capacity || size_bytes_ == 0)) {
        start_ -= std::min(start_, Page::capacity);
        parked_pages.park(std::exchange(first_, first_->next));
    }
    if (first_ == nullptr) {
        last_ = unwritten_ = nullptr;
        start_ = 0;
    }
}

err_t SendBuffer::on_sent(void* buffer, tcp_pcb* connection, u16_t count) {
    auto* self = static_cast<SendBuffer*>(buffer);
    if (self == nullptr) {
        return ERR_OK;
    }
    self->acknowledge(count);
    if (self->empty()) {
        tcp_arg(connection, nullptr);
        delete self;
    }
    return ERR_OK;
}

err_t SendBuffer::on_received(void*, tcp_pcb*, pbuf* data, err_t) {
    if (data != nullptr) {
        pbuf_free(data);
    }
    return ERR_OK;
}

void SendBuffer::on_error(void* buffer, err_t) {
    delete static_cast<SendBuffer*>(buffer);
}

void SendBuffer::outlive(SendBuffer* buffer, tcp_pcb& connection) {
    tcp_arg(&connection, buffer);
    tcp_recv(&connection, &SendBuffer::on_received);
    tcp_sent(&connection, &SendBuffer::on_sent);
    tcp_err(&connection, &SendBuffer::on_error);
}

}  // namespace shoal::guest::net
