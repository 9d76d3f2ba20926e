#pragma once
// What people write, read once into a bounded tree in which every value knows its place: node configuration, and
// definitions (runtime/definition). YAML 1.2's core types, whatever its own rules: `yes`, `no` and `on` are text.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "schemas/error.hpp"

namespace holdfast {

struct document_limits {
  static constexpr std::size_t bytes_max = 1024 * 1024;
  static constexpr std::size_t depth_max = 64;
  static constexpr std::size_t nodes_max =
    50'000;  ///< with every alias (`*name`) counted as what it stands for
  static constexpr std::size_t documents_max = 1'000;
};

struct document_entry;

struct document_node {
  enum class kind_type : std::uint8_t { null, scalar, list, map };
  kind_type kind = kind_type::null;
  std::string text;      ///< scalar
  bool is_text = false;  ///< scalar: quoted or a block, so never a number or a truth value
  std::size_t line = 0;  ///< from 1; 0: not known
  std::size_t column = 0;
  std::vector<document_node> items;     ///< list
  std::vector<document_entry> entries;  ///< map, as written; no key twice

  bool is_map() const noexcept { return kind == kind_type::map; }
  bool is_list() const noexcept { return kind == kind_type::list; }
  bool is_scalar() const noexcept { return kind == kind_type::scalar; }
  const document_entry* find(std::string_view key) const noexcept;
};

struct document_entry {
  std::string key;
  std::size_t line = 0;
  std::size_t column = 0;
  document_node value;
};

struct document_problem {
  std::size_t line = 0;
  std::size_t column = 0;
  std::string pointer;  ///< RFC 6901
  errc code = errc::schema;
  std::string message;
};

/// Problems are those of the text itself. With a key that is there twice the documents can still be looked at, to find
/// what else is wrong; with any other problem there are none.
struct [[nodiscard]] parsed_documents {
  std::vector<document_node> documents;  ///< empty ones left out
  std::vector<document_problem> problems;
};

/// YAML, or one JSON document (which is read as JSON, so that its escapes are JSON's).
parsed_documents parse_documents(std::string_view text);

/// `text`, `a number`, `true or false`, `a list`, `a map`, `nothing`: for messages.
std::string_view kind_name(const document_node& node);

/// The value as JSON: null, truth values and numbers where plain text looks like one.
nlohmann::json to_json(const document_node& node);

/// Without line breaks and other control characters, for a message that quotes what somebody wrote.
std::string one_line(std::string text);

/// One step of an RFC 6901 pointer.
std::string pointer_step(std::string_view name);

}  // namespace holdfast
