#include "cluster/raft_host.hpp"

#include <set>

namespace holdfast::consensus {

raft_host::raft_host(host_options options) : options_(options) {
  HOLDFAST_ASSERT(options_.lease_ms <= options_.core.election_timeout_ms,
                  "a lease longer than what followers promise");
}

raft_group* raft_host::group_of(group_id group) {
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : &found->second;
}

const raft_group* raft_host::find(group_id group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : &found->second;
}

template <class Input>
auto raft_host::with(group_id group, Input input) -> decltype(input(std::declval<raft_group&>())) {
  auto* found = group_of(group);
  if (!found)
    return error{errc::not_found, "no group " + std::to_string(group) + " on this node"};
  return input(*found);
}

status raft_host::start(std::uint64_t now_ms, group_id group, const stored_group& stored) {
  HOLDFAST_ASSERT(!find(group), "a group is started once");
  auto& added = groups_.try_emplace(group, group, options_).first->second;
  auto started = added.start(stored, now_ms, sink());
  if (!started)
    groups_.erase(group);
  return started;
}

void raft_host::tick(std::uint64_t now_ms) {
  tick_due_ms_ = never_ms;
  for (auto& [id, group] : groups_)
    group.tick(now_ms, sink());
}

status raft_host::receive(std::uint64_t now_ms, group_id group, node_id from, const message& body) {
  return with(group, [&](raft_group& g) { return g.receive(now_ms, from, body, sink()); });
}

void raft_host::persisted(std::uint64_t now_ms, std::uint64_t batch) {
  HOLDFAST_ASSERT(batch < next_batch_ && !(output_.batch && output_.batch->number <= batch),
                  "a batch is durable before it was taken");
  if (batch <= durable_)
    return;
  durable_ = batch;
  std::set<group_id> touched;
  for (; !waiting_.empty() && waiting_.front().first <= batch; waiting_.pop_front())
    touched.insert(waiting_.front().second);
  for (const auto id : touched)
    groups_.at(id).persisted(now_ms, sink());
}

void raft_host::applied(std::uint64_t now_ms, group_id group, std::uint64_t index) {
  if (auto* found = group_of(group))
    found->applied(now_ms, index, sink());
}

result<std::uint64_t> raft_host::propose(std::uint64_t now_ms, group_id group, std::uint64_t term,
                                         std::shared_ptr<const std::string> data) {
  return with(group,
              [&](raft_group& g) { return g.propose(now_ms, term, std::move(data), sink()); });
}

status raft_host::transfer(std::uint64_t now_ms, group_id group, node_id to) {
  return with(group, [&](raft_group& g) { return g.transfer(now_ms, to, sink()); });
}

status raft_host::add_member(std::uint64_t now_ms, group_id group, member wanted) {
  return with(group,
              [&](raft_group& g) { return g.add_member(now_ms, std::move(wanted), sink()); });
}

status raft_host::remove_member(std::uint64_t now_ms, group_id group, node_id id) {
  return with(group, [&](raft_group& g) { return g.remove_member(now_ms, id, sink()); });
}

status raft_host::offer_snapshot(std::uint64_t now_ms, group_id group, node_id to,
                                 std::uint64_t term, std::uint64_t snapshot_id,
                                 std::uint64_t index) {
  return with(group, [&](raft_group& g) {
    return g.offer_snapshot(now_ms, to, term, snapshot_id, index, sink());
  });
}

status raft_host::snapshot_fetched(group_id group, std::uint64_t snapshot_id) {
  return with(group, [&](raft_group& g) { return g.snapshot_fetched(snapshot_id, sink()); });
}

status raft_host::snapshot_failed(std::uint64_t now_ms, group_id group, std::uint64_t snapshot_id) {
  return with(group, [&](raft_group& g) { return g.snapshot_failed(now_ms, snapshot_id, sink()); });
}

output raft_host::take() {
  if (output_.batch) {
    for (const auto& w : output_.batch->writes)
      if (waiting_.empty() || waiting_.back() != std::pair{next_batch_, w.group})
        waiting_.emplace_back(next_batch_, w.group);
    ++next_batch_;
  }
  return std::exchange(output_, {});
}

bool raft_host::leads(group_id group, std::uint64_t term, std::uint64_t now_ms) const {
  const auto* found = find(group);
  return found && found->leads(term, now_ms);
}

std::uint64_t raft_host::lease_until(group_id group, std::uint64_t now_ms) const {
  const auto* found = find(group);
  return found ? found->lease_until(now_ms) : 0;
}

node_id raft_host::leader_hint(group_id group) const {
  const auto* found = find(group);
  return found ? found->core().leader() : 0;
}

}  // namespace holdfast::consensus
