// /v1/join-tokens, for users, and /v1/join, for hosts that have no certificate yet, and
// /v1/certificate, for those whose certificate is to be renewed.
#pragma once

#include <string>

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"
#include "controlplane/pki/authority.h"

namespace shoal::rest {

// What a token says, besides its secret, of whose certificate a new host gets
// (pki::fingerprint_of). Borrows the service. `fingerprint` empty: this host has not got the
// authority's key.
void add_join_tokens(Api& api, Service& service, std::string fingerprint);

// Signs certificates for who has a token. Borrows service and authority.
void add_join(Api& api, Service& service, const pki::Authority& authority);

// What POST /v1/certificate answers to a body, from the authority that this host has.
[[nodiscard]] Response renew_certificate(const pki::Authority& authority, const std::string& body);

// For hosts that have one. Borrows the authority.
void add_renewal(Api& api, const Service& service, const pki::Authority& authority);

}  // namespace shoal::rest
