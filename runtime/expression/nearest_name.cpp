#include "runtime/expression/nearest_name.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace holdfast {

namespace {

constexpr std::size_t word_bytes_max = 64;

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Optimal string alignment distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0U : 1U)});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
          lower(a[i - 2]) == lower(b[j - 1]))
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(above);
    above.swap(row);
  }
  return above[b.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.empty() || word.size() > word_bytes_max)
    return {};
  std::string_view best;
  std::size_t best_distance = word_bytes_max;
  for (const auto candidate : candidates) {
    const auto d = distance(word, candidate);
    const auto allowed = std::max<std::size_t>(1, std::max(word.size(), candidate.size()) / 3);
    if (d <= allowed && d < best_distance) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
  const auto name = nearest_name(word, candidates);
  return name.empty() ? std::string{} : "; did you mean `" + std::string{name} + "`?";
}

std::string list_of(std::span<const std::string_view> names, std::string_view last_joined_by) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0)
      out += i + 1 == names.size() ? " " + std::string{last_joined_by} + " " : std::string{", "};
    out += "`" + std::string{names[i]} + "`";
  }
  return out;
}

}  // namespace holdfast
