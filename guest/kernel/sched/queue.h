// Queue: a list of objects that have their place in it in themselves. No allocation.
#pragma once

namespace shoal::guest {

// An object's place in one queue.
template <class T>
struct QueueLink {
    T* before = nullptr;
    T* behind = nullptr;
    bool is_queued = false;
};

template <class T, QueueLink<T> T::*link>
class Queue {
public:
    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
    [[nodiscard]] T* first() const noexcept { return first_; }
    [[nodiscard]] static T* behind(const T& item) noexcept { return (item.*link).behind; }

    // The item must be in no queue by this link.
    void push_back(T& item) noexcept { insert_behind(last_, item); }
    // In the order of key(item), behind those with the same. Looks from the back.
    template <class Key>
    void insert_sorted(T& item, const Key& key) noexcept {
        T* place = last_;
        while (place != nullptr && key(item) < key(*place)) {
            place = (place->*link).before;
        }
        insert_behind(place, item);
    }
    // Does nothing when the item is in no queue; it is in no other.
    void remove(T& item) noexcept {
        QueueLink<T>& of = item.*link;
        if (!of.is_queued) {
            return;
        }
        (of.before != nullptr ? (of.before->*link).behind : first_) = of.behind;
        (of.behind != nullptr ? (of.behind->*link).before : last_) = of.before;
        of = {};
    }
    // nullptr when there is none.
    T* pop_front() noexcept {
        T* item = first_;
        if (item != nullptr) {
            remove(*item);
        }
        return item;
    }

private:
    // Behind `place`, or first if that is nullptr.
    void insert_behind(T* place, T& item) noexcept {
        T* next = place != nullptr ? (place->*link).behind : first_;
        item.*link = {place, next, true};
        (place != nullptr ? (place->*link).behind : first_) = &item;
        (next != nullptr ? (next->*link).before : last_) = &item;
    }

    T* first_ = nullptr;
    T* last_ = nullptr;
};

}  // namespace shoal::guest
