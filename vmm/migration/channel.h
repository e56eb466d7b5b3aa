// Channel: messages over a wire.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmm/migration/frame.h"
#include "vmm/migration/wire.h"

namespace shoal::migration {

// For one thread. What goes wrong comes back as one sentence; after it the channel is of no more
// use.
class Channel {
public:
    explicit Channel(std::unique_ptr<Wire> wire);

    [[nodiscard]] std::optional<std::string> send(const Frame& frame);
    // The next one; waits for it.
    [[nodiscard]] std::optional<std::string> receive(Frame& frame);
    // Likewise, but so long as `is_patient` says so a silent peer is waited for.
    [[nodiscard]] std::optional<std::string> receive(Frame& frame,
                                                     const std::function<bool()>& is_patient);
    // Any thread.
    void hang_up() noexcept { wire_->hang_up(); }

private:
    std::unique_ptr<Wire> wire_;
    FrameReader reader_;
    std::vector<std::byte> piece_;
};

}  // namespace shoal::migration
