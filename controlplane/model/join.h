// How a new host comes to a certificate of the cluster's.
#pragma once

#include <cstdint>
#include <string>

namespace shoal::model {

// What is asked for: a token for so many hosts, for so long.
struct JoinTokenSpec {
    std::uint64_t uses = 1;
    std::uint64_t ttl_s = 600;
};

// What is kept, under the SHA-256 of the token's secret.
struct JoinToken {
    std::uint64_t uses = 0;       // that are left
    std::uint64_t expires_s = 0;  // since 1970
};

// What a new host says.
struct JoinRequest {
    std::string secret;
    std::string host;     // its name
    std::string address;  // by which the others reach it: an IP address
    std::string request;  // for its key's certificate, PEM
};

// What a host of the cluster says whose certificate is to be renewed. Both PEM.
struct RenewalRequest {
    std::string certificate;  // that it has
    std::string request;      // of the same key
};

}  // namespace shoal::model
