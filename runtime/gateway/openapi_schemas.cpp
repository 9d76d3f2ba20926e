#include "runtime/gateway/openapi_schemas.hpp"

#include <array>

namespace holdfast {

namespace {

constexpr std::array schemas{
  api_schema{"Any", R"({"description":"Any JSON value"})"},
  api_schema{
    "Problem",
    R"({"type":"object","description":"RFC 9457","required":["type","title","status","detail",
    "code"],
    "properties":{"type":{"type":"string"},"title":{"type":"string"},"status":{"type":"integer"},
    "detail":{"type":"string","description":"Says what to do"},"code":{"type":"string"},
    "errors":{"type":"array","items":{"type":"object","properties":{"pointer":{"type":"string"},
    "detail":{"type":"string"}}}}}})"},
  api_schema{"Usage",
             R"({"type":"object","required":["input_tokens","output_tokens","usd","model_calls",
    "tool_calls"],
    "properties":{"input_tokens":{"type":"integer"},"cached_input_tokens":{"type":"integer"},
    "output_tokens":{"type":"integer"},
    "usd":{"type":"string"},"model_calls":{"type":"integer"},"tool_calls":{"type":"integer"}}})"},
  api_schema{"Cause", R"({"type":"object","required":["kind","detail","unblock"],"properties":{
    "kind":{"enum":["mailbox","effect","timer","retry","approval","awaited_event","child",
    "reconcile","budget","admission","flow_control","paused","quarantined"]},
    "since":{"type":["string","null"],"format":"date-time"},"until":{"type":"string",
    "format":"date-time"},"detail":{"type":"string"},
    "unblock":{"type":"object","properties":{"command":{"type":"string"},"http":{"type":"object",
    "properties":{"method":{"type":"string"},"path":{"type":"string"}}}}}}})"},
  api_schema{
    "CloudEvent",
    R"({"type":"object","description":"CloudEvents 1.0","required":["specversion","id","source",
    "type"],
    "properties":{"specversion":{"const":"1.0"},"id":{"type":"string"},"source":{"type":"string"},
    "type":{"type":"string"},
    "subject":{"type":"string"},"time":{"type":"string","format":"date-time"},
    "datacontenttype":{"type":"string"},
    "data":{},"data_base64":{"type":"string"},"traceparent":{"type":"string"}}})"},
  api_schema{"CloudEvents", R"({"anyOf":[{"$ref":"#/components/schemas/CloudEvent"},
    {"type":"array","items":{"$ref":"#/components/schemas/CloudEvent"},"maxItems":1000}]})"},
  api_schema{"AgentEvent",
             R"({"anyOf":[{"type":"object","required":["data"],"additionalProperties":false,
    "properties":{"data":{},"data_base64":{"type":"string"},"type":{"type":"string",
    "default":"message"},"id":{"type":"string"},
    "source":{"type":"string"},"subject":{"type":"string"},"time":{"type":"string",
    "format":"date-time"},
    "datacontenttype":{"type":"string"},"dataschema":{"type":"string"},
    "traceparent":{"type":"string"},"tracestate":{"type":"string"}}},
    {"$ref":"#/components/schemas/CloudEvent"}]})"},
  api_schema{"Accepted",
             R"({"type":"object","required":["kind","event_id","run_id","agent"],
    "properties":{"kind":{"const":"accepted"},
    "event_id":{"type":"string"},"run_id":{"type":["string","null"]},"agent":{"type":"string"},
    "merged":{"type":"boolean"},
    "pending":{"enum":["batch","debounce"]}}})"},
  api_schema{
    "AcceptedEvents",
    R"({"type":"object","required":["kind","events"],"properties":{"kind":{"const":"accepted"},
    "events":{"type":"array","items":{"type":"object","properties":{"event_id":{"type":"string"},
    "id":{"type":"string"},
    "source":{"type":"string"},"agents":{"type":"array","items":{"type":"string"}}}}}}})"},
  api_schema{
    "Event",
    R"({"type":"object","required":["kind","event_id","event","verified","received_at","routes"],
    "properties":{"kind":{"const":"event"},"event_id":{"type":"string"},
    "event":{"$ref":"#/components/schemas/CloudEvent"},
    "verified":{"type":"string"},"received_at":{"type":"string","format":"date-time"},
    "routes":{"type":"array","items":{"type":"object","properties":{"type":{"type":"string"},
    "agent":{"type":"string"},
    "matched":{"type":"boolean"},"reason":{"type":"string"},"run_id":{"type":"string"}}}}}})"},
  api_schema{
    "Agent",
    R"({"type":"object","required":["kind","agent","type","key","version","status","run_id",
    "mailbox","seq","usage"],
    "properties":{"kind":{"const":"agent"},"agent":{"type":"string"},"type":{"type":"string"},
    "key":{"type":"string"},
    "version":{"type":"integer"},"status":{"enum":["idle","running","waiting","paused",
    "quarantined"]},
    "run_id":{"type":["string","null"]},"mailbox":{"type":"integer"},"seq":{"type":"integer"},
    "usage":{"$ref":"#/components/schemas/Usage"},"created_at":{"type":["string","null"],
    "format":"date-time"},
    "updated_at":{"type":["string","null"],"format":"date-time"},
    "cause":{"anyOf":[{"type":"null"},{"$ref":"#/components/schemas/Cause"}]}}})"},
  api_schema{"Why",
             R"({"type":"object","required":["kind","agent","status","causes"],
    "properties":{"kind":{"const":"why"},
    "agent":{"type":"string"},"status":{"type":"string"},"causes":{"type":"array",
    "items":{"$ref":"#/components/schemas/Cause"}}}})"},
  api_schema{"State",
             R"({"type":"object","required":["kind","agent","seq","state"],
    "properties":{"kind":{"const":"state"},
    "agent":{"type":"string"},"seq":{"type":"integer"},"state":{"type":"object"}}})"},
  api_schema{"Run",
             R"({"type":"object","required":["kind","run_id","agent","version","status","event_ids",
    "output","error","steps","usage"],
    "properties":{"kind":{"const":"run"},"run_id":{"type":"string"},"agent":{"type":"string"},
    "version":{"type":["integer","null"]},
    "status":{"enum":["queued","running","waiting","completed","failed","cancelled"]},
    "event_ids":{"type":"array","items":{"type":"string"}},
    "retry_of":{"type":"string"},"output":{},"error":{"anyOf":[{"type":"null"},{"type":"object",
    "properties":{"code":{"type":"string"},
    "message":{"type":"string"},"effect":{"type":"string"},"retryable":{"type":"boolean"}}}]},
    "steps":{"type":"integer"},
    "usage":{"$ref":"#/components/schemas/Usage"},"received_at":{"type":["string","null"],
    "format":"date-time"},
    "started_at":{"type":["string","null"],"format":"date-time"},"ended_at":{"type":["string",
    "null"],"format":"date-time"}}})"},
  api_schema{"List",
             R"({"type":"object","required":["items","next"],"properties":{"kind":{"const":"list"},
    "items":{"type":"array","items":{"type":"object"}},"next":{"type":["string","null"],
    "description":"The next `cursor`"}}})"},
  api_schema{"AgentList",
             R"({"type":"object","required":["items","next"],"properties":{"kind":{"const":"list"},
    "items":{"type":"array","items":{"$ref":"#/components/schemas/Agent"}},
    "next":{"type":["string","null"]}}})"},
  api_schema{"RunList",
             R"({"type":"object","required":["items","next"],"properties":{"kind":{"const":"list"},
    "items":{"type":"array","items":{"$ref":"#/components/schemas/Run"}},"next":{"type":["string",
    "null"]}}})"},
  api_schema{"EventList",
             R"({"type":"object","required":["items","next"],"properties":{"kind":{"const":"list"},
    "items":{"type":"array","items":{"$ref":"#/components/schemas/Event"}},
    "next":{"type":["string","null"]}}})"},
  api_schema{"HistoryList",
             R"({"type":"object","required":["items","next"],"properties":{"kind":{"const":"list"},
    "items":{"type":"array","items":{"type":"object","required":["seq","at","run_id","kind",
    "data"],"properties":{
    "seq":{"type":"integer"},"at":{"type":"string","format":"date-time"},
    "run_id":{"type":["string","null"]},
    "kind":{"type":"string"},"data":{"type":"object"}}}},"next":{"type":["string","null"]}}})"},
  api_schema{
    "Reason",
    R"({"type":"object","additionalProperties":false,"properties":{"reason":{"type":"string"}}})"},
  api_schema{
    "RetryRequest",
    R"({"type":"object","additionalProperties":false,"properties":{"reason":{"type":"string"},
    "from_start":{"type":"boolean"}}})"},
  api_schema{"ForkRequest",
             R"({"type":"object","additionalProperties":false,"required":["at","key"],"properties":{
    "at":{"type":"integer","minimum":1},"key":{"type":"string"},"reason":{"type":"string"}}})"},
  api_schema{
    "BatchRequest",
    R"({"type":"object","additionalProperties":false,"required":["verb","where"],"properties":{
    "verb":{"enum":["pause","resume","cancel","kill","quarantine","retry","delete"]},
    "where":{"type":"string"},
    "dry_run":{"type":"boolean"},"reason":{"type":"string"},"from_start":{"type":"boolean"}}})"},
  api_schema{"BatchResult",
             R"({"type":"object","required":["matched","done","failed"],
    "properties":{"kind":{"const":"batch"},
    "verb":{"type":"string"},"matched":{"type":"integer"},"done":{"type":"integer"},
    "failures":{"type":"integer"},
    "more":{"type":"boolean"},"failed":{"type":"array","items":{"type":"object",
    "properties":{"agent":{"type":"string"},
    "code":{"type":"string"},"detail":{"type":"string"}}}}}})"},
  api_schema{"Resolution",
             R"({"type":"object","additionalProperties":false,"required":["resolve"],"properties":{
    "resolve":{"enum":["succeeded","retry","failed"]},"result":{},"note":{"type":"string"}}})"},
  api_schema{"Definitions", R"({"description":"One or more definition documents"})"},
  api_schema{"Applied",
             R"({"type":"object","required":["items"],"properties":{"kind":{"const":"definitions"},
    "dry_run":{"type":"boolean"},
    "items":{"type":"array","items":{"type":"object","properties":{"kind":{"type":"string"},
    "name":{"type":"string"},
    "version":{"type":"integer"},"change":{"enum":["created","updated","unchanged"]},"before":{},
    "after":{}}}}}})"},
  api_schema{"Doctor",
             R"({"type":"object","required":["findings"],"properties":{"kind":{"const":"doctor"},
    "checked":{"type":"object"},
    "findings":{"type":"array","items":{"type":"object","properties":{"code":{"type":"string"},
    "subject":{"type":"string"},
    "detail":{"type":"string"},"unblock":{"type":"object","properties":{"command":{"type":"string"}}}}}},"more":{"type":"boolean"}}})"},
};

}  // namespace

std::span<const api_schema> api_schemas() noexcept { return schemas; }

std::string_view media_types_of(std::string_view schema) noexcept {
  if (schema == "AgentEvent")
    return "application/json application/cloudevents+json";
  if (schema == "CloudEvents")
    return "application/cloudevents+json application/cloudevents-batch+json";
  if (schema == "Definitions")
    return "application/yaml application/json application/vnd.holdfast.definitions+json";
  return "application/json";
}

}  // namespace holdfast
