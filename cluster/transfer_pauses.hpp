#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

#include "schemas/consensus.hpp"

namespace holdfast {

/// Members of a group that were asked to lead it and did not. They are not asked again for a while,
/// which doubles with each time: nothing can be proposed while one is asked. Times are the steady
/// clock's.
class transfer_pauses {
public:
  static constexpr std::uint64_t pause_ms_min = 2'000;
  static constexpr std::uint64_t pause_ms_max = 60'000;  ///< over for as long, it is forgotten

  void failed(consensus::node_id who, std::uint64_t now_ms) {
    auto& one = pauses_[who];
    const bool again = one.length_ms != 0 && now_ms < one.until_ms + pause_ms_max;
    one.length_ms = again ? std::min(2 * one.length_ms, pause_ms_max) : pause_ms_min;
    one.until_ms = now_ms + one.length_ms;
  }
  bool pauses(consensus::node_id who, std::uint64_t now_ms) const {
    const auto found = pauses_.find(who);
    return found != pauses_.end() && now_ms < found->second.until_ms;
  }

private:
  struct pause {
    std::uint64_t length_ms = 0;
    std::uint64_t until_ms = 0;
  };
  std::map<consensus::node_id, pause> pauses_;
};

}  // namespace holdfast
