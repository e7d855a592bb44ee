// The page as a whole: right numbers, well-formed, self-contained, and nothing from a file unescaped.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "report_fixtures.h"
#include "temporary_folder.h"
#include "tools/report/page.h"
#include "tools/report/results.h"

using namespace understudy;
using namespace understudy::report;

namespace {

struct Folders {
  TemporaryFolder root;
  std::filesystem::path classifier = root.path() / "classifier", code = root.path() / "code",
                        merge = root.path() / "coded-model";
  Folders() {
    test::write_classifier(classifier);
    test::write_code(code);
    test::write_merge(merge);
  }
  std::vector<Run> runs() const { return {read_run(classifier), read_run(code), read_run(merge)}; }
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

// Opening and closing tags match, attributes are quoted, and nothing else begins with '<'. Returns
// what is wrong, or "".
std::string flaw_in(const std::string& page) {
  const std::set<std::string> without_end = {"meta", "img", "br"};
  std::vector<std::string> open;
  std::size_t at = page.find("<html");
  while ((at = page.find('<', at)) != page.npos) {
    std::size_t i = at + 1;
    const bool closing = page[i] == '/';
    if (closing) ++i;
    std::string name;
    while (i < page.size() && (std::isalnum(static_cast<unsigned char>(page[i]))))
      name += page[i++];
    if (name.empty()) return "a bare '<' near: " + page.substr(at, 40);
    bool quoted = false;
    while (i < page.size() && (quoted || page[i] != '>')) {
      if (page[i] == '"') quoted = !quoted;
      if (!quoted && page[i] == '<') return "a tag that does not end: " + page.substr(at, 40);
      ++i;
    }
    const bool alone = page[i - 1] == '/';
    if (closing) {
      if (open.empty() || open.back() != name) return "an unexpected </" + name + ">";
      open.pop_back();
    } else if (!alone && !without_end.contains(name)) {
      open.push_back(name);
    }
    // A style sheet may hold anything but its own end.
    at = name == "style" && !closing ? page.find("</style", i) : i;
  }
  return open.empty() ? "" : "<" + open.back() + "> is never closed";
}

std::string error_of(const std::filesystem::path& folder) {
  try {
    page({read_run(folder)});
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_SUITE("report") {
  TEST_CASE("A(f) is the mixture of answered and reconstructed") {
    CHECK(accuracy_with_late(0.98, 0.96, 0) == doctest::Approx(0.98));
    CHECK(accuracy_with_late(0.98, 0.96, 1) == doctest::Approx(0.96));
    // Published (Kosaian et al. 2018): 93.47 % with one answer in ten lost is 84.12 %.
    CHECK(100 * accuracy_with_late(0.9347, 0, 0.10) == doctest::Approx(84.12).epsilon(1e-4));
    CHECK(extra_machines(2, 1) == "50 %");
    CHECK(extra_machines(3, 1) == "33.3 %");
    CHECK(extra_machines(5, 2) == "40 %");
  }

  TEST_CASE("the code table has the run's numbers, between no spare machine and replication") {
    const Folders folders;
    const Table table = code_table(code_results(folders.runs()));
    REQUIRE(table.sections.size() == 1);
    REQUIRE(table.sections[0].rows.size() == 3);
    CHECK(table.sections[0].title ==
          "Model mlp 784-200-100-10 on MNIST, right 98.00 % of the time");
    using Cells = std::vector<std::string>;
    CHECK(table.sections[0].rows[0].cells == Cells{"No spare machine", "98.00 %", "11.00 %", "–",
                                                   "97.13 %", "93.65 %", "89.30 %", "0 %", "–",
                                                   "–"});
    CHECK(table.sections[0].rows[1].cells == Cells{"Replication: every query twice", "98.00 %",
                                                   "98.00 %", "100.00 %", "98.00 %", "98.00 %",
                                                   "98.00 %", "100 %", "0", "0"});
    CHECK(table.sections[0].rows[2].cells ==
          Cells{"MLPEncoder, MSE loss, k\u00a0=\u00a02, r\u00a0=\u00a01", "98.00 %", "96.00 %",
                "96.50 %", "97.98 %", "97.90 %", "97.80 %", "50 %", "38.0", "4.21"});
  }

  TEST_CASE("a parity model is called one, whatever encoder its settings have") {
    const Folders folders;
    Run run = read_run(folders.code);
    run.header["settings"]["code"] = "parity-sum";
    run.result["code"] = "parity models (sum) over a model";
    CHECK(code_results({run})[0].name == "parity model, sum, k\u00a0=\u00a02, r\u00a0=\u00a01");
  }

  TEST_CASE("codes over one base model share a section, others get their own") {
    const Folders folders;
    std::vector<Run> runs = {read_run(folders.code), read_run(folders.code),
                             read_run(folders.code)};
    runs[1].result["k"] = 5;
    runs[2].result["test_accuracy"] = 0.9;
    const Table table = code_table(code_results(runs));
    REQUIRE(table.sections.size() == 2);
    CHECK(table.sections[0].rows.size() == 4);
    CHECK(table.sections[0].rows[3].cells[7] == "20 %");
    CHECK(table.sections[1].rows.size() == 3);
  }

  TEST_CASE("the merge table has a row per method, and its definition") {
    const Folders folders;
    const Table table = merge_table(folders.runs());
    REQUIRE(table.sections.size() == 1);
    REQUIRE(table.sections[0].rows.size() == 3);
    CHECK(table.sections[0].title == "2 models mlp 784-400-400-10 on MNIST and MNIST");
    const auto& coin = table.sections[0].rows[2].cells;
    CHECK(coin[1] == "90.00 %");
    CHECK(coin[2] == "82.00 %");
    CHECK(coin[3] == "92.6 %");
    CHECK(coin[4] == "85.00 %");  // recovery-accuracy, the mean of both tasks
    CHECK(coin[6] == "50 %");
    CHECK(coin[7] == "0, 6.85");  // µs
    CHECK(coin[8] == "600 ms");
    CHECK(contains(page(folders.runs()),
                   "100 · accuracy of the reconstructed answers of model j / accuracy of model j"));
  }

  TEST_CASE("rows of one method are told apart by what differs, and memory stands beside time") {
    const Folders folders;
    Run run = read_run(folders.merge);
    nlohmann::json& rows = run.result["rows"];
    rows[1].update({{"points", 100},
                    {"fisher", "gaussian"},
                    {"fisher_data", "own"},
                    {"damping", 0},
                    {"peak_bytes", 13107200}});
    rows.push_back(rows[1]);
    rows[2].update({{"points", 1000}, {"normalised_decoding_accuracy", 94.1}});
    rows.push_back(rows[2]);
    rows[3].update({{"fisher", "classification"}, {"normalised_decoding_accuracy", 99}});
    rows.push_back(rows[2]);
    rows[4].update({{"method", "rebasin+coin"}});
    const Table table = merge_table({run});
    std::vector<std::string> names;
    for (const Row& row : table.sections[0].rows) names.push_back(row.cells[0]);
    CHECK(names == std::vector<std::string>{
                       "Replication: each model twice", "Plain average of the weights",
                       "COIN: Fisher-weighted average, P\u00a0=\u00a0100, Gaussian",
                       "COIN: Fisher-weighted average, P\u00a0=\u00a01,000, Gaussian",
                       "COIN: Fisher-weighted average, P\u00a0=\u00a01,000, classification",
                       "Git Re-Basin, then COIN, P\u00a0=\u00a01,000, Gaussian"});
    CHECK(table.sections[0].rows[1].cells[9] == "–");
    CHECK(table.sections[0].rows[2].cells[9] == "12.5");
    CHECK(table.sections[0].rows[0].cells[6] == "100 %");
    run.result["replication_extra_machines_percent"] = 200;
    CHECK(merge_table({run}).sections[0].rows[0].cells[0] == "Replication: each model 3 times");
    // The sentence is of COIN as published, from most points.
    CHECK(contains(meaning_of_merges({run}), "COIN gives back 94.1 %"));
  }

  TEST_CASE("a merge without data has no score, and is in no table") {
    const Folders folders;
    Run run = read_run(folders.merge);
    run.header["dataset"] = nlohmann::json::array();
    for (auto& row : run.result["rows"]) row.erase("normalised_decoding_accuracy");
    CHECK(merge_table({run}).empty());
    CHECK(meaning_of_merges({run}) == "");
  }

  TEST_CASE("forms of a data set are named after it") {
    CHECK(written_name("mnist-rgb32") == "MNIST in 3×32×32");
    CHECK(written_name("fashion-mnist-rotated") == "Fashion-MNIST turned");
    CHECK(written_name("mnist-rotated-rgb32") == "MNIST turned in 3×32×32");
    CHECK(written_name("mine") == "mine");
  }

  TEST_CASE("the page is well-formed and fetches nothing") {
    const Folders folders;
    const std::string out = page(folders.runs());
    CHECK(flaw_in(out) == "");
    CHECK(out.starts_with("<!DOCTYPE html>"));
    for (const char* outside : {"http:", "https:", "//", "<script", "@import", "<link", "url(h"})
      CHECK_FALSE_MESSAGE(contains(out, outside), outside);
    for (std::size_t at = out.find("src=\""); at != out.npos; at = out.find("src=\"", at + 1))
      CHECK(out.compare(at, 15, "src=\"data:image") == 0);
    CHECK(contains(out, "prefers-color-scheme: dark"));
    CHECK(contains(out, "@media print"));
  }

  TEST_CASE("parities stand beside their inputs, with their range") {
    const Folders folders;
    const std::string out = page(folders.runs());
    CHECK(contains(out, "label 7"));
    CHECK(contains(out, "label 2"));
    CHECK(contains(out, "black is −1.5, white is 2"));
  }

  TEST_CASE("every run's making is stated") {
    const Folders folders;
    const std::string out = page(folders.runs());
    for (const char* part : {"1f2e3d4c5b6a", "GNU 12.2.0, Release", "avx2", "train_code --seed 7",
                             "aabbccddeeff", "3 min 12 s", "60,000 + 10,000"})
      CHECK_MESSAGE(contains(out, part), part);
  }

  TEST_CASE("a sample of a data set is called one") {
    const Folders folders;
    Run run = read_run(folders.classifier);
    CHECK(dataset_name(run) == "MNIST");
    run.header["dataset"]["sample"] = true;
    CHECK(dataset_name(run) == "MNIST (a sample)");
    CHECK(contains(provenance_table({run}).sections[0].rows[0].cells[7], "(a sample)"));
  }

  TEST_CASE("the summary names the numbers in sentences") {
    const Folders folders;
    std::string text = summary(folders.runs());
    std::replace(text.begin(), text.end(), '\n', ' ');
    CHECK(contains(text, "is right 98.0 % of the time"));
    CHECK(contains(text, "is right 96.0 % of the time"));
    CHECK(contains(text, "gives back 92.6 %"));
    CHECK(contains(text, "gives back 64.5 %"));
  }

  TEST_CASE("whatever stands in a run's files stays text") {
    const Folders folders;
    const std::string attack =
        "</style><script>alert(1)</script>\"'<img src=x onerror=1>\x1b[31m\xff";
    nlohmann::json head = test::header(attack);
    for (auto& [key, value] : head.items())
      if (key != "program") value = attack;
    test::write_text(folders.classifier / "header.json",
                     head.dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore));
    nlohmann::json code = test::header("train_code", {{"encoder", attack.substr(0, 60)}});
    code["dataset"]["name"] = "<i>";
    test::write_text(folders.code / "header.json", code.dump());
    test::write_text(folders.code / "metrics.jsonl",
                     R"({"epoch":1,"<b>_accuracy":0.5,"<b>_loss":1e308})"
                     "\n");
    nlohmann::json merge = nlohmann::json::parse(R"({"rows":[{"method":"<u>","tasks":[{}, 3],
        "normalised_decoding_accuracy":1e300}]})");
    test::write_text(folders.merge / "result.json", merge.dump());
    const std::string out = page(folders.runs());
    CHECK(flaw_in(out) == "");
    for (const char* tag : {"<script", "<img src=x", "<i>", "<b>", "<u>"})
      CHECK_FALSE_MESSAGE(contains(out, tag), tag);
    CHECK_FALSE(contains(out, "\x1b"));
    CHECK_FALSE(contains(summary(folders.runs()), "\x1b"));
  }

