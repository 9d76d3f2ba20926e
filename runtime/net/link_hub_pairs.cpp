#include "runtime/net/link_hub.hpp"

namespace holdfast::net {

namespace {

constexpr int64_t report_again_ms = 30'000;
constexpr size_t reports_kept_max = 128;
constexpr int64_t session_proven_ms = 1'000;  // a shorter one counts as another failure

}  // namespace

link_verdict link_hub::judge(const link_connection& about) {
  const auto& peer = about.peer();
  if (auto wrong = mismatch_of(shared_.self, peer, about.dialled() ? about.node() : "");
      !wrong.empty())
    return {wrong};
  return on_.admit ? on_.admit(peer.hello) : link_verdict{};
}

/// Only the node with the smaller name judges. A peer that runs anew has no other connection any
/// more, even if the end of that one has not been heard yet.
bool link_hub::is_duplicate(const link_connection& about) const {
  const auto found = sessions_.find(about.node());
  return found != sessions_.end() && found->second.get() != &about &&
         opts_.self.node < about.node() && found->second->peer().run == about.peer().run;
}

bool link_hub::claim(link_connection& by) {
  if (is_duplicate(by))
    return false;
  const auto node = by.node();
  if (const auto found = sessions_.find(node); found != sessions_.end())
    end_session(node, node + " made a new connection");
  if (const auto found = targets_.find(node); found != targets_.end()) {
    if (found->second.trying.get() == &by)
      found->second.trying = nullptr;
    abandon_attempt(found->second);
  }
  for (const auto& other : connections_)
    if (other.get() != &by && !other->dialled() && other->node() == node && !other->has_ended())
      other->end(link_end::quietly, link_close_duplicate, {});
  by.counters = directory_.counters(node);
  by.outbox = std::make_shared<link_outbox>(opts_.queue_bytes_max, by.waker());
  by.unread =
    std::make_shared<link_unread>(std::max<size_t>(1, opts_.unread_bytes_max / 4), by.outbox);
  sessions_[node] = by.shared_from_this();
  return true;
}

void link_hub::on_up(link_connection& which) {
  add_alone(which.counters->connects, 1);
  directory_.open(which.node(), which.outbox, which.unread);
  if (on_.up)
    on_.up(which.peer().hello);
}

void link_hub::on_frame(link_connection& from, link_frame&& frame) {
  if (on_.frame)
    on_.frame(from.node(), std::move(frame));
}

void link_hub::end_session(const std::string& node, const std::string& why) {
  const auto connection = sessions_.at(node);
  connection->end(link_end::failed, link_close_duplicate, why);
}

void link_hub::on_ended(link_connection& which, link_end how, const std::string& why) {
  if (stopping_)
    return;
  const auto node = which.node();
  const auto session = sessions_.find(node);
  if (session != sessions_.end() && session->second.get() == &which) {
    sessions_.erase(session);
    directory_.close(node);
    which.counters->set_last_failure(why);
    if (const auto found = targets_.find(node); found != targets_.end()) {
      auto& to = found->second;
      const bool proven = shared_.now_ms - which.opened_at_ms() >= session_proven_ms;
      to.failures = proven ? 0 : to.failures + 1;
      to.dial_at_ms = shared_.now_ms + backoff(to.failures);
    }
    if (on_.down)
      on_.down(node, why);
    forget_if_unused(node);
    return;
  }
  if (const auto found = targets_.find(node);
      found != targets_.end() && found->second.trying.get() == &which)
    attempt_failed(node, how, why);
  if (how == link_end::refused || how == link_end::removed)
    report(which.is_known() ? node : which.address(), why);
  if (how == link_end::removed && on_.removed)
    on_.removed(node);
}

void link_hub::report(const std::string& about, const std::string& why) {
  if (reported_.size() >= reports_kept_max && !reported_.contains(about))
    reported_.clear();
  auto& last = reported_[about];
  if (last.text == why && shared_.now_ms - last.at_ms < report_again_ms)
    return;
  last = {why, shared_.now_ms};
  if (on_.refused)
    on_.refused(about, why);
}

void link_hub::forget_if_unused(const std::string& node) {
  if (!targets_.contains(node) && !sessions_.contains(node))
    directory_.forget(node);
}

}  // namespace holdfast::net
