// Filters from a file: what Firecracker's seccompiler-bin writes (bincode with numbers of 8 bytes,
// little-endian): how many threads' filters there are; for each the length of its name, the name,
// how many instructions it has, and these (struct sock_filter).
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "vmm/jail/filters.h"

namespace shoal::jail {

class FilterFile {
public:
    static constexpr std::size_t max_bytes = 100'000;  // Firecracker's

    // Throws with one sentence: it cannot be read, it is none, a thread has no filter or too long
    // a one.
    explicit FilterFile(const std::string& path);
    explicit FilterFile(std::span<const std::byte> content);

    // Empty: no filter. The main thread has that of "vmm"; it serves the API too, so that "api" has
    // no thread here.
    [[nodiscard]] std::span<const sock_filter> filter_of(Role role) const;

private:
    std::map<std::string, std::vector<sock_filter>> filters_;
};

}  // namespace shoal::jail