  TEST_CASE("an unfinished run is shown as such") {
    const Folders folders;
    std::filesystem::remove(folders.code / "result.json");
    const std::string out = page({read_run(folders.code)});
    CHECK(contains(out, "not finished"));
    CHECK(flaw_in(out) == "");
  }

  TEST_CASE("a last line that was never finished is dropped; a broken one in between is an error") {
    const Folders folders;
    const auto file = folders.classifier / "metrics.jsonl";
    test::write_text(file, "{\"epoch\":1,\"train_loss\":1}\n{\"epoch\":2,\"tra");
    CHECK(read_run(folders.classifier).epochs.size() == 1);
    test::write_text(file, "{\"epoch\":1}\n{\"epoch\n{\"epoch\":3}\n");
    CHECK(error_of(folders.classifier) ==
          file.string() + ":2: expected a JSON object, found \"{\"epoch\"");
  }

  TEST_CASE("what is wrong with a run folder is said in one line") {
    const Folders folders;
    const std::string root = folders.root.path().string();
    CHECK(error_of(root + "/absent") == root + "/absent: expected a run folder, found nothing");
    test::write_text(root + "/file", "x");
    CHECK(error_of(root + "/file") == root + "/file: expected a run folder, found a file");
    std::filesystem::create_directory(root + "/empty");
    CHECK(contains(error_of(root + "/empty"), "it has no header.json"));

    const auto broken = [&](const std::string& name, const std::string& content) {
      const Folders fresh;
      test::write_text(fresh.code / name, content);
      const std::string text = error_of(fresh.code);
      CHECK_FALSE(contains(text, "\n"));
      return text;
    };
    CHECK(contains(broken("header.json", "{\"program\""), "header.json: expected a JSON object"));
    CHECK(contains(broken("header.json", "[1]"), "header.json: expected a JSON object"));
    CHECK(contains(broken("header.json", std::string(200000, '[')), "expected a JSON object"));
    CHECK(contains(broken("result.json", ""), "result.json: expected a JSON object"));
    CHECK(contains(broken("result.json", "{\"k\":2,\"r\":1}"),
                   "result.json: expected a number \"test_accuracy\", found none"));
    CHECK(contains(broken("result.json", "{\"k\":2,\"r\":1,\"test_accuracy\":97}"),
                   "\"test_accuracy\" is 97, expected a fraction from 0 to 1"));
    CHECK(contains(broken("result.json", "{\"k\":2.5,\"r\":1,\"test_accuracy\":0.9}"),
                   "\"k\" is 2.5, expected a whole number from 1 to 1000"));
    CHECK(contains(broken("samples.safetensors", "no tensors"), "samples.safetensors"));
  }

  TEST_CASE("a merge without rows, and samples that do not fit, are refused") {
    const Folders folders;
    test::write_text(folders.merge / "result.json", "{\"rows\":[]}");
    CHECK(contains(error_of(folders.merge), "expected an array \"rows\""));
    test::write_text(folders.merge / "result.json", "{\"rows\":[{\"method\":\"coin\"}]}");
    CHECK(contains(error_of(folders.merge), "lacks \"method\" or"));
    test::write_text(
        folders.merge / "result.json",
        R"({"rows":[{"method":"coin","normalised_decoding_accuracy":90,"points":-1}]})");
    CHECK(contains(error_of(folders.merge), "\"points\" is -1, expected a number from 0 on"));
    Safetensors file;
    file.tensors = {{"inputs", Tensor::zeros({1, 2, 2, 2, 1}, DType::u8)},
                    {"parities", Tensor::zeros({1, 1, 2, 3, 1})}};
    write_safetensors(folders.code / "samples.safetensors", file);
    CHECK(contains(error_of(folders.code), "found uint8 (1,2,2,2,1) and float32 (1,1,2,3,1)"));
  }
}
