// The profiler: which ops it counts, on which side, and what a trace viewer gets.
#include "engine/profile.h"

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>

#include "engine/ops.h"
#include "kernels/check.h"
#include "tests/ops/op_run.h"
#include "tests/temporary_folder.h"

namespace understudy {
namespace {

const Profiler::Row* find(const std::vector<Profiler::Row>& rows, const std::string& op) {
  for (const Profiler::Row& row : rows)
    if (row.op == op) return &row;
  return nullptr;
}

// relu(x · wᵀ) summed, and back.
void run_step() {
  Tensor w = Tensor::ones({3, 4});
  w.set_requires_grad(true);
  sum(relu(linear(Tensor::ones({2, 4}), w, {}))).backward();
}

TEST_SUITE("engine") {
  TEST_CASE("a profile counts every op forward and backward, from all threads") {
    const Profiler profiler;
    run_step();
    std::thread([] { run_step(); }).join();
    const auto rows = profiler.rows();
    for (const char* op : {"linear", "relu", "sum"}) {
      CAPTURE(op);
      const Profiler::Row* const row = find(rows, op);
      REQUIRE(row != nullptr);
      CHECK(row->forward_calls == 2);
      CHECK(row->backward_calls == 2);
      CHECK(row->forward_seconds > 0);
      CHECK(row->backward_seconds > 0);
    }
    // The product inside linear's backward is linear's.
    CHECK(find(rows, "matmul") == nullptr);
    CHECK(profiler.table().find("linear") != std::string::npos);
  }

  TEST_CASE("every op of the list is measured, views aside") {
    // `to` moves nothing on the host.
    const std::set<std::string> views = {"broadcast_to", "contiguous", "permute",   "reshape",
                                         "select",       "slice",      "transpose", "to"};
    std::set<std::string> seen;
    for (const testing::OpCase& op : testing::op_cases()) {
      if (views.contains(op.op) || !seen.insert(op.op).second) continue;
      CAPTURE(op.name());
      const auto inputs = testing::make_inputs(op, {.dtype = DType::f32});
      const Profiler profiler;
      op.apply(inputs);
      CHECK(!profiler.rows().empty());
    }
    CHECK(seen.contains("conv2d"));
  }

  TEST_CASE("an op's forward time is without that of the ops it is made of") {
    const Profiler profiler;
    const Tensor x = Tensor::ones({400, 300});
    mean(square(x));
    const auto rows = profiler.rows();
    CHECK(find(rows, "square") != nullptr);
    CHECK(find(rows, "sum") != nullptr);
    CHECK(find(rows, "scale") != nullptr);
    double inside = 0;
    for (const Profiler::Row& row : rows) inside += row.seconds();
    CHECK(inside > 0);
  }

  TEST_CASE("nothing is collected without a profiler, and each starts from nothing") {
    run_step();
    const Profiler profiler;
    CHECK(profiler.rows().empty());
    CHECK_THROWS_AS(Profiler(), Error);
  }

  TEST_CASE("a trace is JSON with one complete event for each op") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "trace.json";
    const Profiler profiler;
    run_step();
    profiler.write_trace(path);
    std::ifstream file(path);
    const auto trace = nlohmann::json::parse(file);
    std::size_t backward = 0;
    for (const auto& event : trace.at("traceEvents")) {
      CHECK(event.at("ph") == "X");
      CHECK(event.at("ts").get<double>() >= 0);
      CHECK(event.at("dur").get<double>() >= 0);
      backward += event.at("cat") == "backward";
    }
    CHECK(backward == 3);
    CHECK(trace.at("traceEvents").size() >= 6);
  }
}

}  // namespace
}  // namespace understudy
