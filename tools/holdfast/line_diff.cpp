#include "tools/holdfast/line_diff.hpp"

#include <algorithm>
#include <vector>

namespace holdfast::cli {

namespace {

using lines = std::vector<std::string_view>;
constexpr std::size_t cells_max = 16'000'000;  // of the table below

lines split(std::string_view text) {
  lines out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

struct edit {
  char mark;
  std::string_view line;
};

/// Longest common subsequence of what lies between the equal beginnings and ends.
void add_middle(std::vector<edit>& out, const lines& a, const lines& b) {
  const auto width = b.size() + 1;
  std::vector<unsigned> longest;
  if ((a.size() + 1) * width <= cells_max) {
    longest.assign((a.size() + 1) * width, 0);
    for (auto i = a.size(); i-- > 0;)
      for (auto j = b.size(); j-- > 0;)
        longest[i * width + j] =
          a[i] == b[j] ? longest[(i + 1) * width + j + 1] + 1
                       : std::max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
  }
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() || j < b.size()) {
    const bool both = i < a.size() && j < b.size() && !longest.empty();
    if (both && a[i] == b[j]) {
      out.push_back({' ', a[i]});
      ++i;
      ++j;
    } else if (j == b.size() || (i < a.size() && (!both || longest[(i + 1) * width + j] >=
                                                             longest[i * width + j + 1]))) {
      out.push_back({'-', a[i++]});
    } else {
      out.push_back({'+', b[j++]});
    }
  }
}

std::vector<edit> edits_between(lines a, lines b) {
  std::vector<edit> out;
  std::size_t start = 0;
  while (start < a.size() && start < b.size() && a[start] == b[start])
    out.push_back({' ', a[start++]});
  lines tail;
  while (a.size() > start && b.size() > start && a.back() == b.back()) {
    tail.push_back(a.back());
    a.pop_back();
    b.pop_back();
  }
  const auto skip = static_cast<std::ptrdiff_t>(start);
  add_middle(out, {a.begin() + skip, a.end()}, {b.begin() + skip, b.end()});
  for (auto it = tail.rbegin(); it != tail.rend(); ++it)
    out.push_back({' ', *it});
  return out;
}

}  // namespace

std::string line_diff(std::string_view before, std::string_view after, std::size_t context) {
  if (before == after)
    return {};
  const auto edits = edits_between(split(before), split(after));
  std::vector<bool> shown(edits.size(), false);
  for (std::size_t i = 0; i < edits.size(); ++i)
    if (edits[i].mark != ' ')
      for (auto at = i - std::min(i, context); at < std::min(edits.size(), i + context + 1); ++at)
        shown[at] = true;
  std::string out;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    if (shown[i])
      ((out += edits[i].mark) += edits[i].line) += '\n';
    else if (i == 0 || shown[i - 1])
      out += "…\n";
  }
  return out;
}

}  // namespace holdfast::cli
