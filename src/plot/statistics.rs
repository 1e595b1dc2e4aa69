//! Statistics of several runs: quartiles, work-precision diagrams, performance profiles.
//!
//! A run is a list of points (cost, value) of increasing cost. Between two points it has the value of the first, the one a user who stops
//! there would get.
//!
//! # Reference
//! Performance profiles: E. D. Dolan, J. J. Moré: Benchmarking optimization software with performance profiles. Mathematical Programming 91
//! (2002), [doi:10.1007/s101070100263](https://doi.org/10.1007/s101070100263).

use super::Graph;
use crate::run::Trace;
use crate::upper::Iteration;

/// A run as points (cost, value).
pub type Points = Vec<(f64, f64)>;

/// The lower quartile, the median and the upper quartile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quartiles(pub [f64; 3]);

impl Quartiles {
    /// The quartiles of some numbers, with linear interpolation; `None` without numbers.
    pub fn of(mut numbers: Vec<f64>) -> Option<Self> {
        let last = numbers.len().checked_sub(1)?;
        numbers.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * last as f64;
            let (below, part) = (place.floor() as usize, place.fract());
            let (low, high) = (numbers[below], numbers[(below + 1).min(last)]);
            // Interpolation of two equal infinite numbers would give NaN.
            if part == 0.0 || low == high {
                low
            } else {
                low + part * (high - low)
            }
        };
        Some(Quartiles([at(0.25), at(0.5), at(0.75)]))
    }

    /// The median.
    pub fn median(self) -> f64 {
        self.0[1]
    }
}

/// The points of a trace.
pub fn points(
    trace: &Trace,
    cost: impl Fn(&Iteration) -> f64,
    value: impl Fn(&Iteration) -> f64,
) -> Points {
    trace.rows().iter().map(|r| (cost(r), value(r))).collect()
}

/// The value of a run at a cost, `None` before its first point.
fn value_at(run: &[(f64, f64)], cost: f64) -> Option<f64> {
    let reached = run.partition_point(|point| point.0 <= cost);
    reached.checked_sub(1).map(|last| run[last].1)
}

/// The quartiles of several runs at every cost at which all have a value.
pub(super) fn quartiles(runs: &[Points]) -> Vec<(f64, Quartiles)> {
    let mut costs: Vec<f64> = runs.iter().flatten().map(|point| point.0).collect();
    costs.sort_by(f64::total_cmp);
    costs.dedup();
    let at = |cost: f64| {
        let values: Option<Vec<f64>> = runs.iter().map(|run| value_at(run, cost)).collect();
        Some((cost, Quartiles::of(values?)?))
    };
    costs.into_iter().filter_map(at).collect()
}

impl Graph {
    /// Draws the median of several runs at equal cost and, for more than one run, the band between their quartiles.
    pub fn runs(self, name: &str, runs: &[Points]) -> Self {
        self.quartiles(name, runs.len(), &quartiles(runs))
    }

    /// Draws the same for the k-th points of all runs that have one, over the median of their costs: for runs sampled at similar intervals whose
    /// costs differ, such as seconds.
    pub fn aligned(self, name: &str, runs: &[Points]) -> Self {
        let longest = runs.iter().map(Vec::len).max().unwrap_or(0);
        let at = |k: usize| {
            let points = || runs.iter().filter_map(|run| run.get(k));
            let cost = Quartiles::of(points().map(|point| point.0).collect())?;
            let value = Quartiles::of(points().map(|point| point.1).collect())?;
            Some((cost.median(), value))
        };
        let all: Vec<_> = (0..longest).filter_map(at).collect();
        self.quartiles(name, runs.len(), &all)
    }

    fn quartiles(self, name: &str, runs: usize, all: &[(f64, Quartiles)]) -> Self {
        let median = all.iter().map(|(x, q)| (*x, q.median())).collect();
        let graph = self.line(name, median);
        if runs < 2 {
            return graph;
        }
        let band: Vec<_> = all.iter().map(|(x, q)| (*x, q.0[0], q.0[2])).collect();
        graph.band(name, &band)
    }

    /// Draws performance profiles, one line per solver: the fraction of instances solved within a multiple of the least cost. `costs` holds the
    /// costs of each solver on every instance, `None` if it is not solved.
    pub fn profile(self, names: &[String], costs: &[Vec<Option<f64>>]) -> Self {
        let profiles = profiles(costs);
        let named = names.iter().zip(profiles);
        named.fold(self, |graph, (name, points)| graph.line(name, points))
    }
}

/// The cost at which a run first reaches a value of at most `target`.
pub fn cost_to_reach(run: &[(f64, f64)], target: f64) -> Option<f64> {
    let reached = run.iter().find(|point| point.1 <= target);
    reached.map(|point| point.0)
}

