// Certificates of hosts of a cluster, in a folder.
#pragma once

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "controlplane/store/etcd_client.h"

namespace shoal::peer::test {

// A host's, of an authority of this name, which is made when it is not there.
inline store::TlsFiles make_certificate(const std::string& folder, const std::string& authority,
                                        const std::string& host) {
    const std::string script = "cd '" + folder +
                               "' && key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes' && "
                               "{ test -e " +
                               authority + ".pem || openssl req -x509 $key -keyout " + authority +
                               ".key -out " + authority + ".pem -subj /CN=" + authority +
                               " -days 2; } && openssl req $key"
                               " -keyout " +
                               host + ".key -out csr -subj /CN=" + host +
                               " && "
                               "echo subjectAltName=DNS:" +
                               host + " > ext && openssl x509 -req -in csr -CA " + authority +
                               ".pem -CAkey " + authority +
                               ".key -CAcreateserial -days 2 -extfile ext -out " + host + ".pem";
    // NOLINTNEXTLINE(cert-env33-c): a test's own words
    if (std::system(("(" + script + ") > /dev/null 2>&1").c_str()) != 0) {
        throw std::runtime_error{"openssl could not make certificates"};
    }
    return {folder + "/" + authority + ".pem", folder + "/" + host + ".pem",
            folder + "/" + host + ".key"};
}

}  // namespace shoal::peer::test
