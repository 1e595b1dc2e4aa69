//! Figures as PNG, by a renderer in pure Rust with its own font: independent of the libraries and fonts of the system, and the same figure
//! gives the same bytes.

use resvg::{tiny_skia, usvg};
use std::path::Path;
use std::sync::Arc;

use super::{Chart, Figure};
use crate::error::Error;

/// The most pixels of a side; a picture of this size takes 1 GiB.
const MOST_PIXELS: f32 = 16384.0;

/// Renders one of our SVG documents to a PNG file, with `scale` pixels per unit.
fn render(svg: &str, scale: f32) -> Result<Vec<u8>, Error> {
    let failed = |reason: String| Error::Figure { reason };
    let mut fonts = usvg::fontdb::Database::new();
    for font in [dejavu::sans::regular(), dejavu::sans::bold()] {
        fonts.load_font_data(font.to_vec());
    }
    fonts.set_sans_serif_family("DejaVu Sans");
    let options = usvg::Options {
        font_family: "DejaVu Sans".to_owned(),
        fontdb: Arc::new(fonts),
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options).map_err(|e| failed(e.to_string()))?;
    let (width, height) = (tree.size().width() * scale, tree.size().height() * scale);
    if !(width.min(height) >= 1.0 && width.max(height) <= MOST_PIXELS) {
        let found = format!("{scale}, {width} × {height} pixels");
        let expected = format!("1 to {MOST_PIXELS} pixels a side");
        return Err(Error::invalid("scale", found, expected));
    }
    let mut pixels = tiny_skia::Pixmap::new(width as u32, height as u32)
        .ok_or_else(|| failed("the picture does not fit into memory".into()))?;
    let transform = tiny_skia::Transform::from_scale(scale, scale);
    resvg::render(&tree, transform, &mut pixels.as_mut());
    pixels.encode_png().map_err(|e| failed(e.to_string()))
}

fn write(path: &Path, svg: &str, scale: f32) -> Result<(), Error> {
    let png = render(svg, scale)?;
    std::fs::write(path, png).map_err(|e| Error::io(path, e))
}

impl Figure<'_> {
    /// Writes the figure as PNG, with `scale` pixels per unit of the SVG: 1 for a screen, 2 or more for print.
    ///
    /// # Errors
    /// Those of [`write_svg`](Figure::write_svg), and [`Error::InvalidArgument`] for a scale that gives a side of less than one pixel or more
    /// than 16,384.
    pub fn write_png(&self, path: impl AsRef<Path>, scale: f32) -> Result<(), Error> {
        write(path.as_ref(), &self.to_svg()?, scale)
    }
}

impl Chart {
    /// Writes the chart as PNG, as [`Figure::write_png`] does.
    ///
    /// # Errors
    /// As for [`Figure::write_png`].
    pub fn write_png(&self, path: impl AsRef<Path>, scale: f32) -> Result<(), Error> {
        write(path.as_ref(), &self.to_svg()?, scale)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Graph;
    use super::*;

    fn chart() -> Chart {
        let line = vec![(0.0, 1.0), (1.0, 3.0)];
        Chart::new().graph(Graph::new("A line", "x", "y").line("line", line))
    }

    #[test]
    fn a_figure_has_the_pixels_of_its_scale_and_text_in_ink() {
        let svg = chart().to_svg().unwrap();
        let [one, two] = [1.0, 2.0].map(|scale| {
            let png = render(&svg, scale).unwrap();
            tiny_skia::Pixmap::decode_png(&png).unwrap()
        });
        assert_eq!(
            (two.width(), two.height()),
            (2 * one.width(), 2 * one.height())
        );
        assert_eq!(render(&svg, 1.0).unwrap(), render(&svg, 1.0).unwrap());
        // Without its texts the same chart has fewer dark pixels.
        let start = svg.find("<text").unwrap();
        let end = svg.rfind("</text>").unwrap() + "</text>".len();
        let texts = svg[start..end].matches("<text").count();
        assert!(texts > 5, "{texts}");
        let bare = svg
            .replace("<text", "<g display=\"none\"")
            .replace("</text>", "</g>");
        let bare = tiny_skia::Pixmap::decode_png(&render(&bare, 1.0).unwrap()).unwrap();
        let dark = |p: &tiny_skia::Pixmap| p.pixels().iter().filter(|p| p.red() < 128).count();
        assert!(
            dark(&one) > dark(&bare) + 100,
            "{} {}",
            dark(&one),
            dark(&bare)
        );
    }

    #[test]
    fn scales_that_make_no_picture_are_refused() {
        for scale in [0.0, -1.0, 1e-6, 1e6, f32::NAN, f32::INFINITY] {
            let refused = chart()
                .write_png("never.png", scale)
                .unwrap_err()
                .to_string();
            assert!(refused.contains("scale"), "{refused}");
        }
    }
}
