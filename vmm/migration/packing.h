// Packing: runs of pages compressed on the wire (zstd, level 1), one run by itself.
#pragma once

#include <memory>
#include <optional>

#include "vmm/migration/frame.h"

namespace shoal::migration {

// For one thread.
class Packer {
public:
    // Throws std::bad_alloc.
    Packer();
    ~Packer();
    Packer(const Packer&) = delete;
    Packer& operator=(const Packer&) = delete;

    // A frame of kind `packed` that holds this one. Nothing: it is no run of pages with bytes, or
    // would not become shorter.
    [[nodiscard]] std::optional<Frame> pack(const Frame& frame);

private:
    struct Context;
    std::unique_ptr<Context> context_;
};

// The frame that a `packed` one holds: a run of pages with bytes, within the limit of its kind.
// What is wrong with it. (clang 14 cannot destroy an expected of what has a destructor.)
[[nodiscard]] std::optional<FrameError> unpack(const Frame& frame, Frame& into);

}  // namespace shoal::migration
