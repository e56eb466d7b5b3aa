// The block device's queue: requests from the driver to the disk and back.
#include <algorithm>

#include "devices/host/clock.h"
#include "devices/virtio/block.h"

namespace shoal::virtio {

namespace block = abi::virtio::block;
using backend::DiskOperation;
using block::RequestType;

void Block::process() noexcept {
    ++metrics_.queue_event_count;
    serve();
}

void Block::on_finished() noexcept {
    serve();
}

void Block::on_timer() noexcept {
    ++metrics_.rate_limiter_event_count;
    limiter_.on_timer();
    serve();
}

void Block::serve() noexcept {
    if (transport_ == nullptr) {
        take_back_finished();
        return;
    }
    Transport& transport = *transport_;
    Queue& queue = *queue_;
    if (const auto served = serve_queue(); !served) {
        ++metrics_.event_fails;
        reset();
        transport.fail(served.error());
        return;
    }
    transport.used_buffers(queue);
}

std::expected<void, QueueError> Block::serve_queue() noexcept {
    Allowance allowance = allowance_per_pass;
    do {
        queue_->suppress_notifications();
        const auto stop = start_requests(allowance);
        if (!stop) {
            return std::unexpected(stop.error());
        }
        take_back_finished();
        if (*stop != Stop::queue_empty) {
            // Otherwise the timer or a request in flight calls again.
            const bool some_are_free = pool_.in_flight() < BlockRequestPool::size;
            if (*stop == Stop::enough || (*stop == Stop::all_in_flight && some_are_free)) {
                transport_->process_again();
            }
            return {};
        }
    } while (queue_->enable_notifications());
    return {};
}

std::expected<Block::Stop, QueueError> Block::start_requests(Allowance& allowance) noexcept {
    while (allowance.take_chain()) {
        if (limiter_.is_blocked()) {
            return Stop::throttled;
        }
        BlockRequest* const request = pool_.try_take();
        if (request == nullptr) {
            ++metrics_.io_engine_throttled_events;
            return Stop::all_in_flight;
        }
        const auto stop = start_one(*request, allowance);
        if (!stop || *stop != Stop::enough) {
            pool_.give_back(*request);
            return stop;
        }
    }
    return Stop::enough;
}

// Stop::enough: it is on its way, and that is enough for one call.
std::expected<Block::Stop, QueueError> Block::start_one(BlockRequest& request,
                                                        Allowance& allowance) noexcept {
    const auto chain = queue_->pop();
    if (!chain) {
        return std::unexpected(chain.error());
    }
    if (!*chain) {
        return Stop::queue_empty;
    }
    if (const auto read = read_request(**chain, request); !read) {
        ++metrics_.invalid_reqs_count;
        return std::unexpected(read.error());
    }
    const bool moves_data = request.type == RequestType::in || request.type == RequestType::out;
    const std::uint64_t bytes = moves_data ? request.data_bytes : 0;
    if (!limiter_.consume(bytes)) {
        ++metrics_.rate_limiter_throttled_events;
        queue_->undo_pops(1);
        return Stop::throttled;
    }
    allowance.spend(bytes);
    request.activation = activation_;
    request.begun_ns = host::monotonic_ns();
    begin(request);
    return Stop::enough;
}

void Block::begin(BlockRequest& request) noexcept {
    if (const auto status = prepare(request)) {
        answer(request, *status);
    } else {
        engine_->start(request);
    }
}

std::optional<Block::RequestStatus> Block::prepare(BlockRequest& request) noexcept {
    switch (request.type) {
        case RequestType::in:
            return prepare_transfer(request, DiskOperation::read);
        case RequestType::out:
            if (engine_->disk().is_read_only()) {
                return RequestStatus::io_error;
            }
            return prepare_transfer(
                request, is_durable_ ? DiskOperation::write_durably : DiskOperation::write);
        case RequestType::flush:
            if (cache_ == CacheType::unsafe) {
                return RequestStatus::ok;
            }
            request.set(DiskOperation::flush, 0, 0);
            return std::nullopt;
        case RequestType::get_id:
            if (request.data_bytes < id_.size()) {
                return RequestStatus::io_error;
            }
            request.fill(std::as_bytes(std::span{id_}));
            return RequestStatus::ok;
        case RequestType::discard:
        case RequestType::write_zeroes:
            return prepare_range(request);
    }
    return RequestStatus::unsupported;
}

std::optional<Block::RequestStatus> Block::prepare_transfer(BlockRequest& request,
                                                            DiskOperation operation) noexcept {
    if (request.data_bytes % block::sector_bytes != 0 ||
        !contains(request.sector, request.data_bytes / block::sector_bytes)) {
        return RequestStatus::io_error;
    }
    if (request.data_bytes == 0) {
        return RequestStatus::ok;
    }
    request.set(operation, request.sector * block::sector_bytes, request.data_bytes,
                request.data());
    return std::nullopt;
}

std::optional<Block::RequestStatus> Block::prepare_range(BlockRequest& request) noexcept {
    const bool is_discard = request.type == RequestType::discard;
    if (engine_->disk().is_read_only() || request.data_bytes > sizeof(block::Range)) {
        return RequestStatus::unsupported;  // not offered; one range at a time is
    }
    if (request.data_bytes != sizeof(block::Range)) {
        return RequestStatus::io_error;
    }
    const block::Range range = request.copy_range();
    const std::uint32_t known_flags = is_discard ? 0 : block::range_flag_unmap;
    if ((range.flags & ~known_flags) != 0) {
        return RequestStatus::unsupported;
    }
    if (range.sector_count > (is_discard ? max_discard_sectors : max_write_zeroes_sectors) ||
        !contains(range.sector, range.sector_count)) {
        return RequestStatus::io_error;
    }
    request.sector = range.sector;
    request.data_bytes = std::uint64_t{range.sector_count} * block::sector_bytes;
    if (range.sector_count == 0) {
        return RequestStatus::ok;
    }
    const bool may_unmap = (range.flags & block::range_flag_unmap) != 0;
    request.set(is_discard  ? DiskOperation::discard
                : may_unmap ? DiskOperation::deallocate_zeroes
                            : DiskOperation::write_zeroes,
                range.sector * block::sector_bytes, request.data_bytes);
    if (is_durable_) {
        request.afterwards = backend::DiskRequest::Afterwards::flush;
    }
    return std::nullopt;
}

bool Block::contains(std::uint64_t sector, std::uint64_t sector_count) const noexcept {
    const std::uint64_t capacity = engine_->disk().capacity_sectors();
    return sector <= capacity && sector_count <= capacity - sector;
}

// Hands everything to the host first.
void Block::take_back_finished() noexcept {
    bool submitted = engine_->submit();
    while (backend::DiskRequest* const finished = engine_->take_finished()) {
        auto& request = static_cast<BlockRequest&>(*finished);
        log_write(request);
        if (request.activation == activation_) {
            answer(request, finished->error == 0 ? RequestStatus::ok : RequestStatus::io_error);
        } else {
            pool_.give_back(request);  // its driver or its queue is gone
            --stale_count_;
        }
    }
    submitted = engine_->submit() && submitted;  // the rest of long requests
    if (!submitted && transport_ != nullptr) {
        transport_->process_again();
    }
    taken_back_.notify_all();
}

// Also what failed: a part of it may have been done.
void Block::log_write(const BlockRequest& request) const noexcept {
    if (request.type != RequestType::out && request.type != RequestType::discard &&
        request.type != RequestType::write_zeroes) {
        return;
    }
    if (const auto writes = writes_.lock()) {
        writes->add(request.sector * block::sector_bytes, request.data_bytes);
    }
}

// For what must not meet a request in flight. The driver hears of those that it made.
void Block::finish_all() noexcept {
    engine_->wait();
    take_back_finished();
    if (transport_ != nullptr) {
        transport_->used_buffers(*queue_);
    }
}

// Takes the request back to the pool.
void Block::answer(BlockRequest& request, RequestStatus status) noexcept {
    count(request, status);
    *request.status = static_cast<std::byte>(status);
    queue_->push_used(request.head, request.written_bytes);
    pool_.give_back(request);
}

void Block::count(const BlockRequest& request, RequestStatus status) noexcept {
    if (status != RequestStatus::ok) {
        ++(status == RequestStatus::io_error ? metrics_.execute_fails
                                             : metrics_.invalid_reqs_count);
        return;
    }
    switch (request.type) {
        case RequestType::in:
            ++metrics_.read_count;
            metrics_.read_bytes += request.data_bytes;
            metrics_.read_agg.record(host::monotonic_ns() - request.begun_ns);
            return;
        case RequestType::out:
            ++metrics_.write_count;
            metrics_.write_bytes += request.data_bytes;
            metrics_.write_agg.record(host::monotonic_ns() - request.begun_ns);
            return;
        case RequestType::flush:
            ++metrics_.flush_count;
            return;
        case RequestType::discard:
            ++metrics_.discard_count;
            metrics_.discard_bytes += request.data_bytes;
            return;
        case RequestType::write_zeroes:
            ++metrics_.write_zeroes_count;
            metrics_.write_zeroes_bytes += request.data_bytes;
            return;
        case RequestType::get_id:
            return;
    }
}

}  // namespace shoal::virtio
