// FakeDisk: a disk in memory. Requests are over when they are waited for.
#pragma once

#include <cstring>
#include <functional>
#include <set>
#include <vector>

#include "guest/kernel/fs/block_device.h"

namespace shoal::guest::fake {

class FakeDisk final : public BlockDevice {
public:
    explicit FakeDisk(std::vector<std::byte> the_bytes) : bytes{std::move(the_bytes)} {}

    [[nodiscard]] std::uint64_t size_bytes() const override { return bytes.size(); }
    [[nodiscard]] Access access() const override { return the_access; }
    [[nodiscard]] std::size_t request_pages_max() const override { return pages_max; }

    void submit(BlockRequest& request) override {
        request.state = BlockRequest::State::in_flight;
        ++in_flight;
        most_in_flight = std::max(most_in_flight, in_flight);
        ++request_count;
    }

    void wait(BlockRequest& request) override {
        if (request.state != BlockRequest::State::in_flight) {
            return;
        }
        --in_flight;
        request.state = BlockRequest::State::done;
        if (request.kind == BlockRequest::Kind::flush) {
            ++flushes;
            return;
        }
        for (std::uint32_t done = 0; done < request.size_bytes; done += page_bytes) {
            const auto count = std::min<std::size_t>(page_bytes, request.size_bytes - done);
            std::byte* at = &bytes.at(request.offset + done);
            static_cast<void>(bytes.at(request.offset + done + count - 1));
            std::byte* page = request.pages.at(done / page_bytes);
            const bool reads = request.kind == BlockRequest::Kind::read;
            std::memcpy(reads ? page : at, reads ? at : page, count);
            touched.insert((request.offset + done) / page_bytes);
            if (broken.contains((request.offset + done) / page_bytes)) {
                request.state = BlockRequest::State::failed;
            }
        }
    }

    void sleep(BlockRequest& request) override {
        ++sleeps;
        if (while_asleep) {
            while_asleep();
        }
        wait(request);
    }

    std::vector<std::byte> bytes;
    std::size_t sleeps = 0;
    std::function<void()> while_asleep{};  // what other threads do
    Access the_access = Access::read_write;
    std::size_t pages_max = BlockRequest::pages_max;
    std::size_t in_flight = 0;
    std::size_t most_in_flight = 0;
    std::size_t request_count = 0;
    std::size_t flushes = 0;
    std::set<std::uint64_t> broken{};   // blocks that fail
    std::set<std::uint64_t> touched{};  // blocks that were read or written
};

}  // namespace shoal::guest::fake
