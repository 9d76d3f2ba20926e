#include "runtime/gateway/router.hpp"

#include <algorithm>

namespace holdfast {

namespace {

/// Cuts at '/'; `count` is `segments_max + 1` when there are more.
struct cut_path {
  std::array<std::string_view, router::segments_max + 1> at{};
  std::size_t count = 0;
};

cut_path cut(std::string_view path) noexcept {
  cut_path out;
  if (!path.starts_with('/'))
    return out;
  path.remove_prefix(1);
  while (out.count < out.at.size()) {
    const auto slash = path.find('/');
    out.at[out.count++] = path.substr(0, slash);
    if (slash == std::string_view::npos)
      break;
    path.remove_prefix(slash + 1);
  }
  return out;
}

}  // namespace

void router::add(std::string_view method, std::string_view path, std::size_t number) {
  row added{std::string{method}, {}, number, false};
  const auto segments = cut(path);
  for (std::size_t i = 0; i < segments.count; ++i) {
    const auto text = segments.at[i];
    added.open_ended = text.ends_with("...}");
    added.segments.push_back({text.starts_with('{') ? std::string{} : std::string{text}});
  }
  rows_.push_back(std::move(added));
}

router::outcome router::match(std::string_view method, std::string_view path) const {
  outcome out;
  const auto segments = cut(path);
  if (segments.count == 0)
    return out;
  if (method == "HEAD")
    method = "GET";
  for (const auto& one : rows_) {
    const std::size_t wanted = one.segments.size();
    if (one.open_ended ? segments.count < wanted : segments.count != wanted)
      continue;
    path_parameters parameters;
    bool same = true;
    for (std::size_t i = 0; i < wanted && same; ++i) {
      const auto& literal = one.segments[i].literal;
      if (literal.empty()) {
        if (parameters.count < parameters.raw.size())
          parameters.raw[parameters.count++] = segments.at[i];
      } else {
        same = literal == segments.at[i];
      }
    }
    if (!same)
      continue;
    if (one.method == method || one.method == "*") {
      out.what = outcome::kind::found;
      out.number = one.number;
      out.parameters = parameters;
      return out;
    }
    out.what = outcome::kind::wrong_method;
    if (out.allow.find(one.method) == std::string::npos)
      out.allow += (out.allow.empty() ? "" : ", ") + one.method;
  }
  return out;
}

}  // namespace holdfast
