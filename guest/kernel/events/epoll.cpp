// Epoll: the lists, and what goes onto them.
#include "guest/kernel/events/epoll.h"

#include <algorithm>

#include "guest/kernel/events/poll_events.h"

namespace shoal::guest {

void EpollItem::forget(OpenFile& file) noexcept {
    while (file.epoll_items != nullptr) {
        file.epoll_items->owner_.destroy(*file.epoll_items);
    }
}

std::uint32_t EpollItem::ready_events() const {
    // After EPOLLONESHOT fired, not even errors are told.
    const std::uint32_t wanted = interest_.events & ~epoll_flags::all;
    return wanted == 0 ? 0 : poll_events_of(file_) & wanted;
}

void EpollItem::on_wake() noexcept {
    if ((interest_.events & ~epoll_flags::all) != 0) {
        owner_.push_ready(*this);
    }
}

Epoll::~Epoll() {
    while (items_ != nullptr) {
        destroy(*items_);
    }
}

Result<void> Epoll::opened(OpenFile& file) {
    if (self_ != nullptr) {
        return fail(Errno::nxio);
    }
    self_ = &file;
    return {};
}

void Epoll::closed(OpenFile&) noexcept {
    self_ = nullptr;
}

EpollItem* Epoll::find(OpenFile& file, std::uint32_t descriptor) const noexcept {
    EpollItem* item = file.epoll_items;
    while (item != nullptr && (&item->owner_ != this || item->descriptor_ != descriptor)) {
        item = item->next_of_file_;
    }
    return item;
}

unsigned Epoll::depth_below(const Epoll& outer, unsigned limit) const {
    if (limit == 0 || this == &outer) {
        return nesting_max + 1;
    }
    unsigned deepest = 0;
    for (const EpollItem* item = items_; item != nullptr && deepest <= nesting_max;
         item = item->behind_) {
        if (const Epoll* inner = anonymous_cast<Epoll>(item->file_.inode()); inner != nullptr) {
            deepest = std::max(deepest, inner->depth_below(outer, limit - 1));
        }
    }
    return deepest + 1;
}

unsigned Epoll::height_above(unsigned limit) const {
    if (limit == 0 || self_ == nullptr) {
        return 1;
    }
    unsigned highest = 0;
    for (const EpollItem* item = self_->epoll_items; item != nullptr; item = item->next_of_file_) {
        highest = std::max(highest, item->owner_.height_above(limit - 1));
    }
    return highest + 1;
}

// Rows of epolls are short, so that wakes and looks, which go along them, need little stack.
Result<void> Epoll::check_nesting(OpenFile& file) {
    const Epoll* inner = anonymous_cast<Epoll>(file.inode());
    if (inner == nullptr) {
        return {};
    }
    const unsigned depth = inner->depth_below(*this, nesting_max);
    return depth + height_above(nesting_max) > nesting_max ? fail(Errno::loop) : Result<void>{};
}

Result<void> Epoll::add(OpenFile& file, std::uint32_t descriptor, const EpollEvent& interest) {
    WaitQueue* queue = file.inode().wait_queue(file);
    if (queue == nullptr || file.has(open_flags::path)) {
        return fail(Errno::perm);
    }
    if (const auto checked = check_nesting(file); !checked) {
        return checked;
    }
    if (find(file, descriptor) != nullptr) {
        return fail(Errno::exist);
    }
    if (item_count_ == items_max) {
        return fail(Errno::nospc);
    }
    auto* item = new (std::nothrow_t{}) EpollItem{*this, file, descriptor};
    if (item == nullptr) {
        return fail(Errno::nomem);
    }
    item->interest_ = interest;
    item->next_of_file_ = std::exchange(file.epoll_items, item);
    item->behind_ = std::exchange(items_, item);
    if (item->behind_ != nullptr) {
        item->behind_->before_ = item;
    }
    ++item_count_;
    item->place_.join(*queue, *item);
    list_if_ready(*item);
    return {};
}

Result<void> Epoll::modify(OpenFile& file, std::uint32_t descriptor, const EpollEvent& interest) {
    EpollItem* item = find(file, descriptor);
    if (item == nullptr) {
        return fail(Errno::noent);
    }
    if ((item->interest_.events & epoll_flags::exclusive) != 0) {
        return fail(Errno::inval);
    }
    item->interest_ = interest;
    list_if_ready(*item);
    return {};
}

Result<void> Epoll::remove(OpenFile& file, std::uint32_t descriptor) {
    EpollItem* item = find(file, descriptor);
    if (item == nullptr) {
        return fail(Errno::noent);
    }
    destroy(*item);
    return {};
}

void Epoll::destroy(EpollItem& item) noexcept {
    EpollItem** at = &item.file_.epoll_items;
    while (*at != &item) {
        at = &(*at)->next_of_file_;
    }
    *at = item.next_of_file_;
    (item.before_ != nullptr ? item.before_->behind_ : items_) = item.behind_;
    if (item.behind_ != nullptr) {
        item.behind_->before_ = item.before_;
    }
    --item_count_;
    take_ready(item);
    delete &item;
}

void Epoll::list_if_ready(EpollItem& item) {
    if (item.ready_events() != 0) {
        push_ready(item);
    }
}

void Epoll::push_ready(EpollItem& item) noexcept {
    append_ready(item);
    waiters().wake_one();
}

void Epoll::append_ready(EpollItem& item) noexcept {
    if (item.is_listed_) {
        return;
    }
    item.is_listed_ = true;
    item.ready_before_ = std::exchange(ready_last_, &item);
    (item.ready_before_ != nullptr ? item.ready_before_->ready_behind_ : ready_first_) = &item;
    ++ready_count_;
}

void Epoll::take_ready(EpollItem& item) noexcept {
    if (!item.is_listed_) {
        return;
    }
    EpollItem* before = std::exchange(item.ready_before_, nullptr);
    EpollItem* behind = std::exchange(item.ready_behind_, nullptr);
    (before != nullptr ? before->ready_behind_ : ready_first_) = behind;
    (behind != nullptr ? behind->ready_before_ : ready_last_) = before;
    item.is_listed_ = false;
    --ready_count_;
}

std::size_t Epoll::collect(std::span<EpollEvent> to, std::size_t& looks) {
    std::size_t count = 0;
    for (; count < to.size() && looks > 0 && ready_first_ != nullptr; --looks) {
        EpollItem& item = *ready_first_;
        take_ready(item);
        const std::uint32_t events = item.ready_events();
        if (events == 0) {
            continue;
        }
        to[count++] = {events, item.interest_.data};
        if ((item.interest_.events & epoll_flags::one_shot) != 0) {
            item.interest_.events &= epoll_flags::all;
        } else if ((item.interest_.events & epoll_flags::edge_triggered) == 0) {
            append_ready(item);  // level-triggered: the next wait looks again
        }
    }
    return count;
}

void Epoll::pass_on() noexcept {
    if (ready_first_ != nullptr) {
        waiters().wake_one();
    }
}

Readiness Epoll::readiness(const OpenFile&) const {
    Readiness ready;
    ready.readable = ready.writable = Readiness::Is::no;
    for (const EpollItem* item = ready_first_; item != nullptr; item = item->ready_behind_) {
        if (item->ready_events() != 0) {
            ready.readable = Readiness::Is::yes;
            break;
        }
    }
    return ready;
}

}  // namespace shoal::guest
