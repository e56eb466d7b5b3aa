// Symlink: a symbolic link, whose target is borrowed from the initramfs or its own.
#pragma once

#include <memory>

#include "guest/kernel/fs/inode.h"

namespace shoal::guest {

class Symlink final : public Inode {
public:
    // The bytes outlive everything.
    explicit Symlink(std::string_view target) noexcept
        : Inode{FileType::symlink, 0777}, target_{target} {}
    // `memory` holds the target.
    Symlink(std::unique_ptr<char[]> memory, std::size_t target_size) noexcept
        : Inode{FileType::symlink, 0777},
          memory_{std::move(memory)},
          target_{memory_.get(), target_size} {}

    [[nodiscard]] std::uint64_t size() const noexcept override { return target_.size(); }
    [[nodiscard]] std::string_view link_target() const noexcept override { return target_; }

private:
    std::unique_ptr<char[]> memory_{};
    std::string_view target_;
};

}  // namespace shoal::guest
