// The verbs, described to CLI11.
#include "controlplane/cli/remote_options.h"

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <string_view>

#include "controlplane/image/image_source.h"

namespace shoal::cli {
namespace {

const std::map<std::string, Kind> kinds{
    {"microvm", Kind::microvm},    {"microvms", Kind::microvm},    {"vm", Kind::microvm},
    {"vms", Kind::microvm},        {"group", Kind::group},         {"groups", Kind::group},
    {"template", Kind::template_}, {"templates", Kind::template_}, {"image", Kind::image},
    {"images", Kind::image},       {"volume", Kind::volume},       {"volumes", Kind::volume},
    {"network", Kind::network},    {"networks", Kind::network},    {"project", Kind::project},
    {"projects", Kind::project},   {"host", Kind::host},           {"hosts", Kind::host}};
const std::map<std::string, Output> outputs{{"table", Output::table}, {"json", Output::json}};

// CLI11 takes -1 for the largest number there is.
std::string check_whole(const std::string& word) {
    const bool is_whole =
        !word.empty() && word.find_first_not_of("0123456789") == std::string::npos;
    return is_whole ? "" : word + " is not a whole number";
}

// A subcommand whose words fill in a `Verb`.
template <typename Verb, typename Describe>
void add_verb(CLI::App& app, RemoteOptions& options, bool& is_given, const char* name,
              const char* what, Describe describe) {
    CLI::App* sub = app.add_subcommand(name, what);
    const auto verb = std::make_shared<Verb>();
    // CLI11's callback keeps it.
    sub->callback([&options, &is_given, verb] {
        options.verb = *verb;
        is_given = true;
    });
    sub->add_option(
           "--socket", options.socket,
           "shoald's socket (default $SHOAL_SOCKET, or\n" + std::string{default_socket} + ")")
        ->envname("SHOAL_SOCKET")
        ->type_name("PATH");
    describe(*sub, *verb);
}

void add_kind(CLI::App& sub, Kind& kind) {
    sub.add_option("KIND", kind,
                   "microvm, group, template, image, volume, network, project\nor host")
        ->required()
        ->transform(CLI::CheckedTransformer(kinds).description(""));
}

void add_output(CLI::App& sub, Output& output) {
    sub.add_option("-o", output, "table or json")
        ->transform(CLI::CheckedTransformer(outputs).description(""));
}

// A file that is imported as it is.
CLI::Option* add_file(CLI::App& sub, ImportOptions& verb, const char* name,
                      std::string_view transport, const char* what) {
    return sub
        .add_option_function<std::string>(
            name,
            [&verb, transport](const std::string& file) {
                verb.from = std::string{transport} + file;
            },
            what)
        ->type_name("FILE");
}

void add_grace(CLI::App& sub, std::uint64_t& grace_s) {
    sub.add_option("--grace", grace_s, "A microVM's, between SIGTERM and SIGKILL (default 10)")
        ->check(check_whole)
        ->type_name("SECONDS");
}

void add_apply(CLI::App& app, RemoteOptions& options, bool& is_given, const char* name,
               const char* what, ApplyOptions::Mode mode) {
    add_verb<ApplyOptions>(
        app, options, is_given, name, what, [mode](CLI::App& sub, ApplyOptions& verb) {
            verb.mode = mode;
            sub.add_option("-f", verb.file,
                           "JSON or YAML: objects with kind and spec; - "
                           "for standard input")
                ->required()
                ->type_name("FILE");
            add_output(sub, verb.output);
            sub.add_flag("--dry-run", verb.is_dry_run, "Only say whether it is possible");
            if (mode == ApplyOptions::Mode::create) {
                sub.add_option("--count", verb.count,
                               "So many microVMs, NAME-0, NAME-1, ..., all or none;\n"
                               "the file describes one")
                    ->check(check_whole)
                    ->type_name("N");
                sub.add_flag("--wait", verb.waits,
                             "Of one microVM: print its output until it has\n"
                             "ended, and exit with its exit code");
            }
        });
}

void add_schedule(CLI::App& app, RemoteOptions& options, bool& is_given, const char* name,
                  const char* what, const char* scheduling) {
    add_verb<ScheduleOptions>(
        app, options, is_given, name, what, [scheduling](CLI::App& sub, ScheduleOptions& verb) {
            verb.scheduling = scheduling;
            sub.add_option("HOST", verb.host, "Its name")->required();
            if (verb.scheduling == "draining") {
                sub.add_flag_callback(
                    "--no-wait", [&verb] { verb.waits = false; }, "Only begin");
            }
        });
}

}  // namespace

void describe_remote(CLI::App& app, RemoteOptions& options, bool& is_given) {
    add_verb<GetOptions>(app, options, is_given, "get", "List what shoald has",
                         [](CLI::App& sub, GetOptions& verb) {
                             add_kind(sub, verb.kind);
                             sub.add_option("NAME", verb.name, "One of them");
                             sub.add_option("-l", verb.label, "Only microVMs with this label")
                                 ->type_name("KEY=VALUE");
                             add_output(sub, verb.output);
                         });
    add_verb<DescribeOptions>(app, options, is_given, "describe", "Show all about one object",
                              [](CLI::App& sub, DescribeOptions& verb) {
                                  add_kind(sub, verb.kind);
                                  sub.add_option("NAME", verb.name, "Its name");
                              });
    add_apply(app, options, is_given, "create", "Create what a file describes",
              ApplyOptions::Mode::create);
    add_apply(app, options, is_given, "apply", "Make it as a file says, whatever there is",
              ApplyOptions::Mode::apply);
    add_verb<LogsOptions>(app, options, is_given, "logs", "Print a microVM's output",
                          [](CLI::App& sub, LogsOptions& verb) {
                              sub.add_option("NAME", verb.name, "The microVM")->required();
                              sub.add_flag_callback(
                                  "-f", [&verb] { verb.until = LogsOptions::Until::end; },
                                  "Follow it to its end");
                          });
    add_verb<DeleteOptions>(app, options, is_given, "delete", "Stop and forget",
                            [](CLI::App& sub, DeleteOptions& verb) {
                                add_kind(sub, verb.kind);
                                sub.add_option("NAME", verb.names, "Whom")->required();
                                add_grace(sub, verb.grace_s);
                            });
    add_verb<ScaleOptions>(
        app, options, is_given, "scale", "Set how many a group has",
        [](CLI::App& sub, ScaleOptions& verb) {
            sub.add_option("GROUP", verb.group, "Its name")->required();
            sub.add_option("COUNT", verb.count, "How many")->required()->check(check_whole);
        });
    add_schedule(app, options, is_given, "cordon", "Let a host take no more microVMs", "cordoned");
    add_schedule(app, options, is_given, "uncordon", "Let a host take microVMs again", "enabled");
    add_schedule(app, options, is_given, "drain",
                 "Have all microVMs leave a host by live migration, and wait for it", "draining");
    add_verb<EventsOptions>(app, options, is_given, "events", "Print changes as they happen",
                            [](CLI::App& sub, EventsOptions& verb) {
                                sub.add_option("--since", verb.since,
                                               "Begin after this resource_version")
                                    ->check(check_whole)
                                    ->type_name("N");
                            });
    add_verb<WaitOptions>(app, options, is_given, "wait",
                          "Print a microVM's output until it has ended, and exit as it did",
                          [](CLI::App& sub, WaitOptions& verb) {
                              sub.add_option("NAME", verb.name, "The microVM")->required();
                          });
    add_verb<TopOptions>(app, options, is_given, "top", "Show what microVMs use, again and again",
                         [](CLI::App& sub, TopOptions& verb) {
                             sub.add_option("--interval", verb.interval_s,
                                            "Between two tables (default 2)")
                                 ->check(CLI::Range(1, 3600))
                                 ->type_name("SECONDS");
                             sub.add_option("-n", verb.count, "So many tables (default: no end)")
                                 ->check(check_whole)
                                 ->type_name("N");
                         });
    add_verb<CallOptions>(app, options, is_given, "call",
                          "Send standard input to a vsock port of a microVM, and print the reply",
                          [](CLI::App& sub, CallOptions& verb) {
                              sub.add_option("NAME", verb.name, "The microVM")->required();
                              sub.add_option("PORT", verb.port, "Where its program listens")
                                  ->required()
                                  ->check(check_whole);
                              sub.add_option("--timeout", verb.timeout_s,
                                             "For the whole reply (default 30)")
                                  ->check(check_whole)
                                  ->type_name("SECONDS");
                          });
    add_verb<ExecOptions>(
        app, options, is_given, "exec",
        "Run a command in a microVM, beside its program, and exit as it does",
        [](CLI::App& sub, ExecOptions& verb) {
            sub.add_option("NAME", verb.name, "The microVM, which was created with exec")
                ->required();
            sub.add_option("COMMAND", verb.words, "Behind --: a program and its arguments")
                ->required();
            sub.add_option("--cwd", verb.folder, "Its folder")->type_name("PATH");
            sub.add_option("--env", verb.env, "Set a variable for it; may be repeated")
                ->type_name("KEY=VALUE")
                ->allow_extra_args(false);
        });
    add_verb<ConsoleOptions>(
        app, options, is_given, "console",
        "Type what a microVM reads, and see what it prints, until Ctrl-] or its end",
        [](CLI::App& sub, ConsoleOptions& verb) {
            sub.add_option("NAME", verb.name, "The microVM")->required();
            sub.add_option("--tail", verb.tail,
                           "Begin with the last lines of its output (default 10)")
                ->check(CLI::Range(0, 1000))
                ->type_name("N");
            sub.add_flag("--raw", verb.is_raw,
                         "Pass on each key, also Ctrl-C, and show none here:\n"
                         "for guests that have a terminal of their own, as Linux");
            sub.add_flag("--force", verb.is_forced, "Cut off whoever is attached already");
        });
    add_verb<StopOptions>(app, options, is_given, "stop",
                          "End a microVM for good, and keep what is known of it",
                          [](CLI::App& sub, StopOptions& verb) {
                              sub.add_option("NAME", verb.names, "Whom")->required();
                              add_grace(sub, verb.grace_s);
                          });
    add_verb<TokenOptions>(
        app, options, is_given, "token", "Print a token with which other hosts join the cluster",
        [](CLI::App& sub, TokenOptions& verb) {
            sub.add_option("--uses", verb.uses, "For so many hosts (default 1)")
                ->check(check_whole)
                ->type_name("N");
            sub.add_option("--ttl", verb.ttl_s, "For so long (default 600, at most 3600)")
                ->check(check_whole)
                ->type_name("SECONDS");
        });
    CLI::App* image = app.add_subcommand("image", "Import images: roots of microVMs, and kernels");
    image->require_subcommand(1);
    add_verb<ImportOptions>(
        *image, options, is_given, "import", "Import an image",
        [](CLI::App& sub, ImportOptions& verb) {
            CLI::Option* from = sub.add_option(
                "FROM", verb.from,
                "oci:FOLDER[:TAG], docker-archive:FILE[:TAG] or docker://NAME[:TAG],\n"
                "which skopeo and umoci read; or erofs:FILE, of mkfs.erofs");
            CLI::Option* kernel = add_file(sub, verb, "--kernel", images::kernel_transport,
                                           "Instead: a kernel (bzImage or ELF)");
            CLI::Option* initramfs = add_file(sub, verb, "--initramfs", images::initramfs_transport,
                                              "Instead: a kernel's first files");
            kernel->excludes(from)->excludes(initramfs);
            initramfs->excludes(from);
            sub.parse_complete_callback([&verb] {
                if (verb.from.empty()) {
                    throw CLI::RequiredError("FROM, --kernel or --initramfs");
                }
            });
            sub.add_option("--cmdline", verb.cmdline,
                           "A kernel's command line where a microVM has none\n(default " +
                               std::string{model::default_cmdline} + ")")
                ->type_name("WORDS")
                ->needs(kernel);
            sub.add_option("--name", verb.name,
                           "How microVMs call it (default: as FROM calls it, without the tag)")
                ->type_name("NAME");
        });
    add_verb<BackupOptions>(
        app, options, is_given, "backup", "Copy shoald's store into a file",
        [](CLI::App& sub, BackupOptions& verb) {
            sub.add_option("FILE", verb.file, "Replaced when it exists")->required();
        });
}

}  // namespace shoal::cli
