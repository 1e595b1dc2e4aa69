//! argmin's particle swarm under our driver.

use ::argmin::core::{CostFunction, PopulationState, Problem, Solver as ArgminSolver, State};
use ::argmin::solver::particleswarm::{self, Particle};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

use super::objective::Objective;
use super::stepped::Stepped;
use crate::error::Error;
use crate::hypergradient::Accuracy;
use crate::oracle::Oracle;
use crate::random::unit;
use crate::status::Status;
use crate::upper::SearchBox;
use crate::upper::solver::{Solver, Step, check_theta};
use crate::vector::Vector;

/// argmin's particle swarm in a box, on computed values of one accuracy.
///
/// One particle starts at θ₀, the others at random points of the box; velocities are random up to the width of the box. The first iteration
/// evaluates the swarm, every other one moves and evaluates it. θ is the best point of any particle so far. At a point where the problem is
/// undefined, F counts as infinite. The search does not end by itself: set a limit for the run.
///
/// Iteration k draws from the k-th stream of ChaCha8, so a resumed run draws the same numbers.
///
/// M. Zambrano-Bigiarini, M. Clerc, R. Rojas: Standard particle swarm optimisation 2011 at CEC-2013. IEEE Congress on
/// Evolutionary Computation 2013, [doi:10.1109/CEC.2013.6557848](https://doi.org/10.1109/CEC.2013.6557848).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParticleSwarm {
    /// The box of the particles. θ₀ must lie inside.
    pub region: SearchBox,
    /// Particles, at least 1 (default 20).
    pub particles: usize,
    /// The seed (default 0).
    pub seed: u64,
    /// ε of every value; δ is that of the hypergradient at the end.
    pub accuracy: Accuracy,
}

impl ParticleSwarm {
    /// 20 particles in a box, with ε = δ = `accuracy`.
    pub fn with_accuracy(region: SearchBox, accuracy: f64) -> Self {
        ParticleSwarm {
            region,
            particles: 20,
            seed: 0,
            accuracy: Accuracy {
                epsilon: accuracy,
                delta: accuracy,
            },
        }
    }

    /// The generator of iteration `k`.
    fn generator(&self, k: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(k);
        rng
    }

    /// θ₀ and random points, each with its cost.
    fn swarm<O: Oracle>(&self, objective: &Objective<&O>, theta: Vec<f64>) -> Vec<Swarming> {
        let mut rng = self.generator(0);
        let mut uniform = || unit(rng.next_u64());
        let entries = 0..theta.len();
        let mut swarm = Vec::with_capacity(self.particles);
        for particle in 0..self.particles {
            let position: Vec<f64> = match particle {
                0 => theta.clone(),
                _ => entries
                    .clone()
                    .map(|i| self.region.at(i, uniform()))
                    .collect(),
            };
            let velocity = entries
                .clone()
                .map(|i| (self.region.upper[i] - self.region.lower[i]) * (2.0 * uniform() - 1.0))
                .collect();
            let cost = objective.cost(&position).unwrap_or(f64::INFINITY);
            swarm.push(Particle::new(position, cost, velocity));
        }
        swarm
    }
}

type Swarming = Particle<Vec<f64>, f64>;

impl<O: Oracle> Solver<O> for ParticleSwarm {
    type State = Stepped<O::Theta, PopulationState<Swarming, f64>, O::State>;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error> {
        Accuracy::new(self.accuracy.epsilon, self.accuracy.delta)?;
        if self.particles == 0 {
            return Err(Error::invalid("particles", 0, "at least 1"));
        }
        check_theta(&theta)?;
        self.region.check(theta.len())?;
        self.region.check_inside(&theta)?;
        let state = oracle.start(&theta)?;
        Ok(Stepped::new(theta, state))
    }

    fn step(
        &self,
        oracle: &O,
        s: &mut Self::State,
        tolerance: f64,
    ) -> Result<Step<O::Theta>, Error> {
        let objective = s.objective(oracle, self.accuracy, u64::MAX);
        let mut problem = Problem::new(objective.clone());
        let bounds = (self.region.lower.clone(), self.region.upper.clone());
        let solver = particleswarm::ParticleSwarm::new(bounds, self.particles);
        let next = match s.method.take() {
            None => {
                let swarm = self.swarm(&objective, s.theta.to_f64());
                let state = PopulationState::new().population(swarm);
                solver
                    .with_rng_generator(self.generator(0))
                    .init(&mut problem, state)
            }
            Some(state) => solver
                .with_rng_generator(self.generator(state.get_iter()))
                .next_iter(&mut problem, state),
        };
        let next = next.ok().map(|(state, _)| state);
        let best = next.as_ref().and_then(|state| state.get_param());
        let row = s.finish(
            &objective,
            self.accuracy,
            best.map(|p| p.position.as_slice()),
        )?;
        let Some(mut state) = next else {
            return s.end(oracle, self.accuracy, tolerance, Status::Stalled);
        };
        state.update();
        state.increment_iter();
        s.method = Some(state);
        Ok(Step::Moved(row))
    }

    fn accuracy(&self, _s: &Self::State) -> Accuracy {
        self.accuracy
    }

    fn name(&self) -> String {
        "argmin particle swarm".into()
    }

    fn identity(&self) -> String {
        format!("argmin {self:?}")
    }
}