/// Pairs (precision, cost to reach it) of a run from `start` down to `best`. The precision is the remaining fraction of the way, 1 at the start.
/// A precision that is not reached costs ∞, so that it counts in the [`Quartiles`] of several runs.
pub fn work_precision(run: &[(f64, f64)], start: f64, best: f64, precisions: &[f64]) -> Points {
    let reach = |&precision: &f64| {
        let target = best + precision * (start - best);
        (
            precision,
            cost_to_reach(run, target).unwrap_or(f64::INFINITY),
        )
    };
    precisions.iter().map(reach).collect()
}

/// The performance profiles of solvers as step functions: (cost relative to the least one of the instance, fraction of instances).
pub(super) fn profiles(costs: &[Vec<Option<f64>>]) -> Vec<Points> {
    let instances = costs.iter().map(Vec::len).min().unwrap_or(0);
    let least = |i: usize| {
        let all = costs.iter().filter_map(|solver| solver[i]);
        all.fold(f64::INFINITY, f64::min)
    };
    let ratios = |solver: &Vec<Option<f64>>| {
        let ratio = |i: usize| {
            let cost = solver[i]?;
            // If all costs are 0, the ratio is 1.
            Some(if cost == least(i) {
                1.0
            } else {
                cost / least(i)
            })
        };
        let mut ratios: Vec<f64> = (0..instances).filter_map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    };
    let all: Vec<Vec<f64>> = costs.iter().map(ratios).collect();
    let finite = all.iter().flatten().filter(|ratio| ratio.is_finite());
    // A line that ends early would suggest that the solver was stopped.
    let end = 1.1 * finite.fold(1.0, |end: f64, ratio| end.max(*ratio));
    let stairs = |ratios: &Vec<f64>| {
        let share = |solved: usize| solved as f64 / instances as f64;
        let mut points = vec![(1.0, 0.0)];
        if instances == 0 {
            return Vec::new();
        }
        for (k, &ratio) in ratios.iter().enumerate() {
            points.extend([(ratio, share(k)), (ratio, share(k + 1))]);
        }
        points.push((end, share(ratios.len())));
        points
    };
    all.iter().map(stairs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_the_numbers_and_take_infinite_ones() {
        assert_eq!(Quartiles::of(vec![]), None);
        assert_eq!(Quartiles::of(vec![3.0]), Some(Quartiles([3.0; 3])));
        let four = Quartiles::of(vec![4.0, 1.0, 3.0, 2.0]);
        assert_eq!(four, Some(Quartiles([1.75, 2.5, 3.25])));
        let far = Quartiles::of(vec![1.0, f64::INFINITY, f64::INFINITY]).unwrap();
        assert_eq!(far.0[1..], [f64::INFINITY; 2]);
    }

    #[test]
    fn runs_are_compared_where_all_have_begun() {
        let runs = [vec![(0.0, 4.0), (2.0, 2.0)], vec![(1.0, 8.0), (3.0, 0.0)]];
        let all = quartiles(&runs);
        let medians: Vec<_> = all.iter().map(|(x, q)| (*x, q.median())).collect();
        assert_eq!(medians, [(1.0, 6.0), (2.0, 5.0), (3.0, 1.0)]);
    }

    #[test]
    fn work_is_counted_to_the_first_value_that_is_good_enough() {
        let run = [(1.0, 10.0), (2.0, 5.0), (3.0, 6.0), (5.0, 0.0)];
        assert_eq!(cost_to_reach(&run, 5.5), Some(2.0));
        assert_eq!(cost_to_reach(&run, -1.0), None);
        let curve = work_precision(&run, 10.0, 0.0, &[1.0, 0.5, 0.1, 1e-9]);
        assert_eq!(curve, [(1.0, 1.0), (0.5, 2.0), (0.1, 5.0), (1e-9, 5.0)]);
        let never = work_precision(&run, 10.0, -1.0, &[0.5, 0.0]);
        assert_eq!(never, [(0.5, 5.0), (0.0, f64::INFINITY)]);
    }

    /// Two instances: the first solver is the best of the first, and fails on the second.
    #[test]
    fn a_profile_counts_what_is_solved_within_a_multiple_of_the_least_cost() {
        let costs = [vec![Some(10.0), None], vec![Some(40.0), Some(5.0)]];
        let [first, second] = &profiles(&costs)[..] else {
            panic!("two solvers have two profiles");
        };
        assert_eq!(first[..], [(1.0, 0.0), (1.0, 0.0), (1.0, 0.5), (4.4, 0.5)]);
        let stairs = [
            (1.0, 0.0),
            (1.0, 0.0),
            (1.0, 0.5),
            (4.0, 0.5),
            (4.0, 1.0),
            (4.4, 1.0),
        ];
        assert_eq!(second[..], stairs);
    }
}
