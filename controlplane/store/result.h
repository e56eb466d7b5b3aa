// Result: what was asked for, or a typed error. std::expected in shape, for values that own memory:
// clang 14, which lints and fuzzes, cannot destroy those of libstdc++ 12 (it lacks P0848).
#pragma once

#include <concepts>
#include <expected>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace shoal::store {

enum class Failure {
    unavailable,  // nothing happened; it may work later
    uncertain,    // nobody knows whether it happened: the answer was lost. Read, then decide
    conflict,     // a condition does not hold
    compacted,    // that revision is forgotten: list again
    too_large,    // beyond a limit, which `reason` names
    invalid,      // a mistake of the caller's
    lease_gone,   // the lease has expired, or never was
    no_space,     // the store's disk or its quota is full; reading works
};

struct Error {
    Failure failure = Failure::unavailable;
    std::string reason{};  // one sentence for people
};

template <typename T>
class [[nodiscard]] Result {
public:
    Result() = default;
    template <typename U>
    requires std::constructible_from<T, U> &&(!std::same_as<std::remove_cvref_t<U>, Result>)
        // NOLINTNEXTLINE(bugprone-forwarding-reference-overload): constrained
        Result(U&& value)
        : state_{std::in_place_index<0>, std::forward<U>(value)} {}
    Result(std::unexpected<Error> error)
        : state_{std::in_place_index<1>, std::move(error).error()} {}

    [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
    [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }

    // The value's; there must be one.
    [[nodiscard]] T& operator*() { return std::get<0>(state_); }
    [[nodiscard]] const T& operator*() const { return std::get<0>(state_); }
    [[nodiscard]] T* operator->() { return &std::get<0>(state_); }
    [[nodiscard]] const T* operator->() const { return &std::get<0>(state_); }

    // The error; there must be one.
    [[nodiscard]] Error& error() { return std::get<1>(state_); }
    [[nodiscard]] const Error& error() const { return std::get<1>(state_); }

    [[nodiscard]] bool operator==(const T& value) const { return has_value() && **this == value; }

private:
    std::variant<T, Error> state_;
};

}  // namespace shoal::store
