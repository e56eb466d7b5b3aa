// All that a list of shoald's has, which comes in pages.
#pragma once

#include <boost/json/array.hpp>
#include <string>

#include "controlplane/cli/client.h"

namespace shoal::cli {

// `query`: further parameters, "&label=a%3Db". Throws CliError.
[[nodiscard]] boost::json::array all_pages(const Client& client, const std::string& path,
                                           const std::string& query = {});

}  // namespace shoal::cli
