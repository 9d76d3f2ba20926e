// `version`.

#include <nlohmann/json.hpp>

#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/version.hpp"

namespace holdfast::cli {

void add_version_verb(command_tree& tree) {
  const auto line = std::string{"holdfast "} + version_text();
  tree.root().set_version_flag("--version", line);
  tree.verb(tree.root(), "version", "the version of this binary", "holdfast version",
            [line](session& with) {
              if (with.out().is_for_people())
                with.out().line(line);
              else
                with.out().describe({{"kind", "version"}, {"version", version_text()}}, with.now());
              return exit_code::done;
            });
}

}  // namespace holdfast::cli
