#include "tests/unit/schemas/golden_values.hpp"

namespace holdfast::test {

namespace {

std::shared_ptr<const std::string> shared_text(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

consensus::configuration three_members() {
  return {{{1, "10.0.0.1:7401", consensus::role::voter},
           {2, "node-2.example:7401", consensus::role::standby},
           {900, "[::1]:7401", consensus::role::spare}}};
}

}  // namespace

consensus::entry golden_log_entry() {
  return {17, consensus::entry_kind::command, shared_text({"data\0\xff of an entry", 18})};
}

consensus::hard_state golden_hard_state() { return {17, 3}; }

consensus::snapshot_metadata golden_snapshot_metadata() {
  return {123'456'789, 16, three_members(), 400};
}

consensus::log_range golden_log_range() { return {101, 5'000}; }

std::vector<codec::group_message> golden_raft_messages() {
  using consensus::entry_kind;
  return {{1, consensus::append_entries{17,
                                        99,
                                        16,
                                        98,
                                        1'234'567,
                                        {{17, entry_kind::barrier, shared_text("")},
                                         {17, entry_kind::command, shared_text("a command")},
                                         {17, entry_kind::change,
                                          shared_text(consensus::encode(three_members()))}}}},
          {24, consensus::append_entries_result{17, 4, 102, 1'234'500}},
          {0, consensus::request_vote{18, 2, 102, 17, true, true}},
          {65'534, consensus::request_vote_result{18, true, true}},
          {2, consensus::install_snapshot{17, 1'234'567, 5, golden_snapshot_metadata()}},
          {3, consensus::timeout_now{17, 102, 16}}};
}

std::vector<link_frame> golden_link_frames() {
  const link::header_list headers{{"content-type", "application/json"}, {"x-empty", ""}};
  return {
    link::raft_traffic{codec::encode_raft_frame(golden_raft_messages())},
    link::outbox_delivery{3, 4, 77, golden_outbox_message()},
    link::outbox_receipt{3, 4, 77, true},
    link::http_request{12, "/v1/agents/order/4711?wait=1", "POST", headers, "{\"a\":1}", "ops"},
    link::http_head{12, 202, headers},
    link::http_chunk{12, {"chunk\0\xff", 7}, true},
    link::http_cancel{12},
    link::http_credit{12, 65'536},
    link::snapshot_request{5, 4, {"\x04\x00", 2}},
    link::snapshot_chunk{5, 4, {"\x04\x00", 2}, "rows", {"\x04\x01", 2}, true, true},
    link::node_status{2,
                      "0.1.0",
                      1'795'248'000'123'456,
                      {{1, 2, 17}, {24, 900, 3}},
                      {{1, 102}, {24, 1'000'000'000'000}},
                      true,
                      true},
    link::cut_request{24, 1'795'248'000'123'456}};
}

std::vector<link_frame> golden_cut_frames() {
  return {link::outbox_delivery{3, 4, 77, golden_outbox_message(), 1'795'248'000'123'456, true},
          link::outbox_receipt{3, 4, 77, true, 1'795'248'000'123'456}};
}

}  // namespace holdfast::test
