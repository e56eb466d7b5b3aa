// PartialFile: a file that is there whole or not at all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/content/sha256.h"
#include "devices/host/unique_fd.h"

namespace shoal::content {

enum class Keeping {
    durable,  // hashed, and there after a crash of the host
    passing,  // neither: its caller makes something else of it
};

// Of one thread at a time. All throw std::system_error.
class PartialFile {
public:
    // Beside `path`.
    explicit PartialFile(std::string path, Keeping keeping = Keeping::durable);
    PartialFile(const PartialFile&) = delete;
    PartialFile& operator=(const PartialFile&) = delete;
    // Deletes what was not kept.
    ~PartialFile();

    // Blocks of zeros become holes.
    void append(std::string_view bytes);
    [[nodiscard]] std::uint64_t size_bytes() const noexcept { return size_bytes_; }
    // The SHA-256 of all that was appended, or of nothing; nothing may be appended any more.
    [[nodiscard]] std::string finish();
    // Gives it its path.
    void keep();

private:
    std::string path_;
    Keeping keeping_;
    std::string partial_;
    host::UniqueFd file_;
    std::uint64_t size_bytes_ = 0;
    Sha256 sha_;
};

}  // namespace shoal::content
