#pragma once

#include <cstdint>
#include <vector>

#include "schemas/consensus.hpp"
#include "schemas/ids.hpp"

namespace holdfast {

/// What is known here of one group. A copy of some moment.
struct group_standing {
  group_id group = 0;
  std::uint64_t term = 0;         ///< in which this node leads and may propose; 0: it does not
  consensus::node_id leader = 0;  ///< 0: not known
  std::uint64_t applied = 0;      ///< index
  consensus::configuration members;
  bool changing = false;  ///< this node leads, and changes the members
  bool giving = false;    ///< this node leads, and has asked another to
  /// This node leads, and these voters could at once: their logs answer, and none of them was
  /// asked to lately without doing so.
  std::vector<consensus::node_id> successors;
};

}  // namespace holdfast
