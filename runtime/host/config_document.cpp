#include "runtime/host/config_document.hpp"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <cmath>
#include <exception>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include <nlohmann/json.hpp>

#include "schemas/units.hpp"

namespace holdfast {

namespace {

using nlohmann::json;
using kind_type = document_node::kind_type;

/// Thrown through yaml-cpp and nlohmann by the builder, caught in `parse_documents`.
struct cannot_read : std::exception {
  explicit cannot_read(document_problem p) : problem(std::move(p)) {}
  document_problem problem;
};

struct place {
  std::size_t line = 0;
  std::size_t column = 0;
};

[[noreturn]] void refuse(place at, errc code, std::string message) {
  throw cannot_read{{at.line, at.column, "", code, std::move(message)}};
}

/// Puts events together. What a text may ask for is counted while it is read.
class tree_builder {
public:
  void start(kind_type kind, place at) {
    if (open_.size() >= document_limits::depth_max)
      refuse(at, errc::too_deep,
             "nested deeper than " + std::to_string(document_limits::depth_max));
    count(at, 1);
    open_.push_back({{kind, "", false, at.line, at.column, {}, {}}, std::nullopt});
  }

  document_node finish() {
    auto done = std::move(open_.back().node);
    open_.pop_back();
    return done;
  }

  void scalar(std::string text, bool is_text, place at) {
    count(at, 1);
    add({text.empty() && !is_text ? kind_type::null : kind_type::scalar,
         std::move(text),
         is_text,
         at.line,
         at.column,
         {},
         {}});
  }

  void add(document_node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    auto& [parent, key] = open_.back();
    if (parent.kind == kind_type::list) {
      parent.items.push_back(std::move(node));
    } else if (key) {
      key->value = std::move(node);
      if (const auto* before = parent.find(key->key))
        twice(*key, *before);
      else
        parent.entries.push_back(std::move(*key));
      key.reset();
    } else {
      key = new_key(node);
    }
  }

  void count(place at, std::size_t nodes) {
    nodes_ += nodes;
    if (nodes_ > document_limits::nodes_max)
      refuse(
        at, errc::too_large,
        "more than " + std::to_string(document_limits::nodes_max) + " values, aliases counted");
  }

  std::optional<document_node> take_root() { return std::exchange(root_, std::nullopt); }
  std::vector<document_problem> take_problems() { return std::move(problems_); }

private:
  struct unfinished {
    document_node node;
    std::optional<document_entry> key;
  };

  static document_entry new_key(const document_node& node) {
    const place at{node.line, node.column};
    if (!node.is_scalar())
      refuse(at, errc::malformed, "a key must be text");
    if (node.text == "<<" && !node.is_text)
      refuse(at, errc::malformed, "merging with << is not available");
    return {node.text, node.line, node.column, {}};
  }

  void twice(const document_entry& again, const document_entry& before) {
    if (problems_.size() < problems_max)
      problems_.push_back({again.line, again.column, "", errc::malformed,
                           "key `" + again.key + "` is here for the second time; first in line " +
                             std::to_string(before.line)});
  }

  static constexpr std::size_t problems_max = 100;

  std::vector<unfinished> open_;
  std::optional<document_node> root_;
  std::vector<document_problem> problems_;
  std::size_t nodes_ = 0;
};

std::size_t size_of(const document_node& node) {
  std::size_t nodes = 1;
  for (const auto& item : node.items)
    nodes += size_of(item);
  for (const auto& entry : node.entries)
    nodes += 1 + size_of(entry.value);
  return nodes;
}

place place_of(const YAML::Mark& mark) {
  if (mark.is_null())
    return {};
  return {static_cast<std::size_t>(mark.line) + 1, static_cast<std::size_t>(mark.column) + 1};
}

class yaml_events final : public YAML::EventHandler {
public:
  explicit yaml_events(std::vector<document_node>& out) : out_(out) {}

