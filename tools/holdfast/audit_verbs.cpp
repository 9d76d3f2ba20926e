// `audit`: who changed what.

#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/listing.hpp"

namespace holdfast::cli {

void add_audit_verbs(command_tree& tree) {
  auto& audit = tree.noun(tree.root(), "audit", "who changed what, and who was refused");
  auto options = std::make_shared<list_options>();
  auto& verb = tree.verb(audit, "list", "the audit log, newest first",
                         "holdfast audit list --limit 20 -o wide", [options](session& with) {
                           return show_list(with, api_path{"/v1/audit"}, view::audit, *options,
                                            list_size::newest_500);
                         });
  add_list_options(verb, *options, list_size::newest_500);
}

}  // namespace holdfast::cli
