// A stat(2) for each use; reading for each change.
#include "controlplane/template/template_check.h"

#include <sys/stat.h>

#include <boost/asio/post.hpp>
#include <exception>
#include <filesystem>

#include "controlplane/template/template_folder.h"
#include "devices/host/log.h"

namespace shoal::templates {
namespace {

Soundness read_all(const std::string& folder) {
    try {
        const std::string expected = std::filesystem::path{folder}.filename();
        const std::string found = digest_of(folder);
        if (found == expected) {
            return Soundness::sound;
        }
        host::log(host::LogLevel::error, "the template in " + folder + " is damaged");
    } catch (const std::exception& error) {
        host::log(host::LogLevel::error,
                  "the template in " + folder + " cannot be read: " + error.what());
    }
    return Soundness::damaged;
}

}  // namespace

bool TemplateCheck::stamp_of(const std::string& folder, Stamp& stamp) {
    std::size_t at = 0;
    for (const std::string& path :
         {TemplateFolder::state_in(folder), TemplateFolder::memory_in(folder)}) {
        struct stat status {};
        if (::stat(path.c_str(), &status) < 0) {
            return false;
        }
        for (const std::int64_t number :
             {static_cast<std::int64_t>(status.st_ino), static_cast<std::int64_t>(status.st_dev),
              static_cast<std::int64_t>(status.st_size),
              static_cast<std::int64_t>(status.st_ctim.tv_sec),
              static_cast<std::int64_t>(status.st_ctim.tv_nsec)}) {
            stamp.at(at++) = number;
        }
    }
    return true;
}

Soundness TemplateCheck::look(const std::string& folder) {
    Stamp stamp{};
    if (!stamp_of(folder, stamp)) {
        seen_.erase(folder);
        return Soundness::absent;
    }
    const auto [found, is_new] = seen_.try_emplace(folder, Seen{stamp, Soundness::unknown});
    if (!is_new && found->second.stamp == stamp) {
        return found->second.soundness;
    }
    found->second = {stamp, Soundness::unknown};
    boost::asio::post(workers_, [this, folder, stamp, weak = std::weak_ptr{self_}] {
        const Soundness soundness = read_all(folder);
        boost::asio::post(context_, [folder, stamp, weak, soundness] {
            const auto self = weak.lock();
            if (!self) {
                return;
            }
            const auto seen = (*self)->seen_.find(folder);
            if (seen != (*self)->seen_.end() && seen->second.stamp == stamp) {
                seen->second.soundness = soundness;
            }
        });
    });
    return Soundness::unknown;
}

}  // namespace shoal::templates
