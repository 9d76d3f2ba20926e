#include "runtime/expression/jq_lexer.hpp"

#include <algorithm>
#include <array>

namespace holdfast {

namespace {

constexpr std::array<std::string_view, 19> keywords{
  "as", "import", "include", "module",  "def", "if",    "then",  "else",  "elif",   "and",
  "or", "end",    "reduce",  "foreach", "try", "catch", "label", "break", "__loc__"};

// Longest first; the last three are no jq, but deserve to be named whole.
constexpr std::array<std::string_view, 17> long_symbols{
  "?//", "//=", "!=", "==", "//", "|=", "+=", "-=", "*=",
  "/=",  "%=",  "<=", ">=", "..", "::", "&&", "||"};
constexpr std::string_view short_symbols = ".?=;,:|+-*/%$<>[]{}()";

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_word_start(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_word(char c) noexcept { return is_word_start(c) || is_digit(c); }

class lexer {
public:
  explicit lexer(std::string_view text) : text_(text) {}

  result<std::vector<jq_token>> run() {
    while (at_ < text_.size()) {
      auto done = inside_string() ? string_part() : token();
      if (!done)
        return done.error();
    }
    if (!nesting_.empty())
      return jq_refusal(text_.size() + 1,
                        inside_string() ? "the string is not closed" : "a bracket is not closed");
    add(jq_token_kind::end, 0);
    return std::move(tokens_);
  }

private:
  bool inside_string() const noexcept { return !nesting_.empty() && nesting_.back() == '"'; }
  char peek(std::size_t ahead) const noexcept {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  void add(jq_token_kind kind, std::size_t size, std::size_t skip = 0) {
    tokens_.push_back({kind, text_.substr(at_ + skip, size - skip), at_ + 1});
    at_ += size;
  }

  std::size_t word_size(std::size_t from) const noexcept {
    std::size_t size = 0;
    while (is_word(peek(from + size)))
      ++size;
    return size;
  }

  status token() {
    const char c = text_[at_];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      ++at_;
    } else if (c == '#') {
      while (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r')
        ++at_;
    } else if (c == '"') {
      nesting_.push_back('"');
      add(jq_token_kind::string_start, 1);
    } else if (c == '@' && is_word(peek(1))) {
      add(jq_token_kind::format, 1 + word_size(1));
    } else if (c == '.' && is_word_start(peek(1))) {
      add(jq_token_kind::field, 1 + word_size(1), 1);
    } else if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
      add(jq_token_kind::number, number_size());
    } else if (is_word_start(c)) {
      word();
    } else {
      return symbol();
    }
    return ok_status();
  }

  std::size_t number_size() const noexcept {
    std::size_t size = 0;
    while (is_digit(peek(size)) || peek(size) == '.')
      ++size;
    if (peek(size) == 'e' || peek(size) == 'E') {
      std::size_t exponent = size + 1;
      if (peek(exponent) == '+' || peek(exponent) == '-')
        ++exponent;
      if (is_digit(peek(exponent))) {
        while (is_digit(peek(exponent)))
          ++exponent;
        size = exponent;
      }
    }
    return size;
  }

  void word() {
    std::size_t size = word_size(0);
    while (peek(size) == ':' && peek(size + 1) == ':' && is_word_start(peek(size + 2)))
      size += 2 + word_size(size + 2);
    const auto text = text_.substr(at_, size);
    const bool keyword = std::find(keywords.begin(), keywords.end(), text) != keywords.end();
    add(keyword ? jq_token_kind::keyword : jq_token_kind::identifier, size);
  }

  status symbol() {
    for (const auto symbol : long_symbols)
      if (text_.substr(at_).starts_with(symbol)) {
        add(jq_token_kind::symbol, symbol.size());
        return ok_status();
      }
    const char c = text_[at_];
    if (short_symbols.find(c) == std::string_view::npos)
      return jq_refusal(at_ + 1, "this character is not jq");
    if (c == '(' || c == '[' || c == '{')
      nesting_.push_back(c);
    if (c == ')' || c == ']' || c == '}')
      return close(c);
    add(jq_token_kind::symbol, 1);
    return ok_status();
  }

  status close(char c) {
    const char open = nesting_.empty() ? '\0' : nesting_.back();
    const bool fits = (c == ')' && (open == '(' || open == 'i')) || (c == ']' && open == '[') ||
                      (c == '}' && open == '{');
    if (!fits)
      return jq_refusal(at_ + 1, std::string{"`"} + c + "` closes nothing");
    nesting_.pop_back();
    add(open == 'i' ? jq_token_kind::interpolation_end : jq_token_kind::symbol, 1);
    return ok_status();
  }

  status string_part() {
    const char c = text_[at_];
    if (c == '"') {
      nesting_.pop_back();
      add(jq_token_kind::string_end, 1);
      return ok_status();
    }
    if (c == '\\' && peek(1) == '(') {
      nesting_.push_back('i');
      add(jq_token_kind::interpolation_start, 2);
      return ok_status();
    }
    std::size_t size = 0;
    while (at_ + size < text_.size() && peek(size) != '"' &&
           !(peek(size) == '\\' && peek(size + 1) == '(')) {
      if (peek(size) != '\\') {
        ++size;
        continue;
      }
      if (auto escape = escape_size(size); !escape)
        return escape.error();
      else
        size += *escape;
    }
    add(jq_token_kind::string_text, size);
    return ok_status();
  }

  result<std::size_t> escape_size(std::size_t from) const {
    const char c = peek(from + 1);
    if (std::string_view{"\"\\/bfnrt"}.find(c) != std::string_view::npos && c != '\0')
      return std::size_t{2};
    const auto is_hex = [](char h) {
      return is_digit(h) || (h >= 'a' && h <= 'f') || (h >= 'A' && h <= 'F');
    };
    if (c == 'u' && is_hex(peek(from + 2)) && is_hex(peek(from + 3)) && is_hex(peek(from + 4)) &&
        is_hex(peek(from + 5)))
      return std::size_t{6};
    return jq_refusal(
      at_ + from + 1,
      "unknown escape; JSON's are allowed: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string nesting_;  // the open brackets; `"` a string, `i` an interpolation
  std::vector<jq_token> tokens_;
};

}  // namespace

result<std::vector<jq_token>> lex_jq(std::string_view program) { return lexer{program}.run(); }

error jq_refusal(std::size_t column, std::string_view what) {
  return {errc::schema, "jq, column " + std::to_string(column) + ": " + std::string{what}};
}

}  // namespace holdfast
