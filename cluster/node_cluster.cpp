// What a node is among others: its link and log, and its part of a backup.

#include "cluster/node_impl.hpp"

namespace holdfast {

/// The node's link and log, when it is one of several; nothing runs yet.
status node::impl::join_cluster() {
  cluster_member::parts p;
  p.config = opts.config.cluster;
  p.node = opts.config.node;
  p.version = opts.version;
  p.features = opts.features;
  p.partitions = services->partitions;
  p.disk = disk.get();
  p.machine = &machine;
  p.listener = this;
  p.wall_now = wall_now;
  p.deliver = [this](link::outbox_delivery&& mail) {
    if (auto shard = shards.find(mail.target_group))
      caf::anon_send(shard, atom::mail_v,
                     outbox_delivery{{mail.source_group, mail.sequence, mail.epoch, mail.restored},
                                     std::move(mail.message)});
  };
  p.receipt = [this](const link::outbox_receipt& receipt) {
    if (auto shard = shards.find(receipt.source_group))
      caf::anon_send(
        shard, atom::receipt_v,
        outbox_receipt{receipt.target_group, receipt.sequence, receipt.taken, receipt.epoch});
  };
  p.serve = [this](net::http_request&& request, std::shared_ptr<const principal> who,
                   net::responder to) {
    front->handle_forwarded(std::move(request), std::move(who), std::move(to));
  };
  p.serve_stale = [this](net::http_request&& request, std::shared_ptr<const principal> who,
                         std::int64_t stale_ms, net::responder to) {
    front->handle_stale(std::move(request), std::move(who), stale_ms, std::move(to));
  };
  p.draining = [this] { return draining.load(); };
  p.roles = opts.config.roles;
  p.change = [this](member_change wanted) {
    if (const auto owner = catalog_owner())
      caf::anon_send(owner, atom::member_v, member_request{std::move(wanted), {}, nullptr});
  };
  p.cut = [this](const link::cut_request& request) { cut_here(request.group, request.epoch); };
  p.removed = [this] {
    if (opts.removed)
      opts.removed();
  };
  member = std::make_unique<cluster_member>(std::move(p));
  services->send_away = [this](group_id target, const mail_stamp& stamp,
                               const outbox_message& message) {
    member->send(link::outbox_delivery{stamp.source, target, stamp.sequence, message, stamp.epoch,
                                       stamp.restored});
  };
  services->acknowledge_away = [this](group_id source, group_id target, std::uint64_t sequence,
                                      bool taken, std::uint64_t epoch) {
    member->send(link::outbox_receipt{source, target, sequence, taken, epoch});
  };
  return member->prepare();
}

void node::impl::keep_backups() {
  backup_keeper::parts p;
  p.disk = disk.get();
  p.partitions = services->partitions;
  p.ask_to_cut = [this](group_id group, std::uint64_t epoch) {
    if (!cut_here(group, epoch) && member)
      member->send(link::cut_request{group, epoch});
  };
  if (member)
    p.check_others = [this]() -> status {
      for (const auto& one : member->view().nodes)
        if (!one.version.empty() && one.version != opts.version)
          return error{errc::conflict, one.id + " runs " + one.version + ", this node runs " +
                                         opts.version +
                                         "; take a backup when all run the same version"};
      return ok_status();
    };
  p.wall_now = wall_now;
  p.cluster = opts.config.cluster.name;
  p.node = opts.config.node;
  p.version = opts.version;
  p.feature_level = opts.features.newest;
  backups = std::make_shared<backup_keeper>(std::move(p));
}

}  // namespace holdfast
