// What microVMs refer to by name, as the store has it. A part of Mirror.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/model/image.h"
#include "controlplane/model/network.h"
#include "controlplane/model/project.h"
#include "controlplane/model/template.h"
#include "controlplane/model/volume.h"
#include "controlplane/network/subnet.h"
#include "controlplane/store/types.h"

namespace shoal::node {

template <typename Body>
struct Object {
    Body body;
    store::Revision revision = 0;
};
template <typename Body>
using ObjectsByName = std::map<std::string, Object<Body>>;

struct Objects {
    ObjectsByName<model::Template> templates;
    ObjectsByName<model::Image> images;
    ObjectsByName<model::Volume> volumes;
    ObjectsByName<model::Network> networks;
    ObjectsByName<model::Project> projects;
    // Of each template or image, by what copies are called: which hosts have its files.
    std::map<std::string, ObjectsByName<model::BundleCopy>> copies;
    // Of each network: who has which address.
    std::map<std::string, std::map<network::Ipv4, std::string>> addresses;
    // The same by microVMs: in which network each has which.
    std::map<std::string, std::set<std::pair<std::string, network::Ipv4>>> addresses_of;

    [[nodiscard]] std::optional<network::Ipv4> address_of(const std::string& microvm,
                                                          const std::string& network) const;

    // Null: that host does not have it.
    [[nodiscard]] const Object<model::BundleCopy>* copy_of(const std::string& name,
                                                           const std::string& host) const;
    // Which have the files that are of this digest.
    [[nodiscard]] std::vector<std::string> hosts_with(const std::string& name,
                                                      const std::string& digest) const;

    // Whether some record in this folder (model/keys.h) cannot be read.
    [[nodiscard]] bool has_damaged(std::string_view folder) const;
    // False: it is of none of these.
    bool apply(const store::Event& event);

private:
    template <typename Body>
    bool apply_to(ObjectsByName<Body>& objects, std::string_view folder, const store::Event& event);
    void apply_address(const store::Event& event);
    void forget_address(const std::string& network, network::Ipv4 ip);
    void apply_copy(const store::Event& event);

    std::set<std::string, std::less<>> damaged_;  // keys
};

}  // namespace shoal::node
