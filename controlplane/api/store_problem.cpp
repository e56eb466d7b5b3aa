// A status for each kind of failure.
#include "controlplane/api/store_problem.h"

namespace shoal::rest {

Problem to_problem(const store::Error& error) {
    switch (error.failure) {
        case store::Failure::unavailable:
        case store::Failure::uncertain:
            return {503, error.reason};
        case store::Failure::conflict:
            return {409, "somebody else has changed it meanwhile: read it again"};
        case store::Failure::compacted:
            return {410, error.reason};
        case store::Failure::too_large:
            return {413, error.reason};
        case store::Failure::invalid:
            return {400, error.reason};
        case store::Failure::no_space:
            return {507, error.reason};
        case store::Failure::lease_gone:
            break;
    }
    return {500, error.reason};
}

}  // namespace shoal::rest
