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
// And then their entries only age, which they do all at once when the next event comes. A lease is
// looked at so often.
constexpr std::uint64_t lease_period_ns = 60 * nanoseconds_per_second;
// More calls at once than this would only say the same again: nothing ages for longer.
constexpr std::uint64_t calls_max = ARP_MAXAGE;

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

// Whether TCP waits for something that only its timer brings about, and that soon.
bool tcp_is_busy() {
    if (tcp_tw_pcbs != nullptr) {
        return true;
    }
    for (const tcp_pcb* connection = tcp_active_pcbs; connection != nullptr;
         connection = connection->next) {
        const bool is_open = connection->state == ESTABLISHED || connection->state == CLOSE_WAIT;
        const bool is_quiet = is_open && connection->unsent == nullptr &&
                              connection->unacked == nullptr && connection->ooseq == nullptr &&
                              (connection->flags & (TF_ACK_DELAY | TF_FIN)) == 0;
        if (!is_quiet) {
            return true;
        }
    }
    return false;
}

// Until a connection's peer is asked whether it is still there, as tcp_slowtmr() decides;
// no_deadline if it never is.
std::uint64_t ticks_to_keep_alive(const tcp_pcb& connection) {
    if ((connection.so_options & SOF_KEEPALIVE) == 0) {
        return no_deadline;
    }
    const std::uint64_t wait_ms =
        connection.keep_idle + std::uint64_t{connection.keep_cnt_sent} * connection.keep_intvl;
    const std::uint64_t wanted = wait_ms / TCP_SLOW_INTERVAL + 1;
    const std::uint32_t passed = tcp_ticks - connection.tmr;
    return wanted > passed ? wanted - passed : 0;
}

// Until TCP has something to do though nothing is under way.
std::uint64_t tcp_idle_ns() {
    std::uint64_t ticks = no_deadline;
    for (const tcp_pcb* connection = tcp_active_pcbs; connection != nullptr;
         connection = connection->next) {
        ticks = std::min(ticks, ticks_to_keep_alive(*connection));
    }
    return ticks == no_deadline ? no_deadline : ticks * TCP_SLOW_INTERVAL * millisecond_ns;
}

enum class Lease { none, wanted, there };
Lease dhcp_lease() {
    Lease lease = Lease::none;
    netif* interface = nullptr;
    NETIF_FOREACH(interface) {
        if (netif_dhcp_data(interface) == nullptr) {
            continue;
        }
        if (dhcp_supplied_address(interface) == 0) {
            return Lease::wanted;
        }
        lease = Lease::there;
    }
    return lease;
}

// How often tcp_tmr() is to be called when so many periods have passed. While nothing was under way
// its clock may jump: only how long a peer has been silent is measured by it then.
std::uint64_t tcp_calls(std::uint64_t periods) {
    constexpr std::uint64_t periods_of_tick = TCP_SLOW_INTERVAL / TCP_TMR_INTERVAL;
    if (tcp_is_busy()) {
        return 1;  // what is under way has begun since
    }
    const std::uint64_t skipped = periods - 1;
    tcp_ticks += static_cast<std::uint32_t>(skipped / periods_of_tick);
    return 1 + skipped % periods_of_tick;
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
        const std::uint64_t calls = i == tcp ? tcp_calls(periods) : std::min(periods, calls_max);
        for (std::uint64_t call = 0; call < calls; ++call) {
            timers[i].run();
        }
    }
}

std::uint64_t Timers::deadline_ns() const {
    std::uint64_t deadline = monotonic_ns() < quiet_after_ns_ ? due_ns_[second] : no_deadline;
    if (tcp_is_busy()) {
        deadline = std::min(deadline, due_ns_[tcp]);
    } else if (const std::uint64_t idle_ns = tcp_idle_ns(); idle_ns != no_deadline) {
        deadline = std::min(deadline, due_ns_[tcp] + idle_ns);
    }
    switch (dhcp_lease()) {
        case Lease::none:
            return deadline;
        case Lease::wanted:
            return std::min(deadline, due_ns_[dhcp]);
        case Lease::there:
            return std::min(deadline, due_ns_[dhcp] + lease_period_ns);
    }
    return deadline;
}

}  // namespace shoal::guest::net
