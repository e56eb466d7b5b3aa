// Connection: Upgrade is Beast's to look at.
#include "controlplane/api/upgrade.h"

#include <string>

#include "controlplane/http/problem.h"

namespace shoal::rest {

void expect_upgrade(const Request& request, std::string_view what, std::string_view protocol) {
    const auto found = request.headers.find("upgrade");
    if (found == request.headers.end() || found->second != protocol) {
        throw Problem{426, std::string{what} +
                               " needs the headers Connection: Upgrade and Upgrade: " +
                               std::string{protocol}};
    }
}

}  // namespace shoal::rest
