#include "tools/holdfast/doctor_verb.hpp"

#include <nlohmann/json.hpp>

#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/display_text.hpp"
#include "tools/holdfast/document_view.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

void print_finding(const json& finding, console& out) {
  if (!finding.is_object()) {
    out.line(printable(scalar_text(finding)));
    return;
  }
  std::string line;
  for (const auto* field : {"severity", "code", "subject", "agent"})
    if (auto text = text_at(finding, field); !text.empty())
      line += (line.empty() ? "" : " ") + text;
  if (auto detail = text_at(finding, "detail"); !detail.empty())
    line += (line.empty() ? "" : ": ") + detail;
  line = printable(line);
  out.line(out.settings().colour ? tinted(line, tint::bad) : line);
  const auto unblock = finding.value("unblock", json{});
  const auto command = unblock.is_object() ? text_at(unblock, "command") : scalar_text(unblock);
  if (!unblock.is_null() && !command.empty())
    out.line("  " + printable(command));
}

}  // namespace

exit_code report_findings(const json& document, console& out) {
  const auto findings = document.value("findings", json::array());
  if (!out.is_for_people()) {
    if (out.format() != output_format::ids)
      out.describe(document, 0);
    else
      for (const auto& finding : findings)
        out.line(printable(finding.is_object() ? text_at(finding, "subject") : ""));
  } else {
    for (const auto& finding : findings)
      print_finding(finding, out);
    auto summary = findings.empty() ? std::string{"no findings"}
                                    : std::to_string(findings.size()) +
                                        (findings.size() == 1 ? " finding" : " findings");
    const auto checked = document.value("checked", json::object());
    std::string numbers;
    if (checked.is_object())
      for (const auto& [name, count] : checked.items())
        numbers += (numbers.empty() ? " (checked " : ", ") + scalar_text(count) + " " + name;
    out.say(summary + (numbers.empty() ? "" : numbers + ")"));
  }
  return findings.empty() ? exit_code::done : exit_code::failed;
}

void add_doctor_verb(command_tree& tree) {
  auto data = std::make_shared<std::string>();
  auto& verb =
    tree.verb(tree.root(), "doctor", "check a running node or cluster, or a stopped folder",
              "holdfast doctor\nholdfast doctor --data /var/lib/holdfast",
              [data](session& with) -> exit_code {
                if (!data->empty())
                  return static_cast<exit_code>(with.host().doctor_folder(*data, with.out()));
                return report_findings(with.api().get(api_path{"/v1/doctor"}), with.out());
              });
  verb.add_option("--data", *data, "a data folder that no node has open")->option_text("DIR");
}

}  // namespace holdfast::cli
