// How a saved structure is described: once, beside all others of its folder.
//
//     template <>
//     struct Fields<virtio::QueueState> {
//         static constexpr std::tuple list{&virtio::QueueState::next_avail, ...};
//     };
//
// encode.h writes a structure by it, decode.h reads one. A field that the list forgets does not
// compile. Once released a list never changes: what is new goes into a section of its own, or into
// the next version of its section (section.h).
#pragma once

#include <array>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace shoal::state {

template <typename T>
struct Fields;

template <typename T>
concept Listed = requires {
    Fields<T>::list;
};

// The last of an enumeration that begins with 0 and has no gaps: a file may hold anything.
template <typename Enum>
struct LastOf;

template <typename T>
struct MemberType;
template <typename Owner, typename Member>
struct MemberType<Member Owner::*> {
    using Type = Member;
};

// Takes the place of any field when an aggregate is initialized.
struct AnyField {
    template <typename T>
    operator T() const;
};

template <typename T, typename... Initializers>
consteval std::size_t count_fields() {
    if constexpr (requires { T{Initializers{}..., AnyField{}}; }) {
        return count_fields<T, Initializers..., AnyField>();
    } else {
        return sizeof...(Initializers);
    }
}

// Whether the list names every field. The kernel's structures have C arrays, whose elements count
// as initializers; but they have no hidden padding, so there the sizes tell.
template <typename T>
consteval bool is_complete() {
    if constexpr (std::has_unique_object_representations_v<T>) {
        return std::apply(
            [](auto... field) {
                return (sizeof(typename MemberType<decltype(field)>::Type) + ... + 0) == sizeof(T);
            },
            Fields<T>::list);
    } else {
        return std::tuple_size_v<std::remove_const_t<decltype(Fields<T>::list)>> ==
               count_fields<T>();
    }
}

template <typename T, typename Function>
constexpr void for_each_field(Function&& function) {
    static_assert(is_complete<T>(), "a field is missing in Fields<T>::list");
    std::apply([&](auto... field) { (function(field), ...); }, Fields<T>::list);
}

}  // namespace shoal::state
