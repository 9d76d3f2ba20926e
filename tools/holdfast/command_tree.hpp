#pragma once
// The parser: nouns, their verbs, and what each verb does once everything is parsed.

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tools/holdfast/failure.hpp"
#include "tools/holdfast/session.hpp"

namespace holdfast::cli {

using action = std::function<exit_code(session&)>;

class command_tree {
public:
  /// With every noun and verb of the contract.
  command_tree();
  command_tree(const command_tree&) = delete;
  command_tree& operator=(const command_tree&) = delete;

  CLI::App& root() noexcept { return root_; }
  const global_options& globals() const noexcept { return globals_; }

  /// A word that takes a verb behind it.
  CLI::App& noun(CLI::App& parent, const std::string& name, const std::string& what);

  /// A word that does something. `example` is one command line, or more, each on a line.
  CLI::App& verb(CLI::App& parent, const std::string& name, const std::string& what,
                 const std::string& example, action run);

  /// A verb of the contract that this release does not have: takes any argument, then refuses (exit
  /// 5).
  void later(CLI::App& parent, const std::string& name, const std::string& what,
             const std::string& example);

  /// Like `noun`, for one that has no verb yet in this release.
  CLI::App& later_noun(CLI::App& parent, const std::string& name, const std::string& what);

  /// Parses and gives what to run. Throws `CLI::ParseError`, help included.
  action parse(const std::vector<std::string>& arguments);

  /// The words of the command parsed last, as far as they were understood: `holdfast agent list`.
  std::string parsed_words() const;

  /// What is wrong with the arguments and what could have been meant; for a `ParseError` of
  /// `parse`.
  std::string explain(const CLI::ParseError& error) const;

private:
  const CLI::App& deepest() const;

  CLI::App root_;
  global_options globals_;
  action chosen_;
};

/// The words from the root to `command`.
std::string words_of(const CLI::App& command);

// One per noun or verb, each in its own file; called by the constructor.
void add_agent_verbs(command_tree& tree);
void add_agent_state_verb(command_tree& tree, CLI::App& agent);
void add_agent_send_verb(command_tree& tree, CLI::App& agent);
void add_agent_acting_verbs(command_tree& tree, CLI::App& agent);
void add_run_verbs(command_tree& tree);
void add_event_verbs(command_tree& tree);
void add_dead_letter_verbs(command_tree& tree, CLI::App& event);
void add_type_verbs(command_tree& tree);
void add_reconcile_verbs(command_tree& tree);
void add_auth_verbs(command_tree& tree);
void add_audit_verbs(command_tree& tree);
void add_cluster_verbs(command_tree& tree);
void add_backup_verbs(command_tree& tree, CLI::App& cluster);
void add_member_verbs(command_tree& tree);
void add_membership_verbs(command_tree& tree, CLI::App& cluster);
void add_apply_verb(command_tree& tree);
void add_doctor_verb(command_tree& tree);
void add_node_verbs(command_tree& tree);
void add_init_verb(command_tree& tree);
void add_completion_verb(command_tree& tree);
void add_version_verb(command_tree& tree);
void add_later_verbs(command_tree& tree);

/// Of `cluster restore`: what was made, and what to do next.
int report_restored(const restored_folder& done, console& out);

}  // namespace holdfast::cli
