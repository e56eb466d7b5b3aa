// StateError: a saved state that cannot be used, and why, in one sentence.
#pragma once

#include <stdexcept>

namespace shoal::state {

class StateError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace shoal::state
