#include "tools/holdfast/command_tree.hpp"

#include <doctest/doctest.h>

#include "tests/unit/tools/fake_server.hpp"

using namespace holdfast;
using namespace holdfast::cli;
using test::fake_process;

namespace {

std::vector<std::string> split(const std::string& line) {
  std::istringstream in{line};
  std::vector<std::string> words;
  for (std::string word; in >> word;)
    words.push_back(word);
  return words;
}

// Every verb of INTERFACE §1 with every option it names.
const char* const delivered[] = {
  "dev",
  "dev demo",
  "dev demo --data d --listen 127.0.0.1:0 --log-level debug --log-format json",
  "init demo",
  "serve --config node.yaml",
  "serve --config node.yaml --data d --listen 127.0.0.1:0 --log-level warn --log-format text "
  "--node n1 --memory-limit 1GiB",
  "apply -f agent.yaml",
  "apply -f dir --dry-run",
  "doctor",
  "doctor --data d",
  "version",
  "completion bash",
  "completion zsh",
  "completion fish",
  "agent list",
  "agent list --type t --status waiting --where .x -w",
  "agent describe t/k",
  "agent why t/k",
  "agent state t/k",
  "agent state t/k --set {}",
  "agent state t/k --edit",
  "agent mailbox t/k",
  "agent history t/k",
  "agent history t/k --run run_1",
  "agent history t/k --as-curl 7",
  "agent timers t/k",
  "agent send t/k --data {}",
  "agent send t/k --data @f --type e --key i --wait 30s --follow",
  "agent send t/k --data -",
  "agent stream t/k",
  "agent stream t/k --from 9",
  "agent watch t/k",
  "agent pause t/k",
  "agent pause t/k --reason r",
  "agent resume t/k",
  "agent cancel t/k --reason r",
  "agent kill t/k",
  "agent quarantine t/k",
  "agent retry t/k --from-start --reason r",
  "agent pause --where .x --dry-run",
  "agent cancel --where .x --yes",
  "agent fork t/k --at 4 --to k2",
  "agent delete t/k",
  "agent delete t/k --yes",
  "run list",
  "run list --agent t/k --status failed",
  "run describe r",
  "run history r",
  "run stream r",
  "run cancel r",
  "run retry r",
  "run retry r --from-start",
  "event send --source s --type t --data {}",
  "event list",
  "event describe e",
  "event dlq list",
  "event dlq show e",
  "event dlq redrive e",
  "event dlq drop e",
  "reconcile list",
  "reconcile resolve i --succeeded {}",
  "reconcile resolve i --retry",
  "reconcile resolve i --failed --note n",
  "type list",
  "type describe t",
  "type versions t",
  "auth key create k --roles operator,viewer --types a,b --expires 30d --keys-file f",
  "auth key list",
  "auth key list --keys-file f",
  "auth key revoke k",
  "audit list",
  "audit list --limit 5",
  "node list",
  "node list -w",
  "node describe n",
  "node cordon n --reason r",
  "node drain n",
  "node drain n --wait 1m --reason r",
  "node uncordon n",
  "node remove n --force --yes --wait 1m",
  "cluster status",
  "cluster init --config node.yaml",
  "cluster join --config node.yaml --address https://n1:7070",
  "cluster rebalance",
  "cluster backup f --reason r",
  "cluster restore f --data d --node n1",
  "cluster restore f --config node.yaml",
  "cluster certs d --nodes n1,n2",
  "cluster certs d --nodes n1=10.0.0.1+host --days 90 --renew",
  "serve --config node.yaml --tls-cert c --tls-key k --keys-file f",
  "dev demo --keys-file f",
};

const char* const refused[] = {
  "event replay e",
  "schedule list",
  "schedule describe s",
  "schedule next 5",
  "schedule pause s",
  "schedule resume s",
  "schedule trigger s",
  "schedule backfill s --from a --to b",
  "hook list",
  "hook test s --file body",
  "approval list",
  "approval show a",
  "approval approve a --note n",
  "approval deny a --note n",
  "type rollout t --to 4 --percent 10",
  "type rollback t",
  "budget show",
  "budget set t --usd 5",
  "policy test",
  "policy explain e",
  "kill-switch status",
  "kill-switch fire --type t",
  "kill-switch release",
  "cluster debug-bundle f",
  "top",
  "tui",
};

void collect(const CLI::App& app, std::vector<const CLI::App*>& into) {
  into.push_back(&app);
  for (const auto* sub : app.get_subcommands({}))
    collect(*sub, into);
}

}  // namespace

TEST_CASE("command line: every verb of the contract parses and has something to run") {
  for (const auto* line : delivered) {
    CAPTURE(line);
    command_tree tree;
    action run;
    CHECK_NOTHROW(run = tree.parse(split(line)));
    CHECK(static_cast<bool>(run));
  }
}

