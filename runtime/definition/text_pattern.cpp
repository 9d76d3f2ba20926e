#include "runtime/definition/text_pattern.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace holdfast {

namespace {

constexpr char32_t last_character = 0x10ffff;
constexpr unsigned repeats_max = 1'000;
constexpr unsigned nesting_max = 32;

bool is_word(char32_t c) noexcept {
  return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z') || (c >= U'0' && c <= U'9') ||
         c == U'_';
}

/// The character at `at`, which moves on; a byte that is not UTF-8 counts as U+FFFD.
char32_t next_character(std::string_view text, std::size_t& at) noexcept {
  const auto byte = static_cast<unsigned char>(text[at++]);
  const unsigned more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc0 ? 1 : 0;
  if (byte < 0x80)
    return byte;
  if (more == 0 || at + more > text.size())
    return 0xfffd;
  char32_t c = byte & (0x3fU >> more);
  for (unsigned i = 0; i < more; ++i)
    c = (c << 6) | (static_cast<unsigned char>(text[at + i]) & 0x3fU);
  at += more;
  return c;
}

}  // namespace

/// Recursive descent straight into the program. Throws `error`; `compile` catches it.
class text_pattern_parser {
public:
  explicit text_pattern_parser(std::string_view text) : text_(text) {}

  text_pattern run() {
    alternatives();
    if (!at_end())
      fail("`)` closes nothing");
    emit({text_pattern::step::match, 0, 0, 0});
    return std::move(out_);
  }

private:
  using step = text_pattern::step;
  using ranges = text_pattern::ranges;
  using instruction = text_pattern::instruction;

  [[noreturn]] void fail(const std::string& what) const {
    throw error{errc::schema, "pattern, column " + std::to_string(at_ + 1) + ": " + what};
  }
  bool at_end() const noexcept { return at_ >= text_.size(); }
  bool accept(std::string_view s) {
    const bool found = text_.substr(at_).starts_with(s);
    if (found)
      at_ += s.size();
    return found;
  }
  std::uint32_t here() const noexcept { return static_cast<std::uint32_t>(out_.program_.size()); }
  void emit(instruction i) {
    if (out_.program_.size() >= text_pattern::states_max)
      fail("the pattern is too large");
    out_.program_.push_back(i);
  }
  void emit_set(ranges set) {
    out_.sets_.push_back(std::move(set));
    emit({step::character, 0, 0, static_cast<std::uint32_t>(out_.sets_.size() - 1)});
  }
  void insert(std::uint32_t at, instruction i) {
    emit(i);
    auto& program = out_.program_;
    std::rotate(program.begin() + at, program.end() - 1, program.end());
    for (std::size_t k = at + 1; k < program.size(); ++k)
      moved(program[k], at);
  }
  static void moved(instruction& i, std::uint32_t from) noexcept {
    if (i.what == step::split || i.what == step::jump) {
      i.to += i.to >= from ? 1 : 0;
      i.other += i.other >= from ? 1 : 0;
    }
  }

  void alternatives() {
    if (++nesting_ > nesting_max)
      fail("nested too deep");
    const auto start = here();
    sequence();
    std::vector<std::uint32_t> exits;
    auto branch = start;
    while (accept("|")) {
      emit({step::jump, 0, 0, 0});
      insert(branch, {step::split, branch + 1, here() + 1, 0});
      exits.push_back(here() - 1);
      branch = here();
      sequence();
    }
    for (const auto exit : exits)
      out_.program_[exit].to = here();
    --nesting_;
  }

  void sequence() {
    while (!at_end() && text_[at_] != '|' && text_[at_] != ')') {
      const auto start = here();
      const bool can_repeat = atom();
      if (auto times = quantifier()) {
        if (!can_repeat)
          fail("nothing to repeat");
        repeat(start, *times);
      }
    }
  }

  struct count {
    unsigned least = 0;
    std::optional<unsigned> most;
  };

  std::optional<count> quantifier() {
    std::optional<count> out;
    if (accept("*"))
      out = count{0, std::nullopt};
    else if (accept("+"))
      out = count{1, std::nullopt};
    else if (accept("?"))
      out = count{0, 1};
    else if (accept("{"))
      out = counted();
    if (out)
      accept("?");  // lazy or not: the same texts match
    if (out && !at_end() && (text_[at_] == '*' || text_[at_] == '+' || text_[at_] == '?'))
      fail("nothing to repeat");
    return out;
  }

