// Three clocks: TCP's, one for what resolves and reassembles, DHCP's.
#include "guest/net/timers.h"

#include <lwip/dhcp.h>
#include <lwip/etharp.h>
#include <lwip/ip4_frag.h>
#include <lwip/ip6_frag.h>
#include <lwip/mld6.h>
#include <lwip/nd6.h>
#include <lwip/priv/tcp_priv.h>

#include <algorithm>

#include "guest/kernel/clock.h"
#include "guest/kernel/sched/wait_queue.h"

namespace shoal::guest::net {
namespace {

constexpr std::uint64_t millisecond_ns = 1'000'000;

// Neighbours, fragments and router solicitations are done with, one way or another, after this.
constexpr std::uint64_t busy_ns = 15 * nanoseconds_per_second;
// And then their entries only age.
constexpr std::uint64_t idle_period_ns = 60 * nanoseconds_per_second;
// More calls at once than this would only say the same again.
constexpr std::uint64_t calls_max = 120;

void run_tcp() {
    tcp_tmr();
}

void run_second() {
    etharp_tmr();
    ip_reass_tmr();
    nd6_tmr();
    ip6_reass_tmr();
    for (unsigned i = 0; i < 1000 / MLD6_TMR_INTERVAL; ++i) {
        mld6_tmr();
    }
}

void run_dhcp() {
    static constinit unsigned calls = 0;
    dhcp_fine_tmr();
    if (++calls % (DHCP_COARSE_TIMER_MSECS / DHCP_FINE_TIMER_MSECS) == 0) {
        dhcp_coarse_tmr();
    }
}

struct Timer {
    std::uint64_t period_ns;
    void (*run)();
};

enum Which : std::size_t { tcp, second, dhcp };
constexpr std::array<Timer, Timers::count> timers{{
    {TCP_TMR_INTERVAL * millisecond_ns, run_tcp},
    {nanoseconds_per_second, run_second},
    {DHCP_FINE_TIMER_MSECS * millisecond_ns, run_dhcp},
}};

// Whether TCP waits for something that only its timer brings about.
bool tcp_is_busy() {
    if (tcp_tw_pcbs != nullptr) {
        return true;
    }
    for (const tcp_pcb* connection = tcp_active_pcbs; connection != nullptr;
         connection = connection->next) {
        const bool is_quiet = connection->state == ESTABLISHED && connection->unsent == nullptr &&
                              connection->unacked == nullptr && connection->ooseq == nullptr &&
                              (connection->flags & (TF_ACK_DELAY | TF_FIN)) == 0 &&
                              (connection->so_options & SOF_KEEPALIVE) == 0;
        if (!is_quiet) {
            return true;
        }
    }
    return false;
}

bool dhcp_is_busy() {
    netif* interface = nullptr;
    NETIF_FOREACH(interface) {
        if (netif_dhcp_data(interface) != nullptr && dhcp_supplied_address(interface) == 0) {
            return true;
        }
    }
    return false;
}

}  // namespace

Timers::Timers() {
    const std::uint64_t now = monotonic_ns();
    for (std::size_t i = 0; i < count; ++i) {
        due_ns_[i] = now + timers[i].period_ns;
    }
    quiet_after_ns_ = now + busy_ns;
}

void Timers::note_traffic() {
    quiet_after_ns_ = monotonic_ns() + busy_ns;
}

void Timers::run_due() {
    const std::uint64_t now = monotonic_ns();
    for (std::size_t i = 0; i < count; ++i) {
        if (now < due_ns_[i]) {
            continue;
        }
        const std::uint64_t periods = (now - due_ns_[i]) / timers[i].period_ns + 1;
        due_ns_[i] += periods * timers[i].period_ns;
        // What was idle has no time to catch up with: its timers start now.
        const std::uint64_t calls = i == tcp ? 1 : std::min(periods, calls_max);
        for (std::uint64_t call = 0; call < calls; ++call) {
            timers[i].run();
        }
    }
}

std::uint64_t Timers::deadline_ns() const {
    std::uint64_t deadline =
        monotonic_ns() < quiet_after_ns_ ? due_ns_[second] : due_ns_[second] + idle_period_ns;
    if (tcp_is_busy()) {
        deadline = std::min(deadline, due_ns_[tcp]);
    }
    if (dhcp_is_busy()) {
        deadline = std::min(deadline, due_ns_[dhcp]);
    }
    return deadline;
}

}  // namespace shoal::guest::net
