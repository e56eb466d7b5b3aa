// A group is charged for what is wanted of it: its members, which come and go, are not counted.
#include "controlplane/api/quotas.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>

#include "controlplane/http/problem.h"

namespace shoal::rest {
namespace {

void check(const std::string& project, const std::optional<std::uint64_t>& limit,
           std::uint64_t used, std::uint64_t more, std::string_view what) {
    if (limit && more > 0 && (used > *limit || more > *limit - used)) {
        throw Problem{403, "project " + project + " may have " + std::to_string(*limit) + " " +
                               std::string{what} + ", and has " + std::to_string(used) + ": " +
                               std::to_string(more) + " more are too many"};
    }
}

void check_all(const std::string& project, const model::Project& limits, const Usage& before,
               const Usage& more) {
    check(project, limits.microvms, before.microvms, more.microvms, "microVMs");
    check(project, limits.memory_mib, before.memory_mib, more.memory_mib, "MiB of memory");
    check(project, limits.vcpus, before.vcpus, more.vcpus, "virtual CPUs");
}

// What a group that is there already, or is being changed, adds to what it had.
std::uint64_t beyond(std::uint64_t after, std::uint64_t before) {
    return after > before ? after - before : 0;
}

}  // namespace

Usage& Usage::operator+=(const Usage& other) noexcept {
    microvms += other.microvms;
    memory_mib += other.memory_mib;
    vcpus += other.vcpus;
    return *this;
}

Usage& Usage::operator-=(const Usage& other) noexcept {
    microvms -= other.microvms;
    memory_mib -= other.memory_mib;
    vcpus -= other.vcpus;
    return *this;
}

// Only what comes on top: who has too much already may have less of it.
Usage growth(const model::Group& group, const model::Group* before) noexcept {
    const Usage wanted = usage_of(group.microvm, group.count);
    const bool counts = before != nullptr && before->microvm.project == group.microvm.project;
    const Usage had = counts ? usage_of(before->microvm, before->count) : Usage{};
    return {beyond(wanted.microvms, had.microvms), beyond(wanted.memory_mib, had.memory_mib),
            beyond(wanted.vcpus, had.vcpus)};
}

// Far from wrapping: 100,000 members of 4 TiB are 2^39 MiB.
Usage usage_of(const model::MicroVmSpec& spec, std::uint64_t count) noexcept {
    return {count, count * spec.memory_mib, count * spec.vcpus};
}

Usage Quotas::used_at(const node::Mirror& mirror, const std::string& project,
                      store::Revision revision) {
    Usage usage;
    for (const auto& [name, microvm] : mirror.microvms()) {
        if (microvm.revision != 0 && microvm.created <= revision && microvm.spec.group.empty() &&
            microvm.spec.project == project && !has_ended(microvm)) {
            usage += usage_of(microvm.spec);
        }
    }
    for (const auto& [name, entry] : mirror.groups()) {
        if (entry.group.microvm.project == project) {
            usage += usage_of(entry.group.microvm, entry.group.count);
        }
    }
    return usage;
}

Usage Quotas::used(const node::Mirror& mirror, const std::string& project) const {
    Usage usage = used_at(mirror, project, std::numeric_limits<store::Revision>::max());
    if (const auto found = charges_->find(project); found != charges_->end()) {
        usage += found->second;
    }
    return usage;
}

Quotas::Charge Quotas::charge(const node::Mirror& mirror, const model::MicroVmSpec& spec,
                              std::uint64_t count) {
    return charge(mirror, spec.project, usage_of(spec, count));
}

Quotas::Charge Quotas::charge(const node::Mirror& mirror, const model::Group& group) {
    const auto found = mirror.groups().find(group.name);
    return charge(mirror, group.microvm.project,
                  growth(group, found == mirror.groups().end() ? nullptr : &found->second.group));
}

void Quotas::expect_within(const node::Mirror& mirror, const std::string& project,
                           store::Revision made, const Usage& more) {
    const auto& projects = mirror.objects().projects;
    if (const auto found = projects.find(project); found != projects.end()) {
        Usage before = used_at(mirror, project, made);
        // What was deleted again, or has ended, is not there any more.
        before -=
            {std::min(more.microvms, before.microvms), std::min(more.memory_mib, before.memory_mib),
             std::min(more.vcpus, before.vcpus)};
        check_all(project, found->second.body, before, more);
    }
}

Quotas::Charge Quotas::charge(const node::Mirror& mirror, const std::string& project,
                              const Usage& more) {
    const auto& projects = mirror.objects().projects;
    const auto found = projects.find(project);
    if (found == projects.end()) {
        return nullptr;
    }
    check_all(project, found->second.body, used(mirror, project), more);
    (*charges_)[project] += more;
    const std::weak_ptr<Charges> charges = charges_;
    // It points to nothing: its end is what counts.
    return Charge{nullptr, [charges, project, more](std::nullptr_t) {
                      if (const auto all = charges.lock()) {
                          (*all)[project] -= more;
                      }
                  }};
}

}  // namespace shoal::rest
