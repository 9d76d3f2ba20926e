#pragma once
// The API keys in force. Immutable: a reload makes a new one.

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "runtime/host/api_keys.hpp"

namespace holdfast {

class key_ring {
public:
  /// A key that is as it was in `before` keeps its principal, the very object: so that what was
  /// opened with it goes on.
  explicit key_ring(const std::vector<api_key>& keys, const key_ring* before = nullptr);

  /// Who the token belongs to. The same work for every token, and all keys are looked at whatever
  /// is found: one digest and a comparison without branches for each. Errors: `unauthorised`.
  result<std::shared_ptr<const principal>> find(std::string_view token, time_us now) const;

  /// True for a principal of this ring that has not expired.
  bool holds(const principal& who, time_us now) const noexcept;

  std::size_t size() const noexcept { return keys_.size(); }

private:
  using halves = std::array<std::uint64_t, 4>;
  struct entry {
    halves hash;
    std::shared_ptr<const principal> who;
  };
  std::vector<entry> keys_;
};

}  // namespace holdfast
