// From the index to the manifest to the configuration.
#include "controlplane/image/oci_layout.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "controlplane/content/sha256.h"
#include "controlplane/model/json.h"

namespace shoal::images {
namespace {

namespace json = boost::json;

constexpr std::string_view algorithm = "sha256:";

// No more than a byte too many is read.
std::string read_text(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    std::string text(model::max_json_bytes + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (file.gcount() == 0) {
        throw std::runtime_error{"cannot read " + path};
    }
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
}

std::string read_blob(const std::string& layout, const std::string& digest) {
    return read_text(layout + "/blobs/sha256/" + digest);
}

bool is_root(std::string_view user) {
    const std::string_view name = user.substr(0, user.find(':'));
    return name.empty() || name == "root" || name == "0";
}

}  // namespace

std::string digest_at(std::string_view text, std::string_view pointer) {
    if (text.size() > model::max_json_bytes) {
        throw std::runtime_error{"a file of the image's layout has more than " +
                                 std::to_string(model::max_json_bytes) + " bytes of JSON"};
    }
    json::error_code error;
    const json::value document = json::parse({text.data(), text.size()}, error);
    const json::value* found =
        error ? nullptr : document.find_pointer({pointer.data(), pointer.size()}, error);
    if (found != nullptr && found->is_string()) {
        const std::string_view digest{found->get_string().data(), found->get_string().size()};
        if (digest.starts_with(algorithm) && content::is_digest(digest.substr(algorithm.size()))) {
            return std::string{digest.substr(algorithm.size())};
        }
    }
    throw std::runtime_error{"the image's layout has no SHA-256 at " + std::string{pointer}};
}

model::Image defaults_in(std::string_view text) {
    const auto config = model::from_json<model::OciConfig>(text, model::UnknownFields::ignored);
    if (config.architecture != "amd64" || config.os != "linux") {
        throw std::runtime_error{"the image is for " + config.os + " on " + config.architecture +
                                 ": linux on amd64 is needed"};
    }
    const model::OciDefaults defaults = config.config.value_or(model::OciDefaults{});
    model::Image image;
    image.entrypoint = defaults.entrypoint.value_or(image.entrypoint);
    image.arguments = defaults.arguments.value_or(image.arguments);
    image.environment = defaults.environment.value_or(image.environment);
    image.working_directory = defaults.working_directory.value_or("");
    const std::string user = defaults.user.value_or("");
    image.user = is_root(user) ? "" : user;
    if (!image.working_directory.empty() && !image.working_directory.starts_with('/')) {
        throw std::runtime_error{"the image's WorkingDir does not begin with /"};
    }
    return image;
}

model::Image read_defaults(const std::string& layout) {
    const std::string manifest =
        digest_at(read_text(layout + "/index.json"), "/manifests/0/digest");
    const std::string config = digest_at(read_blob(layout, manifest), "/config/digest");
    return defaults_in(read_blob(layout, config));
}

}  // namespace shoal::images
