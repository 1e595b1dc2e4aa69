//! The division of an image into square patches, each with a weight of its own.

/// Patches row after row; those at the right and the lower border may be smaller.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patches {
    rows: usize,
    cols: usize,
    size: usize,
}

impl Patches {
    pub(super) fn new(rows: usize, cols: usize, size: usize) -> Self {
        Patches {
            rows,
            cols,
            size: size.max(1),
        }
    }

    fn across(&self) -> usize {
        self.cols.div_ceil(self.size)
    }

    /// The number of patches.
    pub(super) fn len(&self) -> usize {
        self.rows.div_ceil(self.size) * self.across()
    }

    /// The pixels of the largest patch.
    pub(super) fn pixels(&self) -> usize {
        self.rows.min(self.size) * self.cols.min(self.size)
    }

    /// The patch of each pixel, row after row.
    fn each(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.rows).flat_map(move |i| {
            let first = i / self.size * self.across();
            (0..self.cols).map(move |j| first + j / self.size)
        })
    }

    /// A number of each patch, for each of its pixels.
    pub(super) fn spread<'a, T: Copy>(
        &'a self,
        of_patches: &'a [T],
    ) -> impl Iterator<Item = T> + 'a {
        self.each().map(|p| of_patches[p])
    }

    /// Sums over the pixels of each patch, in their order.
    pub(super) fn sum(&self, of_pixels: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (p, v) in self.each().zip(of_pixels) {
            out[p] += v;
        }
    }
}
