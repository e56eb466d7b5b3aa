// DiskEngineFixture: runs requests of a disk engine to their end.
#pragma once

#include <doctest/doctest.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "devices/backend/disk_engine.h"

namespace shoal::backend {

struct DiskEngineFixture {
    explicit DiskEngineFixture(const std::string& path, DiskIo io,
                               DiskCaching caching = DiskCaching::page_cache)
        : engine{open_disk({.path = path, .caching = caching, .io = io})} {}

    // Runs one request to its end and returns its error.
    int run(DiskOperation operation, std::uint64_t offset, std::uint64_t size_bytes,
            std::span<iovec> buffers = {}) {
        DiskRequest request;
        request.set(operation, offset, size_bytes, buffers);
        engine->start(request);
        engine->wait();
        REQUIRE(engine->take_finished() == &request);
        REQUIRE(engine->take_finished() == nullptr);
        return request.error;
    }
    int run(DiskOperation operation, std::uint64_t offset, std::span<std::byte> memory) {
        iovec buffer{memory.data(), memory.size()};
        return run(operation, offset, memory.size(), std::span{&buffer, 1});
    }

    std::unique_ptr<DiskEngine> engine;
};

inline std::vector<std::byte> pattern(std::uint64_t size_bytes) {
    std::vector<std::byte> bytes(size_bytes);
    for (std::size_t idx = 0; idx < bytes.size(); ++idx) {
        bytes[idx] = static_cast<std::byte>(idx * 7 + idx / 251);
    }
    return bytes;
}

}  // namespace shoal::backend
