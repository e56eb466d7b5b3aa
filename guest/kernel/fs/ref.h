// Ref: a counted reference to an object that counts its references itself (retain, release).
// One vCPU: counts are not atomic.
#pragma once

#include <cstddef>
#include <utility>

namespace shoal::guest {

template <class T>
class Ref {
public:
    Ref() noexcept = default;
    Ref(std::nullptr_t) noexcept {}
    // Adds a reference. A new object has none.
    explicit Ref(T* object) noexcept : object_{object} { retain(); }
    Ref(const Ref& other) noexcept : object_{other.object_} { retain(); }
    Ref(Ref&& other) noexcept : object_{std::exchange(other.object_, nullptr)} {}
    template <class U>
    requires(!std::is_same_v<T, U> && std::is_convertible_v<U*, T*>) Ref(const Ref<U>& other)
    noexcept : Ref{static_cast<T*>(other.get())} {}
    Ref& operator=(Ref other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~Ref() {
        if (object_ != nullptr) {
            object_->release();
        }
    }

    [[nodiscard]] T* get() const noexcept { return object_; }
    [[nodiscard]] T& operator*() const noexcept { return *object_; }
    T* operator->() const noexcept { return object_; }
    explicit operator bool() const noexcept { return object_ != nullptr; }
    friend bool operator==(const Ref& a, const Ref& b) noexcept { return a.object_ == b.object_; }

private:
    void retain() noexcept {
        if (object_ != nullptr) {
            object_->retain();
        }
    }

    T* object_ = nullptr;
};

}  // namespace shoal::guest
