#pragma once
// How long things took, kept in constant memory: 64 buckets for every power of two, so a quantile is right to 1.6 %.

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>

namespace holdfast::bench {

using steady = std::chrono::steady_clock;

class latency_histogram {
public:
  void add(std::chrono::nanoseconds took) noexcept {
    const auto value = static_cast<std::uint64_t>(took.count() < 0 ? 0 : took.count());
    ++buckets_[bucket_of(value)];
    ++count_;
  }
  std::uint64_t count() const noexcept { return count_; }
  /// Milliseconds; 0 when nothing was added.
  double quantile_ms(double q) const noexcept {
    const auto rank = static_cast<std::uint64_t>(q * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (buckets_[i] != 0 && seen > rank)
        return middle_of(i) / 1e6;
    }
    return 0;
  }

private:
  static constexpr unsigned sub_bits = 6;
  static constexpr std::size_t sub_count = 1u << sub_bits;

  static std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < sub_count)
      return static_cast<std::size_t>(value);
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - sub_bits - 1;
    return (std::size_t{shift} + 1) * sub_count +
           static_cast<std::size_t>((value >> shift) - sub_count);
  }
  static double middle_of(std::size_t bucket) noexcept {
    if (bucket < sub_count)
      return static_cast<double>(bucket);
    const auto shift = bucket / sub_count - 1;
    return (static_cast<double>(bucket % sub_count + sub_count) + 0.5) *
           static_cast<double>(std::uint64_t{1} << shift);
  }

  std::array<std::uint64_t, sub_count*(64 - sub_bits + 1)> buckets_{};
  std::uint64_t count_ = 0;
};

}  // namespace holdfast::bench
