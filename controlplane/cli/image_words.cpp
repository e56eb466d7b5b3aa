// Text alone: whether there is such a thing, shoald says.
#include "controlplane/cli/image_words.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string_view>

#include "controlplane/cli/cli_error.h"
#include "controlplane/image/image_source.h"

namespace shoal::cli {

std::string with_absolute_path(const std::string& from) {
    for (const std::string_view transport : images::path_transports) {
        if (from.starts_with(transport) && from.size() > transport.size()) {
            return std::string{transport} + std::filesystem::absolute(from.substr(transport.size()))
                                                .lexically_normal()
                                                .string();
        }
    }
    return from;
}

std::string image_name(const std::string& from) {
    constexpr std::size_t longest = 63;
    std::string path = from.substr(std::min(from.find(':'), from.size() - 1) + 1);
    while (path.ends_with('/')) {
        path.pop_back();
    }
    std::string name = path.substr(path.rfind('/') + 1);
    name = name.substr(0, name.find_first_of(":@"));
    std::ranges::transform(name, name.begin(), [](char byte) {
        const auto lower = static_cast<char>(std::tolower(static_cast<unsigned char>(byte)));
        return (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') ? lower : '-';
    });
    const std::size_t first = name.find_first_not_of('-');
    if (first == std::string::npos || name.find_last_not_of('-') - first + 1 > longest) {
        throw CliError("it is not said how " + from + " is to be called: --name NAME");
    }
    return name.substr(first, name.find_last_not_of('-') - first + 1);
}

}  // namespace shoal::cli
