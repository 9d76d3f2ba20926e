#pragma once
// An event: a CloudEvents 1.0 shaped fact from outside or from another agent.

#include <string>

namespace holdfast {

/// `data` stays the bytes that were sent until a behaviour reads it. It is JSON unless `content_type` says otherwise.
struct event {
  std::string id;      ///< the sender's id; may be empty
  std::string source;  ///< may be empty for an event sent straight to an agent
  std::string type;
  std::string subject;
  std::string time;          ///< RFC 3339, as sent; may be empty
  std::string content_type;  ///< empty means application/json
  std::string data;          ///< empty means none
  std::string traceparent;   ///< W3C trace context; may be empty
  bool operator==(const event&) const = default;
};

}  // namespace holdfast
