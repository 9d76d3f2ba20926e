#pragma once
// JSON that users give on the command line.

#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::cli {

/// The JSON text behind `--data`: as it stands, `@FILE`, or `-` for `in`. Checked, otherwise
/// unchanged: numbers keep their spelling. Throws `command_failure` (usage). `option` is named in
/// messages.
std::string read_json_text(std::string_view argument, std::string_view option, std::istream& in);

/// A merge patch (RFC 7396) from one or more `--set`: a JSON object, `@FILE`, `-`, or
/// `path.to.field=VALUE`, where a VALUE that is no JSON is a string. Later ones win. Throws
/// `command_failure` (usage).
nlohmann::ordered_json read_merge_patch(const std::vector<std::string>& arguments,
                                        std::istream& in);

/// The merge patch that turns `from` into `to`. A member of `to` that is null cannot be expressed:
/// it is removed.
nlohmann::ordered_json merge_patch_between(const nlohmann::ordered_json& from,
                                           const nlohmann::ordered_json& to);

}  // namespace holdfast::cli
