// `shoal completion bash`: what bash needs to complete the command line.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace shoal::cli {

// A script to be sourced. The verbs and options are those of `app`.
[[nodiscard]] std::string bash_completion(const CLI::App& app);

}  // namespace shoal::cli
