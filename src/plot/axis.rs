//! An axis: maps numbers to positions, with ticks at round numbers.

/// Larger numbers are not drawn, because their differences could overflow.
const LARGEST: f64 = 1e300;

/// A range of at most this width relative to its numbers counts as a point: ticks would need too many digits.
const FLAT: f64 = 1e-9;

/// The kind of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Linear,
    Log,
}

impl Kind {
    /// The coordinate of a number: itself or its decimal logarithm; NaN if the axis cannot show it.
    pub(super) fn coordinate(self, number: f64) -> f64 {
        match self {
            _ if number.is_nan() || number.abs() > LARGEST => f64::NAN,
            Kind::Linear => number,
            Kind::Log if number > 1.0 / LARGEST => number.log10(),
            Kind::Log => f64::NAN,
        }
    }
}

/// The smallest and the largest number, ignoring NaN; (∞, −∞) if there is none.
pub(super) fn extent(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), number| {
        (low.min(number), high.max(number))
    })
}

/// A tick; its label is empty for a minor one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// The coordinate.
    pub(super) at: f64,
    pub(super) label: String,
}

/// A range of coordinates, wide enough to draw in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    kind: Kind,
    /// Whether it shows counts, with ticks at integers only.
    counts: bool,
    low: f64,
    high: f64,
}

impl Scale {
    /// The axis for coordinates from `low` to `high` with a margin; 1 to 10 or 0 to 1 if there are none.
    pub(super) fn new(kind: Kind, counts: bool, (low, high): (f64, f64)) -> Self {
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let width = high - low;
        let margin = match kind {
            Kind::Linear if width <= FLAT * low.abs().max(high.abs()).max(1.0 / LARGEST) => {
                let size = 0.1 * low.abs().max(high.abs());
                if counts {
                    0.5
                } else if size < 1.0 / LARGEST {
                    1.0
                } else {
                    size
                }
            }
            Kind::Log if width < FLAT => 0.2,
            _ => 0.04 * width,
        };
        Scale {
            kind,
            counts,
            low: low - margin,
            high: high + margin,
        }
    }

    /// The position of a coordinate between 0, the lower end, and 1.
    pub(super) fn position(&self, coordinate: f64) -> f64 {
        (coordinate - self.low) / (self.high - self.low)
    }

    /// The ticks; major ones have a label.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        if self.kind == Kind::Linear {
            return self.even(self.low, self.high, |number| number);
        }
        let decades = self.high - self.low;
        if decades < 1.0 {
            // Multiples of ten would leave one label or none.
            return self.even(10f64.powf(self.low), 10f64.powf(self.high), f64::log10);
        }
        let majors: &[i32] = if decades < 2.5 { &[1, 2, 5] } else { &[1] };
        let stride = (decades / 6.0).ceil() as i32;
        let mut ticks = Vec::new();
        for exponent in self.low.floor() as i32..=self.high.ceil() as i32 {
            let digits = match stride {
                1 => 1..=9,
                2..=5 => 1..=1,
                _ => 1..=i32::from(exponent.rem_euclid(stride) == 0),
            };
            for digit in digits {
                let at = f64::from(exponent) + f64::from(digit).log10();
                if at < self.low || at > self.high || (self.counts && exponent < 0) {
                    continue;
                }
                let major = majors.contains(&digit) && exponent.rem_euclid(stride) == 0;
                let label = if major {
                    self.power(digit, exponent)
                } else {
                    String::new()
                };
                ticks.push(Tick { at, label });
            }
        }
        ticks
    }

    /// The label of digit · 10^exponent: written out on a short axis or one of counts, else as a power of ten.
    fn power(&self, digit: i32, exponent: i32) -> String {
        let short = self.high - self.low < 2.5 && self.low > -3.0 && self.high < 5.0;
        if short || (self.counts && self.high < 6.0) {
            let decimals = usize::try_from(-exponent).unwrap_or(0);
            let number = f64::from(digit) * 10f64.powi(exponent);
            return grouped(&format!("{number:.decimals$}"));
        }
        let power = superscript(&exponent.to_string());
        match digit {
            1 => format!("10{power}"),
            _ => format!("{digit}·10{power}"),
        }
    }

    /// Multiples of 1, 2 or 5 times a power of ten from `low` to `high`.
    fn even(&self, low: f64, high: f64, coordinate: impl Fn(f64) -> f64) -> Vec<Tick> {
        let rough = (high - low) / 5.0;
        let power = rough.log10().floor();
        let unit = 10f64.powf(power);
        let factor = [1.0, 2.0, 5.0]
            .into_iter()
            .find(|factor| factor * unit >= 0.75 * rough)
            .unwrap_or(10.0);
        let mut step = factor * unit;
        if self.counts {
            step = step.max(1.0);
        }
        if !(step.is_normal() && (high / step).abs() < 1e15) {
            return Vec::new();
        }
        let places = -step.log10().floor() as i32;
        let largest = low.abs().max(high.abs());
        ((low / step).ceil() as i64..=(high / step).floor() as i64)
            .map(|i| i as f64 * step)
            .filter(|number| !self.counts || *number >= 0.0)
            .map(|number| Tick {
                at: coordinate(number),
                label: decimal(number, places, largest),
            })
            .collect()
    }
}

