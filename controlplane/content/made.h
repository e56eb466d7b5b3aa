// What becomes of something that is made of files of the host.
#pragma once

#include <functional>
#include <string>

namespace shoal::content {

// A plain pair: clang 14 cannot destroy a std::expected of these (store/result.h).
template <typename Body>
struct MakeOutcome {
    Body made;
    std::string failure;  // one sentence; empty: it was made
};
template <typename Body>
using OnMade = std::move_only_function<void(const MakeOutcome<Body>&)>;

}  // namespace shoal::content
