// Which of the nub's address spaces are in use.
#pragma once

namespace shoal::guest {

// NUB_SPACES when there is none. The first one is 0.
[[nodiscard]] unsigned take_space_number();
void give_space_number(unsigned number);

}  // namespace shoal::guest
