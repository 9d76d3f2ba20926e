#pragma once
// Method and path → what serves it. Pure. Paths are matched as they came, percent-encoded, so that
// an encoded `/` stays inside its segment.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

/// What `{name}` in a template stood for, still percent-encoded. Views point into the request's
/// target.
struct path_parameters {
  static constexpr std::size_t parameters_max = 4;
  std::array<std::string_view, parameters_max> raw{};
  std::size_t count = 0;
  std::string_view operator[](std::size_t at) const noexcept { return raw[at]; }
};

class router {
public:
  static constexpr std::size_t segments_max = 8;

  /// `path`: `/v1/agents/{type}/{key}/events`; a last segment `{rest...}` takes one or more
  /// segments. `number` is what `match` gives back. Routes added first win.
  void add(std::string_view method, std::string_view path, std::size_t number);

  struct outcome {
    enum class kind : std::uint8_t { found, not_found, wrong_method } what = kind::not_found;
    std::size_t number = 0;
    path_parameters parameters;
    std::string allow;  ///< wrong_method: `GET, POST`
  };
  /// HEAD is served as GET.
  outcome match(std::string_view method, std::string_view path) const;

private:
  struct segment {
    std::string literal;  ///< empty: a parameter
  };
  struct row {
    std::string method;
    std::vector<segment> segments;
    std::size_t number;
    bool open_ended;
  };
  std::vector<row> rows_;
};

}  // namespace holdfast
