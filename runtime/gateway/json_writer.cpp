#include "runtime/gateway/json_writer.hpp"

#include "runtime/gateway/json_text.hpp"

namespace holdfast {

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

void append_escaped(std::string& out, char c) {
  constexpr std::string_view digits = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += digits[static_cast<unsigned char>(c) >> 4];
      out += digits[static_cast<unsigned char>(c) & 15];
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t plain = 0;  // begin of what is copied as it is
  std::size_t at = 0;
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\' && byte != 0x7F) {
      ++at;
      continue;
    }
    const std::size_t length = byte < 0x80 ? 0 : utf8_length(text.substr(at));
    if (length != 0) {
      at += length;
      continue;
    }
    out += text.substr(plain, at - plain);
    if (byte < 0x80)
      append_escaped(out, text[at]);
    else
      out += replacement;
    plain = ++at;
  }
  out += text.substr(plain);
  out += '"';
}

json_writer& json_writer::key(std::string_view name) {
  comma();
  append_json_string(out_, name);
  out_ += ':';
  separate_ = false;
  return *this;
}

json_writer& json_writer::value(std::string_view text) {
  comma();
  append_json_string(out_, text);
  return *this;
}

json_writer& json_writer::value(bool truth) { return raw(truth ? "true" : "false"); }

json_writer& json_writer::value(double number) {
  comma();
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out_.append(digits, end);
  return *this;
}

json_writer& json_writer::null() { return raw("null"); }

json_writer& json_writer::raw(std::string_view json) {
  comma();
  out_ += json;
  return *this;
}

json_writer& json_writer::json_or_text(std::string_view text) {
  if (text.empty())
    return null();
  return check_json(text, json_depth_stored_max) ? raw(text) : value(text);
}

}  // namespace holdfast
