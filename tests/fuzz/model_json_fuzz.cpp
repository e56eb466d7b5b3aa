// Fuzzes hosts, microVMs and groups in JSON: the first byte says which structure the rest is.
//
// What is read is written as JSON that is read again, even strictly; what is refused is refused in
// one short sentence.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/model/group.h"
#include "controlplane/model/json.h"
#include "controlplane/model/move.h"
#include "controlplane/model/network.h"
#include "controlplane/model/project.h"
#include "controlplane/model/template.h"
#include "controlplane/model/volume.h"
#include "devices/host/check.h"

namespace {

namespace model = shoal::model;

template <typename Body>
void read_and_write(std::string_view text, model::UnknownFields unknown_fields) {
    std::string written;
    try {
        written = model::to_json(model::from_json<Body>(text, unknown_fields));
    } catch (const model::JsonError& error) {
        const std::string_view reason = error.what();
        SHOAL_CHECK(!reason.empty() && reason.size() < 500);
        return;
    }
    SHOAL_CHECK(model::to_json(model::from_json<Body>(written)) == written);
}

constexpr std::array readers{
    read_and_write<model::Resources>,  read_and_write<model::Host>,
    read_and_write<model::Heartbeat>,  read_and_write<model::MicroVmSpec>,
    read_and_write<model::Placement>,  read_and_write<model::MicroVmStatus>,
    read_and_write<model::Group>,      read_and_write<model::Deletion>,
    read_and_write<model::Template>,   read_and_write<model::TemplateSpec>,
    read_and_write<model::Volume>,     read_and_write<model::Network>,
    read_and_write<model::Address>,    read_and_write<model::Project>,
    read_and_write<model::Move>,       read_and_write<model::Drain>,
    read_and_write<model::Assignment>, read_and_write<model::SchedulingChange>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    // SAFETY: bytes seen as chars.
    const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
    const auto unknown_fields =
        data[0] < 128 ? model::UnknownFields::refused : model::UnknownFields::ignored;
    readers.at(data[0] % readers.size())(text, unknown_fields);
    return 0;
}