TEST_CASE(
  "command line: what is not delivered is refused by name with exit code 5, never ignored") {
  for (const auto* line : refused) {
    CAPTURE(line);
    const auto done = fake_process{}.run(split(line));
    CHECK(done.code == 5);
    CHECK(done.out.empty());
    CHECK(done.err.find("not available in this release") != std::string::npos);
  }
  const auto done = fake_process{}.run(split("agent history t/k --as-curl 7"));
  CHECK(done.code == 5);
  CHECK(done.err.find("not available in this release") != std::string::npos);
}

TEST_CASE("command line: every command has help with an example and a description") {
  command_tree tree;
  std::vector<const CLI::App*> all;
  collect(tree.root(), all);
  CHECK(all.size() > 80);
  for (const auto* app : all) {
    auto words = split(words_of(*app));
    words.erase(words.begin());
    words.emplace_back("--help");
    CAPTURE(words_of(*app));
    CHECK(!app->get_description().empty());
    const auto done = fake_process{}.run(words);
    CHECK(done.code == 0);
    const auto example = done.out.find("Example:\n  ");
    REQUIRE(example != std::string::npos);
    CHECK(done.out.find("holdfast", example) < done.out.find('\n', example + 10));
    CHECK(done.err.empty());
  }
}

TEST_CASE("command line: global options stand before or after the verb") {
  for (const auto* line : {"-o json --server http://a:1 --token t agent list",
                           "agent list -o json --server http://a:1 --token t",
                           "agent -o json list --server http://a:1 --token=t"}) {
    CAPTURE(line);
    command_tree tree;
    tree.parse(split(line));
    CHECK(tree.globals().output == "json");
    CHECK(tree.globals().connection.server == "http://a:1");
    CHECK(tree.globals().connection.token == "t");
  }
}

TEST_CASE("command line: a wrong argument is exit code 2 and names what was meant") {
  struct {
    const char* line;
    const char* says;
  } const cases[] = {
    {"agent lst", "did you mean list?"},
    {"agnet list", "did you mean agent?"},
    {"agent list --tpye x", "--type"},
    {"agent", ""},
    {"agent describe", ""},
    {"agent list -o xml", "xml"},
    {"agent send noslash --data {}", "type/key"},
    {"agent send t/k --data {", "not JSON"},
    {"agent send t/k --data {} --wait 5", "--wait"},
    {"agent pause", "--where"},
    {"agent pause t/k --where .x", "--where"},
    {"agent pause t/k --dry-run", "--where"},
    {"reconcile resolve i", "--succeeded"},
    {"reconcile resolve i --retry --failed", "--succeeded"},
    {"apply -f /nonexistent/x.yaml", "cannot read"},
    {"serve --log-level loud", "loud"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.line);
    const auto done = fake_process{}.run(split(each.line));
    CHECK(done.code == 2);
    CHECK(done.out.empty());
    CHECK(done.err.find(each.says) != std::string::npos);
  }
  CHECK(fake_process{}.run(std::vector<std::string>{}).code == 2);
}

TEST_CASE("command line: dev and serve hand everything over") {
  fake_process process;
  CHECK(
    process.run(split("dev demo --data d --listen 127.0.0.1:0 --log-level debug --log-format json"))
      .code == 0);
  REQUIRE(process.dev_calls.size() == 1);
  CHECK(process.dev_calls[0].dir == "demo");
  CHECK(process.dev_calls[0].flags.data == "d");
  CHECK(process.dev_calls[0].flags.listen == "127.0.0.1:0");
  CHECK(process.dev_calls[0].flags.log_level == "debug");
  CHECK(process.dev_calls[0].flags.log_format == "json");
  CHECK(process.run({"dev"}).code == 0);
  CHECK(process.dev_calls[1].dir == ".");
  CHECK(!process.dev_calls[1].flags.data);
  CHECK(process.run(split("serve --config n.yaml --data d --memory-limit 1GiB --node n7")).code ==
        0);
  REQUIRE(process.serve_calls.size() == 1);
  CHECK(process.serve_calls[0].config == "n.yaml");
  CHECK(process.serve_calls[0].flags.memory_limit == "1GiB");
  CHECK(process.serve_calls[0].flags.node == "n7");
}

TEST_CASE("command line: doctor --data is for a stopped folder and needs no server") {
  CHECK(fake_process{}.run(split("doctor --data d")).code == 1);
}

TEST_CASE("version: is printed without a server, as a document with -o json") {
  CHECK(fake_process{}.run({"version"}).out.starts_with("holdfast "));
  const auto document = test::json::parse(fake_process{}.run({"version", "-o", "json"}).out);
  CHECK(document["kind"] == "version");
  CHECK(fake_process{}.run({"--version"}).code == 0);
}

TEST_CASE("completion: scripts name every noun and verb") {
  for (const auto* shell : {"bash", "zsh", "fish"}) {
    CAPTURE(shell);
    const auto done = fake_process{}.run({"completion", shell});
    CHECK(done.code == 0);
    for (const auto* word :
         {"agent", "quarantine", "reconcile", "redrive", "kill-switch", "from-start"})
      CHECK(done.out.find(word) != std::string::npos);
  }
  CHECK(fake_process{}.run({"completion", "tcsh"}).code == 2);
}
