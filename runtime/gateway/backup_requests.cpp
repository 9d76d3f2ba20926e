// A backup of the whole cluster, as the body of an answer: persistence/backup_file.hpp.

#include "runtime/gateway/request_body.hpp"
#include "runtime/gateway/requests.hpp"

namespace holdfast {

namespace {

net::stream_handle open_backup(const answering& reply) {
  net::http_response head;
  head.content_type = "application/vnd.holdfast.backup";
  head.headers.emplace_back("Cache-Control", "no-store");
  return reply.stream(std::move(head));
}

}  // namespace

/// In the audit log before the first byte leaves: who has a backup has everything.
void take_backup(call&& c) {
  if (const auto refused = check_reason(c))
    return c.reply.refuse(*refused);
  auto begun = c.node().begin_backup();
  if (!begun)
    return c.reply.refuse(begun.error());
  const auto run = [reply = c.reply, job = std::move(*begun)] {
    job->run([reply] { return open_backup(reply); },
             [reply](const error& why) { reply.refuse(why); });
  };
  const auto note = c.reply.note();
  if (!note)
    return run();
  c.reply.audited();
  c.node().audit(*note, [reply = c.reply, run](const answer& told) {
    if (const auto* failed = std::get_if<error>(&told))
      return reply.refuse(*failed);
    run();
  });
}

}  // namespace holdfast
