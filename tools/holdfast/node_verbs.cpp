// `dev` and `serve`: parsed here, done in server_verbs.cpp.

#include "tools/holdfast/command_tree.hpp"

namespace holdfast::cli {

namespace {

/// What both take.
void add_node_flags(CLI::App& verb, config_flags& into) {
  verb.add_option("--data", into.data, "folder to keep everything in; reopened on the next start")
    ->option_text("DIR");
  verb.add_option("--listen", into.listen, "HTTP address (default 127.0.0.1:7070)")
    ->option_text("HOST:PORT");
  verb.add_option("--log-level", into.log_level, "trace, debug, info, warn or error")
    ->option_text("LEVEL")
    ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
  verb.add_option("--log-format", into.log_format, "text or json")
    ->option_text("FORMAT")
    ->check(CLI::IsMember({"text", "json"}));
  verb.add_option("--keys-file", into.keys_file, "API keys, made by `holdfast auth key create`")
    ->option_text("FILE");
}

}  // namespace

void add_node_verbs(command_tree& tree) {
  auto dev = std::make_shared<dev_options>();
  dev->dir = ".";
  auto& dev_verb = tree.verb(
    tree.root(), "dev", "a node for development: loads DIR/*.yaml, again when they change",
    "holdfast dev demo\nholdfast dev demo --data demo/data --listen 127.0.0.1:8080",
    [dev](session& with) { return static_cast<exit_code>(with.host().dev(*dev)); });
  dev_verb.add_option("dir", dev->dir, "folder of definitions (default: this one)")
    ->option_text("DIR");
  add_node_flags(dev_verb, dev->flags);

  auto serve = std::make_shared<serve_options>();
  auto& serve_verb = tree.verb(
    tree.root(), "serve", "a node; flag > HOLDFAST_… variable > file",
    "holdfast serve --config /etc/holdfast/node.yaml\nholdfast serve --data /var/lib/holdfast",
    [serve](session& with) { return static_cast<exit_code>(with.host().serve(*serve)); });
  serve_verb.add_option("-c,--config", serve->config, "the node's settings")->option_text("FILE");
  add_node_flags(serve_verb, serve->flags);
  serve_verb.add_option("--tls-cert", serve->flags.tls_cert, "certificate chain (PEM)")
    ->option_text("FILE");
  serve_verb.add_option("--tls-key", serve->flags.tls_key, "its private key (PEM)")
    ->option_text("FILE");
  serve_verb.add_option("--node", serve->flags.node, "its name")->option_text("NAME");
  serve_verb.add_option("--memory-limit", serve->flags.memory_limit, "such as 1GiB")
    ->option_text("SIZE");
}

}  // namespace holdfast::cli
