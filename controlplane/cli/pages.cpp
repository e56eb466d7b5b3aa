// Each page says behind which name the next one begins.
#include "controlplane/cli/pages.h"

#include <boost/json/value.hpp>
#include <utility>

#include "controlplane/cli/document.h"

namespace shoal::cli {

boost::json::array all_pages(const Client& client, const std::string& path,
                             const std::string& query) {
    boost::json::array items;
    std::string after;
    do {
        const std::string target = path + "?after=" + percent_encode(after) + query;
        boost::json::value page = parse_json(client.call({"GET", target}).body, "shoald's answer");
        for (boost::json::value& item : page.at("items").as_array()) {
            items.push_back(std::move(item));
        }
        const boost::json::value& next = page.at("next");
        after = next.is_string() ? std::string{next.get_string()} : "";
    } while (!after.empty());
    return items;
}

}  // namespace shoal::cli
