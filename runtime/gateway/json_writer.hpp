#pragma once
// Compact JSON text, written front to back. What is stored as JSON text goes in as it is, so that
// numbers keep every digit and members their order. Pure.

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

namespace holdfast {

/// Appends to a string that it does not own. The caller keeps begin and end in balance.
class json_writer {
public:
  explicit json_writer(std::string& out) : out_(out) {}

  json_writer& begin_object() { return open('{'); }
  json_writer& end_object() { return close('}'); }
  json_writer& begin_array() { return open('['); }
  json_writer& end_array() { return close(']'); }

  json_writer& key(std::string_view name);

  /// A string; what is not UTF-8 is replaced by U+FFFD.
  json_writer& value(std::string_view text);
  json_writer& value(const char* text) { return value(std::string_view{text}); }
  json_writer& value(const std::string& text) { return value(std::string_view{text}); }
  json_writer& value(bool truth);
  template <std::integral Int>
  requires(!std::same_as<Int, bool>) json_writer& value(Int number) {
    comma();
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    out_.append(digits, end);
    return *this;
  }
  json_writer& value(double number);
  json_writer& null();
  /// Text that is known to be JSON.
  json_writer& raw(std::string_view json);
  /// Text that ought to be JSON: as it is when it is, else as a string; `null` when empty.
  json_writer& json_or_text(std::string_view text);

  template <class T>
  json_writer& field(std::string_view name, const T& v) {
    key(name);
    return value(v);
  }
  json_writer& raw_field(std::string_view name, std::string_view json) {
    return key(name).raw(json);
  }
  json_writer& null_field(std::string_view name) { return key(name).null(); }
  /// Left out when the text is empty.
  json_writer& optional_field(std::string_view name, std::string_view text) {
    return text.empty() ? *this : key(name).value(text);
  }

private:
  json_writer& open(char bracket) {
    comma();
    out_ += bracket;
    separate_ = false;
    return *this;
  }
  json_writer& close(char bracket) {
    out_ += bracket;
    separate_ = true;
    return *this;
  }
  void comma() {
    if (separate_)
      out_ += ',';
    separate_ = true;
  }

  std::string& out_;
  bool separate_ = false;
};

/// Appends `text` as a JSON string with its quotes.
void append_json_string(std::string& out, std::string_view text);

}  // namespace holdfast
