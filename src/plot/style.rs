//! The style of figures: sizes in pixels, fonts, colours, lines.

use plotters::style::RGBColor;

use super::canvas::{Font, Pen};

/// Width and height of a panel with its labels.
pub(super) const PANEL: (f64, f64) = (500.0, 345.0);

/// Height of a row of the legend.
pub(super) const LEGEND_ROW: f64 = 22.0;

/// Length of a line in a legend.
pub(super) const LEGEND_LINE: f64 = 28.0;

/// Distance of the marks on a line, which distinguish runs without colour.
pub(super) const MARKS: f64 = 48.0;

/// Up to this many steps have a mark each.
pub(super) const STEPS: usize = 100;

pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);
pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const GREY: RGBColor = RGBColor(0x66, 0x66, 0x66);

/// Opacity of the band between bounds.
pub(super) const BAND: f64 = 0.15;

pub(super) const TITLE: Font = Font {
    size: 17.0,
    bold: true,
};
pub(super) const CAPTION: Font = Font {
    size: 12.5,
    bold: true,
};
pub(super) const LABEL: Font = Font {
    size: 12.5,
    bold: false,
};
pub(super) const NUMBER: Font = Font {
    size: 11.0,
    bold: false,
};

/// The colour of a run: those of Okabe and Ito without yellow, neighbours far apart in lightness.
pub(super) fn color(run: usize) -> RGBColor {
    const COLORS: [RGBColor; 7] = [
        RGBColor(0x00, 0x72, 0xb2),
        RGBColor(0xe6, 0x9f, 0x00),
        RGBColor(0x00, 0x00, 0x00),
        RGBColor(0x56, 0xb4, 0xe9),
        RGBColor(0xd5, 0x5e, 0x00),
        RGBColor(0xcc, 0x79, 0xa7),
        RGBColor(0x00, 0x9e, 0x73),
    ];
    COLORS[run % COLORS.len()]
}

/// The line of a quantity.
pub(super) fn solid(color: RGBColor) -> Pen {
    Pen {
        color,
        opacity: 1.0,
        width: 1.7,
        dashed: false,
    }
}

/// The line of the error of a quantity.
pub(super) fn dashed(color: RGBColor) -> Pen {
    Pen {
        width: 1.3,
        dashed: true,
        ..solid(color)
    }
}

/// The edge of a band, and the line between single steps.
pub(super) fn thin(color: RGBColor) -> Pen {
    Pen {
        opacity: 0.6,
        width: 0.7,
        ..solid(color)
    }
}

/// The axes and, with less opacity, the grid.
pub(super) fn ruled(opacity: f64) -> Pen {
    Pen {
        opacity,
        ..thin(INK)
    }
}
