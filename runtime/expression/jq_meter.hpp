#pragma once
// Counts what an evaluation touches, and stops it. Part of the libjq wrapper: only jq*.cpp include this.

extern "C" {
#include <jq.h>
#include <jv.h>
}

#include <cstddef>
#include <cstdint>

#include "runtime/expression/jq.hpp"

namespace holdfast {

enum class jq_stop : std::uint8_t { none, work, depth };

/// The units: 1 for a value, 1 more for 16 bytes of text, 2 for an array and 4 for an object — about what they cost.
class jq_meter {
public:
  explicit jq_meter(std::size_t work_max) noexcept : left_(work_max) {}

  /// Walks `value` (kept by the caller) until it has paid for all of it or must stop.
  void charge(const jv& value) noexcept { walk(value, 0); }

  jq_stop stopped() const noexcept { return stop_; }
  std::size_t left() const noexcept { return left_; }
  /// At least so many bytes of JSON text were walked over.
  std::size_t text_bytes() const noexcept { return text_bytes_; }

private:
  void walk(const jv& value, std::size_t depth) noexcept;
  bool pay(std::size_t units, std::size_t text_bytes) noexcept;

  std::size_t left_;
  std::size_t text_bytes_ = 0;
  jq_stop stop_ = jq_stop::none;
};

}  // namespace holdfast
