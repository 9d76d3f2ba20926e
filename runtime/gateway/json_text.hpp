#pragma once
// JSON that somebody else wrote: checked whole by simdjson, then taken apart without losing a byte
// of its values. Pure and thread-safe.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "schemas/error.hpp"

namespace holdfast {

/// Nesting of what is stored: more than a request may have, because results of tools are wrapped.
inline constexpr std::size_t json_depth_stored_max = 256;

/// Checks that all of `text` is one JSON value in UTF-8 with at most `depth_max` nested arrays and
/// objects. Errors: `malformed`, `too_deep`.
status check_json(std::string_view text, std::size_t depth_max);

/// The length of the UTF-8 sequence at the front of `text` (not empty), 0 when it is not well
/// formed (RFC 3629).
std::size_t utf8_length(std::string_view text) noexcept;
bool is_utf8(std::string_view text) noexcept;

/// Walks over the members of an object that `check_json` passed. Views point into that text.
class object_walk {
public:
  /// Nothing to walk when `object` is not an object.
  explicit object_walk(std::string_view object) noexcept;
  bool is_object() const noexcept { return is_object_; }
  /// False at the end.
  bool next() noexcept;
  /// Unescaped; empty when it holds an escape that is not a character.
  std::string name() const;
  /// True when the name is `text`, however it is escaped.
  bool is(std::string_view text) const {
    return name_ == text || (name_.find('\\') != std::string_view::npos && name() == text);
  }
  std::string_view value() const noexcept { return value_; }

private:
  std::string_view text_;
  std::size_t at_ = 0;
  std::string_view name_;  // without quotes, still escaped
  std::string_view value_;
  bool is_object_ = false;
};

/// The same for the elements of an array.
class array_walk {
public:
  explicit array_walk(std::string_view array) noexcept;
  bool is_array() const noexcept { return is_array_; }
  bool next() noexcept;
  std::string_view value() const noexcept { return value_; }

private:
  std::string_view text_;
  std::size_t at_ = 0;
  std::string_view value_;
  bool is_array_ = false;
};

/// The text of a JSON string that `check_json` passed; nothing for any other value, and for a lone
/// surrogate.
std::optional<std::string> string_value(std::string_view json);
/// A whole number from 0; nothing for any other value.
std::optional<std::uint64_t> number_value(std::string_view json);
std::optional<bool> bool_value(std::string_view json);

}  // namespace holdfast