  count counted() {
    count out{number(), 0};
    out.most = out.least;
    if (accept(",")) {
      out.most.reset();
      if (!at_end() && text_[at_] != '}')
        out.most = number();
    }
    if (!accept("}"))
      fail("expected `}`");
    if (out.most && *out.most < out.least)
      fail("the numbers are in the wrong order");
    return out;
  }

  unsigned number() {
    if (at_end() || text_[at_] < '0' || text_[at_] > '9')
      fail("expected a number");
    unsigned n = 0;
    while (!at_end() && text_[at_] >= '0' && text_[at_] <= '9') {
      n = n * 10 + static_cast<unsigned>(text_[at_++] - '0');
      if (n > repeats_max)
        fail("at most " + std::to_string(repeats_max) + " repetitions");
    }
    return n;
  }

  /// What was emitted from `start` on, so often.
  void repeat(std::uint32_t start, const count& times) {
    const std::vector<instruction> body{out_.program_.begin() + start, out_.program_.end()};
    out_.program_.resize(start);
    for (unsigned i = 0; i < times.least; ++i)
      append(body, start);
    if (!times.most) {
      const auto loop = here();
      emit({step::split, loop + 1, 0, 0});
      append(body, start);
      emit({step::jump, loop, 0, 0});
      out_.program_[loop].other = here();
      return;
    }
    std::vector<std::uint32_t> exits;
    for (unsigned i = times.least; i < *times.most; ++i) {
      exits.push_back(here());
      emit({step::split, here() + 1, 0, 0});
      append(body, start);
    }
    for (const auto exit : exits)
      out_.program_[exit].other = here();
  }

  void append(const std::vector<instruction>& body, std::uint32_t was_at) {
    const auto shift = here() - was_at;
    for (auto i : body) {
      if (i.what == step::split || i.what == step::jump) {
        i.to += shift;
        i.other += shift;
      }
      emit(i);
    }
  }

  /// False for what cannot be repeated.
  bool atom() {
    if (accept("^"))
      return emit({step::line_start, 0, 0, 0}), false;
    if (accept("$"))
      return emit({step::line_end, 0, 0, 0}), false;
    if (accept("\\b"))
      return emit({step::word_edge, 0, 0, 0}), false;
    if (accept("\\B"))
      return emit({step::no_word_edge, 0, 0, 0}), false;
    if (accept("("))
      return group(), true;
    if (accept("["))
      return emit_set(bracket()), true;
    if (accept("."))
      return emit_set({{0, U'\n' - 1}, {U'\n' + 1, U'\r' - 1}, {U'\r' + 1, last_character}}), true;
    if (accept("\\"))
      return emit_set(escape()), true;
    if (std::string_view{"*+?{"}.find(text_[at_]) != std::string_view::npos)
      fail("nothing to repeat");
    const auto c = next_character(text_, at_);
    emit_set({{c, c}});
    return true;
  }

  void group() {
    if (accept("?:")) {
    } else if (text_.substr(at_).starts_with("?")) {
      fail("look-around and named groups are not available");
    }
    alternatives();
    if (!accept(")"))
      fail("expected `)`");
  }

  static ranges inverted(ranges set) {
    std::sort(set.begin(), set.end());
    ranges out;
    char32_t next = 0;
    for (const auto& [first, last] : set) {
      if (first > next)
        out.emplace_back(next, first - 1);
      next = std::max<char32_t>(next, last + 1);
    }
    if (next <= last_character)
      out.emplace_back(next, last_character);
    return out;
  }

  /// After the backslash.
  ranges escape() {
    if (at_end())
      fail("a lone backslash");
    const char c = text_[at_++];
    const ranges digits{{U'0', U'9'}};
    const ranges words{{U'0', U'9'}, {U'A', U'Z'}, {U'_', U'_'}, {U'a', U'z'}};
    const ranges spaces{
      {U'\t', U'\r'}, {U' ', U' '}, {0xa0, 0xa0}, {0x2028, 0x2029}, {0xfeff, 0xfeff}};
    switch (c) {
      case 'd':
        return digits;
      case 'D':
        return inverted(digits);
      case 'w':
        return words;
      case 'W':
        return inverted(words);
      case 's':
        return spaces;
      case 'S':
        return inverted(spaces);
      default:
        --at_;
        return one(escaped_character());
    }
  }

  static ranges one(char32_t c) { return {{c, c}}; }

