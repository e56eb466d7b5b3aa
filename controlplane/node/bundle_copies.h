// BundleCopies: has the store know which bundles this host has the files of (templates, images),
// and deletes files of bundles that are gone, or that nothing here uses any more while two other
// hosts have them.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/content/bundle_folder.h"
#include "controlplane/node/mirror/mirror.h"

namespace shoal::node {

// How long no microVM of this host may have used a bundle before its files go.
inline constexpr std::chrono::hours longest_idle{1};

class BundleCopies final : public MirrorListener {
public:
    struct Kind {
        const content::BundleFolder& folder;
        // What the store has of this kind: digests, by what copies are called (/copies/HOST/NAME).
        std::function<std::map<std::string, std::string>(const Objects&)> wanted;
        // Deletes files that the store does not have.
        std::function<void()> collect;
    };

    // Borrows all.
    BundleCopies(store::EventLoop& loop, store::Store& store, Mirror& mirror, std::string host,
                 std::vector<Kind> kinds)
        : loop_{loop},
          store_{store},
          mirror_{mirror},
          host_{std::move(host)},
          kinds_{std::move(kinds)} {}
    BundleCopies(const BundleCopies&) = delete;
    BundleCopies& operator=(const BundleCopies&) = delete;
    ~BundleCopies() = default;

    // Compares the folders with the store, soon.
    void look_soon();
    // Looks for what is idle, again and again.
    void watch_idle();

private:
    using Names = std::vector<std::string>;

    void on_microvm_changed(const std::string& name) override;
    void on_bundle_changed(const std::string&) override { look_soon(); }
    void look();
    void tell(const std::string& name, const std::string& digest, bool is_here);
    void commit(store::Transaction transaction);
    static void remove(const content::BundleFolder& folder, const std::string& digest);
    void look_later();
    void note_use(const MicroVm& microvm);
    void look_for_idle();
    [[nodiscard]] bool are_idle(const Names& names) const;
    [[nodiscard]] bool is_alive(const std::string& host) const;
    void drop(const Kind& kind, const std::string& digest, Names names);

    store::EventLoop& loop_;
    store::Store& store_;
    Mirror& mirror_;
    std::string host_;
    std::vector<Kind> kinds_;
    bool is_looking_soon_ = false;
    // By what copies are called: when a microVM here was seen with it, or it was first seen.
    std::map<std::string, store::EventLoop::Duration> used_at_;
    std::shared_ptr<BundleCopies*> self_ = std::make_shared<BundleCopies*>(this);
};

}  // namespace shoal::node
