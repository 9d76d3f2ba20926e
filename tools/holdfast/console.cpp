#include "tools/holdfast/console.hpp"

#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "tools/holdfast/display_text.hpp"
#include "tools/holdfast/table.hpp"
#include "tools/holdfast/yaml_writer.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

std::string pretty(const json& document) {
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string compact(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

const json& items_of(const json& document) {
  static const json none = json::array();
  const auto it = document.find("items");
  return it != document.end() && it->is_array() ? *it : none;
}

}  // namespace

std::optional<output_format> output_format_from(std::string_view name) noexcept {
  if (name == "table")
    return output_format::table;
  if (name == "json")
    return output_format::json;
  if (name == "yaml")
    return output_format::yaml;
  if (name == "ids")
    return output_format::ids;
  if (name == "wide")
    return output_format::wide;
  return std::nullopt;
}

console::console(std::ostream& data, std::ostream& talk, console_settings settings)
  : data_(data), talk_(talk), settings_(settings) {}

bool console::is_for_people() const noexcept {
  return settings_.format == output_format::table || settings_.format == output_format::wide;
}

void console::say(std::string_view line) {
  data_.flush();
  talk_ << line << '\n' << std::flush;
}

void console::say_failure(std::string_view line) {
  say(settings_.colour ? tinted(std::string{line}, tint::bad) : std::string{line});
}

/// With spaces, which every terminal understands.
void console::say_in_place(std::string_view text) {
  const auto fitting =
    settings_.columns > 1 ? clipped(text, settings_.columns - 1) : std::string{text};
  const auto before = std::exchange(in_place_, display_width(fitting));
  data_.flush();
  talk_ << '\r' << padded(fitting, before);
  if (fitting.empty())
    talk_ << '\r';
  talk_ << std::flush;
}

void console::line(std::string_view text) { data_ << text << '\n' << std::flush; }

void console::raw(std::string_view text) { data_ << text << std::flush; }

void console::json_line(const json& document) { line(compact(document)); }

view_options console::view_for(time_us now) const {
  return {now, settings_.format == output_format::wide, settings_.colour};
}

bool console::machine_document(const json& document) {
  switch (settings_.format) {
    case output_format::json:
      raw(pretty(document));
      return true;
    case output_format::yaml:
      raw(to_yaml(document));
      return true;
    case output_format::ids:
      line(printable(id_of(document)));
      return true;
    case output_format::table:
    case output_format::wide:
      break;
  }
  return false;
}

void console::document(const json& document, view what, time_us now) {
  if (machine_document(document))
    return;
  const auto rows = table_of(what, json::array({document}), view_for(now));
  const auto columns = settings_.format == output_format::wide ? 0 : settings_.columns;
  raw(render(rows, {settings_.colour, columns}));
}

void console::describe(const json& document, time_us now) {
  if (!machine_document(document))
    raw(description_of(document, view_for(now)));
}

void console::list(const json& document, view what, time_us now) {
  const auto& items = items_of(document);
  if (settings_.format == output_format::ids) {
    for (const auto& item : items)
      data_ << printable(id_of(item)) << '\n';
    data_.flush();
    return;
  }
  if (machine_document(document))
    return;
  if (items.empty()) {
    say("nothing found");
    return;
  }
  const auto columns = settings_.format == output_format::wide ? 0 : settings_.columns;
  raw(render(table_of(what, items, view_for(now)), {settings_.colour, columns}));
}

}  // namespace holdfast::cli
