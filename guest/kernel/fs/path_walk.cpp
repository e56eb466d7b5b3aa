// The walk from a path to a file (path_resolution(7)): a loop over a stack of what is left of the
// path and of the symbolic links in it.
#include <array>

#include "guest/kernel/fs/file_system.h"

namespace shoal::guest {
namespace {

class Walk {
public:
    Walk(Entry& root, Entry& start, FollowLast follow) noexcept
        : root_{root}, current_{&start}, follow_{follow} {}

    Result<Place> run(std::string_view path);

private:
    // What is to be done after a step.
    enum class Step { next, arrived };

    void push(std::string_view path);
    std::string_view take_component();
    Result<Step> step(std::string_view name);
    Result<Step> step_up(std::string_view name);
    Result<Step> follow_link(const EntryRef& link);
    Step arrive(EntryRef entry, std::string_view name, EntryRef directory);
    [[nodiscard]] bool is_last() const { return depth_ == 0; }

    Entry& root_;
    EntryRef current_;  // a directory, but for the moment after a step onto another file
    FollowLast follow_;
    Place place_{};
    unsigned links_ = 0;
    // Every level but the lowest is what is left of a path that led through a link.
    std::array<std::string_view, FileSystem::link_depth_max + 1> rest_;
    unsigned depth_ = 0;  // levels with something left
};

void skip_slashes(std::string_view& path) {
    while (!path.empty() && path.front() == '/') {
        path.remove_prefix(1);
    }
}

void Walk::push(std::string_view path) {
    if (path.front() == '/') {
        current_ = EntryRef{&root_};
        skip_slashes(path);
    }
    if (!path.empty()) {
        rest_[depth_++] = path;
    }
}

// Precondition: something is left. Levels that come to their end are dropped at once, so that the
// last component is known to be it.
std::string_view Walk::take_component() {
    std::string_view& rest = rest_[depth_ - 1];
    const std::string_view name = rest.substr(0, rest.find('/'));
    rest.remove_prefix(name.size());
    const bool has_slash = !rest.empty();
    skip_slashes(rest);
    if (rest.empty()) {
        --depth_;
        if (depth_ == 0 && has_slash) {
            place_.trailing_slash = TrailingSlash::present;
        }
    }
    return name;
}

Walk::Step Walk::arrive(EntryRef entry, std::string_view name, EntryRef directory) {
    place_.entry = std::move(entry);
    place_.name = name;
    place_.directory = std::move(directory);
    return Step::arrived;
}

Result<Walk::Step> Walk::step_up(std::string_view name) {
    if (name == ".." && current_.get() != &root_) {
        // A parent is missing only for what has no place in the tree.
        if (current_->parent() == nullptr) {
            return fail(Errno::noent);
        }
        current_ = EntryRef{current_->parent()};
    }
    if (is_last()) {
        return arrive(current_, name, {});
    }
    return Step::next;
}

Result<Walk::Step> Walk::follow_link(const EntryRef& link) {
    if (++links_ > FileSystem::link_depth_max) {
        return fail(Errno::loop);
    }
    if (EntryRef target = link->inode().link_entry()) {
        if (is_last()) {
            return arrive(std::move(target), link->name(), {});
        }
        current_ = std::move(target);
        return Step::next;
    }
    const std::string_view target = link->inode().link_target();
    if (target.empty()) {
        return fail(Errno::noent);
    }
    push(target);
    if (depth_ == 0) {
        return arrive(current_, "/", {});  // a link to the root
    }
    return Step::next;
}

Result<Walk::Step> Walk::step(std::string_view name) {
    Directory* directory = current_->inode().as_directory();
    if (directory == nullptr) {
        return fail(Errno::notdir);
    }
    if (name == "." || name == "..") {
        return step_up(name);
    }
    if (name.size() > name_size_max) {
        return fail(Errno::nametoolong);
    }
    auto found = directory->find(*current_, name);
    if (!found) {
        if (found.error() != Errno::noent || !is_last()) {
            return fail(found.error());
        }
        return arrive({}, name, current_);
    }
    const bool is_followed =
        !is_last() || follow_ == FollowLast::yes ||
        (follow_ == FollowLast::no && place_.trailing_slash == TrailingSlash::present);
    if ((*found)->inode().type() == FileType::symlink && is_followed) {
        return follow_link(*found);
    }
    if (is_last()) {
        return arrive(*found, name, current_);
    }
    current_ = *found;
    return Step::next;
}

Result<Place> Walk::run(std::string_view path) {
    if (path.empty()) {
        return fail(Errno::noent);
    }
    push(path);
    if (depth_ == 0) {
        arrive(current_, "/", {});
        place_.trailing_slash = TrailingSlash::present;
        return place_;
    }
    for (Step last = Step::next; last == Step::next;) {
        const auto done = step(take_component());
        if (!done) {
            return fail(done.error());
        }
        last = *done;
    }
    if (follow_ != FollowLast::never && place_.entry &&
        place_.trailing_slash == TrailingSlash::present &&
        place_.entry->inode().type() != FileType::directory) {
        return fail(Errno::notdir);
    }
    return place_;
}

}  // namespace

Result<Place> FileSystem::walk(Entry& start, std::string_view path, FollowLast follow) const {
    return Walk{*root_, start, follow}.run(path);
}

Result<EntryRef> FileSystem::find(Entry& start, std::string_view path, FollowLast follow) const {
    auto place = walk(start, path, follow);
    if (!place) {
        return fail(place.error());
    }
    if (!place->entry) {
        return fail(Errno::noent);
    }
    return place->entry;
}

}  // namespace shoal::guest