  std::vector<document_problem> take_problems() { return builder_.take_problems(); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    anchors_.clear();
    if (out_.size() >= document_limits::documents_max)
      refuse(place_of(mark), errc::too_large, "too many documents in one file");
  }
  void OnDocumentEnd() override {
    if (auto root = builder_.take_root(); root && root->kind != kind_type::null)
      out_.push_back(std::move(*root));
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    builder_.count(place_of(mark), 1);
    keep(anchor, {kind_type::null, "", false, place_of(mark).line, place_of(mark).column, {}, {}});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end())
      refuse(place_of(mark), errc::malformed, "an alias inside of what it stands for");
    builder_.count(place_of(mark), size_of(found->second));
    builder_.add(found->second);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (tag != "?" && tag != "!" && !tag.empty())
      refuse(place_of(mark), errc::malformed, "tags like `!!str` are not available");
    builder_.count(place_of(mark), 1);
    const bool is_text = tag == "!";
    const bool is_null = !is_text && (value.empty() || value == "~" || value == "null");
    keep(anchor, {is_null ? kind_type::null : kind_type::scalar,
                  value,
                  is_text,
                  place_of(mark).line,
                  place_of(mark).column,
                  {},
                  {}});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(kind_type::list, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(kind_type::map, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

private:
  void open(kind_type kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (tag != "?" && tag != "!" && !tag.empty())
      refuse(place_of(mark), errc::malformed, "tags like `!!map` are not available");
    builder_.start(kind, place_of(mark));
    open_anchors_.push_back(anchor);
  }
  void close() {
    const auto anchor = open_anchors_.back();
    open_anchors_.pop_back();
    keep(anchor, builder_.finish());
  }
  void keep(YAML::anchor_t anchor, document_node node) {
    if (anchor != YAML::NullAnchor) {
      builder_.count({node.line, node.column}, size_of(node));
      anchors_[anchor] = node;
    }
    builder_.add(std::move(node));
  }

  std::vector<document_node>& out_;
  tree_builder builder_;
  std::vector<YAML::anchor_t> open_anchors_;
  std::map<YAML::anchor_t, document_node> anchors_;
};

/// Counts lines while nlohmann's parser reads.
struct line_counter {
  std::size_t line = 1;
  char last = '\0';
};

class counting_iterator {
public:
  using difference_type = std::ptrdiff_t;
  using value_type = char;
  using pointer = const char*;
  using reference = const char&;
  using iterator_category = std::input_iterator_tag;

  counting_iterator(const char* at, line_counter* counter) : at_(at), counter_(counter) {}
  reference operator*() const { return *at_; }
  counting_iterator& operator++() {
    if (counter_ != nullptr) {
      counter_->line += *at_ == '\n' ? 1 : 0;
      counter_->last = *at_;
    }
    ++at_;
    return *this;
  }
  bool operator==(const counting_iterator& other) const { return at_ == other.at_; }
  bool operator!=(const counting_iterator& other) const { return at_ != other.at_; }

private:
  const char* at_;
  line_counter* counter_;
};

class json_events final : public nlohmann::json_sax<json> {
public:
  explicit json_events(const line_counter& lines) : lines_(lines) {}

  std::optional<document_node> take_root() { return builder_.take_root(); }
  std::vector<document_problem> take_problems() { return builder_.take_problems(); }

  bool null() override { return builder_.scalar("", false, here()), true; }
  bool boolean(bool value) override {
    return builder_.scalar(value ? "true" : "false", false, here()), true;
  }
  bool number_integer(std::int64_t value) override {
    return builder_.scalar(std::to_string(value), false, after()), true;
  }
  bool number_unsigned(std::uint64_t value) override {
    return builder_.scalar(std::to_string(value), false, after()), true;
  }
  bool number_float(double, const std::string& text) override {
    return builder_.scalar(text, false, after()), true;
  }
  bool string(std::string& value) override { return builder_.scalar(value, true, here()), true; }
  bool binary(json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return builder_.start(kind_type::map, here()), true; }
  bool key(std::string& value) override { return builder_.scalar(value, true, here()), true; }
  bool end_object() override { return builder_.add(builder_.finish()), true; }
  bool start_array(std::size_t) override { return builder_.start(kind_type::list, here()), true; }
  bool end_array() override { return builder_.add(builder_.finish()), true; }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override {
    return false;
  }

private:
  place here() const noexcept { return {lines_.line, 0}; }
  /// Of a number, whose end is seen by the character after it.
  place after() const noexcept { return {lines_.line - (lines_.last == '\n' ? 1 : 0), 0}; }

  const line_counter& lines_;
  tree_builder builder_;
};

/// YAML's reader takes some bytes for the end of the text; JSON's is stricter anyway.
std::optional<document_problem> check_bytes(std::string_view text) {
  if (text.size() > document_limits::bytes_max)
    return document_problem{0, 0, "", errc::too_large, "the file is larger than 1MiB"};
  std::size_t line = 1;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    line += c == '\n' ? 1 : 0;
    if ((byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7f)
      return document_problem{line, 0, "", errc::malformed,
                              "a control character; in quotes it is written \\x" +
                                std::string(1, "01234567"[byte >> 4U]) + "…"};
  }
  try {
    (void)json(text).dump();  // checks UTF-8
  } catch (const json::exception&) {
    return document_problem{0, 0, "", errc::malformed, "the file is not UTF-8"};
  }
  return std::nullopt;
}

bool looks_like_json(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{' && json::accept(text);
}

void read_json(std::string_view text, parsed_documents& out) {
  line_counter lines;
  json_events events{lines};
  const counting_iterator begin{text.data(), &lines};
  const counting_iterator end{text.data() + text.size(), nullptr};
  if (json::sax_parse(begin, end, &events))
    if (auto root = events.take_root())
      out.documents.push_back(std::move(*root));
  out.problems = events.take_problems();
}

void read_yaml(std::string_view text, parsed_documents& out) {
  // yaml-cpp takes the end of the text for the end of a quote, if a line break is before it; not so the end of a document.
  std::istringstream in{std::string{text} + "\n...\n"};
  YAML::Parser parser{in};
  yaml_events events{out.documents};
  while (parser.HandleNextDocument(events)) {
  }
  out.problems = events.take_problems();
}

json plain_to_json(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE")
    return true;
  if (text == "false" || text == "False" || text == "FALSE")
    return false;
  const auto first = text.find_first_of("0123456789");
  const bool may_be_number = first != std::string_view::npos && first <= 2 &&
                             text.find_first_not_of("0123456789+-.eE") == std::string_view::npos;
  if (!may_be_number)
    return text;
  const auto unsigned_text = text.front() == '+' ? text.substr(1) : text;
  if (std::int64_t whole = 0; parse_number(unsigned_text, whole))
    return whole;
  if (std::uint64_t whole = 0; parse_number(unsigned_text, whole))
    return whole;
  if (double number = 0; parse_number(unsigned_text, number) && std::isfinite(number))
    return number;
  return text;
}

}  // namespace

const document_entry* document_node::find(std::string_view key) const noexcept {
  for (const auto& entry : entries)
    if (entry.key == key)
      return &entry;
  return nullptr;
}

parsed_documents parse_documents(std::string_view text) {
  parsed_documents out;
  if (auto bad = check_bytes(text)) {
    out.problems.push_back(std::move(*bad));
    return out;
  }
  try {
    if (looks_like_json(text))
      read_json(text, out);
    else
      read_yaml(text, out);
    return out;
  } catch (const cannot_read& e) {
    out.problems.push_back(e.problem);
  } catch (const YAML::Exception& e) {
    const auto at = place_of(e.mark);
    out.problems.push_back({at.line, at.column, "", errc::malformed, e.msg});
  } catch (const std::exception& e) {
    out.problems.push_back({0, 0, "", errc::malformed, e.what()});
  }
  out.documents.clear();
  return out;
}

std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      c = ' ';
  return text;
}

std::string_view kind_name(const document_node& node) {
  switch (node.kind) {
    case kind_type::null:
      return "nothing";
    case kind_type::list:
      return "a list";
    case kind_type::map:
      return "a map";
    case kind_type::scalar:
      break;
  }
  if (node.is_text)
    return "text";
  const auto value = plain_to_json(node.text);
  return value.is_boolean() ? "true or false" : value.is_number() ? "a number" : "text";
}

json to_json(const document_node& node) {
  switch (node.kind) {
    case kind_type::null:
      return nullptr;
    case kind_type::scalar:
      return node.is_text ? json(node.text) : plain_to_json(node.text);
    case kind_type::list: {
      json out = json::array();
      for (const auto& item : node.items)
        out.push_back(to_json(item));
      return out;
    }
    case kind_type::map: {
      json out = json::object();
      for (const auto& entry : node.entries)
        out[entry.key] = to_json(entry.value);
      return out;
    }
  }
  return nullptr;
}

std::string pointer_step(std::string_view name) {
  std::string out = "/";
  for (const char c : name)
    out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

}  // namespace holdfast
