// What a host shows of itself to other hosts, and expects of them: TLS 1.3, certificates on both
// sides.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "controlplane/store/tls_files.h"

namespace shoal::peer {

// For connections in both directions. Null: they are plain.
using Tls = std::shared_ptr<boost::asio::ssl::context>;

// Those without a certificate of the authority's.
enum class Strangers { refused, let_in };

// Null without a certificate. Throws std::runtime_error with one sentence for a file that cannot be
// used.
[[nodiscard]] Tls make_tls(const store::TlsFiles& files, Strangers strangers = Strangers::refused);

}  // namespace shoal::peer
