// How bytes are made fewer.
#pragma once

namespace shoal::state {

enum class Compression { none, zstd };

}  // namespace shoal::state
