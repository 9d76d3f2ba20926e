// `type`.

#include <nlohmann/json.hpp>

#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/listing.hpp"

namespace holdfast::cli {

namespace {

api_path type_path(const std::string& type, std::string_view rest = {}) {
  api_path path{"/v1/types"};
  path.segment(type).fixed(rest);
  return path;
}

struct type_options {
  std::string type;
  list_options list;
};

}  // namespace

void add_type_verbs(command_tree& tree) {
  auto& type = tree.noun(tree.root(), "type", "agent types and their versions");

  auto list = std::make_shared<type_options>();
  auto& list_verb =
    tree.verb(type, "list", "agent types", "holdfast type list", [list](session& with) {
      return show_list(with, api_path{"/v1/types"}, view::type, list->list, list_size::everything);
    });
  add_list_options(list_verb, list->list, list_size::everything);

  auto describe = std::make_shared<type_options>();
  auto& describe_verb =
    tree.verb(type, "describe", "one type and its definition", "holdfast type describe support",
              [describe](session& with) {
                return show_document(with, type_path(describe->type), view::type, false);
              });
  describe_verb.add_option("type", describe->type, "its name")->required()->option_text("T");

  auto versions = std::make_shared<type_options>();
  auto& versions_verb =
    tree.verb(type, "versions", "every version of it", "holdfast type versions support",
              [versions](session& with) {
                return show_list(with, type_path(versions->type, "/versions"), view::version,
                                 versions->list, list_size::everything);
              });
  versions_verb.add_option("type", versions->type, "its name")->required()->option_text("T");
  add_list_options(versions_verb, versions->list, list_size::everything);

  tree.later(type, "rollout", "give new runs a version, all or some of them",
             "holdfast type rollout support --to 4 --percent 10");
  tree.later(type, "rollback", "give new runs the version before",
             "holdfast type rollback support");
}

}  // namespace holdfast::cli
