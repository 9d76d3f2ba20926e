#include "tools/holdfast/cli.hpp"

#include <iostream>

#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/display_text.hpp"

namespace holdfast::cli {

namespace {

int code(exit_code value) { return static_cast<int>(value); }

void report(console& out, const command_failure& failure) {
  out.say_failure("holdfast: " + printable(failure.message, line_breaks::kept));
  for (const auto& detail : failure.details)
    out.say("  " + printable(detail));
  if (failure.retry_after_s > 0)
    out.say("  try again in " + std::to_string(failure.retry_after_s) + "s");
}

int run_action(const action& run, command_host& host, const global_options& globals) {
  session with{host, globals};
  try {
    return code(run(with));
  } catch (const command_failure& failure) {
    report(with.out(), failure);
    return code(failure.code);
  } catch (const std::exception& e) {
    with.out().say_failure(std::string{"holdfast: "} + e.what());
    return code(exit_code::failed);
  }
}

}  // namespace

int run_command(const std::vector<std::string>& arguments, command_host& host) {
  command_tree tree;
  action run;
  try {
    run = tree.parse(arguments);
  } catch (const CLI::Success& wanted) {  // --help
    return tree.root().exit(wanted, host.out, host.err);
  } catch (const CLI::ParseError& error) {
    if (arguments.empty()) {
      host.err << tree.root().help();
      return code(exit_code::usage);
    }
    host.err << "holdfast: " << printable(tree.explain(error), line_breaks::kept) << "\nSee `"
             << tree.parsed_words() << " --help`\n";
    return code(exit_code::usage);
  }
  return run_action(run, host, tree.globals());
}

}  // namespace holdfast::cli