  char32_t escaped_character() {
    const char c = text_[at_++];
    switch (c) {
      case 't':
        return U'\t';
      case 'n':
        return U'\n';
      case 'r':
        return U'\r';
      case 'f':
        return U'\f';
      case 'v':
        return U'\v';
      case '0':
        return 0;
      case 'x':
        return hexadecimal(2);
      case 'u':
        return hexadecimal(4);
      default:
        if (is_word(static_cast<unsigned char>(c)))
          fail(c >= '1' && c <= '9' ? "back references are not available" : "unknown escape");
        --at_;
        return next_character(text_, at_);
    }
  }

  char32_t hexadecimal(unsigned digits) {
    char32_t out = 0;
    for (unsigned i = 0; i < digits; ++i) {
      const char c = at_end() ? '?' : text_[at_++];
      const int value = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (value < 0)
        fail("expected hexadecimal digits");
      out = out * 16 + static_cast<char32_t>(value);
    }
    return out;
  }

  /// After the opening bracket.
  ranges bracket() {
    const bool negated = accept("^");
    ranges out;
    while (!accept("]")) {
      if (at_end())
        fail("expected `]`");
      auto first = member();
      const bool is_range =
        text_.substr(at_).starts_with("-") && !text_.substr(at_).starts_with("-]");
      if (!is_range) {
        out.insert(out.end(), first.begin(), first.end());
        continue;
      }
      ++at_;
      if (at_end())
        fail("expected `]`");
      const auto last = member();
      if (first.size() != 1 || last.size() != 1 || first[0].first != first[0].second ||
          last[0].first != last[0].second || first[0].first > last[0].first)
        fail("not a range");
      out.emplace_back(first[0].first, last[0].first);
    }
    return negated ? inverted(std::move(out)) : out;
  }

  ranges member() {
    if (accept("\\b"))
      return one(U'\b');
    if (accept("\\-"))
      return one(U'-');
    return accept("\\") ? escape() : one(next_character(text_, at_));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  unsigned nesting_ = 0;
  text_pattern out_;
};

result<text_pattern> text_pattern::compile(std::string_view pattern) {
  if (pattern.size() > pattern_bytes_max)
    return error{errc::schema,
                 "a pattern is at most " + std::to_string(pattern_bytes_max) + " bytes long"};
  try {
    return text_pattern_parser{pattern}.run();
  } catch (const error& e) {
    return e;
  }
}

bool text_pattern::contains(const ranges& set, char32_t c) noexcept {
  return std::any_of(set.begin(), set.end(),
                     [c](const auto& r) { return c >= r.first && c <= r.second; });
}

/// Adds what can be reached from `state` without a character. `seen[s] == round` marks what is in `states` already.
void text_pattern::add(std::vector<std::uint32_t>& states, std::vector<std::uint32_t>& seen,
                       std::uint32_t round, std::uint32_t state, const place& where) const {
  std::vector<std::uint32_t> todo{state};
  while (!todo.empty()) {
    const auto s = todo.back();
    todo.pop_back();
    if (seen[s] == round)
      continue;
    seen[s] = round;
    const auto& i = program_[s];
    const bool on_edge = where.word_before != where.word_after;
    switch (i.what) {
      case step::jump:
        todo.push_back(i.to);
        break;
      case step::split:
        todo.push_back(i.to);
        todo.push_back(i.other);
        break;
      case step::line_start:
      case step::line_end:
      case step::word_edge:
      case step::no_word_edge: {
        const bool holds = i.what == step::line_start ? where.at_start
                           : i.what == step::line_end ? where.at_end
                                                      : on_edge == (i.what == step::word_edge);
        if (holds)
          todo.push_back(s + 1);
        break;
      }
      case step::character:
      case step::match:
        states.push_back(s);
        break;
    }
  }
}

bool text_pattern::found_in(std::string_view text) const {
  if (is_too_long(text))
    return false;
  std::vector<std::uint32_t> states, next, seen(program_.size(), 0);
  std::uint32_t round = 0;
  std::size_t at = 0;
  bool word_before = false;
  for (;;) {
    auto after = at;
    const bool at_end = at >= text.size();
    const char32_t c = at_end ? 0 : next_character(text, after);
    const place where{at == 0, at_end, word_before, !at_end && is_word(c)};
    ++round;
    states.clear();
    for (const auto s : next)
      add(states, seen, round, s, where);
    add(states, seen, round, 0, where);  // a match may begin here
    next.clear();
    for (const auto s : states) {
      if (program_[s].what == step::match)
        return true;
      if (!at_end && contains(sets_[program_[s].set], c))
        next.push_back(s + 1);
    }
    if (at_end)
      return false;
    word_before = is_word(c);
    at = after;
  }
}

}  // namespace holdfast
