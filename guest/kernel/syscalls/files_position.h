// A position that a call takes from the program's memory, or from the file if there is none.
#pragma once

#include "guest/kernel/syscalls/files_support.h"

namespace shoal::guest::files {

struct Position {
    UserAddress address;
    std::uint64_t value;
};

// Errno::fault, Errno::inval.
[[nodiscard]] inline Result<Position> fetch_position(const OpenFile& file, UserAddress address) {
    Position position{address, file.position};
    if (address != 0 && !fetch(position.value, address)) {
        return fail(Errno::fault);
    }
    if (static_cast<std::int64_t>(position.value) < 0) {
        return fail(Errno::inval);
    }
    return position;
}

[[nodiscard]] inline bool store_position(OpenFile& file, const Position& position) {
    if (position.address == 0) {
        file.position = position.value;
        return true;
    }
    return copy_to_user(position.address, &position.value, sizeof position.value);
}

}  // namespace shoal::guest::files
