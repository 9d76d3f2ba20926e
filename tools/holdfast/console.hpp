#pragma once
// Where a command writes: data to one stream, talk to the other, in the form that `-o` asks for.

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "tools/holdfast/document_view.hpp"

namespace holdfast::cli {

enum class output_format : std::uint8_t { table, json, yaml, ids, wide };

/// `json` and so on; nothing for a name that is none.
std::optional<output_format> output_format_from(std::string_view name) noexcept;

struct console_settings {
  output_format format = output_format::table;
  bool format_given = false;  ///< by `-o`
  bool colour = false;
  bool data_is_terminal = false;
  std::size_t columns = 0;  ///< of the terminal; 0: unknown, or no terminal
  bool talk_is_terminal = false;
};

/// Not thread-safe. The streams outlive it.
class console {
public:
  console(std::ostream& data, std::ostream& talk, console_settings settings);

  const console_settings& settings() const noexcept { return settings_; }
  output_format format() const noexcept { return settings_.format; }
  /// For people: `table` and `wide`.
  bool is_for_people() const noexcept;

  /// A line of talk on stderr.
  void say(std::string_view line);
  /// A coloured line of talk for what failed.
  void say_failure(std::string_view line);

  /// Talk on a terminal in the place of what the last call said there; empty: takes that away.
  void say_in_place(std::string_view text);

  /// A line, or text as it is, on stdout; flushed.
  void line(std::string_view text);
  void raw(std::string_view text);

  /// One JSON document on one line of stdout, flushed: streams and `-w`.
  void json_line(const nlohmann::ordered_json& document);

  /// One document. For people: a row of `what`.
  void document(const nlohmann::ordered_json& document, view what, time_us now);

  /// One document. For people: every field, then cause and way out.
  void describe(const nlohmann::ordered_json& document, time_us now);

  /// A `{"items": […]}` document. For people: a table of `what`, or a word on stderr when it is
  /// empty.
  void list(const nlohmann::ordered_json& document, view what, time_us now);

  view_options view_for(time_us now) const;

private:
  /// True when it wrote the document: json, yaml, ids.
  bool machine_document(const nlohmann::ordered_json& document);

  std::ostream& data_;
  std::ostream& talk_;
  console_settings settings_;
  std::size_t in_place_ = 0;  // columns
};

}  // namespace holdfast::cli
