#pragma once
// What comes with a request beside its path: media type, JSON body, query. Pure; errors are ready
// for the user.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/gateway/json_text.hpp"
#include "runtime/gateway/problem.hpp"

namespace holdfast {

/// What a body is, by its Content-Type.
enum class media : std::uint8_t {
  none,               ///< no Content-Type
  json,               ///< application/json
  merge_patch,        ///< application/merge-patch+json
  cloudevents,        ///< application/cloudevents+json
  cloudevents_batch,  ///< application/cloudevents-batch+json
  yaml,               ///< application/yaml and its elder names
  definitions,        ///< application/vnd.holdfast.definitions+json
  other,
};

/// The kind of `content_type`; `other` also for a charset that is not UTF-8.
media media_of(std::string_view content_type) noexcept;
/// True for JSON under any name: application/json, text/json, …+json.
bool is_json_type(std::string_view content_type) noexcept;

error unsupported_media(std::string_view content_type, std::string_view wanted);

/// How much of what a body may be.
struct body_limits {
  std::size_t bytes_max = 1 << 20;
  std::size_t depth_max = 64;
};

/// A JSON body: its bounds, then its text. Errors: `too_large`, `malformed`, `too_deep`.
status check_body(std::string_view body, const body_limits& limits);

/// Takes a JSON object apart against the members that it may have: each is read at most once, and
/// what is not known or not of the right kind becomes a problem. Borrows the text.
class member_reader {
public:
  struct known {
    std::string_view name;
    std::string_view value;  ///< empty: absent
  };

  /// `object` passed `check_json`. Finds the members named in `names`, others become problems when
  /// `strict`.
  member_reader(std::string_view object, std::initializer_list<std::string_view> names,
                bool strict = true);

  std::string_view raw(std::string_view name) const noexcept;  ///< the value's text; empty: absent
  std::string text(std::string_view name);  ///< empty: absent, `null`, or a problem was noted
  std::optional<std::uint64_t> number(std::string_view name);
  bool flag(std::string_view name);
  /// Of an array of strings; empty: absent, `null`, or a problem was noted.
  std::vector<std::string> texts(std::string_view name);
  /// Notes a problem when the member is absent or null.
  void require(std::string_view name, std::string_view what);
  void note(std::string pointer, std::string detail);

  bool good() const noexcept { return problems_.empty(); }
  refusal refused() const;
  const std::vector<problem_item>& problems() const noexcept { return problems_; }

private:
  std::vector<known> known_;
  std::vector<problem_item> problems_;
};

/// The decoded query of a request.
class query_reader {
public:
  /// Errors: `malformed` for escapes that do not decode and names given twice.
  static result<query_reader> parse(std::string_view query);
  std::optional<std::string_view> get(std::string_view name) const noexcept;
  std::string_view text(std::string_view name) const noexcept {
    return get(name).value_or(std::string_view{});
  }
  /// `true`, `false`, or given without a value (true). Errors: `malformed`.
  result<bool> flag(std::string_view name) const;
  /// Errors: `malformed`.
  result<std::optional<std::uint64_t>> number(std::string_view name) const;

private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

}  // namespace holdfast
