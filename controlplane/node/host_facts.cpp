// By compare-and-swap, since others cordon and drain.
#include "controlplane/node/host_facts.h"

#include <chrono>
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "devices/host/log.h"

namespace shoal::node {
namespace {

namespace keys = model::keys;

constexpr std::chrono::milliseconds retry_delay{500};

}  // namespace

void HostFacts::set_expiry(std::string certificate, std::string authority) {
    host_.certificate_expires = std::move(certificate);
    host_.authority_expires = std::move(authority);
    tell_anew();
}

void HostFacts::set_memory_pressure(std::string pressure) {
    host_.memory_pressure = std::move(pressure);
    tell_anew();
}

void HostFacts::tell_anew() {
    if (is_told_) {
        tell();
    }
}

void HostFacts::tell() {
    is_told_ = true;
    store_.get(keys::of(keys::hosts, host_.name),
               [weak = std::weak_ptr{self_}](const store::Result<store::Lookup>& lookup) {
                   if (const auto self = weak.lock()) {
                       lookup ? (*self)->write(*lookup) : (*self)->tell_later();
                   }
               });
}

void HostFacts::write(const store::Lookup& before) {
    const std::string key = keys::of(keys::hosts, host_.name);
    store::Transaction transaction;
    transaction.conditions.push_back({key, before.entry ? before.entry->mod_revision : 0});
    try {
        if (before.entry) {
            host_.scheduling =
                model::from_json<model::Host>(before.entry->value, model::UnknownFields::ignored)
                    .scheduling;
        }
    } catch (const model::JsonError& error) {
        host::log(host::LogLevel::error, key + " is written anew: " + error.what());
    }
    const std::string facts = model::to_json(host_);
    if (before.entry && before.entry->value == facts) {
        return;
    }
    transaction.operations.emplace_back(store::Put{key, facts});
    store_.commit(std::move(transaction),
                  [weak = std::weak_ptr{self_}](const store::Result<store::Revision>& result) {
                      const auto self = weak.lock();
                      if (self && !result) {
                          (*self)->tell_later();
                      }
                  });
}

void HostFacts::tell_later() {
    loop_.call_after(retry_delay, [weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->tell();
        }
    });
}

}  // namespace shoal::node
