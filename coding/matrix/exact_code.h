// Codes that solve for what is missing: exact for every affine model, because their encodings' rows
// have the sum 1.
#pragma once

#include <memory>

#include "coding/matrix/interpolation.h"
#include "coding/matrix/matrix_code.h"

namespace understudy {

// D_S = E_S⁺, or (E_SᵀE_S + ridge·I)⁻¹ E_Sᵀ: a ridge gives up exactness to amplify errors less.
class ExactCode : public MatrixCode {
 public:
  // encoding (k+r, k); systematic when its first k rows are the identity.
  ExactCode(const CodeShape& shape, std::string name, Matrix encoding, double ridge = 0);

 protected:
  Matrix decoding_matrix(const ErasurePattern& missing) const override;

 private:
  double ridge_;
};

// The data themselves, and weighted means of them: mean_rows() of parity_rows.h.
std::unique_ptr<ExactCode> mean_code(const CodeShape& shape);
// Berrut's encoding (interpolation.h) with that decoder: "berrut-exact", for other layouts than
// `spread` "berrut-released-exact" and "systematic-berrut-exact".
std::unique_ptr<ExactCode> exact_berrut_code(PointLayout layout, const CodeShape& shape,
                                             double ridge = 0);

}  // namespace understudy