/// A number with `places` decimal places, on an axis with numbers up to `largest`.
fn decimal(number: f64, places: i32, largest: f64) -> String {
    if number == 0.0 {
        return "0".into();
    }
    if (1e-3..1e6).contains(&largest) {
        let places = usize::try_from(places).unwrap_or(0);
        return grouped(&format!("{number:.places$}"));
    }
    let exponent = number.abs().log10().floor() as i32;
    let places = usize::try_from(places.saturating_add(exponent)).unwrap_or(0);
    // Rust finds the digits, also of numbers whose power of ten is out of range.
    let text = format!("{number:.places$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.'),
        false => mantissa,
    };
    let exponent = superscript(exponent);
    match mantissa {
        "1" => format!("10{exponent}"),
        "-1" => format!("−10{exponent}"),
        _ => format!("{}·10{exponent}", grouped(mantissa)),
    }
}

/// Commas between thousands, and a minus sign as wide as a plus.
fn grouped(number: &str) -> String {
    let (sign, number) = match number.strip_prefix('-') {
        Some(rest) => ("−", rest),
        None => ("", number),
    };
    let whole = number.find('.').unwrap_or(number.len());
    let mut text = String::from(sign);
    for (i, c) in number.chars().enumerate() {
        if i > 0 && i < whole && (whole - i) % 3 == 0 {
            text.push(',');
        }
        text.push(c);
    }
    text
}

fn superscript(number: &str) -> String {
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raise = |c: char| match c.to_digit(10) {
        Some(digit) => digits[digit as usize],
        None => '⁻',
    };
    number.chars().map(raise).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(kind: Kind, counts: bool, low: f64, high: f64) -> Vec<String> {
        let range = (kind.coordinate(low), kind.coordinate(high));
        let ticks = Scale::new(kind, counts, range).ticks();
        ticks
            .into_iter()
            .map(|tick| tick.label)
            .filter(|label| !label.is_empty())
            .collect()
    }

    #[test]
    fn counts_have_integer_ticks_with_commas() {
        assert_eq!(labels(Kind::Linear, true, 0.0, 2.0), ["0", "1", "2"]);
        assert_eq!(labels(Kind::Linear, true, 0.0, 0.0), ["0"]);
        assert_eq!(
            labels(Kind::Linear, true, 0.0, 8_000.0),
            ["0", "2,000", "4,000", "6,000", "8,000"]
        );
        assert_eq!(
            labels(Kind::Linear, true, 0.0, 1e7),
            ["0", "2·10⁶", "4·10⁶", "6·10⁶", "8·10⁶", "10⁷"]
        );
        assert_eq!(
            labels(Kind::Log, true, 1.0, 1e4),
            ["1", "10", "100", "1,000", "10,000"]
        );
    }

    #[test]
    fn numbers_are_neat_at_any_size() {
        assert_eq!(
            labels(Kind::Linear, false, -1.0, 1.0),
            ["−1.0", "−0.5", "0", "0.5", "1.0"]
        );
        assert_eq!(
            labels(Kind::Linear, false, 0.0, 2e-7),
            ["0", "5·10⁻⁸", "10⁻⁷", "1.5·10⁻⁷", "2·10⁻⁷"]
        );
        assert_eq!(
            labels(Kind::Linear, false, 8.599999, 8.600001),
            [
                "8.5999990",
                "8.5999995",
                "8.6000000",
                "8.6000005",
                "8.6000010"
            ]
        );
        assert_eq!(
            labels(Kind::Log, false, 1e-3, 15.0),
            ["10⁻³", "10⁻²", "10⁻¹", "10⁰", "10¹"]
        );
        assert_eq!(
            labels(Kind::Log, false, 0.04, 1.0),
            ["0.05", "0.1", "0.2", "0.5", "1"]
        );
        assert_eq!(
            labels(Kind::Log, false, 8.6, 34.0),
            ["10", "15", "20", "25", "30", "35"]
        );
    }

    #[test]
    fn any_range_has_finitely_many_ticks() {
        let numbers = [
            0.0,
            5e-324,
            1e-299,
            1e-8,
            1.0,
            1.0000000001,
            7.3,
            1e9,
            1e300,
            -1.0,
            -1e300,
        ];
        for kind in [Kind::Linear, Kind::Log] {
            for low in numbers {
                for high in numbers {
                    let range = (kind.coordinate(low), kind.coordinate(high));
                    let axis = Scale::new(kind, false, range);
                    let ticks = axis.ticks();
                    assert!(ticks.len() < 80, "{kind:?} {low} {high}: {ticks:?}");
                    assert!(
                        ticks
                            .iter()
                            .all(|t| (-1e-6..=1.000001).contains(&axis.position(t.at))),
                        "{kind:?} {low} {high}: {ticks:?}"
                    );
                }
            }
        }
    }
}
