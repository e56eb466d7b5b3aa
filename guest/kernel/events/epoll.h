// Epoll: epoll(7), an interest list and the list of those that may be ready.
//
// An item listens in its file's wait queue: a wake puts it on the ready list, so a wait looks only
// at files where something happened. Items do not keep their files open: the last close of a file
// takes its items along.
#pragma once

#include <span>

#include "guest/kernel/events/anonymous_file.h"

namespace shoal::guest {

// struct epoll_event: packed on x86-64 only.
struct [[gnu::packed]] EpollEvent {
    std::uint32_t events = 0;
    std::uint64_t data = 0;
};

namespace epoll_flags {
inline constexpr std::uint32_t exclusive = 1U << 28;
inline constexpr std::uint32_t wake_up = 1U << 29;
inline constexpr std::uint32_t one_shot = 1U << 30;
inline constexpr std::uint32_t edge_triggered = 1U << 31;
inline constexpr std::uint32_t all = exclusive | wake_up | one_shot | edge_triggered;
}  // namespace epoll_flags

class Epoll;

// One file of an interest list, under the descriptor that it was added with.
class EpollItem final : public WakeListener {
public:
    // `file` told that its last descriptor is gone.
    static void forget(OpenFile& file) noexcept;

private:
    friend class Epoll;
    EpollItem(Epoll& owner, OpenFile& file, std::uint32_t descriptor) noexcept
        : owner_{owner}, file_{file}, descriptor_{descriptor} {}
    void on_wake() noexcept override;
    // What it is ready for of what it asks for.
    [[nodiscard]] std::uint32_t ready_events() const;

    Epoll& owner_;
    OpenFile& file_;
    std::uint32_t descriptor_;
    EpollEvent interest_{};
    WaitPlace place_{};
    EpollItem* next_of_file_ = nullptr;
    EpollItem* before_ = nullptr;  // in the interest list
    EpollItem* behind_ = nullptr;
    bool is_listed_ = false;  // on the ready list
    EpollItem* ready_before_ = nullptr;
    EpollItem* ready_behind_ = nullptr;
};

class Epoll final : public AnonymousFile {
public:
    static constexpr Kind file_kind = Kind::epoll;
    static constexpr std::size_t items_max = 1U << 18;  // fs.epoll.max_user_watches of a 2 GB Linux
    static constexpr unsigned nesting_max = 5;          // EP_MAX_NESTS and the outermost

    Epoll() noexcept : AnonymousFile{file_kind} {}

    // epoll_ctl(2) with its errors: Errno::exist, perm (a file whose readiness never changes),
    // loop, nospc, nomem; Errno::noent; Errno::inval.
    [[nodiscard]] Result<void> add(OpenFile& file, std::uint32_t descriptor,
                                   const EpollEvent& interest);
    [[nodiscard]] Result<void> modify(OpenFile& file, std::uint32_t descriptor,
                                      const EpollEvent& interest);
    [[nodiscard]] Result<void> remove(OpenFile& file, std::uint32_t descriptor);

    // Files that may be ready: as many as one round of collect() looks at.
    [[nodiscard]] std::size_t ready_count() const noexcept { return ready_count_; }
    // Takes events of at most `looks` files, which it counts down; returns how many events.
    [[nodiscard]] std::size_t collect(std::span<EpollEvent> to, std::size_t& looks);
    // After the last collect(): hands what is left to the next thread.
    void pass_on() noexcept;

    [[nodiscard]] Readiness readiness(const OpenFile& file) const override;
    // Once: /proc/self/fd does not open it again.
    Result<void> opened(OpenFile& file) override;
    void closed(OpenFile& file) noexcept override;

protected:
    ~Epoll() override;

private:
    friend class EpollItem;
    [[nodiscard]] EpollItem* find(OpenFile& file, std::uint32_t descriptor) const noexcept;
    [[nodiscard]] Result<void> check_nesting(OpenFile& file);
    // How many epolls lie in a row below this one, itself included; more than nesting_max for
    // longer rows and when `outer` is among them.
    [[nodiscard]] unsigned depth_below(const Epoll& outer, unsigned limit) const;
    [[nodiscard]] unsigned height_above(unsigned limit) const;
    void destroy(EpollItem& item) noexcept;
    void list_if_ready(EpollItem& item);
    void push_ready(EpollItem& item) noexcept;
    void append_ready(EpollItem& item) noexcept;
    void take_ready(EpollItem& item) noexcept;

    EpollItem* items_ = nullptr;
    std::size_t item_count_ = 0;
    EpollItem* ready_first_ = nullptr;
    EpollItem* ready_last_ = nullptr;
    std::size_t ready_count_ = 0;
    OpenFile* self_ = nullptr;  // which others may watch
};

}  // namespace shoal::guest
