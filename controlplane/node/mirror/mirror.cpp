// A key's first segment says what its value is (model/keys.h).
#include "controlplane/node/mirror/mirror.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "controlplane/model/keys.h"
#include "controlplane/node/mirror/decode.h"
#include "devices/host/log.h"

namespace shoal::node {
namespace {

namespace keys = model::keys;
using store::Event;

constexpr std::chrono::milliseconds retry_delay{100};

std::string_view last_segment(std::string_view key) {
    return key.substr(key.rfind('/') + 1);
}

// Of FOLDER/HOST/NAME.
std::string_view host_segment(std::string_view key) {
    key = key.substr(0, key.rfind('/'));
    return key.substr(key.rfind('/') + 1);
}

// The host whose word counts, among those that have said something.
std::string_view spokesman(const MicroVm& microvm) {
    if (microvm.placement) {
        return microvm.placement->host;
    }
    for (const auto& [host, there] : microvm.at_hosts) {
        if (host == keys::no_host) {
            return host;
        }
    }
    return microvm.at_hosts.empty() ? std::string_view{} : microvm.at_hosts.front().first;
}

bool is_of_microvm(std::string_view key) {
    return key.starts_with(keys::microvms) || key.starts_with(keys::placements) ||
           key.starts_with(keys::statuses) || key.starts_with(keys::deletions) ||
           key.starts_with(keys::assignments) || key.starts_with(keys::moves) ||
           key.starts_with(keys::checkpoints);
}

void choose_status(MicroVm& microvm) {
    const AtHost& there = microvm.at(spokesman(microvm));
    microvm.status = there.status;
    microvm.status_revision = there.status_revision;
}

}  // namespace

const AtHost& MicroVm::at(std::string_view host) const {
    static const AtHost nothing;
    for (const auto& [name, there] : at_hosts) {
        if (name == host) {
            return there;
        }
    }
    return nothing;
}

void Mirror::start(Ready ready) {
    ready_ = std::move(ready);
    read_page({}, 0);
}

void Mirror::read_page(std::string after, Revision at) {
    store_.list({"/", std::move(after), at, 0},
                [weak = std::weak_ptr{self_}](store::Result<store::Page> page) {
                    if (const auto self = weak.lock()) {
                        (*self)->on_page(std::move(page));
                    }
                });
}

void Mirror::on_page(store::Result<store::Page> page) {
    if (!page && ready_) {
        return std::exchange(ready_, {})(std::unexpected{page.error()});
    }
    if (!page) {
        read_ = {};
        return loop_.call_after(retry_delay, [weak = std::weak_ptr{self_}] {
            if (const auto self = weak.lock()) {
                (*self)->read_page({}, 0);
            }
        });
    }
    for (store::Entry& entry : page->entries) {
        read_.apply({Event::Kind::put, std::move(entry)}, loop_.now());
    }
    if (page->has_more) {
        return read_page(page->entries.back().key, page->revision);
    }
    adopt(page->revision);
    watch();
}

void Mirror::adopt(Revision revision) {
    const Contents before = std::exchange(contents_, std::exchange(read_, {}));
    reached(revision);
    for (const Contents* contents : {&before, &std::as_const(contents_)}) {
        for (const auto& [name, microvm] : contents->microvms) {
            tell(&MirrorListener::on_microvm_changed, name);
        }
        for (const auto& [name, group] : contents->groups) {
            tell(&MirrorListener::on_group_changed, name);
        }
        for (const auto& [name, host] : contents->hosts) {
            tell(&MirrorListener::on_host_changed, name);
        }
        for (const auto& [name, entry] : contents->objects.networks) {
            tell(&MirrorListener::on_network_changed, name);
            tell(&MirrorListener::on_address_changed, name);
        }
        tell(&MirrorListener::on_leader_changed, contents->leader);
        for (const auto& [name, entry] : contents->objects.templates) {
            tell(&MirrorListener::on_bundle_changed, name);
        }
        for (const auto& [name, entry] : contents->objects.images) {
            tell(&MirrorListener::on_bundle_changed, name);
        }
    }
}

// While they are told, listeners come and go.
void Mirror::tell(void (MirrorListener::*what)(const std::string&), const std::string& name) {
    for (MirrorListener* listener : std::set{listeners_}) {
        if (listeners_.contains(listener)) {
            (listener->*what)(name);
        }
    }
}

void Mirror::watch() {
    auto watch = store_.watch("/", revision_ + 1, *this);
    if (!watch) {
        host::log(host::LogLevel::error, "cannot watch the store: " + watch.error().reason);
        if (ready_) {
            std::exchange(ready_, {})(std::unexpected{watch.error()});
        }
        return;
    }
    watch_ = std::move(*watch);
    if (ready_) {
        std::exchange(ready_, {})(revision_);
    }
}

const HostEntry* Mirror::find_host(const std::string& name) const {
    const auto found = contents_.hosts.find(name);
    return found != contents_.hosts.end() && found->second.revision != 0 ? &found->second : nullptr;
}

const MicroVm* Mirror::find(const std::string& name) const {
    const auto found = contents_.microvms.find(name);
    return found == contents_.microvms.end() || found->second.revision == 0 ? nullptr
                                                                            : &found->second;
}

void Mirror::when(Revision revision, store::EventLoop::Task task) {
    if (revision <= revision_) {
        loop_.post(std::move(task));
    } else {
        waiting_.emplace(revision, std::move(task));
    }
}

void Contents::apply(const Event& event, store::EventLoop::Duration now) {
    const std::string_view key = event.entry.key;
    const std::string name{last_segment(key)};
    if (key.starts_with(keys::groups)) {
        apply_group(name, event);
    } else if (key.starts_with(keys::hosts)) {
        apply_host(name, event);
    } else if (key.starts_with(keys::heartbeats)) {
        apply_heartbeat(name, event, now);
    } else if (key.starts_with(keys::drains)) {
        apply_drain(name, event);
    } else if (key == keys::leader) {
        leader = decode<model::Leader>(event).value_or(model::Leader{}).host;
    } else if (key == keys::failover) {
        failover_stopped = decode<model::Failover>(event).value_or(model::Failover{}).stopped;
    } else if (objects.apply(event)) {
        return;
    } else if (is_of_microvm(key)) {
        apply_microvm(name, event);
    }
}

void Contents::apply_microvm(const std::string& name, const Event& event) {
    const std::string_view key = event.entry.key;
    MicroVm& microvm = microvms[name];
    const Revision revision = event.kind == Event::Kind::deleted ? 0 : event.entry.mod_revision;
    if (key.starts_with(keys::microvms)) {
        auto spec = decode<model::MicroVmSpec>(event);
        microvm.has_damaged_spec = revision != 0 && !spec;
        microvm.revision = revision;
        microvm.created = revision == 0 ? 0 : event.entry.create_revision;
        if (!microvm.has_damaged_spec) {
            microvm.spec = std::move(spec).value_or(model::MicroVmSpec{});
        } else if (microvm.spec.name.empty()) {
            microvm.spec.name = name;
        }
    } else if (key.starts_with(keys::placements)) {
        microvm.placement = decode<model::Placement>(event);
        microvm.placement_revision = revision;
    } else if (key.starts_with(keys::deletions)) {
        microvm.deletion = decode<model::Deletion>(event);
        microvm.deletion_revision = revision;
    } else if (key.starts_with(keys::moves)) {
        microvm.move = decode<model::Move>(event);
        microvm.move_revision = revision;
    } else if (key.starts_with(keys::checkpoints)) {
        microvm.checkpoint = decode<model::Checkpoint>(event);
        // Also of one that cannot be read: it may be replaced.
        microvm.checkpoint_revision = revision;
    } else {
        apply_at_host(microvm, event);
    }
    choose_status(microvm);
    if (microvm.revision == 0 && microvm.placement_revision == 0 &&
        microvm.deletion_revision == 0 && microvm.move_revision == 0 &&
        microvm.checkpoint_revision == 0 && microvm.at_hosts.empty()) {
        microvms.erase(name);
    }
}

void Contents::apply_at_host(MicroVm& microvm, const Event& event) {
    const std::string_view key = event.entry.key;
    const std::string_view host = host_segment(key);
    auto found = std::ranges::find(microvm.at_hosts, host,
                                   [](const auto& entry) { return std::string_view{entry.first}; });
    if (found == microvm.at_hosts.end()) {
        found = microvm.at_hosts.emplace(found, host, AtHost{});
    }
    AtHost& there = found->second;
    if (key.starts_with(keys::statuses)) {
        there.status = decode<model::MicroVmStatus>(event);
        there.status_revision = event.kind == Event::Kind::deleted ? 0 : event.entry.mod_revision;
    } else {
        there.assignment = decode<model::Assignment>(event);
    }
    if (there.is_empty()) {
        microvm.at_hosts.erase(found);
    }
}

// One that cannot be read is not deleted: its members go on.
void Contents::apply_group(const std::string& name, const Event& event) {
    if (auto group = decode<model::Group>(event)) {
        groups[name] = {std::move(*group), event.entry.mod_revision, event.entry.create_revision};
        damaged_groups.erase(name);
    } else if (event.kind == Event::Kind::deleted) {
        groups.erase(name);
        damaged_groups.erase(name);
    } else {
        damaged_groups.insert(name);
    }
}

void Contents::apply_host(const std::string& name, const Event& event) {
    auto host = decode<model::Host>(event);
    HostEntry& entry = hosts[name];
    entry.revision = host ? event.entry.mod_revision : 0;
    entry.host = std::move(host).value_or(model::Host{});
    tidy_host(name);
}

void Contents::apply_drain(const std::string& name, const Event& event) {
    hosts[name].drain = decode<model::Drain>(event);
    tidy_host(name);
}

void Contents::tidy_host(const std::string& name) {
    const HostEntry& entry = hosts[name];
    if (entry.revision == 0 && entry.heartbeat_revision == 0 && !entry.drain) {
        hosts.erase(name);
    }
}

void Contents::apply_heartbeat(const std::string& name, const Event& event,
                               store::EventLoop::Duration now) {
    const auto heartbeat = decode<model::Heartbeat>(event);
    HostEntry& entry = hosts[name];
    entry.heartbeat = heartbeat.value_or(model::Heartbeat{});
    entry.heartbeat_revision = heartbeat ? event.entry.mod_revision : 0;
    entry.beat_at = now;
    tidy_host(name);
}

void Mirror::reached(Revision revision) {
    revision_ = revision;
    while (!waiting_.empty() && waiting_.begin()->first <= revision_) {
        loop_.post(std::move(waiting_.begin()->second));
        waiting_.erase(waiting_.begin());
    }
}

void Mirror::on_changes(std::span<const Event> events) {
    for (const Event& event : events) {
        contents_.apply(event, loop_.now());
    }
    reached(events.back().entry.mod_revision);
    for (const Event& event : events) {
        const std::string name{last_segment(event.entry.key)};
        const std::string& key = event.entry.key;
        if (key.starts_with(keys::groups)) {
            tell(&MirrorListener::on_group_changed, name);
        } else if (key.starts_with(keys::hosts) || key.starts_with(keys::drains)) {
            tell(&MirrorListener::on_host_changed, name);
        } else if (key.starts_with(keys::templates) || key.starts_with(keys::images)) {
            tell(&MirrorListener::on_bundle_changed, name);
        } else if (key.starts_with(keys::networks)) {
            tell(&MirrorListener::on_network_changed, name);
        } else if (key.starts_with(keys::addresses)) {
            tell(&MirrorListener::on_address_changed, std::string{host_segment(key)});
        } else if (key == keys::leader) {
            tell(&MirrorListener::on_leader_changed, contents_.leader);
        } else if (is_of_microvm(key)) {
            tell(&MirrorListener::on_microvm_changed, name);
        }
    }
}

// Everything is read again; who listens hears of all that was or is there.
void Mirror::on_compacted(Revision) {
    watch_.reset();
    read_ = {};
    read_page({}, 0);
}

void Mirror::on_reconnected() {
    on_compacted(revision_);
}

}  // namespace shoal::node
