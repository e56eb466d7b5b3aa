// Verbs and options are written into the script; names of objects are asked of shoald.
#include "controlplane/cli/completion.h"

#include <CLI/CLI.hpp>
#include <string_view>

namespace shoal::cli {
namespace {

std::string options_of(const CLI::App& app) {
    std::string words;
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) {
            words += (words.empty() ? "--" : " --") + name;
        }
        for (const std::string& name : option->get_snames()) {
            words += (words.empty() ? "-" : " -") + name;
        }
    }
    for (const CLI::App* nested : app.get_subcommands([](const CLI::App*) { return true; })) {
        words += " " + options_of(*nested);
    }
    return words;
}

constexpr std::string_view head =
    R"(# Completion of shoal for bash:  source <(shoal completion bash)
_shoal_names() {
    shoal get "$1" 2> /dev/null | awk 'NR > 1 { print $1 }'
}
_shoal() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]}
    local words= kinds="microvm group template image volume network project host"
)";

constexpr std::string_view tail = R"(    case $verb in
        run | snapshot | clone | image) compopt -o default 2> /dev/null ;;
    esac
    if [[ $before == -f || $before == --socket || $before == --to || $before == --from || $verb == backup ]]; then
        compopt -o default 2> /dev/null
        COMPREPLY=()
        return
    fi
    if [[ $before == -o ]]; then
        words="table json"
    elif [[ $word != -* ]]; then
        case $verb:$COMP_CWORD in
            get:2 | describe:2 | delete:2) words=$kinds ;;
            get:3 | describe:3 | delete:*) words=$(_shoal_names "${COMP_WORDS[2]}") ;;
            logs:2 | wait:2 | call:2 | exec:2 | console:2 | stop:*) words=$(_shoal_names microvms) ;;
            scale:2) words=$(_shoal_names groups) ;;
            image:2) words=import ;;
            completion:2) words=bash ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _shoal shoal
)";

}  // namespace

std::string bash_completion(const CLI::App& app) {
    std::string verbs;
    std::string cases;
    for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
        verbs += (verbs.empty() ? "" : " ") + verb->get_name();
        cases += "        " + verb->get_name() + ") words=\"" + options_of(*verb) + "\" ;;\n";
    }
    return std::string{head} +
           "    if ((COMP_CWORD == 1)); then\n        COMPREPLY=($(compgen -W \"" + verbs +
           "\" -- \"$word\"))\n        return\n    fi\n    case $verb in\n" + cases + "    esac\n" +
           std::string{tail};
}

}  // namespace shoal::cli
