//! TV denoising against golden values: values and hypergradients of an independent implementation in float64.
