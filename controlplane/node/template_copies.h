// TemplateCopies: has the store know which templates this host has the files of, and deletes files
// of templates that are gone.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "controlplane/node/mirror.h"
#include "controlplane/template/template_folder.h"

namespace shoal::node {

class TemplateCopies final : public MirrorListener {
public:
    // Borrows all. `collect` deletes files of templates that the store does not have.
    TemplateCopies(store::EventLoop& loop, store::Store& store, Mirror& mirror,
                   const templates::TemplateFolder& folder, std::string host,
                   std::function<void()> collect)
        : loop_{loop},
          store_{store},
          mirror_{mirror},
          folder_{folder},
          host_{std::move(host)},
          collect_{std::move(collect)} {}
    TemplateCopies(const TemplateCopies&) = delete;
    TemplateCopies& operator=(const TemplateCopies&) = delete;
    ~TemplateCopies() = default;

    // Compares the folder with the store, soon.
    void look_soon();

private:
    void on_microvm_changed(const std::string&) override {}
    void on_template_changed(const std::string&) override { look_soon(); }
    void look();
    void commit(store::Transaction transaction);

    store::EventLoop& loop_;
    store::Store& store_;
    Mirror& mirror_;
    const templates::TemplateFolder& folder_;
    std::string host_;
    std::function<void()> collect_;
    bool is_looking_soon_ = false;
    std::shared_ptr<TemplateCopies*> self_ = std::make_shared<TemplateCopies*>(this);
};

}  // namespace shoal::node
