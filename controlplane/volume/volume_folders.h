// VolumeFolders: where the volumes are that a host has or reaches: its own folder, and one for each
// storage that it shares with others, by the storage's name.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "controlplane/volume/volume_folder.h"

namespace shoal::volumes {

class VolumeFolders {
public:
    explicit VolumeFolders(VolumeFolder own) : own_{std::move(own)} {}

    void add_storage(const std::string& name, VolumeFolder folder) {
        storages_.emplace(name, std::move(folder));
    }

    [[nodiscard]] const VolumeFolder& own() const noexcept { return own_; }
    [[nodiscard]] const std::map<std::string, VolumeFolder>& storages() const noexcept {
        return storages_;
    }
    // Of a storage; the own one of an empty name. Null: this host does not reach it.
    [[nodiscard]] const VolumeFolder* find(const std::string& storage) const {
        const auto found = storages_.find(storage);
        return storage.empty() ? &own_ : found == storages_.end() ? nullptr : &found->second;
    }

private:
    VolumeFolder own_;
    std::map<std::string, VolumeFolder> storages_;
};

}  // namespace shoal::volumes
