// A stat(2) for each use; reading for each change.
#include "controlplane/content/bundle_check.h"

#include <sys/stat.h>

#include <boost/asio/post.hpp>
#include <exception>

#include "devices/host/log.h"

namespace shoal::content {
namespace {

Soundness read_all(const BundleKind& kind, const std::string& folder, const std::string& digest) {
    const std::string what = "the " + std::string{kind.name} + " in " + folder;
    try {
        if (digest_of(kind, folder) == digest) {
            return Soundness::sound;
        }
        host::log(host::LogLevel::error, what + " is damaged");
    } catch (const std::exception& error) {
        host::log(host::LogLevel::error, what + " cannot be read: " + error.what());
    }
    return Soundness::damaged;
}

}  // namespace

BundleCheck::Stamp BundleCheck::stamp_of(const std::string& digest) const {
    Stamp stamp;
    for (const char* name : folder_.kind().files) {
        struct stat status {};
        if (::stat((folder_.path_of(digest) + "/" + name).c_str(), &status) < 0) {
            return {};
        }
        for (const std::int64_t number :
             {static_cast<std::int64_t>(status.st_ino), static_cast<std::int64_t>(status.st_dev),
              static_cast<std::int64_t>(status.st_size),
              static_cast<std::int64_t>(status.st_ctim.tv_sec),
              static_cast<std::int64_t>(status.st_ctim.tv_nsec)}) {
            stamp.push_back(number);
        }
    }
    return stamp;
}

Soundness BundleCheck::look(const std::string& digest) {
    const Stamp stamp = stamp_of(digest);
    if (stamp.empty()) {
        seen_.erase(digest);
        return Soundness::absent;
    }
    const auto [found, is_new] = seen_.try_emplace(digest, Seen{stamp, Soundness::unknown});
    if (!is_new && found->second.stamp == stamp) {
        return found->second.soundness;
    }
    found->second = {stamp, Soundness::unknown};
    boost::asio::post(workers_, [this, kind = folder_.kind(), folder = folder_.path_of(digest),
                                 digest, stamp, weak = std::weak_ptr{self_}] {
        const Soundness soundness = read_all(kind, folder, digest);
        boost::asio::post(context_, [digest, stamp, weak, soundness] {
            const auto self = weak.lock();
            if (!self) {
                return;
            }
            const auto seen = (*self)->seen_.find(digest);
            if (seen != (*self)->seen_.end() && seen->second.stamp == stamp) {
                seen->second.soundness = soundness;
            }
        });
    });
    return Soundness::unknown;
}

}  // namespace shoal::content
