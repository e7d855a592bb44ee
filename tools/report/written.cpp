#include <algorithm>
#include <iterator>

#include "tools/report/results.h"
#include "tools/report/settings.h"

namespace understudy::report {
namespace {

// As programs write a name, as people do; in the order of tables.
struct Written {
  const char* name;
  const char* written;
};

constexpr Written bases[] = {
    {"logistic", "Logistic regression"}, {"mlp", "Base-MLP"}, {"resnet18", "ResNet-18"}};
constexpr Written codes[] = {{"none", "no code"},
                             {"replication", "replication"},
                             {"mean", "mean"},
                             {"berrut", "Berrut"},
                             {"berrut-released", "Berrut, as released"},
                             {"berrut-exact", "Berrut, exact decoder"},
                             {"spline", "spline"},
                             {"systematic-berrut", "systematic Berrut"},
                             {"systematic-berrut-exact", "systematic Berrut, exact decoder"},
                             {"systematic-spline", "systematic spline"},
                             {"parity-sum", "parity model, sum"},
                             {"parity-concat", "parity model, concatenation"},
                             {"learned", "learned"}};
constexpr Written encoders[] = {{"mlp", "MLPEncoder"},
                                {"conv", "ConvEncoder"},
                                {"mean", "mean, learned decoder"},
                                {"berrut", "Berrut, learned decoder"}};
constexpr Written losses[] = {{"mse", "MSE"}, {"kl", "KL"}, {"xent", "cross-entropy"}};
constexpr const char* datasets[] = {"mnist", "fashion-mnist", "cifar-10"};

template <std::size_t N>
int rank_in(const Written (&names)[N], const std::string& name) {
  const auto at =
      std::find_if(names, names + N, [&](const Written& each) { return name == each.name; });
  return static_cast<int>(at - names);
}

template <std::size_t N>
std::string written_in(const Written (&names)[N], const std::string& name) {
  const int rank = rank_in(names, name);
  return rank == static_cast<int>(N) ? name : names[rank].written;
}

}  // namespace

int dataset_rank(const std::string& dataset) {
  return static_cast<int>(std::find(std::begin(datasets), std::end(datasets), dataset) - datasets);
}
int base_rank(const std::string& base) { return rank_in(bases, base); }
int code_rank(const std::string& code) { return rank_in(codes, code); }
int encoder_rank(const std::string& encoder) { return rank_in(encoders, encoder); }
int loss_rank(const std::string& loss) { return rank_in(losses, loss); }

std::string written_base(const std::string& base) { return written_in(bases, base); }
std::string written_encoder(const std::string& encoder) { return written_in(encoders, encoder); }
std::string written_loss(const std::string& loss) { return written_in(losses, loss); }

std::string written_code(const Outcome& outcome) {
  const bool learned = outcome.code == "learned" && !outcome.encoder.empty();
  std::string name = learned ? written_encoder(outcome.encoder) : written_in(codes, outcome.code);
  if (learned && !outcome.loss.empty()) name += ", " + written_loss(outcome.loss);
  if (!outcome.channels.empty() && outcome.channels != "aligned") name += ", " + outcome.channels;
  return name;
}

std::tuple<int, int, int, std::string> code_order(const Outcome& outcome) {
  const bool learned = outcome.code == "learned";
  return {code_rank(outcome.code), learned ? encoder_rank(outcome.encoder) : 0,
          learned ? loss_rank(outcome.loss) : 0, written_code(outcome)};
}

std::string place_of(const Outcome& outcome) {
  if (outcome.base.empty()) return written_name(outcome.dataset);
  return written_name(outcome.dataset) + ", " + written_base(outcome.base);
}

}  // namespace understudy::report
