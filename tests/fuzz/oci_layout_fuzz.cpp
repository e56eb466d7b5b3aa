// Fuzzes what images bring along: the JSON of an OCI layout, and what skopeo and umoci print about
// it. The first byte says which the rest is. What is refused is refused in one sentence.
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "controlplane/content/sha256.h"
#include "controlplane/image/guarded_child.h"
#include "controlplane/image/oci_layout.h"
#include "controlplane/model/json.h"
#include "devices/host/check.h"

namespace {

namespace images = shoal::images;
namespace model = shoal::model;

// What is taken of a stranger's configuration the store takes, too.
void read_configuration(std::string_view text) {
    model::Image image = images::defaults_in(text);
    image.name = "i";
    image.digest = std::string(64, '0');
    const std::string written = model::to_json(image);
    SHOAL_CHECK(model::to_json(model::from_json<model::Image>(written)) == written);
}

void read_digest(std::string_view text, std::string_view pointer) {
    SHOAL_CHECK(shoal::content::is_digest(images::digest_at(text, pointer)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    // SAFETY: bytes seen as chars.
    const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
    try {
        switch (data[0] % 4) {
            case 0:
                read_configuration(text);
                break;
            case 1:
                read_digest(text, "/manifests/0/digest");
                break;
            case 2:
                read_digest(text, "/config/digest");
                break;
            default:
                SHOAL_CHECK(images::message_in(std::string{text}).size() <= text.size());
        }
    } catch (const std::runtime_error& error) {
        const std::string_view reason = error.what();
        SHOAL_CHECK(!reason.empty() && reason.size() < 500);
    }
    return 0;
}
