// Functions for host and device alike. Always inlined on the host, because the same header is
// compiled for several instruction sets: an out-of-line copy would be shared between them by the
// linker.
#pragma once

#ifdef __CUDACC__
#define UNDERSTUDY_HD __host__ __device__ __forceinline__
#else
#define UNDERSTUDY_HD [[gnu::always_inline]] inline
#endif
