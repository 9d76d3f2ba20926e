#pragma once
// Consensus values compared by what they say: entries share their data.

#include <algorithm>
#include <vector>

#include "schemas/codec_consensus.hpp"
#include "tests/unit/schemas/members.hpp"

namespace holdfast::consensus {

inline bool operator==(const entry& a, const entry& b) {
  return a.term == b.term && a.kind == b.kind && *a.data == *b.data;
}

}  // namespace holdfast::consensus

namespace holdfast::test {

inline bool same_message(const codec::group_message& a, const codec::group_message& b) {
  return a.group == b.group && a.body.index() == b.body.index() &&
         std::visit([&]<class T>(const T& x) { return members(x) == members(std::get<T>(b.body)); },
                    a.body);
}

inline bool same_messages(const std::vector<codec::group_message>& a,
                          const std::vector<codec::group_message>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_message);
}

}  // namespace holdfast::test
