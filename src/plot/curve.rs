//! Preparation of paths for a panel: thinning and clipping.

use super::canvas::Point;

/// Paths with more points than this are thinned.
const MANY: usize = 1000;

/// The path with at most four points per column of one pixel: the first, the lowest, the highest and the last. A gap remains if its column
/// has no point.
pub(super) fn thinned(points: Vec<Point>) -> Vec<Point> {
    if points.len() <= MANY {
        return points;
    }
    let mut thin = Vec::new();
    for column in points.chunk_by(|a, b| a.0.floor() == b.0.floor()) {
        let drawn = || column.iter().enumerate().filter(|(_, p)| !p.1.is_nan());
        let by_height = |a: &(usize, &Point), b: &(usize, &Point)| a.1.1.total_cmp(&b.1.1);
        let mut keep: Vec<usize> = [
            drawn().next(),
            drawn().min_by(by_height),
            drawn().max_by(by_height),
            drawn().next_back(),
        ]
        .into_iter()
        .flatten()
        .map(|(i, _)| i)
        .collect();
        keep.sort_unstable();
        keep.dedup();
        thin.extend(keep.iter().map(|&i| column[i]));
        if keep.is_empty() {
            thin.push(column[0]);
        }
    }
    thin
}

/// The path with an extra point at each crossing of the heights `top` and `bottom`.
fn with_crossings(points: &[Point], top: f64, bottom: f64) -> Vec<Point> {
    let mut path = Vec::with_capacity(points.len());
    for (i, &to) in points.iter().enumerate() {
        if let Some(&from) = i.checked_sub(1).and_then(|before| points.get(before)) {
            let mut heights = [top, bottom];
            if from.1 > to.1 {
                heights.reverse();
            }
            for height in heights {
                let share = (height - from.1) / (to.1 - from.1);
                if share > 0.0 && share < 1.0 {
                    path.push((from.0 + share * (to.0 - from.0), height));
                }
            }
        }
        path.push(to);
    }
    path
}

/// The path with gaps where it is above `top` or below `bottom`.
pub(super) fn clipped(points: &[Point], top: f64, bottom: f64) -> Vec<Point> {
    let inside = |y: f64| {
        if (top..=bottom).contains(&y) {
            y
        } else {
            f64::NAN
        }
    };
    let path = with_crossings(points, top, bottom);
    path.into_iter().map(|(x, y)| (x, inside(y))).collect()
}

/// The path clamped to the heights from `top` to `bottom`.
pub(super) fn clamped(points: &[Point], top: f64, bottom: f64) -> Vec<Point> {
    let path = with_crossings(points, top, bottom);
    path.into_iter()
        .map(|(x, y)| (x, y.clamp(top, bottom)))
        .collect()
}

/// Points of a path at least `spacing` apart in x, starting `offset` after its start, and its last point, unless that is close to the one
/// before.
pub(super) fn spaced(points: &[Point], spacing: f64, offset: f64) -> Vec<Point> {
    let mut rest = points.iter().filter(|p| !p.1.is_nan()).peekable();
    let mut next = rest.peek().map_or(0.0, |first| first.0 + offset);
    let mut kept = Vec::new();
    while let Some(&point) = rest.next() {
        let last = rest.peek().is_none();
        if point.0 >= next || (last && (kept.is_empty() || point.0 + 0.7 * spacing >= next)) {
            kept.push(point);
            next = point.0 + spacing;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_extremes_of_every_column() {
        let wave = |i: i32| (f64::from(i) * 0.01, f64::from(i * 7919 % 1000));
        let points: Vec<Point> = (0..40_000).map(wave).collect();
        let thin = thinned(points.clone());
        assert!(thin.len() <= 4 * 400);
        let highest = |p: &[Point]| p.iter().map(|p| p.1).fold(0.0, f64::max);
        assert_eq!(highest(&thin), highest(&points));
        assert_eq!((thin.first(), thin.last()), (points.first(), points.last()));
    }

    #[test]
    fn a_path_ends_where_it_leaves_the_panel() {
        let clip = clipped(&[(0.0, 5.0), (1.0, 15.0), (2.0, -5.0)], 0.0, 10.0);
        let inside: Vec<&Point> = clip.iter().filter(|p| !p.1.is_nan()).collect();
        assert_eq!(
            inside,
            [&(0.0, 5.0), &(0.5, 10.0), &(1.25, 10.0), &(1.75, 0.0)]
        );
        assert_eq!(clip.len(), 6);
    }
}
