// The balloon: set before the start; target, statistics and hinting afterwards.
#include "vmm/api/balloon.h"

namespace shoal::api {
namespace {

constexpr std::string_view config_prefix = "Balloon config error: ";
constexpr std::string_view update_prefix = "Balloon update error: ";

// The balloon's own entry in the configuration.
vmm::BalloonConfig& balloon_of(Context& context) {
    if (!context.config.balloon) {
        throw Fault{"No balloon device found."};
    }
    return *context.config.balloon;
}

void check_amount(const Context& context, std::uint32_t amount_mib) {
    if (amount_mib > context.config.machine.mem_size_mib) {
        throw Fault{"Amount of pages requested is too large."};
    }
}

void check_hinting(Context& context) {
    if (!balloon_of(context).free_page_hinting) {
        throw Fault{"Free page hinting is not enabled for the balloon device."};
    }
}

// A path below /balloon that there is not, in the words of Firecracker.
void check_path(const Call& call, Method method) {
    if (call.path_rest.empty()) {
        return;
    }
    std::string path{call.path_rest.front()};
    if (path == "hinting") {
        path = "/hinting/" + std::string{call.path_rest.size() > 1 ? call.path_rest[1] : ""};
    } else if (method != Method::get) {
        return;  // PATCH /balloon takes whatever follows
    }
    throw Fault{"Unrecognized " + std::string{name_of(method)} + " request path `" + path + "`."};
}

void set_polling_interval(Context& context, std::uint16_t seconds) {
    vmm::BalloonConfig& balloon = balloon_of(context);
    if ((balloon.stats_polling_interval_s == 0) != (seconds == 0)) {
        throw Fault{"Cannot enable/disable the statistics after boot."};
    }
    if (seconds != balloon.stats_polling_interval_s) {
        context.microvm.set_balloon_polling_interval(seconds);
        balloon.stats_polling_interval_s = seconds;
    }
}

}  // namespace

void set_balloon(Context& context, const vmm::BalloonConfig& balloon) {
    with_prefix(config_prefix, [&] { check_amount(context, balloon.amount_mib); });
    context.config.balloon = balloon;
}

ParsedRequest parse_get_balloon(const Call& call) {
    check_path(call, Method::get);
    return {[](Context& context) {
        return with_prefix(config_prefix, [&] { return ok(balloon_of(context)); });
    }};
}

ParsedRequest parse_put_balloon(const Call& call) {
    const auto balloon = parse_body<vmm::BalloonConfig>(call);
    return {[balloon](Context& context) {
        set_balloon(context, balloon);
        return no_content();
    }};
}

ParsedRequest parse_patch_balloon(const Call& call) {
    check_path(call, Method::patch);
    if (call.body.empty()) {
        throw Fault{"Empty PATCH request."};
    }
    const auto update = parse_body<BalloonUpdate>(call);
    return {[update](Context& context) {
        with_prefix(update_prefix, [&] {
            vmm::BalloonConfig& balloon = balloon_of(context);
            check_amount(context, update.amount_mib);
            context.microvm.set_balloon_target(update.amount_mib);
            balloon.amount_mib = update.amount_mib;
        });
        return no_content();
    }};
}

ParsedRequest parse_get_balloon_statistics(const Call&) {
    return {[](Context& context) {
        return with_prefix(config_prefix, [&] {
            if (balloon_of(context).stats_polling_interval_s == 0) {
                throw Fault{"Statistics for the balloon device are not enabled"};
            }
            return ok(context.microvm.balloon_statistics());
        });
    }};
}

ParsedRequest parse_patch_balloon_statistics(const Call& call) {
    if (call.body.empty()) {
        throw Fault{"Empty PATCH request."};
    }
    const auto update = parse_body<BalloonStatsUpdate>(call);
    return {[update](Context& context) {
        with_prefix(update_prefix,
                    [&] { set_polling_interval(context, update.stats_polling_interval_s); });
        return no_content();
    }};
}

ParsedRequest parse_start_hinting(const Call& call) {
    const auto start =
        call.body.empty() ? vmm::HintingStart{} : parse_body<vmm::HintingStart>(call);
    return {[start](Context& context) {
        with_prefix(update_prefix, [&] {
            check_hinting(context);
            context.microvm.start_hinting(start);
        });
        return no_content();
    }};
}

ParsedRequest parse_get_hinting_status(const Call&) {
    return {[](Context& context) {
        return with_prefix(update_prefix, [&] {
            check_hinting(context);
            return ok(context.microvm.hinting_status());
        });
    }};
}

ParsedRequest parse_stop_hinting(const Call&) {
    return {[](Context& context) {
        with_prefix(update_prefix, [&] {
            check_hinting(context);
            context.microvm.stop_hinting();
        });
        return no_content();
    }};
}

}  // namespace shoal::api
