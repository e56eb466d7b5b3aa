// The daemon: store, mirror, reconcilers and API on one loop.
#pragma once

#include "controlplane/shoald/options.h"

namespace shoal::daemon {

// Until SIGTERM or SIGINT; the microVMs go on. Makes the folders that are missing. Throws
// std::runtime_error with one sentence.
void run(Options options);

}  // namespace shoal::daemon
