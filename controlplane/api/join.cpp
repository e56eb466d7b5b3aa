// The store has a token's hash alone. Each use is a compare-and-swap, so that none counts twice.
#include "controlplane/api/join.h"

#include <openssl/rand.h>

#include <array>
#include <chrono>
#include <utility>

#include "controlplane/api/store_problem.h"
#include "controlplane/content/sha256.h"
#include "controlplane/http/target.h"
#include "controlplane/model/join.h"
#include "controlplane/model/keys.h"
#include "devices/host/clock.h"

namespace shoal::rest {
namespace {

namespace keys = model::keys;

constexpr std::size_t secret_bytes = 16;

std::string make_secret() {
    std::array<unsigned char, secret_bytes> bytes{};
    pki::check(::RAND_bytes(bytes.data(), bytes.size()), "there are no random numbers");
    return content::to_hex(bytes);
}

std::string key_of(const std::string& secret) {
    content::Sha256 sha;
    sha.add(secret);
    return keys::of(keys::join_tokens, sha.finish());
}

// The lease only has the store forget it.
void put_token(Service& service, const model::JoinTokenSpec& spec, store::LeaseId lease,
               const std::string& fingerprint, Respond respond) {
    const std::string secret = make_secret();
    const model::JoinToken token{spec.uses, host::realtime_s() + spec.ttl_s};
    store::Transaction transaction;
    transaction.conditions = {{key_of(secret), 0}};
    transaction.operations.emplace_back(store::Put{key_of(secret), model::to_json(token), lease});
    service.store.commit(
        std::move(transaction), [secret, token, fingerprint, respond = std::move(respond)](
                                    const store::Result<store::Revision>& result) mutable {
            if (!result) {
                return respond(to_response(to_problem(result.error())));
            }
            respond({201, R"({"token":)" + quote(fingerprint + "." + secret) + R"(,"uses":)" +
                              std::to_string(token.uses) + R"(,"expires_s":)" +
                              std::to_string(token.expires_s) + "}"});
        });
}

void create_token(Service& service, const std::string& fingerprint, const Request& request,
                  Respond respond) {
    expect_parameters(request, {});
    if (fingerprint.empty()) {
        throw Problem{409, "this host cannot let others join: its shoald has no --peer-ca-key"};
    }
    const auto spec = body_of<model::JoinTokenSpec>(request);
    service.store.grant(std::chrono::seconds{spec.ttl_s},
                        [&service, spec, fingerprint, respond = std::move(respond)](
                            const store::Result<store::LeaseId>& lease) mutable {
                            lease
                                ? put_token(service, spec, *lease, fingerprint, std::move(respond))
                                : respond(to_response(to_problem(lease.error())));
                        });
}

// Throws Problem where nobody can be let in by it.
model::JoinToken check_token(const store::Result<store::Lookup>& lookup) {
    if (!lookup) {
        throw to_problem(lookup.error());
    }
    try {
        if (lookup->entry) {
            const auto token = model::from_json<model::JoinToken>(lookup->entry->value);
            if (token.uses > 0 && token.expires_s > host::realtime_s()) {
                return token;
            }
        }
    } catch (const model::JsonError&) {  // as good as none
    }
    throw Problem{403, "the token is not known, used up or expired"};
}

std::string sign(const pki::Authority& authority, const model::JoinRequest& wanted) {
    try {
        return authority.sign(wanted.request, {wanted.host, wanted.address});
    } catch (const pki::PkiError& error) {
        throw Problem{400, error.what()};
    }
}

std::string certificate_json(const std::string& certificate, const pki::Authority& authority) {
    return R"({"certificate":)" + quote(certificate) + R"(,"authority":)" +
           quote(authority.certificate()) + "}";
}

// One use less. Two hosts at the same moment: one of them has to ask again.
store::Transaction use(const store::Entry& entry, model::JoinToken token,
                       const model::JoinRequest& wanted) {
    store::Transaction transaction;
    transaction.conditions = {{entry.key, entry.mod_revision},
                              {keys::of(keys::hosts, wanted.host), 0}};
    --token.uses;
    if (token.uses > 0) {
        transaction.operations.emplace_back(
            store::Put{entry.key, model::to_json(token), entry.lease});
    } else {
        transaction.operations.emplace_back(store::Delete{entry.key});
    }
    return transaction;
}

void let_in(Service& service, const pki::Authority& authority, const model::JoinRequest& wanted,
            const store::Result<store::Lookup>& lookup, Respond& respond) {
    const model::JoinToken token = check_token(lookup);
    // Of one that was deleted its heartbeat is left, by which its epochs go on.
    if (service.mirror.find_host(wanted.host) != nullptr) {
        throw Problem{409, "there is a host " + wanted.host + " already"};
    }
    const std::string body = certificate_json(sign(authority, wanted), authority);
    service.store.commit(
        use(*lookup->entry, token, wanted),
        [body, respond = std::move(respond)](const store::Result<store::Revision>& result) mutable {
            result ? respond({200, body}) : respond(to_response(to_problem(result.error())));
        });
}

void join(Service& service, const pki::Authority& authority, const Request& request,
          Respond respond) {
    expect_parameters(request, {});
    const auto wanted = body_of<model::JoinRequest>(request);
    service.store.get(key_of(wanted.secret),
                      [&service, &authority, wanted, respond = std::move(respond)](
                          const store::Result<store::Lookup>& lookup) mutable {
                          try {
                              let_in(service, authority, wanted, lookup, respond);
                          } catch (const Problem& problem) {
                              respond(to_response(problem));
                          }
                      });
}

}  // namespace

Response renew_certificate(const pki::Authority& authority, const std::string& body) {
    Request request;
    request.body = body;
    try {
        const auto wanted = body_of<model::RenewalRequest>(request);
        return {200,
                certificate_json(authority.renew(wanted.certificate, wanted.request), authority)};
    } catch (const Problem& problem) {
        return to_response(problem);
    } catch (const pki::PkiError& error) {
        return to_response(Problem{403, error.what()});
    }
}

// One that was deleted is not of the cluster until it joins again.
void add_renewal(Api& api, const Service& service, const pki::Authority& authority) {
    api.add("POST", "/v1/certificate",
            [&service, &authority](const Request& request, Respond respond) {
                Response renewed = renew_certificate(authority, request.body);
                if (renewed.status == 200) {
                    const auto wanted = body_of<model::RenewalRequest>(request);
                    const std::string host = pki::subject_in(wanted.certificate).host;
                    if (service.mirror.find_host(host) == nullptr) {
                        throw Problem{403, "there is no host " + host + " in the cluster any more"};
                    }
                }
                respond(std::move(renewed));
            });
}

void add_join_tokens(Api& api, Service& service, std::string fingerprint) {
    api.add(
        "POST", "/v1/join-tokens",
        [&service, fingerprint = std::move(fingerprint)](const Request& request, Respond respond) {
            create_token(service, fingerprint, request, std::move(respond));
        });
}

void add_join(Api& api, Service& service, const pki::Authority& authority) {
    api.add("POST", "/v1/join", [&service, &authority](const Request& request, Respond respond) {
        join(service, authority, request, std::move(respond));
    });
}

}  // namespace shoal::rest
